"""Copies of a SQLite database: made while it is in use, checked, and brought back in one transaction."""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

PAGES_AT_ONCE = 1_000
"""4 MiB. Between two steps writers go on; what they change meanwhile is copied again by SQLite."""
WAIT_S = 5.0


class CopyProblem(Exception):
    """A copy could not be made or brought back. Nothing was changed."""


def back_up(database: Path, target: Path, *, say: Callable[[int], None] = lambda _: None) -> None:
    """Write a consistent, checked copy of `database` to the new file `target` (0600). The gateway may go on meanwhile.

    `say` hears how many per cent are done. `target` appears only when it is whole and on the disk.
    Raises: CopyProblem.
    """
    if target.exists():
        raise CopyProblem(f"{target} exists already")
    partial = target.with_name(f".{target.name}.partial")
    with _problems(f"{database} was not copied"):
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            with _opened(database, "rw") as source, _opened(partial, "rw") as copy:
                source.backup(copy, pages=PAGES_AT_ONCE, progress=_percent(say))
                # One file without companions: this is what people carry elsewhere.
                copy.execute("PRAGMA journal_mode = DELETE")
                _check(copy)
            _sync(partial)
            partial.rename(target)
            _sync(target.parent)
        finally:
            partial.unlink(missing_ok=True)


def restore(copy: Path, database: Path, *, say: Callable[[int], None] = lambda _: None) -> Path | None:
    """Put `copy` in the place of `database`, which nobody may have open. Returns where what was there is kept now.

    None: there was nothing. Raises: CopyProblem.
    """
    with _problems(f"{copy} was not brought back"):
        with _opened(copy, "ro") as source:
            _check(source)
        kept = _set_aside(database) if database.exists() else None
        os.close(os.open(database, os.O_CREAT | os.O_RDWR, 0o600))
        with _opened(copy, "ro") as source, _opened(database, "rw") as target:
            source.backup(target, progress=_percent(say))
            target.execute("PRAGMA journal_mode = WAL")
        _sync(database)
    return kept


def _set_aside(database: Path) -> Path:
    """Keep a copy of what is there. An exclusive lock tells whether anybody has it open: they hold a shared one."""
    with _opened(database, "rw", wait_s=0) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        try:
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise CopyProblem(f"{database} is in use: stop the gateway first") from error
    number = 1
    while (kept := database.with_name(f"{database.name}.before-{number}")).exists():
        number += 1
    back_up(database, kept)
    return kept


def _check(connection: sqlite3.Connection) -> None:
    said = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
    if said != ["ok"]:
        raise CopyProblem(f"the copy is damaged: {'; '.join(said)}")
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone() is None:
        raise CopyProblem("it is not a database of this gateway")


def _percent(say: Callable[[int], None]) -> Callable[[int, int, int], None]:
    def progress(_: int, remaining: int, total: int) -> None:
        say(100 - 100 * remaining // total if total else 100)

    return progress


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened(path: Path, mode: str, *, wait_s: float = WAIT_S) -> Iterator[sqlite3.Connection]:
    uri = f"{path.resolve().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=wait_s, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def _problems(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise CopyProblem(f"{what}: {error}") from error
