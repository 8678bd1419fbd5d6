"""The timeline of an order."""

import itertools
import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from opentill.storage.database import Database, Row, Step
from opentill.storage.engine import Dialect

_INSERT = "INSERT INTO history (app_id, order_no, event_id, at_ms, kind, detail)"
_FROM_ARRAYS = "SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[])"

_counter = itertools.count(secrets.randbelow(1 << 20))


class Event(msgspec.Struct, frozen=True):
    """One thing that happened to an order. `detail` is plain text values, secrets never among them."""

    at_ms: int
    kind: str
    detail: dict[str, str]


def new_event_id(now_ms: int) -> int:
    """A key that sorts by time: milliseconds and 20 bits that differ between processes and events."""
    return (now_ms << 20) | (next(_counter) & 0xFFFFF)


def add_event(app_id: int, order_no: str, *, now_ms: int, kind: str, detail: Mapping[str, str]) -> Step:
    return Step(
        f"{_INSERT} VALUES ($1, $2, $3, $4, $5, $6)",
        (app_id, order_no, new_event_id(now_ms), now_ms, kind, msgspec.json.encode(detail).decode()),
        rows=1,
        many=f"{_INSERT} {_FROM_ARRAYS}",
    )


class NewEvent(NamedTuple):
    """A row to be written; `detail` is JSON."""

    app_id: int
    order_no: str
    event_id: int
    at_ms: int
    kind: str
    detail: str


def add_events(events: Sequence[NewEvent], *, dialect: Dialect) -> list[Step]:
    """Rows of many orders and apps, in one statement where that costs less. Repeating them changes nothing."""
    if dialect == "sqlite":
        return [Step(f"{_INSERT} VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING", event) for event in events]
    columns = tuple(zip(*events, strict=True))
    return [Step(f"{_INSERT} {_FROM_ARRAYS} ON CONFLICT DO NOTHING", columns)]


async def events_of_order(database: Database, app_id: int, order_no: str) -> list[Event]:
    rows = await database.read(
        "SELECT at_ms, kind, detail FROM history WHERE app_id = $1 AND order_no = $2 ORDER BY event_id",
        app_id,
        order_no,
    )
    return [_event(row) for row in rows]


async def last_event(database: Database, app_id: int, order_no: str, *, kind: str) -> Event | None:
    """The latest thing of a kind that happened to an order; None: it never did."""
    row = await database.read_one(
        "SELECT at_ms, kind, detail FROM history WHERE app_id = $1 AND order_no = $2 AND kind = $3 "
        "ORDER BY event_id DESC LIMIT 1",
        app_id,
        order_no,
        kind,
    )
    return _event(row) if row else None


async def last_at_ms(database: Database, app_id: int, order_no: str, *, kind: str) -> int:
    """When a kind of thing happened last to an order; 0: never."""
    row = await database.read_one(
        "SELECT max(at_ms) AS at_ms FROM history WHERE app_id = $1 AND order_no = $2 AND kind = $3",
        app_id,
        order_no,
        kind,
    )
    return (row["at_ms"] or 0) if row else 0


def _event(row: Row) -> Event:
    return Event(row["at_ms"], row["kind"], msgspec.json.decode(row["detail"], type=dict[str, str]))
