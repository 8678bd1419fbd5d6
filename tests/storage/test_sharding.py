"""The order family can be sharded by app_id: its keys, its statements, its numbers, its jobs (design 6)."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from opentill.services import archives
from opentill.storage import layout
from opentill.storage.database import Step, open_database
from opentill.storage.layout import SHARD_KEY
from tests.databases import fresh_database, on_both_engines, on_postgres
from tests.orders import ALIPAY, ASKS_PASSWORD, CODES, PAYS, WECHAT, ask, scanned
from tests.phones import link, pay_in
from tests.shops import Answer
from tests.storage.statements import bare, recorded
from tests.world import World, ground, running

# What workers ask of all shards at once: which rows are due. A claim then names the row with its app. The last two
# throw away what is out of date, everywhere.
DUE_LISTS = {
    bare(statement)
    for statement in (
        "SELECT app_id, order_no, poll_at_ms FROM orders WHERE poll_at_ms > 0 AND poll_at_ms <= $1 "
        "ORDER BY poll_at_ms LIMIT $2",
        "SELECT min(poll_at_ms) AS at_ms FROM orders WHERE poll_at_ms > 0",
        "SELECT app_id, notification_id, url, due_at_ms FROM notifications WHERE due_at_ms > 0 AND due_at_ms <= $1 "
        "ORDER BY due_at_ms LIMIT $2",
        "SELECT min(due_at_ms) AS at_ms FROM notifications WHERE due_at_ms > 0",
        "SELECT app_id, refund_no, due_at_ms FROM refunds WHERE due_at_ms > 0 AND due_at_ms <= $1 "
        "ORDER BY due_at_ms LIMIT $2",
        "SELECT min(due_at_ms) AS at_ms FROM refunds WHERE due_at_ms > 0",
        "DELETE FROM sign_bindings WHERE expires_at_ms < $1",
        "DELETE FROM refused_calls WHERE at_ms < $1",
    )
}
# `World.settle` looks whether anything is due.
OWN_LOOKS = re.compile(
    r"SELECT count\(\*\) FROM (notifications|orders|refunds|receiver_pauses) WHERE \w+ > \? AND \w+ <= \?"
)
CLAIMS = {
    "orders": "UPDATE orders SET poll_at_ms = ?",
    "notifications": "UPDATE notifications SET due_at_ms = coalesce((SELECT -pause_id FROM receiver_pauses",
    "refunds": "UPDATE refunds SET due_at_ms = ?",
}
NOT_ON_THE_PATH = {"refused_calls", "till_sales", "till_refunds"}
"""Tables of pages for people, which an integrator's day does not touch."""
ROW_LOCKS = re.compile(r"FOR (NO KEY )?UPDATE|FOR (KEY )?SHARE|SKIP LOCKED|LOCK TABLE|advisory", re.IGNORECASE)

SHARED = ("INSERT INTO sales_",)
"""Counters: a row of theirs is locked until the payment that counts in it is durable."""
ENDS = ("COMMIT",)

_TABLES = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE) (\w+)(?: AS)?(?: (?!SET\b|WHERE\b|ON\b|ORDER\b|VALUES\b)(\w+))?")
_NAMED = re.compile(rf"(?:WHERE|AND|ON|\() ?(?:\w+\.)?{SHARD_KEY} = (?:\?|CAST\(\? AS BIGINT\)|\w+\.{SHARD_KEY})(?!\w)")
_INSERTED = re.compile(rf"INSERT INTO \w+ \({SHARD_KEY}, ")


def family_of(statement: str) -> set[str]:
    """The tables of the order family that a statement touches."""
    return {found[0] for found in _TABLES.findall(statement)} & set(layout.order_family())


def names_the_shard(statement: str) -> bool:
    """Whether the statement says which app's rows it means, by a value or by those of a list it was given."""
    if statement.startswith("INSERT"):
        # A SELECT in an INSERT reads rows too.
        reads = bool(family_of(_selected(statement)))
        return bool(_INSERTED.search(statement)) and (not reads or bool(_NAMED.search(statement)))
    return bool(_NAMED.search(statement))


def _selected(statement: str) -> str:
    """What an INSERT selects from, if it does."""
    return statement.partition(" SELECT ")[2].partition(" ON CONFLICT")[0]


# --- the schema


@on_both_engines
async def test_every_table_is_either_distributed_or_a_copy_on_each_node(engine: str) -> None:
    async with fresh_database(engine) as (_, database):
        found = await layout.tables(database)

        assert sorted([*layout.order_family(), *layout.reference_tables()]) == found


