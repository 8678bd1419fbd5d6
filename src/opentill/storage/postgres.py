"""PostgreSQL: one unit is one transaction (design 7). READ COMMITTED is enough: every move names its old state."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Literal, NoReturn, TypeVar, cast

import asyncpg

from opentill.storage.batches import Batches
from opentill.storage.engine import (
    ConstraintBroken,
    DatabaseUnavailable,
    OutcomeUnknown,
    Row,
    StatementRefused,
    Step,
    StepFailed,
    Value,
)
from opentill.storage.sessions import FAILURES, Record, Session, Sessions
from opentill.storage.wakes import SharedWakes

TRIES = 5  # of a unit or read that met another transaction or a dead connection
MAX_PAUSE_S = 0.02  # before a unit that met another one is tried again, times the tries so far


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
        self._batches = Batches(self._at_once)
        self._wakes = SharedWakes(url)

    async def opened(self) -> None:
        """See that the server answers and that wakes are heard. Raises DatabaseUnavailable."""
        await self.read("SELECT 1 AS answer")
        await self._wakes.opened()

    async def write(self, unit: Sequence[Step], *, wakes: Sequence[str] = ()) -> list[list[Row]]:
        if unit and all(step.many for step in unit):
            rows = await self._batches.write(unit)
        else:
            rows = await self._at_once(unit)
        if wakes:
            self._wakes.wake(wakes)
        return rows

    async def read(self, sql: str, *args: Value) -> list[Row]:
        return cast(list[Row], await self._repeat(lambda session: _read(session, sql, args)))

    async def read_one(self, sql: str, *args: Value) -> Row | None:
        rows = await self.read(sql, *args)
        return rows[0] if rows else None

    def wake_event(self, name: str) -> asyncio.Event:
        return self._wakes.event(name)

    async def close(self) -> None:
        await self._batches.close()
        await self._wakes.close()
        await self._sessions.close()

    async def _at_once(self, unit: Sequence[Step]) -> list[list[Row]]:
        # A step that needs no count needs no BEGIN and COMMIT either: one round trip instead of three.
        is_simple = len(unit) == 1 and unit[0].rows is None
        work = _statement if is_simple else _transaction
        return cast(list[list[Row]], await self._repeat(lambda session: work(session, unit)))

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
            except Exception as error:
                if not session.is_sound:
                    self._sessions.drop_idle()  # what ended this connection has ended the others too
                if not isinstance(error, _TryAgain):
                    raise
                if tries == TRIES:
                    raise DatabaseUnavailable(str(error)) from error
                pause_s = random.uniform(0, MAX_PAUSE_S) * tries if error.verdict is Verdict.CLASH else 0  # noqa: S311
            finally:
                self._sessions.give_back(session)
            await asyncio.sleep(pause_s)


async def _transaction(session: Session, unit: Sequence[Step]) -> list[list[Record]]:
    """All steps between BEGIN and COMMIT. Raises like `Database.write`, and _TryAgain."""
    rows: list[list[Record]] = []
    try:
        await session.begin()
        for step in unit:
            returned, count = await session.run(step.sql, step.args)
            if step.rows is not None and step.rows != count:
                await session.undo()
                raise StepFailed(len(rows), step, count)
            rows.append(returned)
    except FAILURES as error:
        await _fail(error, session, len(rows), unit)
    try:
        await session.commit()
    except FAILURES as error:
        await _fail(error, session, len(unit) - 1, unit, is_committing=True)
    return rows


async def _statement(session: Session, unit: Sequence[Step]) -> list[list[Record]]:
    """The one step of `unit`, which commits itself. Raises like `_transaction`."""
    (step,) = unit
    try:
        rows, _ = await session.run(step.sql, step.args)
    except FAILURES as error:
        await _fail(error, session, 0, unit, is_committing=True)
    return [rows]


async def _read(session: Session, sql: str, args: Sequence[Value]) -> list[Record]:
    try:
        rows, _ = await session.run(sql, args)
    except FAILURES as error:
        await _fail(error, session, 0, [Step(sql)])
    return rows


async def _fail(
    error: Exception, session: Session, index: int, unit: Sequence[Step], *, is_committing: bool = False
) -> NoReturn:
    """Undo what was done, and raise what it means that step `index`, or the commit, met `error`."""
    verdict = _verdict(error, session)
    if verdict is Verdict.SILENCE:
        if is_committing:
            raise OutcomeUnknown(_text(error)) from error
        if isinstance(error, TimeoutError):
            raise DatabaseUnavailable(_text(error)) from error  # who asked has waited long enough
    if verdict in (Verdict.SILENCE, Verdict.MOVED):
        raise _TryAgain(verdict, _text(error)) from error
    await session.undo()
    if verdict is Verdict.CLASH:
        raise _TryAgain(verdict, _text(error)) from error
    if verdict is Verdict.RULE:
        raise ConstraintBroken(index, unit[index], _text(error)) from None  # it quotes the row
    if verdict is Verdict.CANNOT:
        raise DatabaseUnavailable(_text(error)) from error
    raise StatementRefused(unit[index].sql, _text(error)) from None  # it quotes the arguments


def _verdict(error: Exception, session: Session) -> Verdict:
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return Verdict.MOVED  # a migration changed the table under the prepared statement
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return VERDICTS.get(state) or VERDICTS.get(state[:2], Verdict.WRONG)
    if isinstance(error, OSError | asyncpg.InternalClientError) or session.connection.is_closed():
        return Verdict.SILENCE
    return Verdict.WRONG


def _text(error: Exception) -> str:
    """What happened, without the rows and arguments that PostgreSQL and asyncpg quote."""
    said: object = error
    if isinstance(error, asyncpg.DataError):
        said = error.__cause__ or "invalid value"
    elif isinstance(error, asyncpg.PostgresError):
        said = error.args[0] if error.args else ""  # str() would add the detail
    return f"PostgreSQL: {type(error).__name__}: {said}"
