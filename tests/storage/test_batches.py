"""Units of one shape that are asked for at once share a transaction, and each still has its own answer (design 7)."""

import asyncio

import pytest

from opentill.storage.database import Database, DatabaseUnavailable, Step, StepFailed
from tests.databases import on_postgres
from tests.storage.tables import lamps, plain, states

BIRTHDAYS = "SELECT count(DISTINCT xmin::text) AS transactions FROM lamps"


def added(lamp_id: int, state: str = "OFF") -> Step:
    return Step(
        "INSERT INTO lamps (lamp_id, state) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        (lamp_id, state),
        rows=1,
        many="INSERT INTO lamps (lamp_id, state) SELECT * FROM unnest($1::bigint[], $2::text[]) ON CONFLICT DO NOTHING",
    )


def noted(lamp_id: int, note: str) -> Step:
    return Step(
        "UPDATE lamps SET note = $2 WHERE lamp_id = $1",
        (lamp_id, note),
        rows=1,
        many="UPDATE lamps SET note = given.note FROM unnest($1::bigint[], $2::text[]) AS given (lamp_id, note) "
        "WHERE lamps.lamp_id = given.lamp_id",
    )


def claimed(lamp_id: int, *, expect: str) -> Step:
    return Step(
        "UPDATE lamps SET state = 'MINE' WHERE lamp_id = $1 AND state = $2 RETURNING lamp_id, $2 AS was, note",
        (lamp_id, expect),
        rows=1,
        many="UPDATE lamps SET state = 'MINE' FROM unnest($1::bigint[], $2::text[]) AS given (lamp_id, was) "
        "WHERE lamps.lamp_id = given.lamp_id AND lamps.state = given.was RETURNING lamps.lamp_id, given.was, note",
    )


def counted(lamp_id: int, by: int) -> Step:
    """Adds to a lamp that several may mean at once."""
    return Step(
        "INSERT INTO lamps (lamp_id, state) VALUES ($1, $2) ON CONFLICT (lamp_id) "
        "DO UPDATE SET state = lamps.state || excluded.state",
        (lamp_id, "+" * by),
        many="INSERT INTO lamps (lamp_id, state) SELECT lamp_id, string_agg(state, '') FROM unnest($1::bigint[], "
        "$2::text[]) AS given (lamp_id, state) GROUP BY lamp_id ORDER BY lamp_id ON CONFLICT (lamp_id) "
        "DO UPDATE SET state = lamps.state || excluded.state",
    )


async def all_of(database: Database, units: list[list[Step]]) -> list[object]:
    """What each unit is answered, asked for in one turn of the event loop."""
    return list(await asyncio.gather(*(database.write(unit) for unit in units), return_exceptions=True))


async def transactions(database: Database) -> int:
    row = await database.read_one(BIRTHDAYS)
    assert row is not None
    return int(row["transactions"])


@on_postgres
async def test_units_asked_for_at_once_are_one_transaction(engine: str) -> None:
    async with lamps(engine) as (_, database):
        answers = await all_of(database, [[added(lamp_id), noted(lamp_id, f"n{lamp_id}")] for lamp_id in range(50)])

        assert answers == [[[], []]] * 50
        assert await transactions(database) == 1
        row = await database.read_one("SELECT count(*) AS n FROM lamps WHERE note = 'n' || lamp_id")
        assert row is not None
        assert row["n"] == 50


@on_postgres
@pytest.mark.parametrize("place", [0, 7, 15])
async def test_a_unit_that_fails_fails_alone(engine: str, place: int) -> None:
    async with lamps(engine) as (_, database):
        await database.write([added(place, "ON")])

        answers = await all_of(database, [[added(lamp_id), noted(lamp_id, "x")] for lamp_id in range(16)])

        failed = answers.pop(place)
        assert isinstance(failed, StepFailed)
        assert (failed.index, failed.rows) == (0, 0)
        assert answers == [[[], []]] * 15
        assert await states(database) == {**dict.fromkeys(range(16), "OFF"), place: "ON"}


