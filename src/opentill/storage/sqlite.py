"""SQLite: one writer thread with group commit, and reader threads (design 7, Unit of work)."""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar, cast

from opentill.storage.engine import (
    ConstraintBroken,
    DatabaseUnavailable,
    OutcomeUnknown,
    Row,
    StatementRefused,
    Step,
    StepFailed,
    Value,
    Wakes,
)
from opentill.storage.threads import ThreadQueue

MAX_WAITING_UNITS = 4096
MAX_WAITING_READS = 4096
MAX_GROUP = 256  # units in one COMMIT: bounds how long the first one waits for the last
READERS = 2  # so that a report does not stand in the way of a request
BUSY_TIMEOUT_MS = 5000  # another process writes (the CLI beside the gateway)
WAL_TRIES = 50
WAL_RETRY_S = 0.05
WRITER_CACHE_KIB = 65_536
READER_CACHE_KIB = 16_384
CACHED_STATEMENTS = 512

# By sequence SQLite binds $-parameters in the order in which they appear, silently wrong for "select $2, $1";
# by name it cannot be.
_NAMES = tuple(str(number) for number in range(1, 1000))

# Primary result codes that concern the database as a whole and not the statement.
_TROUBLE = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOTADB,
}  # fmt: skip

Unit = Sequence[Step]
Rows = list[list[Row]]
Question = tuple[str, Sequence[Value]]
Opened = TypeVar("Opened")


class Writer:
    """The one connection that writes. Used by one thread at a time."""

    def __init__(self, path: Path, *, synchronous: Literal["FULL", "OFF"] = "FULL") -> None:
        self._connection = _connect(path)
        _turn_on_wal(self._connection)
        self._connection.execute(f"PRAGMA synchronous = {synchronous}")
        self._connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")

    def commit(self, units: Sequence[Unit]) -> list[Rows | Exception]:
        """Do `units` in one transaction, each for itself: one that fails is undone alone. Per unit its answer."""
        try:
            answers = self._together(units)
        except sqlite3.Error as error:
            self._undo()
            return [_unavailable(error) for _ in units]
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            return [answer if isinstance(answer, Exception) else _not_committed(error) for answer in answers]
        return answers

    def read(self, sql: str, args: Sequence[Value]) -> list[Row]:
        """The rows of one SELECT. Raises DatabaseUnavailable."""
        return _read(self._connection, sql, args)

    def close(self) -> None:
        self._connection.close()

    def _together(self, units: Sequence[Unit]) -> list[Rows | Exception]:
        """Begin, and do all units. Raises sqlite3.Error when the whole group is lost.

        Units rarely fail, and a savepoint for each costs as much as the statements inside: only when one failed is
        the group done anew with savepoints.
        """
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        answers: list[Rows | Exception] = []
        for unit in units:
            answers.append(self._unit(unit))
            if isinstance(answers[-1], Exception):
                break
        else:
            return answers
        execute("ROLLBACK")
        execute("BEGIN IMMEDIATE")
        return [self._guarded(unit) for unit in units]

    def _guarded(self, unit: Unit) -> Rows | Exception:
        """Like `_unit`, but one that fails leaves nothing behind."""
        execute = self._connection.execute
        execute("SAVEPOINT unit")
        answer = self._unit(unit)
        if isinstance(answer, Exception):
            execute("ROLLBACK TO unit")
        execute("RELEASE unit")
        return answer

    def _unit(self, unit: Unit) -> Rows | Exception:
        """Raises sqlite3.Error when the whole group is lost."""
        execute = self._connection.execute
        rows: Rows = []
        for index, step in enumerate(unit):
            try:
                cursor = execute(step.sql, dict(zip(_NAMES, step.args, strict=False)))
                returned = cast(list[Row], cursor.fetchall()) if cursor.description is not None else []
            except Exception as error:
                if _is_trouble(error) or not self._connection.in_transaction:
                    raise
                is_rule = isinstance(error, sqlite3.IntegrityError)
                return ConstraintBroken(index, step, str(error)) if is_rule else _refused(step.sql, error)
            count = cursor.rowcount if cursor.description is None else len(returned)
            if step.rows is not None and step.rows != count:
                return StepFailed(index, step, count)
            rows.append(returned)
        return rows

    def _undo(self) -> None:
        # Some errors have ended the transaction already; what cannot be rolled back now is by the next opening.
        with contextlib.suppress(sqlite3.Error):
            self._connection.rollback()


