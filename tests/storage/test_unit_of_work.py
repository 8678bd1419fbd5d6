"""A write is a unit: all its steps or nothing, alike on both engines (design 7)."""

import asyncio
import traceback

import pytest

from opentill.storage.database import ConstraintBroken, DatabaseUnavailable, StatementRefused, Step, StepFailed
from tests.databases import on_both_engines
from tests.storage.tables import insert, lamps, plain, states, switch

SECRET = "4" * 12 + "x"


@on_both_engines
async def test_a_unit_answers_with_the_rows_of_every_step(engine: str) -> None:
    async with lamps(engine) as (_, database):
        unit = [
            insert(1),
            switch(1, expect="OFF", state="ON"),
            Step("SELECT state FROM lamps", rows=1),
            Step("UPDATE lamps SET note = $1 RETURNING note, lamp_id", ("new",), rows=1),
        ]

        rows = await database.write(unit)

        assert plain(rows) == [
            [{"lamp_id": 1, "state": "OFF"}],
            [],
            [{"state": "ON"}],
            [{"note": "new", "lamp_id": 1}],
        ]


@on_both_engines
async def test_a_unit_without_steps_does_nothing(engine: str) -> None:
    async with lamps(engine) as (_, database):
        rows = await database.write([])

        assert rows == []


@on_both_engines
@pytest.mark.parametrize(
    ("last", "index", "met"),
    [
        (switch(1, expect="ON", state="BROKEN"), 2, 0),
        (insert(7), 2, 0),
        (Step("SELECT lamp_id FROM lamps WHERE lamp_id > 1000", rows=1), 2, 0),
        (Step("DELETE FROM lamps WHERE lamp_id = 2", rows=2), 2, 1),
        (Step("UPDATE lamps SET state = 'BROKEN'", rows=1), 2, 3),
        (Step("INSERT INTO lamps (lamp_id, state) VALUES (3, 'OFF')", rows=0), 2, 1),
    ],
)
async def test_a_unit_whose_third_step_is_off_is_undone_entirely(engine: str, last: Step, index: int, met: int) -> None:
    async with lamps(engine) as (_, database):
        await database.write([insert(1), insert(7)])

        with pytest.raises(StepFailed) as failed:
            await database.write([insert(2), switch(2, expect="OFF", state="ON"), last])

        assert (failed.value.index, failed.value.step, failed.value.rows) == (index, last, met)
        assert await states(database) == {1: "OFF", 7: "OFF"}


@on_both_engines
async def test_one_step_that_meets_too_many_rows_is_undone_too(engine: str) -> None:
    async with lamps(engine) as (_, database):
        await database.write([insert(1), insert(2)])

        with pytest.raises(StepFailed) as failed:
            await database.write([Step("UPDATE lamps SET state = 'BROKEN'", rows=1)])

        assert (failed.value.index, failed.value.rows) == (0, 2)
        assert await states(database) == {1: "OFF", 2: "OFF"}


@on_both_engines
async def test_a_step_without_a_count_may_meet_any_number_of_rows(engine: str) -> None:
    async with lamps(engine) as (_, database):
        await database.write([insert(1), insert(2)])

        for expect in ("OFF", "BROKEN"):
            await database.write([Step("UPDATE lamps SET state = 'ON' WHERE state = $1", (expect,))])

        assert await states(database) == {1: "ON", 2: "ON"}


@on_both_engines
@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (insert(1, note=SECRET), StepFailed),
        (Step("INSERT INTO lamps (lamp_id, note) VALUES ($1, $2)", (2, SECRET)), ConstraintBroken),
        (Step("INSERT INTO lamps (lamp_id, state) VALUES (1, $1)", (SECRET,)), ConstraintBroken),
        (Step("INSERT INTO nowhere (note) VALUES ($1)", (SECRET,)), StatementRefused),
        (Step("UPDATE lamps SET note = $1, picture = $2", (SECRET, 2**64)), StatementRefused),
    ],
)
async def test_no_failure_quotes_the_arguments(engine: str, step: Step, expected: type[Exception]) -> None:
    async with lamps(engine) as (_, database):
        await database.write([insert(1, note=SECRET)])

        with pytest.raises(expected) as failed:
            await database.write([insert(3, note=SECRET), step])

        logged = "".join(traceback.format_exception(failed.value))
        assert SECRET not in logged
        assert str(2**64) not in logged
        assert step.sql in logged


