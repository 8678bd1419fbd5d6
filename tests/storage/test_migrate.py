"""The schema is brought up to date by a child process, once, whoever asks and how many at a time."""

import asyncio
import contextlib
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from opentill.storage import database as storage
from opentill.storage import migrate
from opentill.storage.database import (
    Database,
    MigrationFailed,
    SchemaTooNew,
    SchemaTooOld,
    Step,
    check_schema,
    ensure_schema,
    newest_schema_version,
    open_database,
    schema_version,
)
from tests.databases import fresh_database, fresh_url, on_both_engines

TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT CAST(tablename AS TEXT) AS name FROM pg_tables WHERE schemaname = current_schema()",
}
COLUMN_TYPES = {
    "sqlite": "SELECT DISTINCT lower(c.type) AS type FROM sqlite_master AS t JOIN pragma_table_info(t.name) AS c "
    "WHERE t.type = 'table' AND t.name <> 'alembic_version'",
    "postgresql": "SELECT DISTINCT CAST(data_type AS TEXT) AS type FROM information_schema.columns "
    "WHERE table_schema = current_schema() AND table_name <> 'alembic_version'",
}
# Migrations that a later release might bring.
GOOD = """
from alembic import op
revision, down_revision = "9998", "{below}"
def upgrade() -> None:
    op.execute("CREATE TABLE later (a BIGINT)")
    op.execute("INSERT INTO later (a) VALUES (1)")
"""
BAD = """
from alembic import op
revision, down_revision = "9999", "9998"
def upgrade() -> None:
    op.execute("CREATE TABLE half (a BIGINT)")
    op.execute("INSERT INTO nowhere (a) VALUES (1)")
"""


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = await open_database(url)
    try:
        yield database
    finally:
        await database.close()


async def tables(database: Database) -> set[str]:
    return {row["name"] for row in await database.read(TABLES[database.dialect])}


def test_the_newest_version_is_the_head_that_alembic_finds() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.SCRIPTS))
    scripts = ScriptDirectory.from_config(config)

    assert scripts.get_heads() == [newest_schema_version()]
    assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == storage._revisions()


def test_serving_loads_neither_alembic_nor_sqlalchemy() -> None:
    program = (
        "import sys, opentill.storage.database\n"
        "sys.exit(' '.join({name.partition('.')[0] for name in sys.modules} & {'alembic', 'sqlalchemy'}) or 0)"
    )

    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")


@on_both_engines
async def test_an_empty_database_gets_the_newest_schema(engine: str) -> None:
    async with fresh_database(engine, is_migrated=False) as (url, database):
        before = await schema_version(database)

        await ensure_schema(url)

        assert before is None
        assert await schema_version(database) == newest_schema_version()
        await check_schema(database)


@on_both_engines
async def test_a_second_time_changes_nothing(engine: str) -> None:
    async with fresh_database(engine) as (url, database):
        version = Step("UPDATE parties_version SET version = 7", rows=1)
        await database.write([version])

        await ensure_schema(url)
        await asyncio.to_thread(migrate.upgrade, url)

        row = await database.read_one("SELECT version FROM parties_version")
        assert row is not None
        assert row["version"] == 7


@on_both_engines
async def test_three_who_migrate_at_once_all_succeed(engine: str) -> None:
    async with fresh_url(engine, is_migrated=False) as url:
        await asyncio.gather(*(ensure_schema(url) for _ in range(3)))

        async with opened(url) as database:
            await check_schema(database)
            rows = await database.read("SELECT version_num FROM alembic_version")
            assert len(rows) == 1


@on_both_engines
async def test_a_database_of_a_newer_release_is_refused(engine: str) -> None:
    async with fresh_database(engine) as (url, database):
        await database.write([Step("UPDATE alembic_version SET version_num = '9999'", rows=1)])

        with pytest.raises(SchemaTooNew, match="9999"):
            await check_schema(database)
        with pytest.raises(SchemaTooNew, match="9999"):
            await ensure_schema(url)

        assert await schema_version(database) == "9999"


@on_both_engines
async def test_an_empty_database_is_too_old_to_serve(engine: str) -> None:
    async with fresh_database(engine, is_migrated=False) as (_, database):
        with pytest.raises(SchemaTooOld, match="none"):
            await check_schema(database)


@on_both_engines
async def test_a_migration_that_fails_leaves_the_database_as_it_was(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / "100% migrations"
    shutil.copytree(migrate.SCRIPTS, scripts)
    (scripts / "versions" / "9998_good.py").write_text(GOOD.format(below=newest_schema_version()))
    (scripts / "versions" / "9999_bad.py").write_text(BAD)
    monkeypatch.setattr(migrate, "SCRIPTS", scripts)
    async with fresh_database(engine) as (url, database):
        before = await tables(database)

        code = await asyncio.to_thread(migrate.main, [url])

        assert code == 1
        assert await tables(database) == before
        assert await schema_version(database) == newest_schema_version()

        (scripts / "versions" / "9999_bad.py").unlink()
        assert await asyncio.to_thread(migrate.main, [url]) == 0
        assert await tables(database) == before | {"later"}
        assert await schema_version(database) == "9998"


async def test_a_database_that_cannot_be_migrated_says_why(tmp_path: Path) -> None:
    path = tmp_path / "lamps"
    async with opened(f"sqlite:///{path}") as database:
        await database.write([Step("CREATE TABLE orders (a BIGINT)")])

        with pytest.raises(MigrationFailed, match="orders already exists"):
            await ensure_schema(f"sqlite:///{path}")

        assert await tables(database) == {"orders"}


@pytest.mark.parametrize("arguments", [[], ["sqlite:///a", "sqlite:///b"]])
def test_the_command_takes_one_url(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert migrate.main(arguments) == 2
    assert "usage" in capsys.readouterr().err


async def test_a_server_that_is_not_there_is_reported_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    code = await asyncio.to_thread(migrate.main, ["postgresql://till:password@/nothing?host=/nowhere"])

    said = capsys.readouterr().err
    assert code == 1
    assert said.startswith("cannot migrate: ")
    assert "password" not in said


@on_both_engines
async def test_every_column_is_an_integer_a_text_or_bytes(engine: str) -> None:
    async with fresh_database(engine) as (_, database):
        rows = await database.read(COLUMN_TYPES[engine])

        assert {row["type"] for row in rows} <= {"bigint", "text", "bytea"}
        assert rows
