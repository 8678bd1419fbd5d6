"""SQL of what is owed to merchants and of every attempt to tell them."""

from collections.abc import Mapping

import msgspec

from opentill.domain.notification import Notification, NotificationState, receiver_of
from opentill.storage.database import Database, Row, Step
from opentill.storage.history import new_event_id

WAKE = "notify"
"""Woken after a commit that owes a merchant something."""

_COLUMNS = (
    "app_id, notification_id, order_no, kind, url, fields, sign, state, attempts, due_at_ms, created_at_ms, ended_at_ms"
)
_INSERT_MANY = (
    "INSERT INTO notifications (app_id, notification_id, order_no, kind, url, fields, state, due_at_ms, created_at_ms) "
    "SELECT app_id, notification_id, order_no, kind, url, fields, 'DUE', now_ms, now_ms FROM unnest($1::bigint[], "
    "$2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[]) "
    "AS owed (app_id, notification_id, order_no, kind, url, fields, now_ms)"
)
_CLAIM_MANY = (
    "UPDATE notifications SET due_at_ms = coalesce((SELECT -p.pause_id FROM receiver_pauses AS p "
    "WHERE p.app_id = notifications.app_id AND p.receiver = due.receiver AND p.ended_at_ms = 0), due.lease_until_ms) "
    "FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[]) "
    "AS due (app_id, notification_id, due_at_ms, lease_until_ms, receiver) "
    "WHERE notifications.app_id = due.app_id AND notifications.notification_id = due.notification_id "
    "AND notifications.due_at_ms = due.due_at_ms AND notifications.state = 'DUE' "
    f"RETURNING {', '.join(f'notifications.{column}' for column in _COLUMNS.split(', '))}"
)
_END_MANY = (
    "UPDATE notifications SET state = ended.state, due_at_ms = ended.next_at_ms, attempts = attempts + 1, "
    "sign = ended.sign, ended_at_ms = ended.at_ms FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], "
    "$5::bigint[], $6::text[], $7::bigint[]) "
    "AS ended (app_id, notification_id, leased_ms, state, next_at_ms, sign, at_ms) "
    "WHERE notifications.app_id = ended.app_id AND notifications.notification_id = ended.notification_id "
    "AND notifications.due_at_ms = ended.leased_ms AND notifications.state = 'DUE'"
)
_INSERT_ATTEMPTS = (
    "INSERT INTO notification_attempts (app_id, notification_id, attempt, at_ms, elapsed_ms, status, body, problem) "
    "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], "
    "$7::text[], $8::text[])"
)
_FIELDS = msgspec.json.Decoder(dict[str, str])


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try to deliver: the receiver's status (0: none) and the start of its answer, or the problem."""

    attempt: int
    at_ms: int
    elapsed_ms: int
    status: int
    body: str
    problem: str


class DueNotification(msgspec.Struct, frozen=True):
    """A notification whose time has come; `due_at_ms` is the value a claim must still find."""

    app_id: int
    notification_id: int
    url: str
    due_at_ms: int


def insert(app_id: int, order_no: str, *, kind: str, url: str, fields: Mapping[str, str], now_ms: int) -> Step:
    """Owe the merchant a message, due at once."""
    return Step(
        "INSERT INTO notifications (app_id, notification_id, order_no, kind, url, fields, state, due_at_ms, "
        "created_at_ms) VALUES ($1, $2, $3, $4, $5, $6, 'DUE', $7, $7)",
        (app_id, new_event_id(now_ms), order_no, kind, url, msgspec.json.encode(fields).decode(), now_ms),
        rows=1,
        many=_INSERT_MANY,
    )


def claim(due: DueNotification, *, lease_until_ms: int) -> Step:
    """Lease it for one attempt: only who still finds the due time it saw may send.

    If its receiver is paused it is held instead, until `pauses.let_go`.
    """
    return Step(
        "UPDATE notifications SET due_at_ms = coalesce((SELECT -pause_id FROM receiver_pauses "
        "WHERE app_id = $1 AND receiver = $5 AND ended_at_ms = 0), $4) "
        f"WHERE app_id = $1 AND notification_id = $2 AND due_at_ms = $3 AND state = 'DUE' RETURNING {_COLUMNS}",
        (due.app_id, due.notification_id, due.due_at_ms, lease_until_ms, receiver_of(due.url)),
        rows=1,
        many=_CLAIM_MANY,
    )


