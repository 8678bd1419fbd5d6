"""SQL of receivers that a person has paused: nothing is sent to them, and nothing of theirs is lost.

A notification of theirs is held when its turn comes (`notifications.claim`): its due time becomes the negative id of
the pause, so that no list of due work sees it again. When the pause has ended the worker lets its notifications go.
"""

from collections.abc import Collection

import msgspec

from opentill.storage.database import Database, Row, Step
from opentill.storage.history import new_event_id

WAKE = "resume"
"""Woken after a commit that ends a pause."""
MOST_LATER = 5_000
"""Notifications of an app that wait for a later attempt, looked at in one go."""

_COLUMNS = "app_id, pause_id, receiver, actor, reason, paused_at_ms, ended_at_ms, due_at_ms"


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """`receiver`: a host, as `domain.notification.receiver_of` names it. `ended_at_ms` 0: it lasts.

    `due_at_ms`: when the worker looks for what it still holds; 0 while it lasts.
    """

    app_id: int
    pause_id: int
    receiver: str
    actor: str
    reason: str
    paused_at_ms: int
    ended_at_ms: int
    due_at_ms: int


class Later(msgspec.Struct, frozen=True):
    """A notification that waits for a later attempt."""

    notification_id: int
    url: str
    due_at_ms: int


def begin(app_id: int, receiver: str, *, actor: str, reason: str, now_ms: int) -> Step:
    """No row: it is paused already."""
    return Step(
        "INSERT INTO receiver_pauses (app_id, pause_id, receiver, actor, reason, paused_at_ms) "
        "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        (app_id, new_event_id(now_ms), receiver, actor, reason, now_ms),
        rows=1,
    )


def end(app_id: int, receiver: str, *, now_ms: int) -> Step:
    """No row: it is not paused."""
    return Step(
        "UPDATE receiver_pauses SET ended_at_ms = $3, due_at_ms = $3 "
        "WHERE app_id = $1 AND receiver = $2 AND ended_at_ms = 0",
        (app_id, receiver, now_ms),
        rows=1,
    )


def let_go(pause: Pause, *, now_ms: int, limit: int) -> Step:
    """Up to `limit` of what the pause holds becomes due. Returns the ones it was."""
    return Step(
        # The second condition is the partial index's, or it would not be used.
        "UPDATE notifications SET due_at_ms = $3 WHERE app_id = $1 AND due_at_ms = $2 AND notification_id IN "
        "(SELECT notification_id FROM notifications WHERE app_id = $1 AND due_at_ms = $2 AND due_at_ms < 0 LIMIT $4) "
        "RETURNING notification_id",
        (pause.app_id, -pause.pause_id, now_ms, limit),
    )


def look_again(pause: Pause, *, due_at_ms: int) -> Step:
    """Any number of rows: another worker may have looked."""
    return Step(
        "UPDATE receiver_pauses SET due_at_ms = $3 WHERE app_id = $1 AND pause_id = $2 AND ended_at_ms > 0",
        (pause.app_id, pause.pause_id, due_at_ms),
    )


def forget(pause: Pause) -> Step:
    """Any number of rows: another worker may have forgotten it."""
    return Step(
        "DELETE FROM receiver_pauses WHERE app_id = $1 AND pause_id = $2 AND ended_at_ms > 0",
        (pause.app_id, pause.pause_id),
    )


async def lasting(database: Database) -> list[Pause]:
    """All that last, the oldest first."""
    rows = await database.read(f"SELECT {_COLUMNS} FROM receiver_pauses WHERE ended_at_ms = 0 ORDER BY pause_id")
    return [_pause(row) for row in rows]


async def ended(database: Database, *, now_ms: int, limit: int) -> list[Pause]:
    """Those that may still hold something."""
    rows = await database.read(
        f"SELECT {_COLUMNS} FROM receiver_pauses WHERE due_at_ms > 0 AND due_at_ms <= $1 ORDER BY due_at_ms LIMIT $2",
        now_ms,
        limit,
    )
    return [_pause(row) for row in rows]


async def next_due_ms(database: Database) -> int | None:
    row = await database.read_one("SELECT min(due_at_ms) AS at_ms FROM receiver_pauses WHERE due_at_ms > 0")
    return row["at_ms"] if row else None


async def held(database: Database, pause: Pause, merchant_ids: Collection[int] | None) -> int:
    """How many notifications of these merchants (None: of all) a pause holds."""
    among = "" if merchant_ids is None else f" AND o.merchant_id IN ({_listed(merchant_ids)})"
    joined = "" if merchant_ids is None else "JOIN orders o ON o.app_id = n.app_id AND o.order_no = n.order_no "
    row = await database.read_one(
        f"SELECT count(*) AS held FROM notifications n {joined}"
        f"WHERE n.app_id = $1 AND n.due_at_ms = $2 AND n.due_at_ms < 0{among}",
        pause.app_id,
        -pause.pause_id,
    )
    return int(row["held"]) if row else 0


async def later(database: Database, app_id: int, *, after_ms: int) -> list[Later]:
    """Of one app: what failed and is tried again after that, soonest first."""
    rows = await database.read(
        "SELECT notification_id, url, due_at_ms FROM notifications "
        "WHERE app_id = $1 AND due_at_ms > 0 AND due_at_ms > $2 AND attempts > 0 ORDER BY due_at_ms LIMIT $3",
        app_id,
        after_ms,
        MOST_LATER,
    )
    return [Later(**dict(row)) for row in rows]


async def astray(database: Database, app_id: int) -> int:
    """How many of an app's notifications are held by no pause that we know."""
    row = await database.read_one(
        "SELECT count(*) AS astray FROM notifications WHERE app_id = $1 AND due_at_ms < 0 "
        "AND due_at_ms NOT IN (SELECT -pause_id FROM receiver_pauses WHERE app_id = $1)",
        app_id,
    )
    return int(row["astray"]) if row else 0


def _listed(merchant_ids: Collection[int]) -> str:
    return ", ".join(str(int(each)) for each in sorted(merchant_ids)) or "NULL"


def _pause(row: Row) -> Pause:
    return Pause(**dict(row))