@on_both_engines
async def test_every_unique_key_and_foreign_key_of_the_order_family_has_the_shard_key(engine: str) -> None:
    async with fresh_database(engine) as (_, database):
        keys = {key.table for key in await layout.unique_keys(database)}
        references = {key.table for key in await layout.foreign_keys(database)}

        assert await layout.without_shard_key(database) == []
        assert keys >= set(layout.order_family())
        assert references >= {"trades", "payments", "history", "notifications", "notification_attempts", "refunds"}


@on_both_engines
@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ("DROP TABLE sales_goods", "table sales_goods is missing"),
        (
            "CREATE UNIQUE INDEX orders_trade_no ON orders (trade_no)",
            "unique key orders_trade_no of orders is without app_id",
        ),
        (
            "CREATE UNIQUE INDEX orders_lower ON orders (lower(trade_no), merchant_id)",
            "unique key orders_lower of orders is without app_id",
        ),
    ],
)
async def test_a_key_without_the_shard_key_is_found(engine: str, change: str, objection: str) -> None:
    async with fresh_database(engine) as (_, database):
        await database.write([Step(change)])

        found = await layout.without_shard_key(database)

        assert found == [objection]


@on_both_engines
async def test_foreign_keys_that_citus_would_refuse_are_found(engine: str) -> None:
    async with fresh_database(engine) as (_, database):
        await database.write(
            [
                Step("DROP TABLE trades"),
                Step(
                    "CREATE TABLE trades (order_no TEXT, app_id BIGINT, merchant_id BIGINT, "
                    "FOREIGN KEY (merchant_id, order_no) REFERENCES orders (app_id, order_no))"
                ),
                Step(
                    "CREATE TABLE notes (app_id BIGINT, order_no TEXT, "
                    "FOREIGN KEY (app_id, order_no) REFERENCES orders (app_id, order_no))"
                ),
            ]
        )

        found = await layout.without_shard_key(database)

        assert sorted(text.split(" ", 3)[3] for text in found) == [
            "leads from notes into the order family",
            "of trades is without app_id",
        ]


# --- the statements


async def a_day(w: World) -> None:
    """Everything that an integrator, a customer and a wallet do, until nothing is left to do."""
    code = CODES[ALIPAY]
    await w.set_rules(w.till, refund_ceiling_fen=100_000)
    await w.pay((await scanned(w, channel=WECHAT, amount=300, notify_url=w.shop.url)).qr_code)
    goods = '[{"goods_name":"茶","goods_num":"T1","sell_amount":"1","goods_price":"5.00"}]'
    bought = await scanned(w, channel=ALIPAY, amount=500, notify_url=w.shop.url, goods_list=goods)
    await w.pay(bought.qr_code)
    await ask(w, "query", order_no=bought.order_no)
    await ask(w, "query", local_order_no=bought.data["localOrderNo"])
    await ask(w, "refund", order_no=bought.order_no, refund_amount=200, local_refund_no="R-1")
    await ask(w, "refund", order_no=bought.order_no, refund_amount=100)
    assert (await ask(w, "barcode", local_order_no="B-1", amount=100, barcode=code + PAYS)).is_success
    await ask(w, "barcode", local_order_no="B-2", amount=100, barcode=code + ASKS_PASSWORD)
    await ask(w, "query", local_order_no="B-2")
    for wallet in ("alipay", "wechat"):
        await pay_in(w, wallet, (await link(w, notify_url=w.shop.url)).data["url"])
    given_up = await scanned(w, channel=ALIPAY)
    assert (await ask(w, "reverse", order_no=given_up.order_no)).is_success
    await w.pay(given_up.qr_code)
    forgotten = await scanned(w, channel=ALIPAY)
    await w.scan(local_order_no=forgotten.data["localOrderNo"])
    w.shop.answers = [Answer(500)]
    await w.pay((await scanned(w, channel=ALIPAY, notify_url=w.shop.url)).qr_code)
    await w.advance(10)
    await w.advance(3 * 3600)
    await w.advance(86_400)
    assert await w.state(forgotten.order_no) == "CLOSED"


