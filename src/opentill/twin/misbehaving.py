"""Answers that go wrong on the wire. They reach below HTTP, to the connection that the server holds."""

import asyncio
import inspect
import os
import socket
import struct
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from opentill.base.clock import Clock
from opentill.twin.context import Context
from opentill.twin.faults import CALLBACKS, Hit

_HTML = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr></body></html>"
_FIRST = frozenset({"callback_first"})
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Answer(msgspec.Struct, frozen=True):
    """An answer as the wallet would give it."""

    status: int
    headers: dict[str, str]
    body: bytes


async def respond(answer: Answer, hit: Hit | None, clock: Clock) -> Response:
    """The answer, or what a fault makes of it."""
    match hit.fault if hit else "":
        case "slow":
            assert hit is not None
            await clock.wait_until(clock.now_ms() + hit.delay_s * 1000)
        case "hang":
            return Silent()
        case "reset_before" | "reset_after":
            return Dropped(with_reset=True)
        case "lost_reply":
            return Dropped(with_reset=False)
        case "double_reply":
            return Doubled(answer)
        case "truncated":
            return Response(answer.body[: len(answer.body) // 2], answer.status, answer.headers)
    return Response(answer.body, answer.status, answer.headers)


async def callbacks_first(twin: Context, wallet: str, hit: Hit | None, *, since: int) -> None:
    """Let the callbacks that the request has caused arrive before its answer, when a fault asks for it."""
    if twin.faults.is_empty or twin.callbacks.last_id() == since:
        return
    is_asked = hit is not None and hit.fault == "callback_first"
    if is_asked or any(twin.faults.draw(wallet, operation, only=_FIRST) for operation in CALLBACKS):
        await twin.callbacks.tried(since=since)


def page(status: int, words: str) -> Answer:
    """The page of some machine in between."""
    return Answer(status=status, headers={"Content-Type": "text/html"}, body=_HTML.format(words).encode())


class Silent(Response):
    """Says nothing until the client gives up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await _gone(receive)


class Dropped(Response):
    """Closes the connection without a byte: in order, or with a reset."""

    def __init__(self, *, with_reset: bool) -> None:
        super().__init__()
        self._with_reset = with_reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        transport = _transport(send)
        if self._with_reset:
            _reset_on_close(transport)
            transport.abort()
        else:
            transport.close()
        await _gone(receive)


class Doubled(Response):
    """The same answer twice on one connection."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body, answer.status, answer.headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)
        names = b"".join(name + b": " + value + b"\r\n" for name, value in self.raw_headers)
        _transport(send).write(b"HTTP/1.1 %d OK\r\n%b\r\n" % (self.status_code, names) + bytes(self.body))


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _transport(send: Send) -> asyncio.Transport:
    """The connection behind `send`: the server's own method, below what frameworks put around it."""
    inner: Any = send
    while True:
        if inspect.ismethod(inner):
            owner: Any = inner.__self__
            transport: asyncio.Transport | None = getattr(owner, "transport", None)
            if transport is not None:
                return transport
            inner = owner.send
        else:
            inner = inspect.getclosurevars(inner).nonlocals["send"]


def _reset_on_close(transport: asyncio.Transport) -> None:
    """Closing with nothing to linger for makes the kernel send a reset."""
    descriptor = os.dup(transport.get_extra_info("socket").fileno())
    with socket.socket(fileno=descriptor) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
