"""Third-party SDKs as judges. They live in environments of their own, apart from the project's dependencies.

`make test` and `make oracles` install the small ones in `.venv-oracles`. Only `make oracles` installs the official
Alipay SDK, in `.venv-oracles/official`: it is big, and its package has the name of another one.
"""

import asyncio
import json
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import pytest

_HERE = Path(__file__).parent
_ENVIRONMENT = _HERE.parents[1] / ".venv-oracles"
SMALL = _ENVIRONMENT / "bin" / "python"
OFFICIAL = _ENVIRONMENT / "official" / "bin" / "python"
LONGEST_ANSWER_S = 20.0

needs_official = pytest.mark.skipif(not OFFICIAL.exists(), reason="no official Alipay SDK here: make oracles")


class Refused(Exception):
    """The SDK raised; the text is its own."""


class Oracle:
    """One opened SDK."""

    def __init__(self, process: "_Process", shop: int) -> None:
        self._process = process
        self._shop = shop

    async def call(self, method: str, /, **values: Any) -> Any:
        """What the SDK's method returned. Raises Refused."""
        return await self._process.ask({"shop": self._shop, "call": method, "values": values})


@asynccontextmanager
async def opened(sdk: str, url: str, **values: Any) -> AsyncIterator[Oracle]:
    """An SDK pointed at `url`; `sdk` is one of those in `shop.py`. Raises Refused."""
    process = _process(OFFICIAL if sdk == "official alipay" else SMALL)
    shop = await process.ask({"open": sdk, "url": url, "values": values})
    try:
        yield Oracle(process, shop)
    finally:
        await process.ask({"close": shop})


class _Process:
    """`shop.py` in one of the environments. It serves all tests of a run: importing takes longer than a test."""

    def __init__(self, python: Path) -> None:
        assert python.exists(), "the SDKs that judge are missing: run `make oracles` or `make test`"
        self._popen = subprocess.Popen(
            [str(python), str(_HERE / "shop.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # channels D: the SDKs write local time, which for Alipay must be China's.
            env=os.environ | {"TZ": "Asia/Shanghai"},
        )

    @property
    def is_alive(self) -> bool:
        return self._popen.poll() is None

    async def ask(self, request: Mapping[str, Any]) -> Any:
        """In a thread, because the wallet that the SDK calls meanwhile is served here. Raises Refused."""
        answer = json.loads(await asyncio.to_thread(self._exchange, json.dumps(request).encode() + b"\n"))
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["value"]

    def _exchange(self, line: bytes) -> bytes:
        timer = threading.Timer(LONGEST_ANSWER_S, self._popen.kill)
        timer.start()
        try:
            stdin, stdout = self._pipes()
            stdin.write(line)
            stdin.flush()
            answer = stdout.readline()
        finally:
            timer.cancel()
        assert answer, "the SDK's process has ended, or took too long"
        return answer

    def stop(self) -> None:
        for pipe in self._pipes():
            pipe.close()
        self._popen.wait()

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        return self._popen.stdin, self._popen.stdout


_PROCESSES: dict[Path, _Process] = {}


def _process(python: Path) -> _Process:
    if python not in _PROCESSES or not _PROCESSES[python].is_alive:
        _PROCESSES[python] = _Process(python)
    return _PROCESSES[python]


def stop_processes() -> None:
    """At the end of the run."""
    while _PROCESSES:
        _PROCESSES.popitem()[1].stop()