@on_both_engines
@pytest.mark.parametrize(
    "broken",
    [
        Step("INSERT INTO lamps (lamp_id, state) VALUES (1, 'OFF')"),
        Step("UPDATE lamps SET state = NULL WHERE lamp_id = 1"),
        Step("INSERT INTO sockets (lamp_id) VALUES (99)"),
        Step("UPDATE sockets SET volt = 7"),
    ],
    ids=["key", "not null", "foreign key", "check"],
)
async def test_a_step_against_a_rule_of_the_schema_undoes_its_unit(engine: str, broken: Step) -> None:
    async with lamps(engine) as (_, database):
        sockets = "CREATE TABLE sockets (lamp_id BIGINT REFERENCES lamps (lamp_id), volt BIGINT CHECK (volt > 100))"
        await database.write([Step(sockets)])
        await database.write([insert(1), Step("INSERT INTO sockets VALUES (1, 230)")])

        with pytest.raises(ConstraintBroken) as raised:
            await database.write([insert(2), broken])

        assert (raised.value.index, raised.value.step) == (1, broken)
        assert await states(database) == {1: "OFF"}


@on_both_engines
@pytest.mark.parametrize("position", [0, 1])
async def test_a_wrong_statement_undoes_its_unit_and_no_other(engine: str, position: int) -> None:
    async with lamps(engine, connections=1) as (_, database):
        unit = [insert(2)]
        unit.insert(position, Step("UPDATE nowhere SET a = $1", (1,)))

        answers = await asyncio.gather(
            database.write([insert(1)]), database.write(unit), database.write([insert(3)]), return_exceptions=True
        )

        assert isinstance(answers[1], StatementRefused)
        assert "nowhere" in str(answers[1])
        assert await states(database) == {1: "OFF", 3: "OFF"}


@on_both_engines
async def test_of_a_hundred_who_take_one_key_exactly_one_gets_it(engine: str) -> None:
    async with lamps(engine) as (_, database):
        answers = await asyncio.gather(
            *(database.write([insert(1, note=str(number))]) for number in range(100)), return_exceptions=True
        )

        assert sum(isinstance(answer, StepFailed) for answer in answers) == 99
        (winner,) = (number for number, answer in enumerate(answers) if not isinstance(answer, BaseException))
        row = await database.read_one("SELECT note FROM lamps")
        assert row is not None
        assert row["note"] == str(winner)


@on_both_engines
async def test_of_a_hundred_who_move_one_row_exactly_one_moves_it(engine: str) -> None:
    async with lamps(engine) as (_, database):
        await database.write([insert(0)])

        answers = await asyncio.gather(
            *(database.write([switch(0, expect="OFF", state=str(number)), insert(number)]) for number in range(1, 101)),
            return_exceptions=True,
        )

        assert sum(isinstance(answer, StepFailed) and answer.index == 0 for answer in answers) == 99
        (winner,) = (number for number, answer in enumerate(answers, 1) if not isinstance(answer, BaseException))
        assert await states(database) == {0: str(winner), winner: "OFF"}


