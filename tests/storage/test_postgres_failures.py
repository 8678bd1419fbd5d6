"""PostgreSQL: what is tried again, what is not, and how it heals by itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import pytest

from opentill.storage import postgres, sessions
from opentill.storage.database import (
    Database,
    DatabaseOverloaded,
    DatabaseUnavailable,
    OutcomeUnknown,
    StatementRefused,
    Step,
    StepFailed,
    open_database,
)
from tests.databases import PostgresCluster, fresh_url
from tests.storage.cable import Cable, cable_to
from tests.storage.tables import CREATE, insert, lamps, states, switch

TERMINATE_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
# Raises an error of class $2 the first $1 times; a sequence is not rolled back, so it counts the tries.
FAIL_AT_FIRST = """
CREATE SEQUENCE tries;
CREATE FUNCTION fail_at_first(times BIGINT, state TEXT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE try BIGINT := nextval('tries');
BEGIN
    IF try <= times THEN RAISE EXCEPTION 'made up' USING ERRCODE = state; END IF;
    RETURN try;
END $$;
"""


KILL_ROUNDS = 30
PATIENCE_S = 60.0


@contextlib.asynccontextmanager
async def bystander(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection of somebody else's."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_it_heals_when_idle_connections_were_killed() -> None:
    async with lamps("postgresql", connections=3) as (url, database), bystander(url) as other:
        await asyncio.gather(*(database.write([insert(number), insert(-number)]) for number in range(1, 4)))

        killed = await other.fetch(TERMINATE_OTHERS)
        await database.write([insert(4), insert(-4)])

        assert len(killed) >= 3
        assert len(await states(database)) == 8


async def test_what_a_unit_says_is_true_while_connections_are_killed_again_and_again() -> None:
    async with lamps("postgresql", connections=5) as (url, database), bystander(url) as other:

        async def write(number: int) -> str:
            try:
                await database.write([insert(number), insert(-number)])
            except DatabaseUnavailable as error:
                return type(error).__name__
            return "done"

        tasks = [asyncio.create_task(write(number)) for number in range(1, 301)]
        for _ in range(KILL_ROUNDS):
            await other.fetch(TERMINATE_OTHERS)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        said = dict(enumerate(await asyncio.gather(*tasks), 1))

        found = await states(database)
        assert {number for number, word in said.items() if word == "done"} <= found.keys()
        assert not {number for number, word in said.items() if word == "DatabaseUnavailable"} & found.keys()
        assert {-number for number in found} == found.keys()


async def test_a_unit_that_always_loses_its_connection_is_undone_and_given_up() -> None:
    async with lamps("postgresql") as (url, database), bystander(url) as other:
        await other.execute("CREATE SEQUENCE tries")
        suicide = Step("SELECT pg_terminate_backend(pg_backend_pid()), nextval('tries')")

        with pytest.raises(DatabaseUnavailable):
            await database.write([insert(1), Step("SELECT nextval('tries') AS try"), suicide])

        assert await states(database) == {}
        assert await other.fetchval("SELECT nextval('tries')") > postgres.TRIES


@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_a_unit_that_met_another_is_tried_again(state: str) -> None:
    async with lamps("postgresql") as (url, database), bystander(url) as other:
        await other.execute(FAIL_AT_FIRST)
        meet = Step("SELECT fail_at_first($1, $2) AS try", (postgres.TRIES - 1, state))

        _, (row,) = await database.write([insert(1), meet])

        assert row["try"] == postgres.TRIES
        assert await states(database) == {1: "OFF"}


@pytest.mark.parametrize(
    ("state", "expected", "tries"),
    [
        ("40001", DatabaseUnavailable, postgres.TRIES),
        ("40P01", DatabaseUnavailable, postgres.TRIES),
        ("25006", DatabaseUnavailable, postgres.TRIES),
        ("57P01", DatabaseUnavailable, postgres.TRIES),
        ("53100", DatabaseUnavailable, 1),
        ("57014", DatabaseUnavailable, 1),
        ("55P03", DatabaseUnavailable, 1),
        ("58030", DatabaseUnavailable, 1),
        ("P0001", StatementRefused, 1),
        ("22012", StatementRefused, 1),
    ],
)
async def test_what_an_error_of_the_server_means(state: str, expected: type[Exception], tries: int) -> None:
    async with lamps("postgresql") as (url, database), bystander(url) as other:
        await other.execute(FAIL_AT_FIRST)

        with pytest.raises(expected) as raised:
            await database.write([insert(1), Step("SELECT fail_at_first($1, $2)", (1000, state))])

        assert type(raised.value) is expected
        assert await other.fetchval("SELECT last_value FROM tries") == tries
        assert await states(database) == {}


# Whoever calls it goes on once two have called it.
MEET = """
CREATE SEQUENCE tries;
CREATE FUNCTION meet() RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE try BIGINT := nextval('tries');
BEGIN
    WHILE (SELECT last_value FROM tries) < 2 LOOP PERFORM pg_sleep(0.001); END LOOP;
    RETURN try;
END $$;
"""


async def test_two_units_that_lock_each_other_out_both_succeed() -> None:
    async with lamps("postgresql") as (url, database), bystander(url) as other:
        await other.execute(MEET)
        await database.write([insert(1), insert(2)])
        meanwhile = Step("SELECT meet() AS try")

        answers = await asyncio.gather(
            database.write([switch(1, expect="OFF", state="OFF"), meanwhile, switch(2, expect="OFF", state="OFF")]),
            database.write([switch(2, expect="OFF", state="OFF"), meanwhile, switch(1, expect="OFF", state="OFF")]),
        )

        assert len(answers) == 2
        assert await other.fetchval("SELECT last_value FROM tries") > 2


@pytest.mark.parametrize("cut_before", [b"BEGIN", b"first", b"second"])
async def test_a_connection_lost_before_the_commit_is_replaced_without_a_word(cut_before: bytes) -> None:
    async with fresh_url("postgresql", is_migrated=False) as url, cabled(url) as (database, cable):
        await database.write([insert(1)])
        cable.cut_before = cut_before

        await database.write([insert(2, note="first"), insert(3, note="second")])

        assert cable.cuts == 1
        assert await states(database) == {1: "OFF", 2: "OFF", 3: "OFF"}


@pytest.mark.parametrize(
    ("mark", "unit"),
    [
        (b"COMMIT", [insert(1), insert(2)]),
        (b"OFF", [Step("INSERT INTO lamps (lamp_id, state) VALUES ($1, $2)", (1, "OFF"))]),
    ],
    ids=["unit", "step that commits itself"],
)
@pytest.mark.parametrize("is_done", [True, False])
async def test_a_connection_lost_in_the_commit_leaves_the_outcome_unknown(
    mark: bytes, unit: list[Step], is_done: bool
) -> None:
    async with fresh_url("postgresql", is_migrated=False) as url, cabled(url) as (database, cable):
        if is_done:
            cable.cut_after = mark
        else:
            cable.cut_before = mark

        with pytest.raises(OutcomeUnknown):
            await database.write(unit)

        assert len(await states(database)) == (len(unit) if is_done else 0)


async def test_repeating_a_guarded_unit_of_unknown_outcome_changes_nothing() -> None:
    async with fresh_url("postgresql", is_migrated=False) as url, cabled(url) as (database, cable):
        unit = [insert(1), insert(2)]
        cable.cut_after = b"COMMIT"
        with pytest.raises(OutcomeUnknown):
            await database.write(unit)

        with pytest.raises(StepFailed) as failed:
            await database.write(unit)

        assert failed.value.index == 0


async def test_a_read_that_lost_its_connection_is_asked_again() -> None:
    async with fresh_url("postgresql", is_migrated=False) as url, cabled(url) as (database, cable):
        cable.cut_after = b"marked"

        row = await database.read_one("SELECT CAST($1 AS TEXT) AS mark", "marked")

        assert cable.cuts == 1
        assert row is not None
        assert row["mark"] == "marked"


async def test_a_server_that_became_read_only_is_unavailable_until_it_is_not() -> None:
    async with fresh_url("postgresql", is_migrated=False) as url, bystander(url) as other, opened(url) as database:
        name = await other.fetchval("SELECT current_database()")
        await other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await other.execute(TERMINATE_OTHERS)
        with pytest.raises(DatabaseUnavailable, match="read-only"):
            await database.write([insert(1)])
        await other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")

        await database.write([insert(1)])

        assert await states(database) == {1: "OFF"}


async def test_it_heals_when_the_server_was_restarted() -> None:
    cluster = PostgresCluster()
    try:
        async with cluster.database(is_migrated=False) as url, opened(url) as database, opened(url) as listener:
            woken = listener.wake_event("notify")
            cluster.stop_server()
            with pytest.raises(DatabaseUnavailable):
                await database.write([insert(1)])
            cluster.start()

            await database.write([insert(1)], wakes=["notify"])

            assert await states(database) == {1: "OFF"}
            await asyncio.wait_for(woken.wait(), PATIENCE_S)
    finally:
        cluster.stop()


async def test_nobody_listens_at_the_address() -> None:
    with pytest.raises(DatabaseUnavailable):
        await open_database("postgresql://postgres@/nothing?host=/nowhere")


async def test_a_statement_survives_a_migration_of_its_table() -> None:
    async with lamps("postgresql", connections=1) as (url, database), bystander(url) as other:
        everything = Step("SELECT * FROM lamps", rows=1)
        await database.write([insert(1), everything])
        await database.read(everything.sql)
        await other.execute("ALTER TABLE lamps ADD COLUMN watt BIGINT")

        (row,) = await database.read(everything.sql)
        await other.execute("ALTER TABLE lamps ADD COLUMN volt BIGINT")
        _, _, (row_in_unit,) = await database.write([insert(2), switch(2, expect="OFF", state="ON"), everything_of(1)])

        assert "watt" in dict(row)
        assert "volt" in dict(row_in_unit)


def everything_of(lamp_id: int) -> Step:
    return Step("SELECT * FROM lamps WHERE lamp_id = $1", (lamp_id,), rows=1)


async def test_more_statements_than_are_kept_are_prepared_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_STATEMENTS", 3)
    async with lamps("postgresql", connections=1) as (_, database):
        for _ in range(2):
            for number in range(10):
                row = await database.read_one(f"SELECT {number} AS number")

                assert row is not None
                assert row["number"] == number


async def test_who_waits_too_long_for_a_connection_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_WAIT_S", 0.05)
    async with lamps("postgresql", connections=1) as (url, database), bystander(url) as other:
        await other.execute("SELECT pg_advisory_lock(1)")
        slow = asyncio.create_task(database.read("SELECT CAST(pg_advisory_lock(1) AS TEXT) AS got"))
        await asyncio.sleep(0)

        with pytest.raises(DatabaseOverloaded):
            await database.write([insert(1)])

        await other.execute("SELECT pg_advisory_unlock(1)")
        await slow
        assert await states(database) == {}


async def test_a_text_that_is_no_number_is_not_quoted() -> None:
    async with lamps("postgresql") as (_, database):
        with pytest.raises(StatementRefused) as refused:
            await database.read("SELECT CAST(CAST($1 AS TEXT) AS BIGINT) AS number", "4444x")

        assert "4444x" not in str(refused.value)


async def test_statements_are_prepared_once_and_kept() -> None:
    async with lamps("postgresql", connections=1) as (_, database):
        for number in range(5):
            await database.write([insert(number), switch(number, expect="OFF", state="ON")])
            await states(database)

        rows = await database.read("SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%INTO lamps%'")

        assert [row["statement"] for row in rows].count(insert(1).sql) == 1


@contextlib.asynccontextmanager
async def cabled(url: str) -> AsyncIterator[tuple[Database, Cable]]:
    """The database at `url`, opened over a cable, with the table of lamps, and the cable."""
    async with cable_to(url) as (cabled_url, cable), opened(cabled_url) as database:
        yield database, cable


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """The database at `url`, with the table of lamps."""
    database = await open_database(url, connections=3)
    try:
        with contextlib.suppress(StatementRefused):  # another one has made the table
            await database.write([CREATE])
        yield database
    finally:
        await database.close()
