"""A standby takes over: the URL names both servers, and what was committed is there (PostgreSQL)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from opentill.storage.database import Database, DatabaseUnavailable, open_database
from tests.databases import PostgresCluster
from tests.storage.tables import CREATE, insert, states

# A commit is answered once the standby has it.
SYNCHRONOUS = {"synchronous_standby_names": "*"}
PATIENCE_S = 60.0


@dataclass
class Pair:
    """`database` is open by a URL that names both servers; who may be written to is found out when connecting."""

    first: PostgresCluster
    second: PostgresCluster
    url: str
    database: Database


@asynccontextmanager
async def pair() -> AsyncIterator[Pair]:
    first = PostgresCluster(is_durable=True, more_settings=SYNCHRONOUS)
    first.start()
    second = first.standby()
    url = f"postgresql://postgres@/postgres?host={first.folder},{second.folder}&target_session_attrs=read-write"
    database = await open_database(url, connections=3)
    try:
        await database.write([CREATE])
        yield Pair(first, second, url, database)
    finally:
        await database.close()
        second.stop()
        first.stop()


async def written_in_the_end(database: Database, lamp_id: int) -> None:
    """Try until it is written."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await database.write([insert(lamp_id)], wakes=["notify"])
            except DatabaseUnavailable:
                await asyncio.sleep(0.05)
            else:
                return


async def test_after_a_failover_everything_committed_is_there_and_writing_goes_on_by_itself() -> None:
    async with pair() as p:
        await asyncio.gather(*(p.database.write([insert(number)]) for number in range(20)))
        p.first.kill_server()
        with pytest.raises(DatabaseUnavailable):
            await p.database.write([insert(20)])

        p.second.promote()

        await written_in_the_end(p.database, 21)
        assert set(await states(p.database)) == {*range(20), 21}


async def test_after_a_failover_wakes_are_heard_again() -> None:
    async with pair() as p:
        listener = await open_database(p.url, connections=1)
        try:
            woken = listener.wake_event("notify")
            p.first.kill_server()
            p.second.promote()
            async with asyncio.timeout(PATIENCE_S):
                while not woken.is_set():
                    await written_in_the_end(p.database, len(await states_if_there(p.database)))
            woken.clear()  # the first one may only mean that it listens again

            await written_in_the_end(p.database, 1_000)

            await asyncio.wait_for(woken.wait(), PATIENCE_S)
        finally:
            await listener.close()


async def states_if_there(database: Database) -> dict[int, str]:
    try:
        return await states(database)
    except DatabaseUnavailable:
        return {}


async def test_a_standby_alone_is_refused_in_plain_words() -> None:
    async with pair() as p:
        alone = f"postgresql://postgres@/postgres?host={p.second.folder}&target_session_attrs=read-write"

        with pytest.raises(DatabaseUnavailable, match="cannot connect"):
            await open_database(alone, connections=1)
