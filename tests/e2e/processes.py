"""`opentill` as a person starts it: a process of its own, killed when the test ends."""

import asyncio
import os
import re
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from opentill.base.clock import real_now_ms
from tests.clients import Till

START_S = 60.0
"""Generous sanity for a start on a busy machine; how long it takes is printed."""
STOP_S = 60.0

_URL = re.compile(r"https?://[\d.]+:\d+")


@dataclass
class Process:
    """A running `opentill`. `greeting`: what it printed until it served."""

    child: asyncio.subprocess.Process
    base_url: str
    greeting: str
    started_in_s: float
    http: aiohttp.ClientSession

    @property
    def till(self) -> Till:
        """The public test integrator, by the real clock."""
        return Till(self.http, self.base_url, real_now_ms)

    async def get(self, path: str) -> tuple[int, str]:
        async with self.http.get(self.base_url + path) as reply:
            return reply.status, await reply.text()

    async def post(self, path: str, **values: object) -> tuple[int, str]:
        async with self.http.post(self.base_url + path, json=values) as reply:
            return reply.status, await reply.text()

    async def interrupt(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Ask it to stop; its exit code and what it still printed."""
        self.child.send_signal(number)
        assert self.child.stdout is not None
        rest = await asyncio.wait_for(self.child.stdout.read(), STOP_S)
        return await asyncio.wait_for(self.child.wait(), STOP_S), rest.decode()

    async def kill(self) -> None:
        """kill -9."""
        self.child.kill()
        await self.child.wait()


@asynccontextmanager
async def sandbox(data: Path, *more: str, port: int = 0) -> AsyncIterator[Process]:
    """`opentill sandbox` on `data`, serving. By https only its own certificate is trusted."""
    async with _greeting("sandbox", "--port", str(port), "--data", str(data), *more, data=data) as process:
        yield process


@asynccontextmanager
async def twin(data: Path, *more: str, port: int = 0) -> AsyncIterator[Process]:
    """`opentill twin` on `data`, serving."""
    arguments = ("twin", "--port", str(port), "--data", str(data), *more)
    async with _greeting(*arguments, data=data, healthy="/twin/api/clock") as process:
        yield process


@asynccontextmanager
async def _greeting(*arguments: str, data: Path, healthy: str = "/healthz") -> AsyncIterator[Process]:
    """A process that tells its address, once it answers there."""
    started = time.monotonic()
    child = await _start(*arguments)
    try:
        greeting = await asyncio.wait_for(_read_until(child, "Ctrl-C"), START_S)
        found = _URL.search(greeting)
        assert found, greeting
        is_https = found[0].startswith("https:")
        trust = ssl.create_default_context(cafile=data / "tls.pem") if is_https else True
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as http:
            process = Process(child, found[0], greeting, 0.0, http)
            await asyncio.wait_for(_until_healthy(process, healthy), START_S)
            process.started_in_s = time.monotonic() - started
            print(f"\nopentill {arguments[0]} answered after {process.started_in_s:.2f} s")
            yield process
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def run(*arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run `opentill` to its end; exit code and everything it printed."""
    child = await _start(*arguments, environment=environment)
    try:
        said, _ = await asyncio.wait_for(child.communicate(), START_S)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode is not None
    return child.returncode, said.decode()


@asynccontextmanager
async def serving(*arguments: str, base_url: str, environment: Mapping[str, str]) -> AsyncIterator[Process]:
    """`opentill serve`, answering at `base_url`."""
    child = await _start("serve", *arguments, environment=environment)
    async with aiohttp.ClientSession() as http:
        process = Process(child, base_url, "", 0.0, http)
        try:
            await asyncio.wait_for(_until_healthy(process), START_S)
            yield process
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()


async def bash(script: str) -> str:
    """What a shell prints for the pasted lines."""
    child = await asyncio.create_subprocess_exec(
        "bash", "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(child.communicate(), START_S)
    return said.decode()


async def _start(*arguments: str, environment: Mapping[str, str] | None = None) -> asyncio.subprocess.Process:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENTILL_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "opentill.cli.main",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**kept, "PYTHONUNBUFFERED": "1", "COLUMNS": "200", **(environment or {})},
    )


async def _read_until(child: asyncio.subprocess.Process, mark: str) -> str:
    assert child.stdout is not None
    said = ""
    while mark not in said:
        line = await child.stdout.readline()
        assert line, f"it ended early:\n{said}"
        said += line.decode()
    return said


async def _until_healthy(process: Process, path: str = "/healthz") -> None:
    while True:
        try:
            if (await process.get(path))[0] == 200:
                return
        except aiohttp.ClientConnectionError:
            assert process.child.returncode is None, "it ended early"
        await asyncio.sleep(0.02)
