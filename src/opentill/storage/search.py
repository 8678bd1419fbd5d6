"""SQL that finds orders for people: newest first by the primary key, never more rows read than was said.

An order's number begins with its time, so within one app the primary key is the order of time (base/numbers): a page of
the list is a range of it, and needs no index of its own. Every statement names one app (design 6: the shard key).
"""

from collections.abc import Collection
from enum import StrEnum

import msgspec

from opentill.base.numbers import PAYMENT
from opentill.domain.order import OrderState, PaymentWay
from opentill.storage.database import Database, Row, Value

FIRST_WINDOW = 2_000
"""Rows looked through at first when most may not match; a page of common orders needs no more."""
WINDOW = 20_000
"""Rows looked through by one statement: 20 to 40 ms, so that a long search stands in nobody's way."""

_COLUMNS = (
    "app_id, order_no, local_order_no, merchant_id, store_id, operator_id, channel, way, state, amount_fen, subject, "
    "channel_trade_no, received_fen, discount_fen, refunding_fen, refunded_fen, created_at_ms, paid_at_ms, is_late, "
    "is_reversed_by_us, attention"
)


class OrderStatus(StrEnum):
    """What people call an order's state: refunds count, as in the protocol's numbers (protocol 4.8)."""

    OPEN = "open"
    PAID = "paid"
    REFUNDING = "refunding"
    PART_REFUNDED = "part_refunded"
    REFUNDED = "refunded"
    FAILED = "failed"
    CLOSED = "closed"
    REVERSED = "reversed"


_IS = {
    OrderStatus.OPEN: "state IN ('CREATED', 'WAITING')",
    OrderStatus.PAID: "state = 'PAID' AND refunding_fen = 0 AND refunded_fen = 0",
    OrderStatus.REFUNDING: "state = 'PAID' AND refunding_fen > 0",
    OrderStatus.PART_REFUNDED: "state = 'PAID' AND refunding_fen = 0 AND refunded_fen > 0 "
    "AND refunded_fen < received_fen",
    OrderStatus.REFUNDED: "state = 'PAID' AND refunding_fen = 0 AND refunded_fen > 0 AND refunded_fen >= received_fen",
    OrderStatus.FAILED: "state = 'FAILED'",
    OrderStatus.CLOSED: "state = 'CLOSED'",
    OrderStatus.REVERSED: "state = 'REVERSED'",
}
# Exactly the condition of the index `orders_attention`, or it would not be used.
_NEEDS_PERSON = "attention <> ''"
_UNPAID = {
    OrderState.CREATED: OrderStatus.OPEN,
    OrderState.WAITING: OrderStatus.OPEN,
    OrderState.FAILED: OrderStatus.FAILED,
    OrderState.CLOSED: OrderStatus.CLOSED,
    OrderState.REVERSED: OrderStatus.REVERSED,
}


class OrderFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders are wanted. Empty and None: any. Times are of creation: from_ms <= created < to_ms."""

    from_ms: int = 0
    to_ms: int = 10**13 - 1
    statuses: tuple[OrderStatus, ...] = ()
    merchant_ids: frozenset[int] | None = None
    """None: of every merchant. Empty: of none."""
    store_id: int = 0
    operator_id: str = ""
    channel: int = 0
    way: PaymentWay | None = None
    amount_from_fen: int | None = None
    amount_to_fen: int | None = None
    needs_person: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether every order of the time matches, so that none is looked at in vain."""
        times = OrderFilter(from_ms=self.from_ms, to_ms=self.to_ms)
        # The orders that need a person have an index of their own, ordered as the list is.
        return self == msgspec.structs.replace(times, needs_person=self.needs_person)


class FoundOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list."""

    app_id: int
    order_no: str
    local_order_no: str
    merchant_id: int
    store_id: int
    operator_id: str
    channel: int
    way: PaymentWay
    state: OrderState
    amount_fen: int
    subject: str
    channel_trade_no: str
    received_fen: int
    discount_fen: int
    refunding_fen: int
    refunded_fen: int
    created_at_ms: int
    paid_at_ms: int
    is_late: bool
    is_reversed_by_us: bool
    attention: str

    @property
    def status(self) -> OrderStatus:
        return status_of(
            self.state,
            received_fen=self.received_fen,
            refunding_fen=self.refunding_fen,
            refunded_fen=self.refunded_fen,
        )


class Stretch(msgspec.Struct, frozen=True):
    """What one app has: orders newest first, complete down to the number `reached` ('' : there are no more)."""

    orders: list[FoundOrder]
    reached: str


def status_of(state: OrderState, *, received_fen: int, refunding_fen: int, refunded_fen: int) -> OrderStatus:
    """The same as the list's conditions say, for one order at hand."""
    if state is not OrderState.PAID:
        return _UNPAID[state]
    if refunding_fen:
        return OrderStatus.REFUNDING
    if refunded_fen == 0:
        return OrderStatus.PAID
    return OrderStatus.REFUNDED if refunded_fen >= received_fen else OrderStatus.PART_REFUNDED


def least_order_no(at_ms: int) -> str:
    """Not greater than any order number made at `at_ms` or later, and greater than all made before."""
    return f"{PAYMENT}{at_ms:013d}"


async def newest(
    database: Database, app_id: int, wanted: OrderFilter, *, before: str, limit: int, most_rows: int
) -> Stretch:
    """Up to `limit` orders of one app whose number is less than `before`, having looked at `most_rows` at most."""
    floor = least_order_no(wanted.from_ms)
    found: list[FoundOrder] = []
    if wanted.is_plain:
        found = await _matching(database, app_id, wanted, before=before, floor=floor, limit=limit)
        return Stretch(found, found[-1].order_no if len(found) == limit else "")
    looked_at, window = 0, FIRST_WINDOW
    while True:
        window = min(window, most_rows - looked_at)
        edge = await _edge(database, app_id, wanted, before=before, floor=floor, rows=window)
        found += await _matching(database, app_id, wanted, before=before, floor=edge or floor, limit=limit - len(found))
        looked_at += window
        if len(found) == limit:
            return Stretch(found, found[-1].order_no)
        if edge is None or looked_at >= most_rows:
            return Stretch(found, edge or "")
        before, window = edge, WINDOW


async def apps_of_merchants(database: Database, merchant_ids: Collection[int]) -> list[int]:
    """The apps that may act for one of the merchants."""
    rows = await database.read(
        f"SELECT DISTINCT app_id FROM app_merchants WHERE merchant_id IN ({_numbers(merchant_ids)}) ORDER BY app_id"
    )
    return [row["app_id"] for row in rows]


async def by_local_order_no(database: Database, app_id: int, local_order_no: str) -> list[FoundOrder]:
    """Every attempt under the integrator's number."""
    return await _orders(database, "local_order_no = $2", app_id, local_order_no)


async def by_order_no(database: Database, app_id: int, order_no: str) -> list[FoundOrder]:
    return await _orders(database, "order_no = $2", app_id, order_no)


async def orders_of_channel_trade_no(database: Database, app_id: int, channel_trade_no: str) -> list[str]:
    """The orders that a payment with the wallet's number reached, a held one too."""
    rows = await database.read(
        "SELECT DISTINCT order_no FROM payments WHERE app_id = $1 AND channel_trade_no = $2", app_id, channel_trade_no
    )
    return [row["order_no"] for row in rows]


async def orders_of_refund_no(database: Database, app_id: int, refund_no: str) -> list[str]:
    """The order of a refund, by our number of it or by the integrator's."""
    rows = await database.read(
        "SELECT order_no FROM refunds WHERE app_id = $1 AND refund_no = $2 "
        "UNION SELECT order_no FROM refunds WHERE app_id = $1 AND local_refund_no = $2",
        app_id,
        refund_no,
    )
    return [row["order_no"] for row in rows]


