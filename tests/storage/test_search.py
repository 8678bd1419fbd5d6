"""The list of orders: the right ones, newest first, page by page, without reading more than was said."""

import random
import re
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest

from opentill.base import numbers
from opentill.domain.order import Order, OrderState, PaymentWay
from opentill.services import search
from opentill.services.search import Scope
from opentill.storage import orders as rows
from opentill.storage.database import Database, Step
from opentill.storage.search import FoundOrder, OrderFilter, OrderStatus, apps_of_merchants, newest
from tests.databases import fresh_database, on_both_engines, on_sqlite

START_MS = 1_760_000_000_000
MINUTE_MS = 60_000
EVERYTHING = Scope((1, 2, 3), None)


def an_order(number: int, draw: random.Random, *, app_id: int = 0) -> Order:
    app_id = app_id or draw.choice((1, 2, 3))
    created_at_ms = START_MS + number * MINUTE_MS
    order = Order(
        app_id=app_id,
        order_no=numbers.new_order_no(
            numbers.PAYMENT, app_id=app_id, now_ms=created_at_ms, below=lambda limit: number % limit
        ),
        local_order_no=f"L{number}",
        attempt=1,
        merchant_id=draw.choice((1, 2)),
        store_id=draw.choice((1, 2, 3)),
        operator_id=draw.choice(("ann", "bob")),
        account_id=1,
        channel=draw.choice((1, 2)),
        way=draw.choice(list(PaymentWay)),
        state=draw.choice(list(OrderState)),
        amount_fen=draw.choice((1, 100, 999)),
        un_discount_fen=None,
        subject="一杯拿铁",
        goods=(),
        notify_url="",
        device_create_ip="",
        created_at_ms=created_at_ms,
        expires_at_ms=created_at_ms + 7_200_000,
    )
    if order.state is OrderState.PAID:
        refunded, refunding = draw.choice(((0, 0), (0, 1), (1, 0), (order.amount_fen, 0)))
        order = msgspec.structs.replace(
            order, received_fen=order.amount_fen, refunded_fen=refunded, refunding_fen=refunding
        )
    attention = draw.choice(("", "", "", "LATE", "SURPLUS"))
    return msgspec.structs.replace(order, attention=attention)


async def stored(database: Database, orders: list[Order]) -> list[Order]:
    """The orders, newest first, now in the database."""
    for order in orders:
        await database.write(
            [
                rows.insert(order),
                Step(
                    "UPDATE orders SET received_fen = $3, refunded_fen = $4, refunding_fen = $5, attention = $6 "
                    "WHERE app_id = $1 AND order_no = $2",
                    (
                        order.app_id, order.order_no, order.received_fen, order.refunded_fen, order.refunding_fen,
                        order.attention,
                    ),
                ),
            ]
        )  # fmt: skip
    return sorted(orders, key=lambda order: order.order_no, reverse=True)


async def many(database: Database) -> list[Order]:
    draw = random.Random(7)
    return await stored(database, [an_order(number, draw) for number in range(120)])


def order_nos(found: list[FoundOrder] | list[Order]) -> list[str]:
    return [order.order_no for order in found]


def matching(orders: list[Order], wanted: OrderFilter) -> list[Order]:
    """The same question, asked of values in memory."""

    def is_wanted(order: Order) -> Iterator[bool]:
        yield wanted.from_ms <= order.created_at_ms < wanted.to_ms
        yield wanted.merchant_ids is None or order.merchant_id in wanted.merchant_ids
        yield wanted.store_id in (0, order.store_id)
        yield wanted.operator_id in ("", order.operator_id)
        yield wanted.channel in (0, order.channel)
        yield wanted.way in (None, order.way)
        yield wanted.amount_from_fen is None or order.amount_fen >= wanted.amount_from_fen
        yield wanted.amount_to_fen is None or order.amount_fen <= wanted.amount_to_fen
        yield not wanted.needs_person or bool(order.attention)
        yield not wanted.statuses or _status(order) in wanted.statuses

    return [order for order in orders if all(is_wanted(order))]


def _status(order: Order) -> str:
    if order.state in (OrderState.CREATED, OrderState.WAITING):
        return "open"
    if order.state is not OrderState.PAID:
        return order.state.value.lower()
    if order.refunding_fen:
        return "refunding"
    return {0: "paid", order.received_fen: "refunded"}.get(order.refunded_fen, "part_refunded")


