"""What the doctor says of the database: schema, settings of the engine, layout, disk."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from opentill.services.doctor_engine import (
    LITTLE_ROOM,
    NO_ROOM,
    check_disk,
    check_engine,
    check_layout,
    check_schema_version,
)
from opentill.services.findings import Level, Patient
from opentill.storage import layout
from opentill.storage.database import newest_schema_version, open_database
from tests.databases import PostgresCluster, fresh_url, on_both_engines
from tests.doctor.patients import levels, only, patient_of
from tests.world import World, world

# What of Citus's catalogue the doctor reads: its view, filled by hand.
CITUS = """
CREATE TABLE citus_tables (table_name REGCLASS, citus_table_type TEXT, distribution_column TEXT, colocation_id INTEGER)
"""


@pytest.fixture(scope="module")
def durable_server() -> Iterator[PostgresCluster]:
    """A PostgreSQL server as one for real money is set up."""
    server = PostgresCluster(is_durable=True)
    server._more_settings |= {"archive_mode": "on", "archive_command": "/bin/true"}
    try:
        yield server
    finally:
        server.stop()


async def changed(w: World, url: str, statement: str) -> None:
    """Change the database itself, then connect anew."""
    connection = await asyncpg.connect(url)
    try:
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute(statement.format(database=name))
    finally:
        await connection.close()


def served(w: World) -> Path:
    """The world's SQLite file, as `serve` would have made it: nobody else's business."""
    path = Path(w.ground.database_url.removeprefix("sqlite:///"))
    path.chmod(0o600)
    return path


def as_seen_from_here(path: Path) -> str:
    return os.path.relpath(path)


def damage(path: Path) -> None:
    """Let two tables claim the same page of the file."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'stores') "
            "WHERE name = 'exports'"
        )


async def said(patient: Patient) -> str:
    """Everything that the engine's check finds, on connections of its own."""
    database = await open_database(patient.settings.database_url, connections=2)
    try:
        return "\n".join(f"{f.level}: {f.text}" for f in await check_engine(replace(patient, database=database)))
    finally:
        await database.close()


# --- schema


@on_both_engines
async def test_the_schema_of_this_release_is_fine(engine: str) -> None:
    async with world(engine, works=False) as w:
        finding = await only(check_schema_version, patient_of(w))

        assert (finding.level, newest_schema_version() in finding.text) == (Level.OK, True)


@on_both_engines
@pytest.mark.parametrize(("version", "remedy"), [("0001", "data migrate"), ("9999", "newer")])
async def test_another_schema_is_named_with_what_to_do(engine: str, version: str, remedy: str) -> None:
    async with world(engine, works=False) as w:
        await w.change("UPDATE alembic_version SET version_num = $1", version)

        finding = await only(check_schema_version, patient_of(w))

        assert finding.level is Level.FAIL
        assert version in finding.text
        assert remedy in finding.remedy


# --- SQLite


async def test_sqlite_as_serve_opens_it_is_fine() -> None:
    async with world(works=False) as w:
        served(w)

        finding = await only(check_engine, patient_of(w))

        assert finding.level is Level.OK


async def test_sqlite_that_does_not_wait_for_the_disk_is_named() -> None:
    async with world(works=False) as w:
        served(w)
        careless = await open_database(w.ground.database_url, inline=True)
        try:
            finding = await only(check_engine, patient_of(w, database=careless))
        finally:
            await careless.close()

        assert finding.level is Level.FAIL
        assert "power failure" in finding.text


async def test_a_file_that_others_can_read_is_named() -> None:
    async with world(works=False) as w:
        served(w).chmod(0o640)

        finding = await only(check_engine, patient_of(w))

        assert finding.level is Level.WARN


async def test_a_path_that_depends_on_the_folder_is_named() -> None:
    async with world(works=False) as w:
        relative = as_seen_from_here(served(w))

        finding = await only(check_engine, patient_of(w, settings={"database_url": f"sqlite:///{relative}"}))

        assert finding.level is Level.WARN
        assert "depends on where" in finding.text


