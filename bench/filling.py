"""A database in which an app has sold for a year: orders, their payments and timelines, and the counters of sales."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator

import asyncpg

from opentill.services.access import TEST_OPERATOR
from opentill.storage.database import SQLITE_PREFIX

YEAR_MS = 365 * 86_400_000
CHUNK = 1_000_000
OPERATORS = 10
HOURS = 365 * 24
Numbers = Callable[[int, int], str]
"""A SELECT of all integers from the first to the last, as n."""

_ORDER_COLUMNS = (
    "app_id, order_no, local_order_no, attempt, merchant_id, store_id, operator_id, account_id, channel, way, state, "
    "amount_fen, subject, goods, notify_url, device_create_ip, created_at_ms, expires_at_ms, qr_text, trade_no, "
    "channel_trade_no, received_fen, paid_at_ms, request_sign"
)
_PAYMENT_COLUMNS = (
    "app_id, order_no, channel, channel_trade_no, trade_no, account_id, role, amount_fen, received_fen, discount_fen, "
    "line_discounts, paid_at_ms, recorded_at_ms"
)
# Texts are as long as real ones; order n was made at `at` and is paid a minute later.
_TABLES = {
    "orders": (
        _ORDER_COLUMNS,
        "1, no, 'L' || no, 1, 1, 1, '{operator}', 1, 1 + n % 2, 'SCAN', 'PAID', 100 + n % 9000, 'a cup of coffee', "
        "'[]', 'https://shop.example/paid', '', at, at + 7200000, 'https://qr.alipay.com/bax' || no, no, '20' || no, "
        "100 + n % 9000, at + 60000, '0123456789abcdef0123456789abcdef'",
    ),
    "payments": (
        _PAYMENT_COLUMNS,
        "1, no, 1 + n % 2, '20' || no, no, 1, 'EFFECTIVE', 100 + n % 9000, 100 + n % 9000, 0, '[]', at + 60000, "
        "at + 60000",
    ),
    "history": (
        "app_id, order_no, event_id, at_ms, kind, detail",
        '1, no, at * 1048576 + n % 1048576, at, \'PAID\', \'{{"source":"callback","amount_fen":"100"}}\'',
    ),
}
_SALES = (
    "INSERT INTO sales_hours (app_id, merchant_id, store_id, operator_id, channel, hour_ms, orders, amount_fen, "
    "received_fen, discount_fen, refunds, refunded_fen) "
    "SELECT 1, 1, 1, 'operator ' || (n % {operators}), 1, {start} + n / {operators} * 3600000, 100, 100000, 100000, 0, "
    "0, 0 FROM ({numbers}) AS numbers"
)


async def fill(url: str, rows: int) -> float:
    """So many orders, spread over the year until now, each with a payment and an event. Returns seconds."""
    started = time.perf_counter()
    start_ms = time.time_ns() // 1_000_000 - YEAR_MS
    if url.startswith(SQLITE_PREFIX):
        await asyncio.to_thread(_sqlite, url.removeprefix(SQLITE_PREFIX), rows, start_ms)
    else:
        await _postgres(url, rows, start_ms)
    return time.perf_counter() - started


def _sqlite(path: str, rows: int, start_ms: int) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000", "foreign_keys = OFF"):
        connection.execute(f"PRAGMA {setting}")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN (?, ?, ?)",
        tuple(_TABLES),
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    for statement in _statements(rows, start_ms, no="printf('1%013d00000001%08d', {at}, n)", numbers=_recursive):
        connection.execute(statement)
    for name, create in indexes:
        _say(f"index {name}")
        connection.execute(create)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


async def _postgres(url: str, rows: int, start_ms: int) -> None:
    connection = await asyncpg.connect(url)
    no = "'1' || lpad(CAST({at} AS TEXT), 13, '0') || '00000001' || lpad(CAST(n AS TEXT), 8, '0')"
    try:
        # Without triggers, foreign keys are not asked about again: the rows are known to be right.
        for setting in ("synchronous_commit = off", "session_replication_role = replica"):
            await connection.execute(f"SET {setting}")
        await connection.execute("SET maintenance_work_mem = '512MB'")
        indexes = await connection.fetch(
            "SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i "
            "WHERE NOT i.indisprimary AND i.indrelid = ANY(CAST($1::text[] AS regclass[]))",
            list(_TABLES),
        )
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['name']}")
        for statement in _statements(rows, start_ms, no=no, numbers=_series):
            await connection.execute(statement)
        for index in indexes:
            _say(f"index {index['name']}")
            await connection.execute(index["definition"])
        for table in (*_TABLES, "sales_hours"):
            _say(f"vacuum {table}")
            await connection.execute(f"VACUUM (ANALYZE) {table}")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


def _statements(rows: int, start_ms: int, *, no: str, numbers: Numbers) -> Iterator[str]:
    at = f"{start_ms} + n * {YEAR_MS // rows}"
    for table, (columns, values) in _TABLES.items():
        for first in range(0, rows, CHUNK):
            last = min(first + CHUNK, rows) - 1
            _say(f"{table} {first:,} to {last:,}")
            made = f"SELECT n, {at} AS at, {no.format(at=at)} AS no FROM ({numbers(first, last)}) AS numbers"
            given = values.format(operator=TEST_OPERATOR)
            yield f"INSERT INTO {table} ({columns}) SELECT {given} FROM ({made}) AS made"
    hour_ms = start_ms - start_ms % 3_600_000
    count = numbers(0, HOURS * OPERATORS - 1)
    yield _SALES.format(operators=OPERATORS, start=hour_ms, numbers=count)


def _recursive(first: int, last: int) -> str:
    counted = f"SELECT {first} AS n UNION ALL SELECT n + 1 FROM counted WHERE n < {last}"
    return f"WITH RECURSIVE counted (n) AS ({counted}) SELECT n FROM counted"


def _series(first: int, last: int) -> str:
    return f"SELECT n FROM generate_series(CAST({first} AS BIGINT), {last}) AS numbers (n)"


def _say(what: str) -> None:
    print(f"           {time.strftime('%H:%M:%S')}  {what}", flush=True)
