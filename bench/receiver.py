"""A merchant's server for notifications: `python -m bench.receiver PORT DEAD_PORT`.

It answers `success` at once and remembers when each order's notification came; `GET /` tells how many, `GET /came`
all. What comes to DEAD_PORT is accepted and never answered.
"""

import asyncio
import json
import sys
import time
from urllib.parse import parse_qs

import uvicorn
from starlette.types import Receive, Scope, Send

_PLAIN = [(b"content-type", b"text/plain"), (b"content-length", b"7")]


class Receiver:
    """The ASGI application."""

    def __init__(self) -> None:
        self._came_ns: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if scope["method"] == "GET":
            told = self._came_ns if scope["path"] == "/came" else len(self._came_ns)
            answer = json.dumps(told).encode()
            headers = [(b"content-length", str(len(answer)).encode())]
        else:
            self._came_ns.setdefault(parse_qs(body.decode())["cbOrderNo"][0], time.time_ns())
            answer, headers = b"success", _PLAIN
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def main() -> None:
    port, dead_port = int(sys.argv[1]), int(sys.argv[2])
    dead = await asyncio.start_server(_hang, "0.0.0.0", dead_port)
    config = uvicorn.Config(
        Receiver(), host="0.0.0.0", port=port, access_log=False, log_level="warning", http="httptools",
        loop="uvloop", lifespan="off",
    )  # fmt: skip
    async with dead:
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(main())