@on_postgres
async def test_of_two_units_for_one_number_in_one_batch_one_wins(engine: str) -> None:
    async with lamps(engine) as (_, database):
        answers = await all_of(database, [[added(5, "A"), noted(5, "a")], [added(5, "B"), noted(5, "b")]])

        assert sorted(type(answer).__name__ for answer in answers) == ["StepFailed", "list"]
        winner = "AB"[answers.index([[], []])]
        row = await database.read_one("SELECT state, note FROM lamps")
        assert row is not None
        assert (row["state"], row["note"]) == (winner, winner.lower())


@on_postgres
async def test_a_later_step_that_fails_undoes_its_own_unit_alone(engine: str) -> None:
    async with lamps(engine) as (_, database):
        answers = await all_of(
            database, [[added(1), noted(1, "x")], [added(2), noted(99, "x")], [added(3), noted(3, "x")]]
        )

        assert isinstance(answers[1], StepFailed)
        assert answers[1].index == 1
        assert await states(database) == {1: "OFF", 3: "OFF"}


@on_postgres
async def test_of_those_who_claim_at_once_each_hears_of_its_own_row(engine: str) -> None:
    async with lamps(engine) as (_, database):
        await all_of(database, [[added(lamp_id), noted(lamp_id, f"n{lamp_id}")] for lamp_id in range(8)])
        await database.write([claimed(3, expect="OFF")])

        answers = await all_of(database, [[claimed(lamp_id, expect="OFF")] for lamp_id in (*range(8), 5)])

        notes = [plain(answer)[0][0]["note"] if isinstance(answer, list) else type(answer) for answer in answers]
        assert notes == ["n0", "n1", "n2", StepFailed, "n4", "n5", "n6", "n7", StepFailed]
        # The claim that came too late did not make the others try again.
        assert await transactions(database) == 2


@on_postgres
async def test_what_many_units_add_to_the_same_row_is_all_there(engine: str) -> None:
    async with lamps(engine) as (_, database):
        units = [
            [added(lamp_id), *(counted(100 + line, by=lamp_id % 3) for line in range(lamp_id % 4))]
            for lamp_id in range(24)
        ]

        answers = await all_of(database, units)

        assert answers == [[[] for _ in unit] for unit in units]
        sums = {row: len(state) for row, state in (await states(database)).items() if row >= 100}
        assert sums == {100 + line: sum(n % 3 for n in range(24) if n % 4 > line) for line in range(3)}
        # Two shapes: lamps alone, and lamps with something counted, however much.
        assert await transactions(database) == 2


@on_postgres
async def test_whoever_goes_away_takes_nothing_from_the_others(engine: str) -> None:
    async with lamps(engine) as (_, database):
        staying = [asyncio.create_task(database.write([added(lamp_id)])) for lamp_id in (1, 2)]
        leaving = asyncio.create_task(database.write([added(3)]))
        await asyncio.sleep(0)
        leaving.cancel()

        answers = await asyncio.gather(*staying, leaving, return_exceptions=True)

        assert answers[:2] == [[[]], [[]]]
        assert isinstance(answers[2], asyncio.CancelledError)


@on_postgres
async def test_closing_finishes_what_was_asked_for(engine: str) -> None:
    async with lamps(engine) as (_, database):
        asked = [asyncio.create_task(database.write([added(lamp_id)])) for lamp_id in range(300)]
        await asyncio.sleep(0)

        await database.close()

        assert await asyncio.gather(*asked) == [[[]]] * 300


@on_postgres
async def test_without_a_server_everybody_hears_that_nothing_was_done(engine: str) -> None:
    async with lamps(engine) as (_, database):
        await database.close()

        answers = await all_of(database, [[added(1)], [added(2)]])

        assert [type(answer) for answer in answers] == [DatabaseUnavailable] * 2