async def test_a_damaged_file_is_found_when_it_is_read_whole() -> None:
    async with world(works=False) as w:
        damage(served(w))
        reopened = await open_database(w.ground.database_url)
        try:
            patient = patient_of(w, is_whole=True, database=reopened)

            finding = await only(check_engine, patient)
        finally:
            await reopened.close()

        assert finding.level is Level.FAIL
        assert "damaged" in finding.text


# --- PostgreSQL


async def test_a_durable_server_with_an_archive_is_fine(durable_server: PostgresCluster) -> None:
    async with durable_server.database() as url, world(works=False) as w:
        patient = patient_of(w, settings={"database_url": url})
        database = await open_database(url, connections=2)
        try:
            w.clock.advance(int((await database.read("SELECT CAST(extract(epoch FROM now()) * 1000 AS BIGINT) AS ms"))
                                [0]["ms"]) - w.clock.now_ms())  # fmt: skip

            finding = await only(check_engine, replace(patient, database=database))
        finally:
            await database.close()

        assert finding.level is Level.OK


async def test_a_server_that_can_lose_what_it_answered_is_named(durable_server: PostgresCluster) -> None:
    async with durable_server.database() as url, world(works=False) as w:
        await changed(w, url, "ALTER DATABASE {database} SET synchronous_commit = 'off'")

        text = await said(patient_of(w, settings={"database_url": url}))

        assert "fail: synchronous_commit is off" in text


async def test_a_server_of_a_test_is_named_for_all_that_it_leaves_out() -> None:
    async with world("postgresql", works=False) as w:
        text = await said(patient_of(w))

        assert "fail: fsync or full_page_writes is off" in text
        assert "warn: WAL is not archived" in text


async def test_an_archive_that_fails_is_named() -> None:
    server = PostgresCluster(is_durable=True)
    server._more_settings |= {"archive_mode": "on", "archive_command": "/bin/false"}
    try:
        async with server.database() as url, world(works=False) as w:
            await changed(w, url, "CREATE TABLE a (b BIGINT)")
            await changed(w, url, "SELECT pg_switch_wal()")
            text = ""
            async with asyncio.timeout(60):
                # The archiver is a process of the server's own: it has failed when it says so.
                while "archiving WAL" not in text:
                    await asyncio.sleep(0.2)
                    text = await said(patient_of(w, settings={"database_url": url}))

            assert "fail: archiving WAL fails" in text
    finally:
        server.stop()


async def test_a_server_that_only_reads_is_named() -> None:
    async with world("postgresql", works=False) as w:
        await changed(w, w.ground.database_url, "ALTER DATABASE {database} SET default_transaction_read_only = 'on'")

        text = await said(patient_of(w))

        assert "fail: this PostgreSQL server only reads" in text


async def test_a_commit_that_does_not_wait_for_the_standby_is_named() -> None:
    server = PostgresCluster(is_durable=True)
    server._more_settings |= {"synchronous_standby_names": "ANY 1 (one, two)", "synchronous_commit": "local"}
    try:
        async with server.database(is_migrated=False) as url, world(works=False) as w:
            text = await said(patient_of(w, settings={"database_url": url}))

            assert "warn: synchronous_commit is local" in text
    finally:
        server.stop()


