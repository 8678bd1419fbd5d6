"""PostgreSQL: one unit is one transaction (design 7). READ COMMITTED is enough: every move names its old state."""

import asyncio
import contextlib
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Literal, TypeVar, cast

import asyncpg

from opentill.base import logs
from opentill.storage.engine import (
    ConstraintBroken,
    DatabaseUnavailable,
    OutcomeUnknown,
    Row,
    Step,
    StepFailed,
    Value,
    Wakes,
)
from opentill.storage.sessions import FAILURES, Connection, Session, Sessions, close_quietly, connect

TRIES = 5  # of a unit or read that met another transaction or a dead connection
MAX_PAUSE_S = 0.02  # before a unit that met another one is tried again, times the tries so far
CHANNEL = "opentill"  # of LISTEN and NOTIFY
PROBE_S = 30.0  # how often the listening connection is asked whether it lives
PROBE_TIMEOUT_S = 5.0
FIRST_BACKOFF_S = 0.1
MAX_BACKOFF_S = 5.0

_log = logs.logger("database")


class Verdict(Enum):
    """What an error says. But for SILENCE while a commit was under way, it always says that nothing was done."""

    WRONG = "the statement is wrong: no other try helps"
    RULE = "a rule of the schema forbids it"
    CLASH = "it met another transaction: try again"
    MOVED = "the server answers, but this connection is of no use any more: try on another one"
    SILENCE = "no answer, and the connection is lost: try on another one"
    CANNOT = "the server cannot now"


# SQLSTATE classes and codes: PostgreSQL manual, appendix A.
VERDICTS = {
    "08": Verdict.SILENCE,  # connection failures: asyncpg's own, not the server's words
    "23": Verdict.RULE,  # integrity constraint
    "40": Verdict.CLASH,  # serialization failure, deadlock
    "53": Verdict.CANNOT,  # disk full, out of memory
    "57": Verdict.MOVED,  # shutting down, starting up, terminated by an administrator
    "58": Verdict.CANNOT,  # input or output failed
    "25006": Verdict.MOVED,  # read-only: after a failover this is the wrong server
    "25P03": Verdict.MOVED,  # idle in transaction for too long
    "55P03": Verdict.CANNOT,  # waited too long for a lock
    "57014": Verdict.CANNOT,  # took too long
}
Result = TypeVar("Result")


