"""Several processes on one socket: a parent holds it, restarts who dies, and on SIGHUP replaces them one by one."""

import asyncio
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from opentill.base.logs import logger

READY_TIMEOUT_S = 30.0
"""How long a new process may take until it answers."""
STOP_TIMEOUT_S = 30.0
"""How long a process may take to finish what it began before it is killed."""
RESTART_WAIT_S = 1.0

_log = logger("supervisor")


@dataclass(frozen=True)
class Role:
    """What one process is for: the arguments of `opentill`, and whether it answers on the socket."""

    arguments: tuple[str, ...]
    serves: bool


class NotStarted(Exception):
    """A process ended before it was ready at the first start; it said why itself."""


@dataclass
class _Child:
    """A process and our end of its lifeline: it says ready there, and stops when our end is gone."""

    process: asyncio.subprocess.Process
    lifeline: socket.socket

    async def ready(self) -> bool:
        loop = asyncio.get_running_loop()
        try:
            return await asyncio.wait_for(loop.sock_recv(self.lifeline, 1), READY_TIMEOUT_S) == b"r"
        except TimeoutError:
            return False

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process.returncode is None:
            self.process.send_signal(number)
        try:
            await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        self.lifeline.close()


class Supervisor:
    """Keeps one process alive per role."""

    def __init__(self, roles: Sequence[Role], *, listener: socket.socket) -> None:
        self._roles = roles
        self._listener = listener
        self._children: list[_Child] = []
        self._stopping = asyncio.Event()
        self._stopped_by = signal.SIGTERM
        self._rolling: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until SIGINT or SIGTERM; SIGHUP replaces every process by a new one without dropping a request.

        Raises: NotStarted.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._start_rolling)
        self._children = [await self._start(role) for role in self._roles]
        if not all(await asyncio.gather(*(child.ready() for child in self._children))):
            await self._stop_all()
            raise NotStarted
        keeping = [asyncio.create_task(self._keep(place)) for place in range(len(self._roles))]
        await self._stopping.wait()
        for task in (*keeping, self._rolling):
            if task is not None:
                task.cancel()
        await self._stop_all()

    def _stop(self, number: signal.Signals) -> None:
        self._stopped_by = number
        self._stopping.set()

    async def _stop_all(self) -> None:
        await asyncio.gather(*(child.stop(self._stopped_by) for child in self._children))

    async def _keep(self, place: int) -> None:
        """Start a process anew when it ends without having been asked to."""
        while True:
            child = self._children[place]
            await child.process.wait()
            if child is not self._children[place]:
                continue  # it was replaced
            _log.error("process died", role=self._roles[place].arguments[0], exit_code=child.process.returncode)
            child.lifeline.close()
            await asyncio.sleep(RESTART_WAIT_S)
            self._children[place] = await self._start(self._roles[place])

    def _start_rolling(self) -> None:
        if self._rolling is None or self._rolling.done():
            self._rolling = asyncio.create_task(self._roll())

    async def _roll(self) -> None:
        """One at a time, so that the others carry the load; a new process that does not get ready is given up."""
        for place, role in enumerate(self._roles):
            new = await self._start(role)
            if not await new.ready():
                _log.error("new process not ready, the old ones stay", role=role.arguments[0])
                await new.stop()
                return
            old, self._children[place] = self._children[place], new
            await old.stop()

    async def _start(self, role: Role) -> _Child:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        arguments = ["-m", "opentill.cli.main", *role.arguments, "--lifeline-fd", str(theirs.fileno())]
        # Who holds the socket keeps its port: a worker that outlives us must not stand in the next one's way.
        inherited = (theirs.fileno(), self._listener.fileno()) if role.serves else (theirs.fileno(),)
        # A session of its own: Ctrl-C reaches the parent alone, which then stops the others in order.
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, pass_fds=inherited, start_new_session=True
        )
        theirs.close()
        return _Child(process, ours)