async def attention_counts(database: Database, app_id: int, merchant_ids: Collection[int] | None) -> dict[str, int]:
    """How many orders of one app need a person, by why."""
    among = "" if merchant_ids is None else f"AND merchant_id IN ({_numbers(merchant_ids)}) "
    rows = await database.read(
        f"SELECT attention, count(*) AS orders FROM orders WHERE app_id = $1 AND {_NEEDS_PERSON} "
        f"{among}GROUP BY attention",
        app_id,
    )
    return {row["attention"]: row["orders"] for row in rows}


async def _edge(
    database: Database, app_id: int, wanted: OrderFilter, *, before: str, floor: str, rows: int
) -> str | None:
    """The number of the row that ends a window of so many; None: there are fewer. Read from an index alone."""
    row = await database.read_one(
        "SELECT order_no FROM orders WHERE app_id = $1 AND order_no < $2 AND order_no >= $3"
        f"{f' AND {_NEEDS_PERSON}' if wanted.needs_person else ''} ORDER BY order_no DESC LIMIT 1 OFFSET $4",
        app_id,
        before,
        floor,
        rows - 1,
    )
    return row["order_no"] if row else None


async def _matching(
    database: Database, app_id: int, wanted: OrderFilter, *, before: str, floor: str, limit: int
) -> list[FoundOrder]:
    conditions, values = _conditions(wanted, first=5)
    rows = await database.read(
        f"SELECT {_COLUMNS} FROM orders WHERE app_id = $1 AND order_no < $2 AND order_no >= $3{conditions} "
        "ORDER BY order_no DESC LIMIT $4",
        app_id,
        before,
        floor,
        limit,
        *values,
    )
    return [_found(row) for row in rows]


def _conditions(wanted: OrderFilter, *, first: int) -> tuple[str, list[Value]]:
    """What is asked of every row, as SQL that begins with AND, and the values from `$first` on."""
    compared: list[tuple[str, Value]] = []
    if wanted.store_id:
        compared.append(("store_id =", wanted.store_id))
    if wanted.operator_id:
        compared.append(("operator_id =", wanted.operator_id))
    if wanted.channel:
        compared.append(("channel =", wanted.channel))
    if wanted.way is not None:
        compared.append(("way =", wanted.way.value))
    if wanted.amount_from_fen is not None:
        compared.append(("amount_fen >=", wanted.amount_from_fen))
    if wanted.amount_to_fen is not None:
        compared.append(("amount_fen <=", wanted.amount_to_fen))
    parts = [f"{column} ${number}" for number, (column, _) in enumerate(compared, start=first)]
    if wanted.merchant_ids is not None:
        parts.append(f"merchant_id IN ({_numbers(wanted.merchant_ids)})")
    if wanted.statuses:
        parts.append("(" + " OR ".join(f"({_IS[status]})" for status in wanted.statuses) + ")")
    if wanted.needs_person:
        parts.append(_NEEDS_PERSON)
    return "".join(f" AND {part}" for part in parts), [value for _, value in compared]


def _numbers(merchant_ids: Collection[int]) -> str:
    """Our own integers, as SQL; NULL: none."""
    return ", ".join(str(int(merchant_id)) for merchant_id in sorted(merchant_ids)) or "NULL"


async def _orders(database: Database, condition: str, app_id: int, number: str) -> list[FoundOrder]:
    rows = await database.read(f"SELECT {_COLUMNS} FROM orders WHERE app_id = $1 AND {condition}", app_id, number)
    return [_found(row) for row in rows]


def _found(row: Row) -> FoundOrder:
    values = dict(row)
    values["way"] = PaymentWay(values["way"])
    values["state"] = OrderState(values["state"])
    values["is_late"] = bool(values["is_late"])
    values["is_reversed_by_us"] = bool(values["is_reversed_by_us"])
    return FoundOrder(**values)
