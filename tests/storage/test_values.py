"""What goes in comes out: placeholders by number, integers, texts, bytes and NULL, alike on both engines."""

import pytest

from opentill.storage.database import StatementRefused, Step, Value
from tests.databases import on_both_engines
from tests.storage.tables import insert, lamps


@on_both_engines
@pytest.mark.parametrize(
    ("sql", "args", "expected"),
    [
        ("SELECT CAST($2 AS TEXT) AS a, CAST($1 AS TEXT) AS b", ("one", "two"), ("two", "one")),
        ("SELECT CAST($1 AS TEXT) AS a, CAST($1 AS TEXT) AS b", ("one",), ("one", "one")),
        ("SELECT CAST($3 AS BIGINT) AS a, CAST($2 AS TEXT) || CAST($1 AS TEXT) AS b", ("x", "y", 3), (3, "yx")),
        (
            "SELECT CAST($11 AS BIGINT) AS a, CAST($1 AS BIGINT) + CAST($2 AS BIGINT) + CAST($3 AS BIGINT) "
            "+ CAST($4 AS BIGINT) + CAST($5 AS BIGINT) + CAST($6 AS BIGINT) + CAST($7 AS BIGINT) "
            "+ CAST($8 AS BIGINT) + CAST($9 AS BIGINT) + CAST($10 AS BIGINT) AS b",
            (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
            (1024, 1023),
        ),
    ],
    ids=["unordered", "repeated", "three", "two digits"],
)
@pytest.mark.parametrize("way", ["read", "step"])
async def test_placeholders_are_bound_by_their_number(
    engine: str, way: str, sql: str, args: tuple[Value, ...], expected: tuple[Value, Value]
) -> None:
    async with lamps(engine) as (_, database):
        if way == "read":
            row = await database.read_one(sql, *args)
        else:
            ((row,),) = await database.write([Step(sql, args, rows=1)])

        assert row is not None
        assert (row["a"], row["b"]) == expected


@on_both_engines
@pytest.mark.parametrize("lamp_id", [0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)])
async def test_integers_of_64_bits_come_back_exactly(engine: str, lamp_id: int) -> None:
    async with lamps(engine) as (_, database):
        await database.write([insert(lamp_id)])

        row = await database.read_one("SELECT lamp_id FROM lamps WHERE lamp_id = $1", lamp_id)

        assert row is not None
        assert row["lamp_id"] == lamp_id


@on_both_engines
@pytest.mark.parametrize("lamp_id", [2**63, -(2**63) - 1])
async def test_larger_integers_are_refused_and_harm_nobody(engine: str, lamp_id: int) -> None:
    async with lamps(engine, connections=1) as (_, database):
        with pytest.raises(StatementRefused):
            await database.write([insert(1), insert(lamp_id)])

        await database.write([insert(1)])


@on_both_engines
@pytest.mark.parametrize("args", [(), (1,), (1, [2]), (1, {"a": 2})], ids=["none", "too few", "list", "dict"])
async def test_arguments_that_are_missing_or_no_values_are_refused(engine: str, args: tuple[Value, ...]) -> None:
    async with lamps(engine, connections=1) as (_, database):
        with pytest.raises(StatementRefused):
            await database.write([insert(1), Step("INSERT INTO lamps (lamp_id, state) VALUES ($1, $2)", args)])

        assert await database.read("SELECT lamp_id FROM lamps") == []


@on_both_engines
@pytest.mark.parametrize(
    "text",
    ["", "one", "商品订单", "𝄞 😀 👩‍👩‍👧", "a'b\"c\\d%e", "line\nline\r\n\ttab", "$1 $2 :a ?", "é", "x" * 100_000],
)
async def test_texts_come_back_exactly(engine: str, text: str) -> None:
    async with lamps(engine) as (_, database):
        await database.write([insert(1, note=text)])

        row = await database.read_one("SELECT note FROM lamps WHERE note = $1", text)

        assert row is not None
        assert row["note"] == text


@on_both_engines
@pytest.mark.parametrize("data", [b"", b"\x00", bytes(range(256)), b"\xff" * 100_000])
async def test_bytes_come_back_exactly(engine: str, data: bytes) -> None:
    async with lamps(engine) as (_, database):
        await database.write([insert(1, picture=data)])

        row = await database.read_one("SELECT picture FROM lamps")

        assert row is not None
        assert row["picture"] == data
        assert type(row["picture"]) is bytes


@on_both_engines
async def test_null_comes_back_as_none(engine: str) -> None:
    async with lamps(engine) as (_, database):
        await database.write([insert(1, note=None, picture=None)])

        row = await database.read_one("SELECT note, picture FROM lamps WHERE note IS NULL")

        assert row is not None
        assert dict(row) == {"note": None, "picture": None}


@on_both_engines
async def test_sums_and_counts_are_integers(engine: str) -> None:
    async with lamps(engine) as (_, database):
        await database.write([insert(2**40), insert(1)])

        row = await database.read_one(
            "SELECT sum(lamp_id) AS total, count(*) AS lamps, max(lamp_id) AS most FROM lamps"
        )

        assert row is not None
        assert dict(row) == {"total": 2**40 + 1, "lamps": 2, "most": 2**40}
        assert {type(value) for value in dict(row).values()} == {int}