async def test_an_encoding_without_chinese_is_named() -> None:
    async with fresh_url("postgresql", is_migrated=False) as url, world(works=False) as w:
        await changed(w, url, "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        other = url.replace(url.split("@/")[1].split("?")[0], "latin")
        try:
            text = await said(patient_of(w, settings={"database_url": other}))
        finally:
            await changed(w, url, "DROP DATABASE latin WITH (FORCE)")

        assert "fail: the database's encoding is LATIN1" in text


async def test_clocks_that_differ_are_named() -> None:
    async with world("postgresql", works=False) as w:
        text = await said(patient_of(w))

        assert "our clock and the database server's are" in text


@pytest.mark.parametrize(
    ("connections", "limit", "expected"),
    [(150, 200, "warn"), (10, 8, "fail"), (10, 200, "")],
)
async def test_connections_that_do_not_fit_are_named(connections: int, limit: int, expected: str) -> None:
    server = PostgresCluster()
    server._more_settings |= {"max_connections": str(limit + 3)}
    try:
        async with server.database(is_migrated=False) as url, world(works=False) as w:
            busy = [await asyncpg.connect(url) for _ in range(50 if limit > 100 else 0)]
            try:
                settings: dict[str, Any] = {"database_url": url, "database_connections": connections}
                text = await said(patient_of(w, settings=settings))
            finally:
                for connection in busy:
                    await connection.close()

            found = [line for line in text.splitlines() if "connections" in line]
            assert [line.partition(":")[0] for line in found] == ([expected] if expected else [])
    finally:
        server.stop()


# --- layout


@on_both_engines
async def test_the_layout_of_a_release_is_fine(engine: str) -> None:
    async with world(engine, works=False) as w:
        finding = await only(check_layout, patient_of(w))

        assert finding.level is Level.OK
        assert "without Citus" in finding.text


@on_both_engines
async def test_a_unique_key_without_the_shard_key_is_named(engine: str) -> None:
    async with world(engine, works=False) as w:
        await w.change("CREATE UNIQUE INDEX by_hand ON orders (channel_trade_no, order_no)")

        finding = await only(check_layout, patient_of(w))

        assert finding.level is Level.FAIL
        assert "by_hand of orders" in finding.text


async def placed_by_citus(w: World) -> None:
    """As after `citus.sql`."""
    await w.change(CITUS)
    for name in layout.order_family():
        await w.change(f"INSERT INTO citus_tables VALUES ('{name}', 'distributed', 'app_id', 1)")
    for name in layout.reference_tables():
        await w.change(f"INSERT INTO citus_tables VALUES ('{name}', 'reference', '<none>', 2)")


async def test_tables_where_citus_should_have_them_are_fine() -> None:
    async with world("postgresql", works=False) as w:
        await placed_by_citus(w)

        finding = await only(check_layout, patient_of(w))

        assert finding.level is Level.OK
        assert "Citus has every table where it belongs" in finding.text


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ("DELETE FROM citus_tables WHERE table_name = 'trades'::REGCLASS", "trades is not distributed by app_id"),
        (
            "UPDATE citus_tables SET distribution_column = 'order_no' WHERE table_name = 'history'::REGCLASS",
            "history is not distributed by app_id",
        ),
        (
            "UPDATE citus_tables SET colocation_id = 7 WHERE table_name = 'refunds'::REGCLASS",
            "refunds is not on the same nodes as orders",
        ),
        (
            "UPDATE citus_tables SET citus_table_type = 'distributed' WHERE table_name = 'apps'::REGCLASS",
            "apps is not a reference table",
        ),
    ],
)
async def test_a_table_that_citus_has_elsewhere_is_named(change: str, objection: str) -> None:
    async with world("postgresql", works=False) as w:
        await placed_by_citus(w)
        await w.change(change)

        finding = await only(check_layout, patient_of(w))

        assert finding.level is Level.FAIL
        assert objection in finding.text
        assert "citus.sql" in finding.remedy


# --- disk


@pytest.mark.parametrize(
    ("free", "level"),
    [(LITTLE_ROOM, Level.OK), (LITTLE_ROOM - 1, Level.WARN), (NO_ROOM, Level.WARN), (NO_ROOM - 1, Level.FAIL)],
)
async def test_little_room_beside_the_file_is_named(free: int, level: Level) -> None:
    async with world(works=False) as w:
        rooms = {str(served(w).parent): free}

        finding = await only(check_disk, patient_of(w, free_bytes=lambda folder: rooms[folder]))

        assert finding.level is level


async def test_of_a_server_the_size_of_the_database_is_told() -> None:
    async with world("postgresql", works=False) as w:
        assert await levels(check_disk, patient_of(w)) == [Level.OK]
