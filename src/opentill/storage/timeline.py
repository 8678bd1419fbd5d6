"""SQL of an order's timeline for people: its events and the attempts to tell its merchant, in one run of time.

A page at a time: an order that was asked about or told of for weeks has thousands of entries.
"""

import msgspec

from opentill.storage.database import Database
from opentill.storage.history import Event
from opentill.storage.notifications import Attempt

# Both lists name the shard key (design 6). An attempt follows what happened to its order in the same millisecond.
_ENTRIES = (
    "SELECT 0 AS kind_of_row, at_ms, event_id AS place, kind, detail, 0 AS attempt, 0 AS elapsed_ms, 0 AS status, "
    "'' AS body, '' AS problem FROM history WHERE app_id = $1 AND order_no = $2 "
    "UNION ALL SELECT 1, a.at_ms, a.notification_id, '', '', a.attempt, a.elapsed_ms, a.status, a.body, a.problem "
    "FROM notifications n JOIN notification_attempts a "
    "ON a.app_id = n.app_id AND a.notification_id = n.notification_id WHERE n.app_id = $1 AND n.order_no = $2"
)


async def count(database: Database, app_id: int, order_no: str) -> int:
    """How many entries there are."""
    row = await database.read_one(
        "SELECT (SELECT count(*) FROM history WHERE app_id = $1 AND order_no = $2) + (SELECT count(*) "
        "FROM notifications n JOIN notification_attempts a "
        "ON a.app_id = n.app_id AND a.notification_id = n.notification_id "
        "WHERE n.app_id = $1 AND n.order_no = $2) AS entries",
        app_id,
        order_no,
    )
    return int(row["entries"]) if row else 0


async def stretch(database: Database, app_id: int, order_no: str, *, skip: int, limit: int) -> list[Event | Attempt]:
    """Up to `limit` entries after the `skip` oldest, oldest first."""
    rows = await database.read(
        f"SELECT * FROM ({_ENTRIES}) AS entries ORDER BY at_ms, kind_of_row, place, attempt LIMIT $3 OFFSET $4",
        app_id,
        order_no,
        limit,
        skip,
    )
    found: list[Event | Attempt] = []
    for row in rows:
        values = dict(row)
        is_attempt, kind, detail = values.pop("kind_of_row"), values.pop("kind"), values.pop("detail")
        del values["place"]
        if is_attempt:
            found.append(Attempt(**values))
        else:
            found.append(Event(values["at_ms"], kind, msgspec.json.decode(detail, type=dict[str, str])))
    return found
