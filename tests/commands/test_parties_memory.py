"""Parties are answered from memory, which never keeps what was changed meanwhile (design 4)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentill.cli.wiring import sealer_of
from opentill.services.access import Parties
from opentill.storage.database import Database, Row, Value
from tests.world import World, world

APP = "A00305710000067"


class HeldDatabase:
    """Reads of apps go through and are then held back until `release` is set: the reader is slow, not the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.has_read = asyncio.Event()
        self.release = asyncio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._database, name)

    async def read_one(self, sql: str, *args: Value) -> Row | None:
        row = await self._database.read_one(sql, *args)
        if "FROM apps" in sql and not self.has_read.is_set():
            self.has_read.set()
            await self.release.wait()
        return row


def parties_over(w: World, database: Database) -> Parties:
    settings = w.deployment.settings
    return Parties(database, sealer_of(settings), w.deployment.channels, w.clock)


@asynccontextmanager
async def slow_reader() -> AsyncIterator[tuple[World, HeldDatabase, Parties]]:
    async with world() as w:
        held = HeldDatabase(w.database)
        yield w, held, parties_over(w, held)  # type: ignore[arg-type]


async def test_a_hundred_first_questions_at_once_open_an_account_once() -> None:
    async with world() as w:
        parties = parties_over(w, w.database)
        await parties.app(APP)

        accounts = await asyncio.gather(*(parties.account(1) for _ in range(100)))

        assert accounts[0] is not None
        assert len({id(account) for account in accounts}) == 1


async def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    async with slow_reader() as (w, held, parties):
        await parties.operator("nobody")
        early = asyncio.create_task(parties.app(APP))
        await held.has_read.wait()
        await w.administration.set_disabled("app", APP, is_disabled=True)
        w.clock.advance(1_000)
        await parties.operator("nobody")

        held.release.set()
        before = await early
        after = await parties.app(APP)

        assert before is not None
        assert after is not None
        assert (before.is_disabled, after.is_disabled) == (False, True)


async def test_who_asks_and_goes_away_spoils_nothing_for_the_others() -> None:
    async with slow_reader() as (_, held, parties):
        await parties.operator("nobody")
        impatient, patient = (asyncio.create_task(parties.app(APP)) for _ in range(2))
        await held.has_read.wait()

        impatient.cancel()
        held.release.set()

        found = await patient
        assert found is not None
        assert found.app == APP


async def test_a_failed_reading_is_not_remembered() -> None:
    async with world() as w:
        parties = parties_over(w, w.database)
        sealed = (await w.rows("SELECT key_sealed FROM apps WHERE app = $1", APP))[0]["key_sealed"]
        await w.change("UPDATE apps SET key_sealed = 's1:AAAA' WHERE app = $1", APP)
        failed = (await asyncio.gather(parties.app(APP), return_exceptions=True))[0]

        await w.change("UPDATE apps SET key_sealed = $2 WHERE app = $1", APP, sealed)

        assert type(failed).__name__ == "SealingError"
        assert await parties.app(APP) is not None


async def test_a_change_elsewhere_does_not_open_an_account_again_but_its_own_does() -> None:
    async with world() as w:
        parties = parties_over(w, w.database)
        first = await parties.account(1)
        await w.administration.add_merchant("another")
        await w.administration.set_disabled("account", 1, is_disabled=True)
        parties.forget()
        second = await parties.account(1)
        settings = await w.administration.account_settings(1)
        await w.administration.replace_account_settings(1, settings)
        parties.forget()
        third = await parties.account(1)

        assert first is not None
        assert second is not None
        assert third is not None
        assert (first.account.is_disabled, second.account.is_disabled) == (False, True)
        assert second.opened is first.opened
        assert third.opened is not first.opened


async def test_what_does_not_exist_is_found_as_soon_as_it_does() -> None:
    async with world() as w:
        parties = parties_over(w, w.database)
        missing = await parties.operator("new")

        await w.administration.add_operator("new", merchant_id=1, store_id=1, account_ids=[], operator_id="new")

        assert missing is None
        assert await parties.operator("new") is not None