def defer(due: DueNotification, *, due_at_ms: int) -> Step:
    """Put it off without an attempt. Any number of rows: another worker may have claimed it."""
    return Step(
        "UPDATE notifications SET due_at_ms = $4 WHERE app_id = $1 AND notification_id = $2 AND due_at_ms = $3",
        (due.app_id, due.notification_id, due.due_at_ms, due_at_ms),
    )


def end_attempt(
    notification: Notification, *, state: NotificationState, due_at_ms: int, sign: str, now_ms: int
) -> Step:
    """After an attempt, by the holder of the lease: delivered, due again, or dead."""
    ended_at_ms = 0 if state is NotificationState.DUE else now_ms
    return Step(
        "UPDATE notifications SET state = $4, due_at_ms = $5, attempts = attempts + 1, sign = $6, ended_at_ms = $7 "
        "WHERE app_id = $1 AND notification_id = $2 AND due_at_ms = $3 AND state = 'DUE'",
        (
            notification.app_id, notification.notification_id, notification.due_at_ms, state.value, due_at_ms, sign,
            ended_at_ms,
        ),
        rows=1,
        many=_END_MANY,
    )  # fmt: skip


def insert_attempt(notification: Notification, attempt: Attempt) -> Step:
    return Step(
        "INSERT INTO notification_attempts "
        "(app_id, notification_id, attempt, at_ms, elapsed_ms, status, body, problem) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        (
            notification.app_id, notification.notification_id, attempt.attempt, attempt.at_ms, attempt.elapsed_ms,
            attempt.status, attempt.body, attempt.problem,
        ),
        rows=1,
        many=_INSERT_ATTEMPTS,
    )  # fmt: skip


def revive(app_id: int, notification_id: int, *, now_ms: int) -> Step:
    """DEAD becomes DUE by hand. No row: it was not dead."""
    return Step(
        "UPDATE notifications SET state = 'DUE', due_at_ms = $3, ended_at_ms = 0 "
        "WHERE app_id = $1 AND notification_id = $2 AND state = 'DEAD'",
        (app_id, notification_id, now_ms),
        rows=1,
    )


async def due(database: Database, *, now_ms: int, limit: int) -> list[DueNotification]:
    rows = await database.read(
        "SELECT app_id, notification_id, url, due_at_ms FROM notifications "
        "WHERE due_at_ms > 0 AND due_at_ms <= $1 ORDER BY due_at_ms LIMIT $2",
        now_ms,
        limit,
    )
    return [DueNotification(row["app_id"], row["notification_id"], row["url"], row["due_at_ms"]) for row in rows]


async def next_due_ms(database: Database) -> int | None:
    """The earliest due time; None when nothing is owed."""
    row = await database.read_one("SELECT min(due_at_ms) AS at_ms FROM notifications WHERE due_at_ms > 0")
    return row["at_ms"] if row else None


async def of_order(database: Database, app_id: int, order_no: str) -> list[Notification]:
    rows = await database.read(
        f"SELECT {_COLUMNS} FROM notifications WHERE app_id = $1 AND order_no = $2 ORDER BY notification_id",
        app_id,
        order_no,
    )
    return [from_row(row) for row in rows]


async def attempts_of(database: Database, app_id: int, notification_id: int) -> list[Attempt]:
    rows = await database.read(
        "SELECT attempt, at_ms, elapsed_ms, status, body, problem FROM notification_attempts "
        "WHERE app_id = $1 AND notification_id = $2 ORDER BY attempt",
        app_id,
        notification_id,
    )
    return [Attempt(**dict(row)) for row in rows]


def from_row(row: Row) -> Notification:
    values = dict(row)
    values["fields"] = _FIELDS.decode(values["fields"])
    values["state"] = NotificationState(values["state"])
    return Notification(**values)
