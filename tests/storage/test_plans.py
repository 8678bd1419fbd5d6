"""PostgreSQL keeps plans that it made while the tables were empty; they serve full tables too (decision 12)."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest

from opentill.domain.order import Order, OrderState, PaymentWay
from opentill.storage import history, layout, orders, sessions
from opentill.storage.batches import Batches, Rows, Unit
from opentill.storage.database import Database, Step
from opentill.storage.engine import Argument
from opentill.storage.sessions import Connection, Session, connect
from tests.databases import fresh_database, fresh_url, on_postgres
from tests.storage.test_sharding import a_day
from tests.world import ground, running

ROWS = 3_000
TURNS = 8
"""PostgreSQL plans five times for the values at hand before it keeps a plan."""
BATCH = 16
JOINS_BY_READING_ALL = {"Seq Scan", "Hash Join", "Merge Join"}
ONLY_THE_APP = re.compile(r"\(\(?app_id = [^()]*\)")


@contextlib.contextmanager
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Every statement that is run meanwhile, and its form over arrays."""
    statements: set[str] = set()
    run, write = Session.run, Batches.write

    async def listen(self: Session, sql: str, args: Sequence[Argument]) -> tuple[list[sessions.Record], int]:
        statements.add(sql)
        return await run(self, sql, args)

    async def listen_too(self: Batches, unit: Unit) -> Rows:
        statements.update(step.many for step in unit)
        return await write(self, unit)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "run", listen)
        patch.setattr(Batches, "write", listen_too)
        yield statements


@contextlib.asynccontextmanager
async def planner() -> AsyncIterator[Connection]:
    """A connection like the gateway's to empty tables, which plans for any value."""
    async with fresh_url("postgresql") as url:
        connection = await connect(url)
        try:
            await connection.execute("SET plan_cache_mode = force_generic_plan")
            yield connection
        finally:
            await connection.close()


async def steps_of_plan(connection: Connection, sql: str) -> list[dict[str, Any]]:
    """Every node of the plan that is kept for a statement."""
    prepared = await connection.prepare(sql)
    nothing = ", ".join("NULL" for _ in prepared.get_parameters())
    await connection.execute(f"PREPARE kept AS {sql}")
    explained = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE kept{f'({nothing})' if nothing else ''}")
    await connection.execute("DEALLOCATE kept")
    found = [json.loads(explained)[0]["Plan"]]
    for node in found:
        found += node.get("Plans", [])
    return found


def reads_too_much(node: dict[str, Any]) -> bool:
    """Whether it goes through a table of the order family, or through all rows of one app."""
    if node["Node Type"] in JOINS_BY_READING_ALL:
        return node.get("Relation Name") in {*layout.order_family(), None}
    return bool(ONLY_THE_APP.fullmatch(node.get("Index Cond", "")))


@on_postgres
async def test_no_statement_of_a_day_gets_a_plan_that_grows_with_the_tables(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with heard(monkeypatch) as statements:
        async with ground(engine) as g, running(g) as w:
            await a_day(w)

    reading = [sql for sql in statements if sql.startswith(("SELECT", "UPDATE", "DELETE", "INSERT"))]
    family = re.compile(rf"\b({'|'.join(layout.order_family())})\b")
    concerned = [sql for sql in reading if family.search(sql)]
    async with planner() as connection:
        growing = {sql for sql in concerned for node in await steps_of_plan(connection, sql) if reads_too_much(node)}
    assert len(concerned) > 50
    assert growing == set()


@on_postgres
async def test_of_the_indexes_of_a_table_only_the_primary_key_begins_with_the_app(engine: str) -> None:
    async with fresh_database(engine) as (_, database):
        found = await database.read(
            "SELECT CAST(i.indexrelid::regclass AS TEXT) AS name, CAST(c.relname AS TEXT) AS table_name "
            "FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] "
            "WHERE a.attname = 'app_id' AND NOT i.indisprimary AND i.indpred IS NULL"
        )

        assert [row["name"] for row in found if row["table_name"] in layout.order_family()] == []


# --- what really happens


def order_of(number: int) -> Order:
    order_no = f"1{number:029d}"
    return Order(
        app_id=1, order_no=order_no, local_order_no=f"L{number}", attempt=1, merchant_id=1, store_id=1,
        operator_id="o", account_id=1, channel=1, way=PaymentWay.SCAN, state=OrderState.CREATED, amount_fen=1,
        un_discount_fen=None, subject="", goods=(), notify_url="", device_create_ip="", created_at_ms=1,
        expires_at_ms=2, trade_no=order_no, poll_at_ms=0, request_sign="",
    )  # fmt: skip


@on_postgres
async def test_orders_that_come_before_anybody_analysed_the_tables_are_found_by_their_key(engine: str) -> None:
    async with fresh_database(engine, connections=1) as (_, database):
        for turn in range(TURNS):
            await _live(database, first=turn * BATCH)
        before = await _looks(database)

        for turn in range(TURNS, TURNS + ROWS // BATCH):
            await _live(database, first=turn * BATCH)

        looks = {name: count - before[name] for name, count in (await _looks(database)).items()}
        row = await database.read_one("SELECT count(*) AS analysed FROM pg_stats WHERE tablename = 'orders'")
        assert row is not None
        assert row["analysed"] == 0
        assert looks["whole"] == 0
        assert looks["rows"] < 2 * looks["by_index"]
        assert looks["by_index"] > ROWS


async def _live(database: Database, *, first: int) -> None:
    """Some orders at once: opened, given their QR codes, found by both numbers."""
    fresh = [order_of(number) for number in range(first, first + BATCH)]

    def event(order: Order, kind: str) -> Step:
        return history.add_event(1, order.order_no, now_ms=1, kind=kind, detail={})

    def kept(order: Order) -> Step:
        return orders.keep_qr(1, order.order_no, expected=OrderState.CREATED, qr_text="https://qr", poll_at_ms=0)

    await asyncio.gather(*(database.write([orders.insert(order), event(order, "CREATED")]) for order in fresh))
    await asyncio.gather(*(database.write([kept(order), event(order, "WAITING")]) for order in fresh))
    one = fresh[0]
    assert await orders.by_order_no(database, 1, one.order_no) is not None
    assert await orders.by_local_order_no(database, 1, one.local_order_no) is not None


async def _looks(database: Database) -> dict[str, int]:
    """How often tables were gone through or an index asked, and how many rows the indexes gave."""
    await database.read("SELECT CAST(pg_stat_force_next_flush() AS TEXT) AS done")
    row = await database.read_one(
        "SELECT CAST(sum(t.seq_scan) AS BIGINT) AS whole, CAST(sum(t.idx_scan) AS BIGINT) AS by_index, "
        "CAST(sum(t.idx_tup_fetch) AS BIGINT) AS rows FROM pg_stat_user_tables t WHERE relname IN ('orders', 'history')"
    )
    assert row is not None
    return dict(row)
