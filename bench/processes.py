"""Processes of a run: started, waited for, measured by /proc, stopped."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

READY_TIMEOUT_S = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")
_ROOT = Path(__file__).parents[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def running(arguments: Sequence[str], *, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Python with these arguments, once it listens on `port`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": f"{_ROOT / 'src'}:{_ROOT}"},
        stdout=subprocess.DEVNULL,
    )
    try:
        await _listening(port, process)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def cpu_s(pid: int) -> float:
    """User and system time of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def cpu_of_family_s(pids: Sequence[int]) -> float:
    """Of a first process and its living children; those that ended are in the first one's account."""
    total = 0.0
    for place, pid in enumerate(pids):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        total += sum(int(field) for field in fields[11 : 15 if place == 0 else 13]) / _TICKS
    return total


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Something else that signs, as under load: two cores may be one with two threads, and clocks go down."""
    process = subprocess.Popen([sys.executable, "-m", "bench.busy"], cwd=_ROOT)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


async def _listening(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(READY_TIMEOUT_S):
        while True:
            if process.returncode is not None:
                raise RuntimeError("the process ended before it listened")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
