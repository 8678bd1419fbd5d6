"""SQL of exports: how far each one is, for whoever waits for it, in whatever process it is made."""

import msgspec

from opentill.storage.database import Database, Step

RUNNING, DONE, FAILED = "RUNNING", "DONE", "FAILED"


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """`reached_ms`: the time of the last order written. `touched_at_ms`: when it last said how far it is."""

    export_id: int
    user_id: int
    state: str
    rows_done: int
    reached_ms: int
    touched_at_ms: int


_COLUMNS = ", ".join(Export.__struct_fields__)


def begin(export_id: int, user_id: int, *, now_ms: int) -> Step:
    """No row: it has begun already."""
    return Step(
        f"INSERT INTO exports ({_COLUMNS}) VALUES ($1, $2, '{RUNNING}', 0, 0, $3) ON CONFLICT DO NOTHING",
        (export_id, user_id, now_ms),
        rows=1,
    )


def progress(export_id: int, *, state: str, rows_done: int, reached_ms: int, now_ms: int) -> Step:
    return Step(
        "UPDATE exports SET state = $2, rows_done = $3, reached_ms = $4, touched_at_ms = $5 WHERE export_id = $1",
        (export_id, state, rows_done, reached_ms, now_ms),
    )


def forget_before(at_ms: int) -> Step:
    """Who waited has long gone."""
    return Step("DELETE FROM exports WHERE touched_at_ms < $1", (at_ms,))


async def of_user(database: Database, export_id: int, user_id: int) -> Export | None:
    row = await database.read_one(
        f"SELECT {_COLUMNS} FROM exports WHERE export_id = $1 AND user_id = $2", export_id, user_id
    )
    return Export(**dict(row)) if row else None