@on_both_engines
async def test_every_statement_on_the_order_family_names_the_app(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ground(engine) as g, recorded(g.database_url, monkeypatch) as statements:
        async with running(g) as w:
            await a_day(w)

        issued = {sent for sent in statements() if family_of(sent) and not OWN_LOOKS.fullmatch(sent)}
    touched = {table for statement in issued for table in family_of(statement)}
    assert {sent for sent in issued - DUE_LISTS if not names_the_shard(sent)} == set()
    assert issued >= DUE_LISTS, "an exception that nobody needs any more"
    assert touched >= set(layout.order_family()) - NOT_ON_THE_PATH


@on_both_engines
async def test_archiving_names_the_app_in_every_statement(
    engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with ground(engine) as g:
        async with running(g) as w:
            await a_day(w)
        g.clock.advance(archives.DEFAULT_DAYS * archives.DAY_MS)
        async with recorded(g.database_url, monkeypatch) as statements:
            database = await open_database(g.database_url, connections=1)
            totals = await archives.run(database, g.clock, tmp_path, days=archives.LEAST_DAYS)
            await database.close()

            issued = {sent for sent in statements() if family_of(sent)}
    assert totals.removed > 0
    assert totals.refused_calls > 0
    assert {sent for sent in issued if not names_the_shard(sent)} == set()


@on_both_engines
async def test_jobs_are_claimed_by_leases_and_never_by_locks(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ground(engine) as g, recorded(g.database_url, monkeypatch) as statements:
        async with running(g) as w:
            await a_day(w)

        issued = set(statements())
    claims = {table: [s for s in issued if s.startswith(start)] for table, start in CLAIMS.items()}
    assert {sent for sent in issued if ROW_LOCKS.search(sent)} == set()
    for table, found in claims.items():
        column = "poll_at_ms" if table == "orders" else "due_at_ms"
        assert any(f"AND {column} = ?" in statement for statement in found), table


# SQLite has one writer and no locks of rows: it does the units of several requests one after the other in one
# transaction, so that what follows a counter there may be another order's beginning.
@on_postgres
async def test_rows_that_many_orders_share_are_touched_last(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ground(engine) as g, recorded(g.database_url, monkeypatch) as statements:
        async with running(g) as w:
            await a_day(w)

        issued = statements()
    followers = {after for before, after in pairwise(issued) if before.startswith(SHARED)}
    assert any(statement.startswith(SHARED) for statement in issued)
    assert {after for after in followers if not after.startswith((*SHARED, *ENDS))} == set()


@pytest.mark.parametrize(
    ("statement", "is_named"),
    [
        ("SELECT state FROM orders WHERE app_id = $1 AND order_no = $2", True),
        ("SELECT state FROM orders WHERE order_no = $1", False),
        ("SELECT state FROM orders WHERE merchant_app_id = $1", False),
        ("SELECT app_id FROM orders WHERE app_id = app_id_of($1)", False),
        ("UPDATE orders SET app_id = $1 WHERE order_no = $2", False),
        ("UPDATE orders SET state = 'A' FROM unnest($1) AS v WHERE orders.app_id = v.app_id AND order_no = v.no", True),
        ("INSERT INTO orders (app_id, order_no) VALUES ($1, $2)", True),
        ("INSERT INTO orders (order_no) VALUES ($1)", False),
        ("INSERT INTO trades (app_id, order_no) SELECT app_id, order_no FROM orders WHERE order_no = $1", False),
        ("INSERT INTO trades (app_id, order_no) SELECT app_id, order_no FROM orders WHERE app_id = $1", True),
        ("SELECT o.state FROM payments p JOIN orders o ON o.app_id = p.app_id WHERE p.trade_no = $1", True),
    ],
)
def test_the_reader_of_statements_knows_one_with_the_shard_key(statement: str, is_named: bool) -> None:
    assert family_of(bare(statement))
    assert names_the_shard(bare(statement)) is is_named


# --- the numbers


@on_both_engines
async def test_a_callback_reaches_its_shard_by_the_order_number_alone(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ground(engine) as g, recorded(g.database_url, monkeypatch) as statements, running(g) as w:
        till = await w.add_till()
        app_id = await w.app_id(till)
        order = await scanned(w, till=till, channel=ALIPAY)

        await w.pay(order.qr_code)

        assert (await w.order(order.order_no, app_id=app_id)).state == "PAID"
        assert int(order.order_no[14:22]) == app_id
        looked_for = {s for s in statements() if s.startswith("SELECT") and "FROM orders" in s} - DUE_LISTS
        assert {s for s in looked_for if not OWN_LOOKS.fullmatch(s) and not names_the_shard(s)} == set()