FILTERS = {
    "everything": OrderFilter(),
    "a time": OrderFilter(from_ms=START_MS + 20 * MINUTE_MS, to_ms=START_MS + 40 * MINUTE_MS),
    "one merchant": OrderFilter(merchant_ids=frozenset({2})),
    "no merchant": OrderFilter(merchant_ids=frozenset()),
    "a store": OrderFilter(store_id=3),
    "a cashier": OrderFilter(operator_id="bob"),
    "a wallet": OrderFilter(channel=2),
    "a way": OrderFilter(way=PaymentWay.H5),
    "at least": OrderFilter(amount_from_fen=100),
    "at most": OrderFilter(amount_to_fen=100),
    "needs a person": OrderFilter(needs_person=True),
    "a person in a store": OrderFilter(needs_person=True, store_id=1),
    "many at once": OrderFilter(store_id=1, channel=1, statuses=(OrderStatus.OPEN, OrderStatus.PAID)),
    **{f"is {status}": OrderFilter(statuses=(status,)) for status in OrderStatus},
}


@on_both_engines
async def test_every_filter_finds_what_matches_newest_first(engine: str) -> None:
    async with fresh_database(engine) as (_, database):
        orders = await many(database)

        found = {name: await search.page(database, EVERYTHING, wanted, limit=500) for name, wanted in FILTERS.items()}

        assert {name: order_nos(page.orders) for name, page in found.items()} == {
            name: order_nos(matching(orders, wanted)) for name, wanted in FILTERS.items()
        }
        assert not any(page.before or page.is_cut for page in found.values())


@on_both_engines
async def test_a_found_order_has_the_status_its_filter_is_named_after(engine: str) -> None:
    async with fresh_database(engine) as (_, database):
        await many(database)

        for status in OrderStatus:
            page = await search.page(database, EVERYTHING, OrderFilter(statuses=(status,)), limit=500)

            assert page.orders, "the draw has orders of every status"
            assert {order.status for order in page.orders} == {status}


@on_both_engines
@pytest.mark.parametrize("limit", [1, 7, 119, 120, 121])
async def test_pages_one_after_another_are_the_whole_list(engine: str, limit: int) -> None:
    async with fresh_database(engine) as (_, database):
        orders = await many(database)
        seen: list[str] = []

        before = ""
        while True:
            page = await search.page(database, EVERYTHING, OrderFilter(), before=before, limit=limit)
            seen += order_nos(page.orders)
            before = page.before
            if not before:
                break

        assert seen == order_nos(orders)


@on_both_engines
@pytest.mark.parametrize("most_rows", [1, 2, 5, 39])
async def test_a_search_that_stops_early_goes_on_where_it_stopped(engine: str, most_rows: int) -> None:
    async with fresh_database(engine) as (_, database):
        orders = await many(database)
        wanted = OrderFilter(statuses=(OrderStatus.FAILED,))
        ours = [order for order in matching(orders, wanted) if order.app_id == 1]
        seen: list[str] = []

        before = "9"
        while before:
            stretch = await newest(database, 1, wanted, before=before, limit=3, most_rows=most_rows)
            seen += order_nos(stretch.orders)
            before = stretch.reached

        assert seen == order_nos(ours)


@on_both_engines
async def test_what_one_app_did_not_get_to_is_not_left_out_by_what_another_found(engine: str) -> None:
    async with fresh_database(engine) as (_, database):
        draw = random.Random(7)
        old = msgspec.structs.replace(an_order(0, draw, app_id=2), channel=2)
        # App 1 has more newer orders that do not match than one page looks through.
        newer = [an_order(number, draw, app_id=1) for number in range(1, search.LEAST_ROWS_PER_APP + 3)]
        await database.write([rows.insert(msgspec.structs.replace(order, channel=1)) for order in newer])
        await stored(database, [old])
        wanted = OrderFilter(channel=2)

        first = await search.page(database, Scope((1, 2), None), wanted, most_rows=1)
        second = await search.page(database, Scope((1, 2), None), wanted, before=first.before, most_rows=1)

        assert (first.orders, first.is_cut) == ([], True)
        assert (order_nos(second.orders), second.is_cut) == ([old.order_no], False)


@on_both_engines
async def test_nobody_finds_orders_of_merchants_they_may_not_see(engine: str) -> None:
    async with fresh_database(engine) as (_, database):
        orders = await many(database)
        theirs = Scope((1, 2, 3), frozenset({2}))
        of_another = next(order for order in orders if order.merchant_id == 1)

        page = await search.page(database, theirs, OrderFilter(), limit=500)
        asked_for = await search.page(database, theirs, OrderFilter(merchant_ids=frozenset({1})), limit=500)
        by_number = await search.by_number(database, theirs, of_another.order_no)
        counts = await search.attention_counts(database, theirs)

        assert {order.merchant_id for order in page.orders} == {2}
        assert asked_for.orders == []
        assert by_number == []
        assert sum(counts.values()) == sum(1 for order in orders if order.attention and order.merchant_id == 2)


