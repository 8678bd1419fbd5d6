"""SQL of notifications as people look at them: lists newest first, those that wait, and sending again.

A notification's id begins with its time, so a list is a range of the primary key, as it is with orders
(`storage/search.py`); the ones that are dead or wait have partial indexes.
"""

from collections.abc import Collection

import msgspec

from opentill.domain.notification import Notification
from opentill.storage.database import Database, Row, Step
from opentill.storage.history import new_event_id
from opentill.storage.notifications import Attempt, from_row

WINDOW = 5_000
"""Rows looked through by one statement when most may not match."""
MOST_WAITING = 5_000
"""Waiting notifications looked at to say which receivers are in trouble."""

_COLUMNS = (
    "n.app_id, n.notification_id, n.order_no, n.kind, n.url, n.fields, n.sign, n.state, n.attempts, n.due_at_ms, "
    "n.created_at_ms, n.ended_at_ms"
)
_OF_ORDER = "JOIN orders o ON o.app_id = n.app_id AND o.order_no = n.order_no"
# The conditions of the partial indexes, or they would not be used. The order of a small set is made after it is found.
_STATES = {
    "DEAD": ("n.state = 'DEAD'", "n.notification_id"),
    "DUE": ("n.due_at_ms > 0", "n.notification_id + 0"),
    "HELD": ("n.due_at_ms < 0", "n.notification_id + 0"),
}


class Listed(msgspec.Struct, frozen=True):
    """A notification, whose order it tells of and whose merchant that is."""

    notification: Notification
    merchant_id: int
    local_order_no: str
    amount_fen: int


class Waiting(msgspec.Struct, frozen=True):
    """A notification that failed and waits for its next attempt."""

    app_id: int
    notification_id: int
    url: str
    attempts: int
    due_at_ms: int


async def newest(
    database: Database, app_id: int, *, state: str, before: int, floor: int, merchant_ids: Collection[int] | None,
    limit: int,
) -> tuple[list[Listed], int]:  # fmt: skip
    """Up to `limit` of one app with floor <= id < before, and down to which id was looked; 0: to the end.

    `state` '' : any.
    """
    condition, order = _STATES.get(state, (f"n.state = '{state}'" if state == "DELIVERED" else "1 = 1", ""))
    edge = 0
    if not order:
        order = "n.notification_id"
        edge = await _edge(database, app_id, before=before, floor=floor)
    rows = await database.read(
        f"SELECT {_COLUMNS}, o.merchant_id, o.local_order_no, o.amount_fen FROM notifications n {_OF_ORDER} "
        f"WHERE n.app_id = $1 AND n.notification_id < $2 AND n.notification_id >= $3 AND {condition}"
        f"{_among(merchant_ids)} ORDER BY {order} DESC LIMIT $4",
        app_id,
        before,
        edge or floor,
        limit,
    )
    found = [_listed(row) for row in rows]
    return found, found[-1].notification.notification_id if len(found) == limit else edge


async def one(database: Database, app_id: int, notification_id: int) -> Listed | None:
    row = await database.read_one(
        f"SELECT {_COLUMNS}, o.merchant_id, o.local_order_no, o.amount_fen FROM notifications n {_OF_ORDER} "
        "WHERE n.app_id = $1 AND n.notification_id = $2",
        app_id,
        notification_id,
    )
    return _listed(row) if row else None


async def waiting(database: Database, app_id: int, merchant_ids: Collection[int] | None) -> list[Waiting]:
    """Of one app: those that failed at least once and are tried again, soonest first."""
    rows = await database.read(
        "SELECT n.app_id, n.notification_id, n.url, n.attempts, n.due_at_ms FROM notifications n "
        f"{_OF_ORDER if merchant_ids is not None else ''} "
        f"WHERE n.app_id = $1 AND n.due_at_ms > 0 AND n.attempts > 0{_among(merchant_ids)} "
        "ORDER BY n.due_at_ms LIMIT $2",
        app_id,
        MOST_WAITING,
    )
    return [Waiting(**dict(row)) for row in rows]


