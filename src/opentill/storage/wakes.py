"""Wakes between the processes that share a PostgreSQL database, by LISTEN and NOTIFY over one connection of their own.

NOTIFY in the transaction of the move would be exact, but PostgreSQL holds one lock of the whole server from there
until the commit is on the disk, so that commits happen one after the other: with 3 ms per commit and 64 at a time
2,160 orders/s became 260. So names are said after the commit, together, and a crash in between loses a wake.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Iterable

from opentill.base import logs
from opentill.storage.engine import DatabaseUnavailable, Wakes
from opentill.storage.sessions import (
    CONNECT_TIMEOUT_S,
    FAILURES,
    SHORT_TIMEOUT_S,
    Connection,
    Session,
    close_quietly,
    connect,
)

CHANNEL = "opentill"
PACE_S = 0.02  # at most one round of names in this time
PROBE_S = 30.0  # how often the connection is asked whether it lives, when nothing is said
FIRST_BACKOFF_S = 0.1
MAX_BACKOFF_S = 5.0

_log = logs.logger("database")


class SharedWakes:
    """The wake events of this process. Needs a running event loop; connects by itself, again and again."""

    def __init__(self, url: str) -> None:
        self._events = Wakes()
        self._unsaid: dict[str, None] = {}  # a set in order of arrival
        # Marks what this process says: it has woken itself already when it hears it.
        self._sender = secrets.token_hex(8)
        self._stirred = asyncio.Event()
        self._listening = asyncio.Event()
        self._closing = asyncio.Event()
        self._task = asyncio.create_task(self._stay_connected(url))

    async def opened(self) -> None:
        """Wait until this process listens for the first time. Raises DatabaseUnavailable."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._listening.wait()
        except TimeoutError:
            raise DatabaseUnavailable("PostgreSQL does not let this process listen") from None

    def event(self, name: str) -> asyncio.Event:
        return self._events.event(name)

    def wake(self, names: Iterable[str]) -> None:
        """Wake this process at once and the others soon."""
        self._events.wake(names)
        self._unsaid.update(dict.fromkeys(names))
        self._stirred.set()

    async def close(self) -> None:
        """Say what is unsaid, if the server listens, and hang up."""
        self._closing.set()
        self._stirred.set()
        await asyncio.wait({self._task}, timeout=SHORT_TIMEOUT_S)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _stay_connected(self, url: str) -> None:
        loop = asyncio.get_running_loop()
        backoff_s = FIRST_BACKOFF_S
        while not self._closing.is_set():
            started_s = loop.time()
            try:
                await self._talk(await connect(url))
            except (DatabaseUnavailable, *FAILURES) as error:
                _log.warning("wakes of other processes are not heard", reason=f"{type(error).__name__}: {error}")
            if loop.time() - started_s > MAX_BACKOFF_S:
                backoff_s = FIRST_BACKOFF_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(backoff_s):
                    await self._closing.wait()
            backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)

    async def _talk(self, connection: Connection) -> None:
        """Listen and say until we are closing. Raises FAILURES when the connection is lost."""
        session = Session(connection)
        connection.add_termination_listener(lambda _: self._stirred.set())
        try:
            await connection.execute("SET synchronous_commit = off")  # a wake need not survive a power failure
            await connection.add_listener(CHANNEL, self._hear)
            self._listening.set()
            self._events.wake_all()  # nobody listened until now
            while not self._closing.is_set():
                await self._say(session)
                await self._wait()
            await self._say(session)
            await close_quietly(connection)
        finally:
            connection.terminate()

    async def _wait(self) -> None:
        """Until something is to be said, the connection is lost, we are closing, or it is time to ask if it lives."""
        if not self._closing.is_set():
            await asyncio.sleep(PACE_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PROBE_S):
                await self._stirred.wait()
        self._stirred.clear()

    async def _say(self, session: Session) -> None:
        """Say what is unsaid; without anything to say, only ask whether the connection lives."""
        names = list(self._unsaid)
        async with asyncio.timeout(SHORT_TIMEOUT_S):
            if not names:
                await session.run("SELECT 1 AS answer", ())
            for name in names:
                # Forgotten before it is said: a wake that comes meanwhile is said again.
                del self._unsaid[name]
                try:
                    await session.run("SELECT pg_notify($1, $2)", (CHANNEL, f"{name}@{self._sender}"))
                except BaseException:
                    self._unsaid[name] = None
                    raise

    def _hear(self, _: object, __: int, ___: str, payload: object) -> None:
        name, _at, sender = str(payload).partition("@")
        if sender != self._sender:
            self._events.wake([name])
