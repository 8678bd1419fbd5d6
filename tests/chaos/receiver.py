"""`python -m tests.chaos.receiver FILE KIND=PORT …`: merchants' servers, good and bad, that write down what they get.

A bad one misbehaves at the first delivery of an order and accepts the next. What is accepted is on the disk before
the answer leaves, so that `success` is a promise.
"""

import asyncio
import hashlib
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
from aiohttp import web

FLOOD = 10 * 1024 * 1024
DRIP_EVERY_S = 2.0
"""`success` byte by byte takes 14 s: longer than a sender waits."""
HANG_S = 60.0


class Delivery(msgspec.Struct, frozen=True):
    """A notification that came: which order, the SHA-256 of its bytes, and whether it was accepted."""

    kind: str
    at_ms: int
    order_no: str
    word: str
    digest: str
    is_accepted: bool


def read_deliveries(file: Path) -> list[Delivery]:
    """What was written down so far."""
    if not file.exists():
        return []
    return [msgspec.json.decode(line, type=Delivery) for line in file.read_bytes().splitlines()]


class Receiver:
    """A merchant's server of one kind."""

    def __init__(self, kind: str, file: int) -> None:
        self._kind = kind
        self._file = file
        self._met: set[str] = set()

    async def receive(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        fields = parse_qs(body.decode("ascii"))
        order_no = fields["cbOrderNo"][0]
        misbehave = BAD.get(self._kind)
        is_accepted = misbehave is None or order_no in self._met
        self._met.add(order_no)
        delivery = Delivery(
            kind=self._kind,
            at_ms=time.time_ns() // 1_000_000,
            order_no=order_no,
            word=fields["orderStatus"][0],
            digest=hashlib.sha256(body).hexdigest(),
            is_accepted=is_accepted,
        )
        os.write(self._file, msgspec.json.encode(delivery) + b"\n")
        if is_accepted or misbehave is None:
            os.fdatasync(self._file)
            return web.Response(text="success")
        return await misbehave(request)


async def _hang(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(HANG_S)
    return web.Response(text="success")


async def _drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "7"})
    await response.prepare(request)
    for byte in b"success":
        await asyncio.sleep(DRIP_EVERY_S)
        await response.write(bytes([byte]))
    return response


async def _flood(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"success" + b" " * FLOOD)


async def _redirect(_: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/elsewhere"}, text="success")


async def _error(_: web.Request) -> web.StreamResponse:
    return web.Response(status=500, text="success")


BAD: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
    "hangs": _hang,
    "drips": _drip,
    "floods": _flood,
    "redirects": _redirect,
    "fails": _error,
}
"""`dead` is bad too: nobody listens there until it is started."""


async def _run(file: Path, places: list[str]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for place in places:
        kind, _, port = place.partition("=")
        app = web.Application()
        app.router.add_post("/notify", Receiver(kind, descriptor).receive)
        app.router.add_get("/healthz", _healthy)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(port)).start()
    await asyncio.Event().wait()


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="ok")


if __name__ == "__main__":
    asyncio.run(_run(Path(sys.argv[1]), sys.argv[2:]))