class _TryAgain(Exception):
    """Nothing was done, and another try may help."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict


class PostgresDatabase:
    """A `Database` on a PostgreSQL server, which any number of processes share."""

    dialect: Literal["postgresql"] = "postgresql"

    def __init__(self, url: str, *, connections: int) -> None:
        """At most `connections`, opened when needed, and one more that listens."""
        self._sessions = Sessions(url, limit=connections)
        self._wakes = Wakes()
        # Marks what this process says: it has woken itself already when it hears it.
        self._sender = secrets.token_hex(8)
        self._is_closing = False
        self._stirred = asyncio.Event()
        self._listener = asyncio.create_task(self._listen(url))

    async def write(self, unit: Sequence[Step], *, wakes: Sequence[str] = ()) -> list[list[Row]]:
        if len(unit) == 1 and unit[0].rows is None and not wakes:
            rows = await self._repeat(lambda session: _alone(session, unit[0]))
        else:
            # One message, so that a wake costs no round trip. The names are ours, not input.
            ending = "".join(f"SELECT pg_notify('{CHANNEL}', '{name}@{self._sender}');" for name in wakes) + "COMMIT"
            rows = await self._repeat(lambda session: _transaction(session, unit, ending))
        self._wakes.wake(wakes)
        return cast(list[list[Row]], rows)

    async def read(self, sql: str, *args: Value) -> list[Row]:
        return cast(list[Row], await self._repeat(lambda session: _read(session, sql, args)))

    async def read_one(self, sql: str, *args: Value) -> Row | None:
        rows = await self.read(sql, *args)
        return rows[0] if rows else None

    def wake_event(self, name: str) -> asyncio.Event:
        return self._wakes.event(name)

    async def close(self) -> None:
        self._is_closing = True
        self._stirred.set()
        await self._listener
        await self._sessions.close()

    async def _repeat(self, work: Callable[[Session], Awaitable[Result]]) -> Result:
        tries = 0
        while True:
            tries += 1
            session = await self._sessions.take()
            session.is_sound = False
            try:
                result = await work(session)
                session.is_sound = True
                return result
            except _TryAgain as error:
                if error.verdict is not Verdict.CLASH:
                    self._sessions.drop_idle()
                if tries == TRIES:
                    raise DatabaseUnavailable(str(error)) from error
                pause_s = random.uniform(0, MAX_PAUSE_S) * tries if error.verdict is Verdict.CLASH else 0  # noqa: S311
            finally:
                self._sessions.give_back(session)
            await asyncio.sleep(pause_s)

    async def _listen(self, url: str) -> None:
        """Hear the wakes of other processes until closed, over one connection after the other."""
        backoff_s = FIRST_BACKOFF_S
        while not self._is_closing:
            try:
                connection = await connect(url)
            except DatabaseUnavailable as error:
                _log.warning("listen_failed", reason=str(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stirred.wait(), backoff_s)
                backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)
            else:
                backoff_s = FIRST_BACKOFF_S
                await self._hear(connection)

    async def _hear(self, connection: Connection) -> None:
        """Listen until the connection is lost or the database is closed."""
        self._stirred.clear()
        connection.add_termination_listener(lambda _: self._stirred.set())
        try:
            await connection.add_listener(CHANNEL, self._heard)
            self._wakes.wake_all()  # nobody listened until now
            while not self._is_closing:
                await connection.fetchval("SELECT 1", timeout=PROBE_TIMEOUT_S)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stirred.wait(), PROBE_S)
            await close_quietly(connection)
        except FAILURES as error:
            _log.warning("listen_lost", reason=str(error))
        finally:
            connection.terminate()

    def _heard(self, _: object, __: int, ___: str, payload: object) -> None:
        name, _at, sender = str(payload).partition("@")
        if sender != self._sender:
            self._wakes.wake([name])


async def _transaction(session: Session, unit: Sequence[Step], ending: str) -> list[list[asyncpg.Record]]:
    """All steps between BEGIN and COMMIT. Raises like `Database.write`, and _TryAgain."""
    rows: list[list[asyncpg.Record]] = []
    try:
        await session.begin()
        for step in unit:
            returned, count = await session.run(step.sql, step.args)
            if step.rows is not None and step.rows != count:
                await session.undo()
                raise StepFailed(len(rows), step, count)
            rows.append(returned)
    except FAILURES as error:
        raise await _meaning(error, session, len(rows), unit) from error
    await _commit(session, ending, unit)
    return rows


async def _commit(session: Session, ending: str, unit: Sequence[Step]) -> None:
    try:
        await session.connection.execute(ending)
    except FAILURES as error:
        if _verdict(error, session) is Verdict.SILENCE:
            raise OutcomeUnknown(_text(error)) from error
        raise await _meaning(error, session, len(unit) - 1, unit) from error


async def _alone(session: Session, step: Step) -> list[list[asyncpg.Record]]:
    """A step that needs no transaction around it: one round trip instead of three."""
    try:
        rows, _ = await session.run(step.sql, step.args)
    except FAILURES as error:
        if _verdict(error, session) is Verdict.SILENCE:
            raise OutcomeUnknown(_text(error)) from error
        raise await _meaning(error, session, 0, [step]) from error
    return [rows]


async def _read(session: Session, sql: str, args: Sequence[Value]) -> list[asyncpg.Record]:
    try:
        rows, _ = await session.run(sql, args)
    except FAILURES as error:
        raise await _meaning(error, session, 0, [Step(sql)]) from error
    return rows


async def _meaning(error: Exception, session: Session, index: int, unit: Sequence[Step]) -> Exception:
    """Undo what step `index` met this error in; what to raise instead of the error."""
    verdict = _verdict(error, session)
    if verdict in (Verdict.SILENCE, Verdict.MOVED):
        return _TryAgain(verdict, _text(error))
    await session.undo()
    if verdict is Verdict.CLASH:
        return _TryAgain(verdict, _text(error))
    if verdict is Verdict.RULE:
        return ConstraintBroken(index, unit[index], _text(error))
    if verdict is Verdict.CANNOT:
        return DatabaseUnavailable(_text(error))
    return error


def _verdict(error: Exception, session: Session) -> Verdict:
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return Verdict.MOVED  # a migration changed the table under the prepared statement
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return VERDICTS.get(state) or VERDICTS.get(state[:2], Verdict.WRONG)
    if isinstance(error, OSError) or session.connection.is_closed():
        return Verdict.SILENCE
    return Verdict.WRONG


def _text(error: Exception) -> str:
    return f"PostgreSQL: {type(error).__name__}: {error}"
