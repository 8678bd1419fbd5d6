"""A table for tests of the engines: lamps, each with a number, a state and what else it takes."""

import contextlib
from collections.abc import AsyncIterator

from opentill.storage.database import Database, Row, Step, Value
from tests.databases import fresh_database

CREATE = Step("CREATE TABLE lamps (lamp_id BIGINT PRIMARY KEY, state TEXT NOT NULL, note TEXT, picture BYTEA)")


@contextlib.asynccontextmanager
async def lamps(engine: str, *, connections: int = 10) -> AsyncIterator[tuple[str, Database]]:
    """A database with an empty table of lamps."""
    async with fresh_database(engine, is_migrated=False, connections=connections) as (url, database):
        await database.write([CREATE])
        yield url, database


def insert(lamp_id: int, state: str = "OFF", note: Value = None, picture: Value = None) -> Step:
    """Fails the unit when there is such a lamp already."""
    return Step(
        "INSERT INTO lamps (lamp_id, state, note, picture) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT DO NOTHING RETURNING lamp_id, state",
        (lamp_id, state, note, picture),
        rows=1,
    )


def switch(lamp_id: int, *, expect: str, state: str, rows: int | None = 1) -> Step:
    return Step("UPDATE lamps SET state = $3 WHERE lamp_id = $1 AND state = $2", (lamp_id, expect, state), rows=rows)


async def states(database: Database) -> dict[int, str]:
    """Every lamp's state by its number."""
    rows = await database.read("SELECT lamp_id, state FROM lamps ORDER BY lamp_id")
    return {row["lamp_id"]: row["state"] for row in rows}


def plain(rows: list[list[Row]]) -> list[list[dict[str, object]]]:
    """Rows of either engine as dicts."""
    return [[dict(row) for row in step] for step in rows]