async def dead(
    database: Database, app_id: int, merchant_ids: Collection[int] | None, *, before: int, limit: int
) -> list[Waiting]:
    """Of one app: those that are given up, newest first."""
    rows = await database.read(
        "SELECT n.app_id, n.notification_id, n.url, n.attempts, n.due_at_ms FROM notifications n "
        f"{_OF_ORDER if merchant_ids is not None else ''} "
        f"WHERE n.app_id = $1 AND n.state = 'DEAD' AND n.notification_id < $3{_among(merchant_ids)} "
        "ORDER BY n.notification_id DESC LIMIT $2",
        app_id,
        limit,
        before,
    )
    return [Waiting(**dict(row)) for row in rows]


async def count_dead(database: Database, app_id: int, merchant_ids: Collection[int] | None) -> int:
    row = await database.read_one(
        f"SELECT count(*) AS dead FROM notifications n {_OF_ORDER if merchant_ids is not None else ''} "
        f"WHERE n.app_id = $1 AND n.state = 'DEAD'{_among(merchant_ids)}",
        app_id,
    )
    return int(row["dead"]) if row else 0


def send_again(app_id: int, notification_id: int, *, now_ms: int, leased_until_ms: int) -> Step:
    """Due at once, if it is dead or waits for longer than an attempt under way can take. Returns the ones it was.

    What a pause holds goes on waiting; what is held by none that exists goes out.
    """
    return Step(
        "UPDATE notifications SET state = 'DUE', due_at_ms = $3, ended_at_ms = 0 WHERE app_id = $1 "
        "AND notification_id = $2 AND (state = 'DEAD' OR (state = 'DUE' AND (due_at_ms > $4 OR (due_at_ms < 0 "
        "AND due_at_ms NOT IN (SELECT -pause_id FROM receiver_pauses WHERE app_id = $1))))) RETURNING notification_id",
        (app_id, notification_id, now_ms, leased_until_ms),
    )


async def last_attempt(database: Database, app_id: int, notification_id: int) -> Attempt | None:
    row = await database.read_one(
        "SELECT attempt, at_ms, elapsed_ms, status, body, problem FROM notification_attempts "
        "WHERE app_id = $1 AND notification_id = $2 ORDER BY attempt DESC LIMIT 1",
        app_id,
        notification_id,
    )
    return Attempt(**dict(row)) if row else None


def made_at_ms(notification_id: int) -> int:
    """When the notification was owed first."""
    return notification_id >> 20  # history.new_event_id


def least_id(at_ms: int) -> int:
    """Not greater than any id made at `at_ms` or later, and greater than all made before."""
    return new_event_id(at_ms) >> 20 << 20


async def _edge(database: Database, app_id: int, *, before: int, floor: int) -> int:
    """The id of the row that ends a window; 0: there are fewer rows. Read from the key alone."""
    row = await database.read_one(
        "SELECT notification_id FROM notifications WHERE app_id = $1 AND notification_id < $2 "
        "AND notification_id >= $3 ORDER BY notification_id DESC LIMIT 1 OFFSET $4",
        app_id,
        before,
        floor,
        WINDOW - 1,
    )
    return int(row["notification_id"]) if row else 0


def _among(merchant_ids: Collection[int] | None) -> str:
    if merchant_ids is None:
        return ""
    return f" AND o.merchant_id IN ({', '.join(str(int(each)) for each in sorted(merchant_ids)) or 'NULL'})"


def _listed(row: Row) -> Listed:
    values = dict(row)
    merchant_id, local_order_no = values.pop("merchant_id"), values.pop("local_order_no")
    amount_fen = values.pop("amount_fen")
    return Listed(from_row(values), merchant_id, local_order_no, amount_fen)
