"""SQL of archiving: which orders nothing will happen to any more, all that is known of their past, and its removal."""

from collections.abc import Mapping, Sequence

import msgspec

from opentill.storage.database import Database, Step
from opentill.storage.history import NewEvent, add_events, new_event_id
from opentill.storage.refusals import RefusedCall

ARCHIVED = "ARCHIVED"
"""Event: what happened before is in a file, which it names."""
WINDOW = 5_000
"""Rows of history looked through by one statement."""

# `opentill doctor` sums the statistics anew from these (health.sold); they are few.
_NEEDED_BY_BOOKS = ("DECIDED", "REFUND_SUCCEEDED")
_STAYS = ", ".join(f"'{kind}'" for kind in (ARCHIVED, *_NEEDED_BY_BOOKS))
_ORDER = (
    "app_id, order_no, local_order_no, attempt, merchant_id, store_id, operator_id, account_id, channel, way, state, "
    "amount_fen, received_fen, refunded_fen, trade_no, channel_trade_no, created_at_ms, paid_at_ms"
)
_REFUSED = ", ".join(RefusedCall.__struct_fields__)


class ArchivedEvent(msgspec.Struct, frozen=True):
    """A row of an order's history, as it is."""

    event_id: int
    at_ms: int
    kind: str
    detail: str

    @property
    def stays(self) -> bool:
        """Whether it is only copied, not removed."""
        return self.kind == ARCHIVED or self.kind in _NEEDED_BY_BOOKS


class ArchivedAttempt(msgspec.Struct, frozen=True):
    """An attempt to tell the merchant, as it is."""

    notification_id: int
    attempt: int
    at_ms: int
    elapsed_ms: int
    status: int
    body: str
    problem: str


class OrderPast(msgspec.Struct, frozen=True, kw_only=True):
    """What identifies an order, and everything that happened to it."""

    order: dict[str, int | str]
    history: list[ArchivedEvent]
    attempts: list[ArchivedAttempt]

    @property
    def app_id(self) -> int:
        return int(self.order["app_id"])

    @property
    def order_no(self) -> str:
        return str(self.order["order_no"])

    @property
    def removed(self) -> list[ArchivedEvent]:
        return [event for event in self.history if not event.stays]


async def window_end(database: Database, app_id: int, *, after: str, before: str) -> str:
    """The number up to which the next window of history goes; `before`: there is less than a window."""
    row = await database.read_one(
        "SELECT order_no FROM history WHERE app_id = $1 AND order_no > $2 AND order_no < $3 "
        "ORDER BY order_no LIMIT 1 OFFSET $4",
        app_id,
        after,
        before,
        WINDOW - 1,
    )
    return str(row["order_no"]) if row else before


async def settled_orders(database: Database, app_id: int, *, after: str, to: str, before_ms: int) -> list[str]:
    """Orders with after < number <= to that have a past to archive, and of which nothing is open, held or owed.

    Nothing has happened to them since `before_ms`.
    """
    of_order = "app_id = o.app_id AND {0}.order_no = o.order_no"
    rows = await database.read(
        "SELECT o.order_no FROM orders AS o WHERE o.app_id = $1 AND o.order_no > $2 AND o.order_no <= $3 "
        "AND o.state NOT IN ('CREATED', 'WAITING') AND o.poll_at_ms = 0 AND o.attention = '' AND o.refunding_fen = 0 "
        f"AND EXISTS (SELECT 1 FROM history AS h WHERE h.{of_order.format('h')} AND h.kind NOT IN ({_STAYS})) "
        f"AND NOT EXISTS (SELECT 1 FROM history AS h WHERE h.{of_order.format('h')} AND h.at_ms >= $4) "
        f"AND NOT EXISTS (SELECT 1 FROM refunds AS r WHERE r.{of_order.format('r')} "
        "AND (r.state = 'PENDING' OR r.due_at_ms > 0)) "
        f"AND NOT EXISTS (SELECT 1 FROM notifications AS n WHERE n.{of_order.format('n')} "
        "AND (n.state <> 'DELIVERED' OR n.due_at_ms > 0 OR n.ended_at_ms >= $4)) "
        f"AND NOT EXISTS (SELECT 1 FROM payments AS p WHERE p.{of_order.format('p')} "
        "AND p.role IN ('WRONG_AMOUNT', 'SURPLUS')) ORDER BY o.order_no",
        app_id,
        after,
        to,
        before_ms,
    )
    return [row["order_no"] for row in rows]


