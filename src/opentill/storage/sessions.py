"""PostgreSQL connections of one process: opened, shared, prepared, and thrown away at the first doubt.

asyncpg's own pool resets the session on every release, which takes longer than most of our statements (design 7).
Nothing here changes a session's state beyond a transaction, so there is nothing to reset.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TypeAlias

import asyncpg

from opentill.storage.engine import Argument, DatabaseOverloaded, DatabaseUnavailable

MAX_WAITING = 1024  # units and reads that wait for a connection
MAX_WAIT_S = 5.0
CONNECT_TIMEOUT_S = 5.0
STATEMENT_TIMEOUT_MS = 15_000  # the server gives up, and says so
LOCK_TIMEOUT_MS = 5_000
REPLY_TIMEOUT_S = 20.0  # the server, or the network to it, says nothing any more
SHORT_TIMEOUT_S = 5.0  # BEGIN, ROLLBACK, goodbye
MAX_STATEMENTS = 500  # prepared ones per connection; our statements are constants, fewer than this

# Every statement here wants few rows, which an index leads to. PostgreSQL keeps a plan that was made while the tables
# were empty, when reading a whole table seemed to be as good (decision 12).
PLANNING = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off"}

# TimeoutError is an OSError. InternalClientError is also what asyncpg raises on a connection that the server has ended.
FAILURES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
Record = asyncpg.Record
# Generic for the type checker alone.
Connection: TypeAlias = "asyncpg.Connection[Record]"
Prepared: TypeAlias = "asyncpg.prepared_stmt.PreparedStatement[Record]"


class Session:
    """One connection and the statements prepared on it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.is_sound = True  # no transaction open, no answer outstanding
        self._prepared: dict[str, Prepared] = {}

    async def run(self, sql: str, args: Sequence[Argument]) -> tuple[list[Record], int]:
        """The rows that the statement returned, and how many it met. Raises what asyncpg raises."""
        statement = self._prepared.get(sql)
        if statement is None:
            statement = await self._prepare(sql)
        rows = await statement.fetch(*args)
        # The status ends in the count: "UPDATE 1", "INSERT 0 1", "SELECT 3".
        count = (statement.get_statusmsg() or "").rpartition(" ")[2]
        return rows, int(count) if count.isdigit() else 0

    async def begin(self) -> None:
        await self.connection.execute("BEGIN", timeout=SHORT_TIMEOUT_S)

    async def commit(self) -> None:
        await self.connection.execute("COMMIT")

    async def undo(self) -> None:
        """Roll back; if that fails too, the session stays unsound, and the server rolls back when we hang up."""
        with contextlib.suppress(*FAILURES):
            await self.connection.execute("ROLLBACK", timeout=SHORT_TIMEOUT_S)
            self.is_sound = True

    async def _prepare(self, sql: str) -> Prepared:
        if len(self._prepared) >= MAX_STATEMENTS:
            self._prepared.pop(next(iter(self._prepared)))  # the oldest
        statement = self._prepared[sql] = await self.connection.prepare(sql)
        return statement


class Sessions:
    """At most `limit` connections to `url`, opened when needed."""

    def __init__(self, url: str, *, limit: int) -> None:
        self._url = url
        self._limit = limit
        self._places = asyncio.Semaphore(limit)
        self._waiting = 0
        self._idle: list[Session] = []
        self._is_closed = False

    async def take(self) -> Session:
        """A connection for the caller alone, to be given back. Raises DatabaseUnavailable, DatabaseOverloaded."""
        if self._is_closed:
            raise DatabaseUnavailable("the database is closed")
        if self._places.locked():
            await self._wait_for_place()
        else:
            await self._places.acquire()
        while self._idle:
            session = self._idle.pop()  # the one used last: its memory is warm, and the others may rest
            if not session.connection.is_closed():
                return session
        try:
            return Session(await connect(self._url))
        except BaseException:
            self._places.release()
            raise

    def give_back(self, session: Session) -> None:
        """Return it. One that is not sound is thrown away."""
        if session.is_sound and not session.connection.is_closed():
            self._idle.append(session)
        else:
            session.connection.terminate()
        self._places.release()

    def drop_idle(self) -> None:
        """Throw away what is idle: after a failover it leads to the wrong server."""
        while self._idle:
            self._idle.pop().connection.terminate()

    async def close(self) -> None:
        """Let those who have or wait for a connection finish, then close all."""
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                for _ in range(self._limit):
                    await self._places.acquire()
        await asyncio.gather(*(close_quietly(session.connection) for session in self._idle))
        self._idle.clear()

    async def _wait_for_place(self) -> None:
        if self._waiting >= MAX_WAITING:
            raise DatabaseOverloaded(f"{MAX_WAITING} are waiting for a connection")
        self._waiting += 1
        try:
            async with asyncio.timeout(MAX_WAIT_S):
                await self._places.acquire()
        except TimeoutError:
            raise DatabaseOverloaded(f"no connection became free in {MAX_WAIT_S} s") from None
        finally:
            self._waiting -= 1


async def connect(url: str) -> Connection:
    """A new connection. Raises DatabaseUnavailable."""
    try:
        connection = await asyncpg.connect(
            url,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=REPLY_TIMEOUT_S,
            server_settings={
                "application_name": "opentill",
                "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                "lock_timeout": str(LOCK_TIMEOUT_MS),
                "default_transaction_isolation": "read committed",
                **PLANNING,
            },
        )
    except FAILURES as error:
        raise DatabaseUnavailable(f"cannot connect to PostgreSQL: {type(error).__name__}: {error}") from error
    try:
        # sum(bigint) is numeric there; here every number is an integer.
        await connection.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=int, format="text")
    except BaseException:
        connection.terminate()
        raise
    return connection


async def close_quietly(connection: Connection) -> None:
    """Say goodbye, or just hang up if nobody answers."""
    with contextlib.suppress(*FAILURES):
        await connection.close(timeout=SHORT_TIMEOUT_S)
