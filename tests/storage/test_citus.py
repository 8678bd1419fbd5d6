"""`citus.sql`, run against stand-ins that refuse what Citus refuses (the Citus manual, "Distributed DDL")."""

import contextlib
from collections.abc import AsyncIterator

import asyncpg
import pytest

from opentill.storage import layout
from tests.databases import fresh_url

# Citus: a unique key must contain the shard key; a foreign key between distributed tables must contain it on both
# sides and both tables must be colocated; a reference table may lead to reference tables alone.
STAND_INS = """
CREATE TABLE placed (name TEXT PRIMARY KEY, shard_key TEXT, colocated_with TEXT);

CREATE FUNCTION columns_of(relation REGCLASS, numbers SMALLINT[]) RETURNS TEXT[] LANGUAGE sql AS $$
    SELECT array_agg(CAST(a.attname AS TEXT) ORDER BY k.place) FROM unnest(numbers) WITH ORDINALITY AS k (number, place)
    JOIN pg_attribute AS a ON a.attrelid = relation AND a.attnum = k.number
$$;

CREATE FUNCTION create_reference_table(relation REGCLASS) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE key RECORD;
BEGIN
    IF EXISTS (SELECT FROM placed WHERE name = CAST(relation AS TEXT)) THEN
        RAISE 'table "%" is already distributed', relation;
    END IF;
    FOR key IN SELECT c.conname, c.confrelid::REGCLASS AS target FROM pg_constraint AS c
        WHERE c.conrelid = relation AND c.contype = 'f' AND c.confrelid <> relation
    LOOP
        IF NOT EXISTS (SELECT FROM placed WHERE name = CAST(key.target AS TEXT) AND shard_key IS NULL) THEN
            RAISE 'foreign key % of a reference table leads to %, which is none', key.conname, key.target;
        END IF;
    END LOOP;
    INSERT INTO placed VALUES (CAST(relation AS TEXT), NULL, NULL);
END $$;

CREATE FUNCTION create_distributed_table(relation REGCLASS, column_name TEXT, colocate_with TEXT DEFAULT 'default')
RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE key RECORD;
BEGIN
    IF EXISTS (SELECT FROM placed WHERE name = CAST(relation AS TEXT)) THEN
        RAISE 'table "%" is already distributed', relation;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = column_name AND attnotnull) THEN
        RAISE 'column "%" of "%" does not exist or may be null', column_name, relation;
    END IF;
    IF colocate_with <> 'default' AND NOT EXISTS (
        SELECT FROM placed WHERE name = colocate_with AND shard_key IS NOT NULL
    ) THEN
        RAISE '"%" is not distributed', colocate_with;
    END IF;
    FOR key IN SELECT i.indexrelid::REGCLASS AS name FROM pg_index AS i WHERE i.indrelid = relation
        AND i.indisunique AND NOT column_name = ANY (columns_of(relation, i.indkey::SMALLINT[]))
    LOOP
        RAISE 'cannot create constraint % on "%" without the shard key', key.name, relation;
    END LOOP;
    FOR key IN SELECT c.conname, c.confrelid::REGCLASS AS target, columns_of(relation, c.conkey) AS here,
        columns_of(c.confrelid, c.confkey) AS there FROM pg_constraint AS c
        WHERE c.conrelid = relation AND c.contype = 'f'
    LOOP
        IF NOT EXISTS (SELECT FROM placed WHERE name = CAST(key.target AS TEXT)) THEN
            RAISE 'foreign key % leads to the local table %', key.conname, key.target;
        END IF;
        IF EXISTS (SELECT FROM placed AS p WHERE p.name = CAST(key.target AS TEXT) AND p.shard_key IS NOT NULL
            AND (p.name <> colocate_with AND p.colocated_with IS DISTINCT FROM colocate_with
                 OR key.there[array_position(key.here, column_name)] IS DISTINCT FROM p.shard_key)
        ) THEN
            RAISE 'foreign key % is not by the shard key of colocated tables', key.conname;
        END IF;
    END LOOP;
    INSERT INTO placed VALUES (CAST(relation AS TEXT), column_name, nullif(colocate_with, 'default'));
END $$;
"""
STATEMENTS = [
    statement.strip()
    for statement in "".join(
        line for line in layout.CITUS_SQL.read_text("utf-8").splitlines(True) if not line.startswith("--")
    ).split(";")
    if statement.strip()
]


@contextlib.asynccontextmanager
async def citus() -> AsyncIterator[asyncpg.Connection]:
    """A migrated database whose two functions are the stand-ins."""
    async with fresh_url("postgresql") as url:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(STAND_INS)
            yield connection
        finally:
            await connection.close()


async def test_the_file_places_every_table_as_citus_would_accept_it() -> None:
    async with citus() as connection:
        for statement in STATEMENTS:
            await connection.execute(statement)

        placed = {row["name"]: row["shard_key"] for row in await connection.fetch("SELECT name, shard_key FROM placed")}
        assert {name for name, key in placed.items() if key == "app_id"} == set(layout.order_family())
        assert {name for name, key in placed.items() if key is None} == set(layout.reference_tables())


async def test_every_table_of_the_order_family_is_on_the_nodes_of_orders() -> None:
    async with citus() as connection:
        for statement in STATEMENTS:
            await connection.execute(statement)

        rows = await connection.fetch("SELECT name, colocated_with FROM placed WHERE shard_key IS NOT NULL")
        assert {row["name"] for row in rows if row["colocated_with"] != "orders"} == {"orders"}


def test_the_file_names_each_table_once() -> None:
    names = [*layout.order_family(), *layout.reference_tables()]

    assert len(names) == len(set(names)) == len(STATEMENTS)


async def test_running_the_file_again_takes_in_only_what_is_new() -> None:
    async with citus() as connection:
        for statement in STATEMENTS[:-1]:
            await connection.execute(statement)

        for statement in STATEMENTS[:-1]:
            with pytest.raises(asyncpg.RaiseError, match="already distributed"):
                await connection.execute(statement)
        await connection.execute(STATEMENTS[-1])

        assert await connection.fetchval("SELECT count(*) FROM placed") == len(STATEMENTS)


@pytest.mark.parametrize(
    ("change", "statement", "objection"),
    [
        (
            "CREATE UNIQUE INDEX a ON orders (trade_no)",
            "SELECT create_distributed_table('orders', 'app_id')",
            "without the shard key",
        ),
        ("SELECT 1", "SELECT create_distributed_table('trades', 'app_id')", "leads to the local table orders"),
        ("SELECT 1", "SELECT create_distributed_table('orders', 'nothing')", "does not exist"),
        (
            "SELECT create_distributed_table('orders', 'app_id')",
            "SELECT create_distributed_table('trades', 'app_id')",
            "not by the shard key of colocated tables",
        ),
        ("SELECT 1", "SELECT create_reference_table('stores')", "which is none"),
    ],
)
async def test_the_stand_ins_refuse_what_citus_refuses(change: str, statement: str, objection: str) -> None:
    async with citus() as connection:
        await connection.execute(change)

        with pytest.raises(asyncpg.RaiseError, match=objection):
            await connection.execute(statement)
