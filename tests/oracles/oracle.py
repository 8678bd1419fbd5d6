"""Third-party SDKs as judges. They live in `.venv-oracles` (`make oracles`), apart from the project's dependencies."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parent
PYTHON = _HERE.parents[1] / ".venv-oracles" / "bin" / "python"
LONGEST_ANSWER_S = 20.0

needs_oracles = pytest.mark.skipif(not PYTHON.exists(), reason="no third-party SDKs here: make oracles")


class Refused(Exception):
    """The SDK raised; the text is its own."""


class Oracle:
    """One opened SDK."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def call(self, method: str, /, **values: Any) -> Any:
        """What the SDK's method returned. Raises Refused."""
        return await self.ask({"call": method, "values": values})

    async def ask(self, request: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), LONGEST_ANSWER_S)
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["value"]


@asynccontextmanager
async def opened(sdk: str, url: str, **values: Any) -> AsyncIterator[Oracle]:
    """An SDK pointed at `url`. It writes local time, which for Alipay must be China's (channels D)."""
    process = await asyncio.create_subprocess_exec(
        str(PYTHON),
        str(_HERE / "shop.py"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"TZ": "Asia/Shanghai"},
        limit=16 * 1024 * 1024,
    )
    try:
        oracle = Oracle(process)
        await oracle.ask({"open": sdk, "url": url, "values": values})
        yield oracle
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