@on_both_engines
async def test_a_sum_that_all_add_to_loses_nothing(engine: str) -> None:
    async with lamps(engine) as (_, database):
        await database.write([Step("CREATE TABLE sums (only_row BIGINT PRIMARY KEY, total BIGINT)")])
        await database.write([Step("INSERT INTO sums VALUES (1, 0)")])
        add = Step("UPDATE sums SET total = total + $1 WHERE total + $1 <= 1000", (20,), rows=1)

        answers = await asyncio.gather(*(database.write([add]) for _ in range(80)), return_exceptions=True)

        assert sum(isinstance(answer, StepFailed) for answer in answers) == 30
        row = await database.read_one("SELECT total FROM sums")
        assert row is not None
        assert row["total"] == 1000


@on_both_engines
async def test_units_that_fail_among_many_at_once_take_no_other_along(engine: str) -> None:
    async with lamps(engine) as (_, database):
        units = [
            [insert(number), switch(number, expect="OFF" if number % 3 else "ON", state="ON")] for number in range(300)
        ]

        answers = await asyncio.gather(*(database.write(unit) for unit in units), return_exceptions=True)

        failed = {number for number, answer in enumerate(answers) if isinstance(answer, StepFailed)}
        assert failed == set(range(0, 300, 3))
        assert await states(database) == {number: "ON" for number in range(300) if number % 3}


@on_both_engines
async def test_a_read_sees_what_was_written_before_it(engine: str) -> None:
    async with lamps(engine) as (_, database):

        async def write_then_read(number: int) -> bool:
            await database.write([insert(number)])
            return await database.read_one("SELECT state FROM lamps WHERE lamp_id = $1", number) is not None

        seen = await asyncio.gather(*(write_then_read(number) for number in range(200)))

        assert all(seen)


@on_both_engines
async def test_a_read_never_sees_half_a_unit(engine: str) -> None:
    async with lamps(engine) as (_, database):
        pairs = [[insert(number), insert(number + 1)] for number in range(0, 200, 2)]
        writes = asyncio.gather(*(database.write(pair) for pair in pairs))

        counts = []
        while not writes.done():
            row = await database.read_one("SELECT count(*) AS lamps FROM lamps")
            counts.append(row["lamps"] if row else -1)
        await writes

        assert {count % 2 for count in counts} == {0}


@on_both_engines
async def test_read_one_is_none_when_there_is_no_row_and_else_the_first(engine: str) -> None:
    async with lamps(engine) as (_, database):
        empty = await database.read_one("SELECT lamp_id FROM lamps")
        await database.write([insert(2), insert(1)])

        row = await database.read_one("SELECT lamp_id FROM lamps ORDER BY lamp_id")

        assert empty is None
        assert row is not None
        assert row["lamp_id"] == 1


@on_both_engines
async def test_a_wrong_read_says_so_and_the_next_one_works(engine: str) -> None:
    async with lamps(engine, connections=1) as (_, database):
        with pytest.raises(StatementRefused, match="nowhere"):
            await database.read("SELECT a FROM nowhere")

        assert await states(database) == {}


@on_both_engines
async def test_who_is_cancelled_while_writing_leaves_the_database_usable(engine: str) -> None:
    async with lamps(engine, connections=1) as (_, database):
        tasks = [asyncio.create_task(database.write([insert(number), insert(-number)])) for number in range(1, 21)]
        await tasks[0]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        await database.write([insert(100)])

        found = await states(database)
        assert 100 in found
        assert {-number for number in found if number != 100} == found.keys() - {100}


@on_both_engines
async def test_closing_finishes_what_was_accepted_and_refuses_the_rest(engine: str) -> None:
    async with lamps(engine, connections=2) as (_, database):
        accepted = [asyncio.create_task(database.write([insert(number)])) for number in range(50)]
        reading = asyncio.create_task(database.read("SELECT 1 AS answer"))
        await asyncio.sleep(0)

        await database.close()

        assert len(await asyncio.gather(*accepted)) == 50
        assert len(await reading) == 1
        with pytest.raises(DatabaseUnavailable):
            await database.write([insert(100)])
        with pytest.raises(DatabaseUnavailable):
            await database.read("SELECT 1 AS answer")