@on_both_engines
async def test_a_person_for_some_merchants_looks_only_into_their_apps(engine: str) -> None:
    async with fresh_database(engine) as (_, database):
        await database.write(
            [
                *(Step("INSERT INTO merchants VALUES ($1, 'm', 0, 0)", (number,)) for number in (1, 2)),
                *(
                    Step(
                        "INSERT INTO apps (app_id, app, name, key_sealed, rules, created_at_ms) "
                        "VALUES ($1, $2, 'a', '', '{}', 0)",
                        (number, f"A{number}"),
                    )
                    for number in (1, 2, 3)
                ),
                *(Step("INSERT INTO app_merchants VALUES ($1, $2)", pair) for pair in ((1, 1), (2, 1), (2, 2))),
            ]
        )

        everybody = await search.scope_of(database, None)
        second = await search.scope_of(database, frozenset({2}))
        nobody = await search.scope_of(database, frozenset())
        one_app = await search.scope_of(database, None, app_id=3)

        assert [scope.app_ids for scope in (everybody, second, nobody, one_app)] == [(1, 2, 3), (2,), (), (3,)]
        assert await apps_of_merchants(database, [1]) == [1, 2]


@on_both_engines
async def test_each_number_of_an_order_leads_to_it(engine: str) -> None:
    async with fresh_database(engine) as (_, database):
        order = (await many(database))[17]
        refund_no = numbers.new_order_no(numbers.REFUND, app_id=order.app_id, now_ms=START_MS)
        await database.write(
            [
                rows.insert_payment(
                    order, trade_no=order.order_no, channel_trade_no="4200001", role="EFFECTIVE", amount_fen=1,
                    received_fen=1, discount_fen=0, line_discounts="[]", paid_at_ms=1, now_ms=1,
                ),
                Step(
                    "INSERT INTO refunds (app_id, refund_no, order_no, local_refund_no, operator_id, trade_no, "
                    "channel, account_id, cause, amount_fen, wallet_fen, reason, state, created_at_ms, due_at_ms) "
                    "VALUES ($1, $2, $3, 'R-1', '', '', 1, 1, 'REQUESTED', 1, 1, '', 'PENDING', 1, 1)",
                    (order.app_id, refund_no, order.order_no),
                ),
            ]
        )  # fmt: skip
        given = [order.order_no, f" {order.order_no} ", f"{order.order_no}01", order.local_order_no, "4200001"]

        for number in [*given, refund_no, "R-1"]:
            found = await search.by_number(database, EVERYTHING, number)

            assert order_nos(found) == [order.order_no], number


@on_both_engines
@pytest.mark.parametrize("number", ["", "  ", "L", "L999", "%", "' OR 1=1 --", "9" * 65, "\u0661" * 30])
async def test_another_number_leads_nowhere(engine: str, number: str) -> None:
    async with fresh_database(engine) as (_, database):
        await many(database)

        assert await search.by_number(database, EVERYTHING, number) == []


@on_sqlite
async def test_no_search_reads_a_table_from_end_to_end(engine: str) -> None:
    async with fresh_database(engine) as (_, database):
        asked: list[str] = []
        spy = cast(Database, _Listening(database, asked))
        for wanted in FILTERS.values():
            await search.page(spy, EVERYTHING, wanted)
        await search.by_number(spy, EVERYTHING, "L1")
        await search.attention_counts(spy, EVERYTHING)

        plans = [(await database.read(f"EXPLAIN QUERY PLAN {_with_values(sql)}"), sql) for sql in asked]

        details = [(row["detail"], sql) for plan, sql in plans for row in plan]
        assert [each for each in details if each[0].startswith("SCAN") and "SUBQUERY" not in each[0]] == []
        assert [each for each in details if "TEMP B-TREE FOR ORDER BY" in each[0]] == []
        attention = {detail for detail, sql in details if "attention <> ''" in sql}
        assert all("INDEX orders_attention" in detail or "GROUP BY" in detail for detail in attention)


class _Listening:
    """The database, and what it was asked."""

    def __init__(self, database: Database, asked: list[str]) -> None:
        self._database = database
        self._asked = asked

    def __getattr__(self, name: str) -> object:
        return getattr(self._database, name)

    async def read(self, sql: str, *args: Any) -> object:
        self._asked.append(sql)
        return await self._database.read(sql, *args)

    async def read_one(self, sql: str, *args: Any) -> object:
        self._asked.append(sql)
        return await self._database.read_one(sql, *args)


def _with_values(sql: str) -> str:
    return re.sub(r"\$\d+", "1", sql)
