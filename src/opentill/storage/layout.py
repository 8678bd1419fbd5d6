"""How the tables are laid out: keys, foreign keys, and where Citus put them (design 6: the order family by app_id)."""

import re
from functools import cache
from pathlib import Path

import msgspec

from opentill.storage.database import Database, Row

SHARD_KEY = "app_id"
CITUS_SQL = Path(__file__).with_name("citus.sql")
_PLACED = re.compile(r"^SELECT create_(distributed|reference)_table\('(\w+)'", re.MULTILINE)

_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
    "AND name <> 'alembic_version' ORDER BY name",
    "postgresql": "SELECT CAST(tablename AS TEXT) AS name FROM pg_tables WHERE schemaname = current_schema() "
    "AND tablename <> 'alembic_version' ORDER BY tablename",
}
_UNIQUE_KEYS = {
    "sqlite": "SELECT t.name AS table_name, i.name, c.name AS column_name FROM sqlite_master AS t "
    'JOIN pragma_index_list(t.name) AS i ON i."unique" = 1 JOIN pragma_index_info(i.name) AS c '
    "WHERE t.type = 'table' ORDER BY t.name, i.name, c.seqno",
    "postgresql": "SELECT CAST(t.relname AS TEXT) AS table_name, CAST(i.relname AS TEXT) AS name, "
    "CAST(a.attname AS TEXT) AS column_name FROM pg_index AS x JOIN pg_class AS t ON t.oid = x.indrelid "
    "JOIN pg_class AS i ON i.oid = x.indexrelid CROSS JOIN unnest(x.indkey) WITH ORDINALITY AS k (attnum, place) "
    "LEFT JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.attnum AND k.attnum > 0 "
    "WHERE x.indisunique AND t.relnamespace = to_regnamespace(current_schema()::TEXT) "
    "ORDER BY t.relname, i.relname, k.place",
}
_FOREIGN_KEYS = {
    "sqlite": "SELECT t.name AS table_name, t.name || '_' || f.id AS name, "
    'f."from" AS column_name, f."table" AS to_table, f."to" AS to_column '
    "FROM sqlite_master AS t JOIN pragma_foreign_key_list(t.name) AS f "
    "WHERE t.type = 'table' ORDER BY t.name, f.id, f.seq",
    "postgresql": "SELECT CAST(t.relname AS TEXT) AS table_name, CAST(c.conname AS TEXT) AS name, "
    "CAST(a.attname AS TEXT) AS column_name, CAST(p.relname AS TEXT) AS to_table, CAST(b.attname AS TEXT) AS to_column "
    "FROM pg_constraint AS c JOIN pg_class AS t ON t.oid = c.conrelid JOIN pg_class AS p ON p.oid = c.confrelid "
    "CROSS JOIN unnest(c.conkey, c.confkey) WITH ORDINALITY AS k (here, there, place) "
    "JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.here "
    "JOIN pg_attribute AS b ON b.attrelid = p.oid AND b.attnum = k.there "
    "WHERE c.contype = 'f' AND t.relnamespace = to_regnamespace(current_schema()::TEXT) "
    "ORDER BY t.relname, c.conname, k.place",
}


class UniqueKey(msgspec.Struct, frozen=True):
    """A primary key or unique index. A column that is an expression has the name ''."""

    table: str
    name: str
    columns: tuple[str, ...]


class ForeignKey(msgspec.Struct, frozen=True):
    """`columns` of `table` lead to `to_columns` of `to_table`."""

    table: str
    name: str
    columns: tuple[str, ...]
    to_table: str
    to_columns: tuple[str, ...]


class Placed(msgspec.Struct, frozen=True):
    """Where Citus has a table, as its view `citus_tables` says it; `kind` is distributed or reference."""

    kind: str
    shard_key: str
    colocation_id: int


@cache
def order_family() -> tuple[str, ...]:
    """Tables that are distributed by the shard key, parents first."""
    return tuple(name for kind, name in _placements() if kind == "distributed")