class Reader:
    """A connection that only reads. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = _connect(path)
        self._connection.execute("PRAGMA query_only = ON")
        self._connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")

    def answer(self, questions: Sequence[Question]) -> list[list[Row] | Exception]:
        """Per question the rows of its SELECT."""
        answers: list[list[Row] | Exception] = []
        for sql, args in questions:
            try:
                answers.append(_read(self._connection, sql, args))
            except Exception as error:
                answers.append(error)
        return answers

    def close(self) -> None:
        self._connection.close()


class SqliteDatabase:
    """A `Database` in a file. Threads write and read; the event loop never waits for the disk."""

    dialect: Literal["sqlite"] = "sqlite"

    def __init__(self, path: Path) -> None:
        """Open or create the file; takes some milliseconds. Raises DatabaseUnavailable."""
        self._wakes = Wakes()
        with contextlib.ExitStack() as opened:
            writer = _opened(Writer, path)
            opened.callback(writer.close)
            readers = [_opened(Reader, path) for _ in range(READERS)]
            opened.pop_all()
        self._writes: ThreadQueue[Unit, Rows] = ThreadQueue("writes", limit=MAX_WAITING_UNITS)
        self._reads: ThreadQueue[Question, list[Row]] = ThreadQueue("reads", limit=MAX_WAITING_READS)
        self._writes.employ(writer.commit, writer.close, at_once=MAX_GROUP)
        for reader in readers:
            self._reads.employ(reader.answer, reader.close, at_once=1)

    async def write(self, unit: Unit, *, wakes: Sequence[str] = ()) -> Rows:
        return await self._writes.ask(unit, (lambda: self._wakes.wake(wakes)) if wakes else None)

    async def read(self, sql: str, *args: Value) -> list[Row]:
        return await self._reads.ask((sql, args))

    async def read_one(self, sql: str, *args: Value) -> Row | None:
        rows = await self._reads.ask((sql, args))
        return rows[0] if rows else None

    def wake_event(self, name: str) -> asyncio.Event:
        return self._wakes.event(name)

    async def close(self) -> None:
        await self._writes.close()
        await self._reads.close()


class InlineSqliteDatabase:
    """A `Database` in a file without threads: every call is done when it returns, in the order of the calls.

    For simulations: nothing is interleaved by chance, and the disk is not waited for, so that a power failure
    may lose what was written last.
    """

    dialect: Literal["sqlite"] = "sqlite"

    def __init__(self, path: Path) -> None:
        self._wakes = Wakes()
        self._writer: Writer | None = _opened(lambda path: Writer(path, synchronous="OFF"), path)

    async def write(self, unit: Unit, *, wakes: Sequence[str] = ()) -> Rows:
        (answer,) = self._open_writer().commit([unit])
        if isinstance(answer, Exception):
            raise answer
        self._wakes.wake(wakes)
        return answer

    async def read(self, sql: str, *args: Value) -> list[Row]:
        return self._open_writer().read(sql, args)

    async def read_one(self, sql: str, *args: Value) -> Row | None:
        rows = self._open_writer().read(sql, args)
        return rows[0] if rows else None

    def wake_event(self, name: str) -> asyncio.Event:
        return self._wakes.event(name)

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise DatabaseUnavailable("the database is closed")
        return self._writer


def _opened(open_it: Callable[[Path], Opened], path: Path) -> Opened:
    try:
        return open_it(path)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseUnavailable(f"cannot open {path}: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    # What is not sealed inside is still nobody else's business. -wal and -shm take over the mode of the file.
    # Only a file that is not there yet may be opened beside SQLite: closing any descriptor of a file gives up all the
    # locks that this process holds on it (fcntl(2)), and another process would then remove the -wal that we write to.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_MS / 1000,
        isolation_level=None,
        check_same_thread=False,  # opened by the loop's thread, then used by one other
        cached_statements=CACHED_STATEMENTS,
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _turn_on_wal(connection: sqlite3.Connection) -> None:
    """Waits itself: SQLite's busy timeout does not cover the change of mode."""
    for is_last in (*[False] * (WAL_TRIES - 1), True):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if is_last or not _is_trouble(error):
                raise
            time.sleep(WAL_RETRY_S)
        else:
            return


def _read(connection: sqlite3.Connection, sql: str, args: Sequence[Value]) -> list[Row]:
    try:
        return cast(list[Row], connection.execute(sql, dict(zip(_NAMES, args, strict=False))).fetchall())
    except Exception as error:
        raise (_unavailable(error) if _is_trouble(error) else _refused(sql, error)) from error


def _is_trouble(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _TROUBLE


def _refused(sql: str, error: Exception) -> StatementRefused:
    return StatementRefused(sql, f"{type(error).__name__}: {error}")


def _unavailable(error: Exception) -> DatabaseUnavailable:
    return DatabaseUnavailable(f"SQLite: {error}")


def _not_committed(error: sqlite3.Error) -> DatabaseUnavailable:
    # When the disk fails to say that the commit record is on it, it may be there after a crash all the same.
    is_unknown = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR
    return OutcomeUnknown(f"SQLite: {error}") if is_unknown else _unavailable(error)
