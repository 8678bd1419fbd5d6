"""A commit wakes those who wait for its name: in this process at once, on PostgreSQL in every other one too."""

import asyncio

import asyncpg
import pytest

from opentill.storage.database import Step, StepFailed, open_database
from opentill.storage.wakes import CHANNEL
from tests.databases import on_both_engines
from tests.storage.tables import insert, lamps, switch

PATIENCE_S = 60.0


async def woken(event: asyncio.Event) -> None:
    """Fails when the event is not set within a time that is long for a machine."""
    await asyncio.wait_for(event.wait(), PATIENCE_S)


@on_both_engines
async def test_a_commit_wakes_its_names_and_no_others(engine: str) -> None:
    async with lamps(engine) as (_, database):
        notify, poll, other = (database.wake_event(name) for name in ("notify", "poll", "other"))

        await database.write([insert(1)], wakes=["notify", "poll"])

        assert [event.is_set() for event in (notify, poll, other)] == [True, True, False]


@on_both_engines
async def test_who_is_woken_sees_what_was_written(engine: str) -> None:
    async with lamps(engine) as (_, database):
        event = database.wake_event("notify")

        async def wait_and_count() -> int:
            while True:
                await woken(event)
                event.clear()
                row = await database.read_one("SELECT count(*) AS lamps FROM lamps")
                if row is not None and row["lamps"]:
                    return int(row["lamps"])

        counting = asyncio.create_task(wait_and_count())
        await database.write([insert(1), insert(2)], wakes=["notify"])

        assert await counting == 2


@on_both_engines
async def test_a_unit_that_was_undone_wakes_nobody(engine: str) -> None:
    async with lamps(engine) as (_, database):
        event = database.wake_event("notify")

        with pytest.raises(StepFailed):
            await database.write([insert(1), switch(1, expect="ON", state="OFF")], wakes=["notify"])

        assert not event.is_set()


@on_both_engines
async def test_the_same_name_is_the_same_event(engine: str) -> None:
    async with lamps(engine) as (_, database):
        assert database.wake_event("notify") is database.wake_event("notify")
        assert database.wake_event("notify") is not database.wake_event("poll")


@on_both_engines
async def test_a_wake_is_not_lost_when_its_waiter_comes_later(engine: str) -> None:
    async with lamps(engine) as (_, database):
        await database.write([insert(1)], wakes=["notify"])

        event = database.wake_event("notify")

        assert event.is_set()


async def test_a_commit_wakes_every_other_process() -> None:
    async with lamps("postgresql") as (url, database):
        others = [await open_database(url) for _ in range(2)]
        try:
            events = [other.wake_event("notify") for other in others]

            await database.write([insert(1)], wakes=["notify"])

            for event in events:
                await woken(event)
        finally:
            for other in others:
                await other.close()


async def test_many_wakes_at_once_reach_the_others() -> None:
    async with lamps("postgresql") as (url, database):
        other = await open_database(url)
        try:
            names = [f"name-{number}" for number in range(20)]
            events = [other.wake_event(name) for name in names]

            await asyncio.gather(
                *(database.write([insert(number)], wakes=[names[number % 20]]) for number in range(200))
            )

            for event in events:
                await woken(event)
        finally:
            await other.close()


async def test_what_was_written_just_before_closing_still_wakes_the_others() -> None:
    async with lamps("postgresql") as (url, database):
        writer = await open_database(url)
        event = database.wake_event("notify")

        await writer.write([insert(1)], wakes=["notify"])
        await writer.close()

        await woken(event)


async def test_a_process_is_not_woken_again_by_its_own_word() -> None:
    async with lamps("postgresql") as (url, database):
        heard: list[str] = []
        listener = await asyncpg.connect(url)
        try:
            event = database.wake_event("notify")
            await listener.add_listener(CHANNEL, lambda *arguments: heard.append(arguments[3]))
            await database.write([insert(1)], wakes=["notify"])
            event.clear()

            while not heard:
                await listener.fetchval("SELECT 1")
            await database.write([Step("SELECT 1 AS answer")])

            assert heard[0].startswith("notify@")
            assert not event.is_set()
        finally:
            await listener.close()


async def test_a_listener_that_lost_its_connection_is_woken_for_what_it_may_have_missed() -> None:
    async with lamps("postgresql") as (_, database):
        event = database.wake_event("notify")

        await database.read(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

        await woken(event)
