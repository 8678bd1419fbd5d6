"""Open a database by its URL, and compare its schema with the one that this code needs."""

import asyncio
import importlib
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from opentill.storage.engine import (
    ConstraintBroken,
    Database,
    DatabaseOverloaded,
    DatabaseUnavailable,
    OutcomeUnknown,
    Row,
    StatementRefused,
    Step,
    StepFailed,
    Value,
)
from opentill.storage.sqlite import InlineSqliteDatabase, SqliteDatabase

if TYPE_CHECKING:
    from opentill.storage.postgres import PostgresDatabase

__all__ = [
    "ConstraintBroken",
    "Database",
    "DatabaseOverloaded",
    "DatabaseUnavailable",
    "MigrationFailed",
    "OutcomeUnknown",
    "Row",
    "SchemaTooNew",
    "SchemaTooOld",
    "StatementRefused",
    "Step",
    "StepFailed",
    "Value",
    "check_schema",
    "ensure_schema",
    "newest_schema_version",
    "open_database",
    "schema_version",
]

SQLITE_PREFIX = "sqlite:///"
POSTGRES_PREFIX = "postgresql://"
MIGRATIONS = Path(__file__).parent / "migrations" / "versions"

_REVISION = re.compile(r"""^revision(?:: str)? = ["']([^"']+)["']""", re.MULTILINE)
_VERSION_TABLE_EXISTS = {
    "sqlite": "SELECT 1 AS found FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'",
    "postgresql": "SELECT 1 AS found WHERE to_regclass('alembic_version') IS NOT NULL",
}


class SchemaTooNew(Exception):
    """A newer release has migrated this database: this one would not understand it."""


class SchemaTooOld(Exception):
    """The database is empty, or of an older release: it has to be migrated first."""


class MigrationFailed(Exception):
    """The child process that migrates did not succeed; the text is what it said."""


async def open_database(url: str, *, connections: int = 10, inline: bool = False) -> Database:
    """Open `sqlite:///relative.path`, `sqlite:////absolute/path` or `postgresql://…`, and see that it answers.

    `connections`: at most so many to PostgreSQL, and one more that listens. `inline`: SQLite without threads.
    Raises: ValueError (a URL of another kind), DatabaseUnavailable.
    """
    if url.startswith(SQLITE_PREFIX) and len(url) > len(SQLITE_PREFIX):
        path = Path(url.removeprefix(SQLITE_PREFIX))
        return InlineSqliteDatabase(path) if inline else SqliteDatabase(path)
    if not url.startswith(POSTGRES_PREFIX) or inline:
        # The URL itself stays out of the message: it may hold a password.
        raise ValueError(f"a database URL starts with {SQLITE_PREFIX} and a path, or with {POSTGRES_PREFIX}")
    # Its driver takes 3 MB and a while to load, which who uses SQLite need not spend.
    engine = importlib.import_module("opentill.storage.postgres")
    database: PostgresDatabase = engine.PostgresDatabase(url, connections=connections)
    try:
        await database.opened()
    except BaseException:
        await database.close()
        raise
    return database


async def schema_version(database: Database) -> str | None:
    """The revision of the database's schema; None when there is none yet. Raises DatabaseUnavailable."""
    if await database.read_one(_VERSION_TABLE_EXISTS[database.dialect]) is None:
        return None
    row = await database.read_one("SELECT version_num FROM alembic_version")
    return None if row is None else str(row["version_num"])


def newest_schema_version() -> str:
    """The revision that this code needs."""
    return _revisions()[-1]


async def check_schema(database: Database) -> None:
    """Raises: SchemaTooNew, SchemaTooOld, DatabaseUnavailable."""
    found, needed = await schema_version(database), newest_schema_version()
    if found is not None and found not in _revisions():
        raise SchemaTooNew(f"the database has schema {found}, which is newer than this release's {needed}")
    if found != needed:
        raise SchemaTooOld(f"the database has schema {found or 'none'}, but this release needs {needed}")


async def ensure_schema(url: str) -> None:
    """Bring the schema up to date, in a child process (Alembic and SQLAlchemy stay out of this one).

    Raises: SchemaTooNew, MigrationFailed, DatabaseUnavailable, ValueError.
    """
    database = await open_database(url, connections=1)
    try:
        await check_schema(database)
    except SchemaTooOld:
        pass
    else:
        return
    finally:
        await database.close()
    # The URL goes through standard input: arguments can be read by every user of the machine.
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "opentill.storage.migrate", "-",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await child.communicate(url.encode())
    if child.returncode != 0:
        raise MigrationFailed(said.decode(errors="replace").strip())


@cache
def _revisions() -> tuple[str, ...]:
    """All revisions, oldest first: the files are numbered."""
    return tuple(
        match[1]
        for path in sorted(MIGRATIONS.glob("[0-9]*.py"))
        if (match := _REVISION.search(path.read_text(encoding="utf-8")))
    )
