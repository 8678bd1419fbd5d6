"""Programs that are started, killed at any instant and started again at the same place."""

import asyncio
import itertools
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import aiohttp

START_S = 60.0
"""After this a start has failed; how long it takes is measured."""
STOP_S = 40.0
LOOK_EVERY_S = 0.01
PORTS = range(20_000, 32_000)
PORTS_PER_RUNNER = 1_000
STILL_HELD_S = 0.1
"""Wait before the next try when the predecessor's processes still hold the socket."""


class NotRunning(Exception):
    """A program ended by itself, or did not answer; the text is the end of what it said."""


def free_ports(count: int) -> list[int]:
    """So many ports that nobody listens on, outside the range that connections take theirs from.

    Until its program listens a port looks free to everybody, so none is given twice: runners of one test run have ports
    of their own, and each goes round its own.
    """
    found: list[int] = []
    while len(found) < count:
        port = next(_OWN_PORTS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
    return found


def _own_ports() -> Iterator[int]:
    runner = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % (len(PORTS) // PORTS_PER_RUNNER)
    own = PORTS[runner * PORTS_PER_RUNNER : (runner + 1) * PORTS_PER_RUNNER]
    first = random.randrange(PORTS_PER_RUNNER)  # another run on this machine begins elsewhere
    return itertools.cycle([*own[first:], *own[:first]])


_OWN_PORTS = _own_ports()


class Program:
    """`python -m <module> <arguments>`; with `healthy`, a URL, it runs once that answers 200."""

    def __init__(
        self, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str], healthy: str = ""
    ) -> None:
        self.name = name
        self.command = list(command)
        self.healthy = healthy
        self._environment = dict(environment)
        self._log = log
        self._child: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.returncode is None

    def change(self, command: Sequence[str]) -> None:
        """What the next start runs."""
        self.command = list(command)

    async def start(self, http: aiohttp.ClientSession) -> float:
        """Seconds from the start of the process to its first answer. Raises NotRunning."""
        began = time.monotonic()
        while not await self._start_once(http, began):  # noqa: ASYNC110 - the predecessor sets no event here
            await asyncio.sleep(STILL_HELD_S)
        return time.monotonic() - began

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self._child is not None:
            if self.is_running:
                self._child.kill()
            await self._child.wait()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; its exit code. Raises TimeoutError."""
        assert self._child is not None
        if self.is_running:
            self._child.send_signal(number)
        return await asyncio.wait_for(self._child.wait(), STOP_S)

    async def ended(self) -> int:
        """Wait for its end; its exit code. Raises TimeoutError."""
        assert self._child is not None
        return await asyncio.wait_for(self._child.wait(), START_S)

    async def freeze(self, seconds: float) -> None:
        """It stands still for a while, with all its connections open."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def children(self) -> list[int]:
        """Processes it has started, oldest first."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def rss_kib(self) -> int:
        """Resident memory of it and its children, KiB."""
        return sum(_rss_kib(pid) for pid in (self.pid, *self.children()))

    async def _start_once(self, http: aiohttp.ClientSession, began: float) -> bool:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENTILL_")}
        with self._log.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                # It must not outlive us, however we end.
                "setpriv", "--pdeathsig", "KILL", sys.executable, "-m", *self.command,
                stdout=log, stderr=log, stdin=asyncio.subprocess.DEVNULL,
                env={**kept, "PYTHONUNBUFFERED": "1", **self._environment}, start_new_session=True,
            )  # fmt: skip
        while time.monotonic() - began < START_S:
            if not self.is_running:
                if "Address already in use" in self._said():
                    return False
                raise NotRunning(f"{self.name} ended with {self._child.returncode}:\n{self._said()}")
            if not self.healthy or await _answers(http, self.healthy):
                return True
            await asyncio.sleep(LOOK_EVERY_S)
        raise NotRunning(f"{self.name} did not answer within {START_S:.0f} s:\n{self._said()}")

    def _said(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url, timeout=aiohttp.ClientTimeout(total=5)) as reply:
            return reply.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


def _rss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0
