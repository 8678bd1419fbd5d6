"""What a scan costs when millions of orders are there already: two gateways in turns, one with an empty database."""

import asyncio
import sqlite3
import time

import asyncpg

from bench import load
from bench.scans import scans
from bench.stage import Meter, Sample, Stage, latencies
from opentill.storage.database import SQLITE_PREFIX

TURNS = 4
_COLUMNS = (
    "app_id, order_no, local_order_no, attempt, merchant_id, store_id, operator_id, account_id, channel, way, state, "
    "amount_fen, subject, goods, notify_url, device_create_ip, created_at_ms, expires_at_ms, qr_text, trade_no, "
    "channel_trade_no, received_fen, paid_at_ms, request_sign"
)
# Number n of the app: paid, with texts as long as real ones. `printf` and `lpad` are the engines' own.
_VALUES = (
    "1, '1' || {n}, 'L' || {n}, 1, 1, 1, 'ccaaad2ba1f2a6baccb986d0a748dbb9', 1, 1, 'SCAN', 'PAID', "
    "100, 'a cup of coffee', '[]', 'https://shop.example/paid', '', 1600000000000, 1600007200000, "
    "'https://qr.alipay.com/bax' || {n}, '1' || {n}, '20' || {n}, 100, 1600000060000, "
    "'0123456789abcdef0123456789abcdef'"
)
_SQLITE = (
    "WITH RECURSIVE rows (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows WHERE n < ?) "
    f"INSERT INTO orders ({_COLUMNS}) SELECT {_VALUES.format(n='printf(' + chr(39) + '%029d' + chr(39) + ', n)')} "
    "FROM rows"
)
_POSTGRES = (
    f"INSERT INTO orders ({_COLUMNS}) SELECT {_VALUES.format(n='lpad(n::text, 29, ' + chr(39) + '0' + chr(39) + ')')} "
    "FROM generate_series(1, $1::bigint) AS rows (n)"
)


async def growth(stage: Stage, engine: str, calls: int, rows: int) -> list[Sample]:
    samples = []
    async with stage.database(engine) as empty_url, stage.database(engine) as full_url, stage.stub() as (stub_url, _):
        started = time.perf_counter()
        await _fill(full_url, rows)
        filled_s = time.perf_counter() - started
        async with stage.gateway(empty_url, stub_url) as empty, stage.gateway(full_url, stub_url) as full:
            both = (("empty table", empty), (f"{rows} orders", full))
            for _, gateway in both:
                await load.run([gateway.port], scans(400), clients=64)
            for _ in range(TURNS):
                for case, gateway in both:
                    meter = Meter(stage, engine, {"gateway": gateway.pid})
                    meter.start()
                    requests = scans(calls // 2)
                    result = await load.run([gateway.port], requests, clients=64)
                    values = {**latencies(result), **meter.per_call(len(requests)), "filled_s": filled_s}
                    samples.append(Sample("growth", engine, case, values))
    return samples


async def _fill(url: str, rows: int) -> None:
    if url.startswith(SQLITE_PREFIX):
        await asyncio.to_thread(_fill_sqlite, url.removeprefix(SQLITE_PREFIX), rows)
        return
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET synchronous_commit = off")
        await connection.execute(_POSTGRES, rows)
        await connection.execute("ANALYZE orders")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


def _fill_sqlite(path: str, rows: int) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -400000")
    connection.execute(_SQLITE, (rows,))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