async def pasts(database: Database, app_id: int, order_nos: Sequence[str]) -> list[OrderPast]:
    """Of at most 500 orders, in their order."""
    among = f"IN ({', '.join(f'${n}' for n in range(2, len(order_nos) + 2))})"
    orders = await database.read(
        f"SELECT {_ORDER} FROM orders WHERE app_id = $1 AND order_no {among} ORDER BY order_no", app_id, *order_nos
    )
    events: Mapping[str, list[ArchivedEvent]] = {order_no: [] for order_no in order_nos}
    for row in await database.read(
        "SELECT order_no, event_id, at_ms, kind, detail FROM history "
        f"WHERE app_id = $1 AND order_no {among} ORDER BY order_no, event_id",
        app_id,
        *order_nos,
    ):
        event = ArchivedEvent(row["event_id"], row["at_ms"], row["kind"], row["detail"])
        events[row["order_no"]].append(event)
    attempts: Mapping[str, list[ArchivedAttempt]] = {order_no: [] for order_no in order_nos}
    for row in await database.read(
        "SELECT n.order_no, a.notification_id, a.attempt, a.at_ms, a.elapsed_ms, a.status, a.body, a.problem "
        "FROM notifications AS n JOIN notification_attempts AS a "
        "ON a.app_id = n.app_id AND a.notification_id = n.notification_id "
        f"WHERE n.app_id = $1 AND n.order_no {among} ORDER BY n.order_no, a.notification_id, a.attempt",
        app_id,
        *order_nos,
    ):
        values = dict(row)
        attempts[values.pop("order_no")].append(ArchivedAttempt(**values))
    return [
        OrderPast(order=dict(row), history=events[row["order_no"]], attempts=attempts[row["order_no"]])
        for row in orders
    ]


def remove(past: OrderPast, *, file: str, now_ms: int) -> list[Step]:
    """Exactly what is in the file, and a note that says so. A step fails if the order has changed since."""
    last_id = max(event.event_id for event in past.removed)
    steps = [
        Step(
            f"DELETE FROM history WHERE app_id = $1 AND order_no = $2 AND event_id <= $3 AND kind NOT IN ({_STAYS})",
            (past.app_id, past.order_no, last_id),
            rows=len(past.removed),
        )
    ]
    last_attempts = {each.notification_id: each.attempt for each in past.attempts}
    steps += [
        Step(
            "DELETE FROM notification_attempts WHERE app_id = $1 AND notification_id = $2 AND attempt <= $3",
            (past.app_id, notification_id, last),
            rows=sum(each.notification_id == notification_id for each in past.attempts),
        )
        for notification_id, last in last_attempts.items()
    ]
    detail = {"file": file, "events": str(len(past.removed))}
    text = msgspec.json.encode(detail).decode()
    note = NewEvent(past.app_id, past.order_no, new_event_id(now_ms), now_ms, ARCHIVED, text)
    return [*steps, *add_events([note], dialect="sqlite")]


async def refused_calls(
    database: Database, app_id: int, *, after_id: int, before_ms: int, limit: int
) -> list[RefusedCall]:
    """Of one app (0: of nobody's), oldest first."""
    rows = await database.read(
        f"SELECT {_REFUSED} FROM refused_calls WHERE app_id = $1 AND refusal_id > $2 AND at_ms < $3 "
        "ORDER BY refusal_id LIMIT $4",
        app_id,
        after_id,
        before_ms,
        limit,
    )
    return [RefusedCall(**dict(row)) for row in rows]


def remove_refused(call: RefusedCall) -> Step:
    """No row: it was thrown away meanwhile, being old."""
    return Step("DELETE FROM refused_calls WHERE app_id = $1 AND refusal_id = $2", (call.app_id, call.refusal_id))