@cache
def reference_tables() -> tuple[str, ...]:
    """Tables of which every node has a copy."""
    return tuple(name for kind, name in _placements() if kind == "reference")


async def tables(database: Database) -> list[str]:
    """Every table of ours that the database has."""
    return [row["name"] for row in await database.read(_TABLES[database.dialect])]


async def unique_keys(database: Database) -> list[UniqueKey]:
    """Every primary key and unique index."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in await database.read(_UNIQUE_KEYS[database.dialect]):
        found.setdefault((row["table_name"], row["name"]), []).append(row)
    return [
        UniqueKey(table, name, tuple(row["column_name"] or "" for row in rows)) for (table, name), rows in found.items()
    ]


async def foreign_keys(database: Database) -> list[ForeignKey]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in await database.read(_FOREIGN_KEYS[database.dialect]):
        found.setdefault((row["table_name"], row["name"]), []).append(row)
    return [
        ForeignKey(
            table,
            name,
            tuple(row["column_name"] for row in rows),
            rows[0]["to_table"],
            tuple(row["to_column"] for row in rows),
        )
        for (table, name), rows in found.items()
    ]


async def without_shard_key(database: Database) -> list[str]:
    """What would keep the order family from being distributed: its tables, unique keys and foreign keys without app_id.

    Each as one line of text; none: the layout is as design 6 says.
    """
    family = set(order_family())
    missing = [f"table {name} is missing" for name in order_family() if name not in await tables(database)]
    keys = [
        f"unique key {key.name} of {key.table} is without {SHARD_KEY}"
        for key in await unique_keys(database)
        if key.table in family and SHARD_KEY not in key.columns
    ]
    return [*missing, *keys, *[text for key in await foreign_keys(database) if (text := _objection(key, family))]]


async def citus_tables(database: Database) -> dict[str, Placed] | None:
    """Where Citus has each of its tables; None when this database is without Citus."""
    if database.dialect != "postgresql":
        return None
    if await database.read_one("SELECT 1 AS found WHERE to_regclass('citus_tables') IS NULL"):
        return None
    rows = await database.read(
        "SELECT CAST(c.relname AS TEXT) AS name, t.citus_table_type AS kind, t.distribution_column AS shard_key, "
        "t.colocation_id FROM citus_tables AS t JOIN pg_class AS c ON c.oid = t.table_name"
    )
    return {row["name"]: Placed(row["kind"], row["shard_key"], row["colocation_id"]) for row in rows}


def misplaced(placed: dict[str, Placed]) -> list[str]:
    """What of Citus's layout is not as `citus.sql` would make it, each as one line of text."""
    lines = []
    home = placed.get(order_family()[0])
    for name in order_family():
        found = placed.get(name)
        if found is None or (found.kind, found.shard_key) != ("distributed", SHARD_KEY):
            lines.append(f"table {name} is not distributed by {SHARD_KEY}")
        elif home is not None and found.colocation_id != home.colocation_id:
            lines.append(f"table {name} is not on the same nodes as {order_family()[0]}")
    for name in reference_tables():
        found = placed.get(name)
        if found is None or found.kind != "reference":
            lines.append(f"table {name} is not a reference table")
    return lines


def _placements() -> list[tuple[str, str]]:
    return _PLACED.findall(CITUS_SQL.read_text("utf-8"))


def _objection(key: ForeignKey, family: set[str]) -> str:
    """Why Citus would refuse a foreign key; empty: it would not."""
    if key.table in family and key.to_table in family:
        leads_home = (SHARD_KEY, SHARD_KEY) in zip(key.columns, key.to_columns, strict=True)
        return "" if leads_home else f"foreign key {key.name} of {key.table} is without {SHARD_KEY}"
    if key.table not in family and key.to_table in family:
        return f"foreign key {key.name} leads from {key.table} into the order family"
    return ""
