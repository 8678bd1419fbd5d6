"""A merchant's server that receives notifications: its answers are scripted, what it hears is kept."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.twin.world import serving

LONGEST_WAIT_S = 60.0
"""Real seconds after which waiting for a notification fails the test."""


@dataclass(frozen=True)
class Answer:
    """What the shop says. `until`: it says nothing before that is set; `drip`: then the body byte by byte."""

    status: int = 200
    body: bytes = b"success"
    headers: Mapping[str, str] = field(default_factory=dict)
    until: asyncio.Event | None = None
    drip: asyncio.Event | None = None


@dataclass(frozen=True)
class Heard:
    """One request that came. Header names are lower case; `at_ms` is the world's time."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at_ms: int

    @property
    def fields(self) -> dict[str, str]:
        """The form, `sign` among it."""
        return dict(parse_qsl(self.body.decode("ascii"), keep_blank_values=True, strict_parsing=True))


class Shop:
    """Receives at `url` and at any path below. Answers are given in turn; then `usually`."""

    def __init__(self, url: str, now_ms: Callable[[], int]) -> None:
        self.url = url
        self.heard: list[Heard] = []
        self.answers: list[Answer] = []
        self.usually = Answer()
        self._now_ms = now_ms
        self._came = asyncio.Condition()
        self._is_closing = asyncio.Event()

    async def arrived(self, count: int) -> list[Heard]:
        """Return once `count` requests came in all, whether they are answered or not."""
        async with asyncio.timeout(LONGEST_WAIT_S), self._came:
            await self._came.wait_for(lambda: len(self.heard) >= count)
        return self.heard

    async def receive(self, request: Request) -> Response:
        path, headers = request.url.path, dict(request.headers)
        self.heard.append(Heard(path, headers, await request.body(), self._now_ms()))
        answer = self.answers.pop(0) if self.answers else self.usually
        async with self._came:
            self._came.notify_all()
        await self._unless_closing(answer.until)
        if answer.drip is None:
            return Response(answer.body, answer.status, dict(answer.headers))
        return StreamingResponse(self._dripping(answer), answer.status, dict(answer.headers))

    def close(self) -> None:
        """Let go of everybody who is kept waiting."""
        self._is_closing.set()

    async def _dripping(self, answer: Answer) -> AsyncIterator[bytes]:
        yield answer.body[:1]
        await self._unless_closing(answer.drip)
        yield answer.body[1:]

    async def _unless_closing(self, event: asyncio.Event | None) -> None:
        if event is None:
            return
        waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(self._is_closing.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


@asynccontextmanager
async def open_shop(now_ms: Callable[[], int], *, host: str = "127.0.0.1") -> AsyncIterator[Shop]:
    """A shop on a port of its own, so that the worker sees another receiver than every other shop."""
    with socket.create_server((host, 0)) as listener:
        shop = Shop(f"http://{host}:{listener.getsockname()[1]}/notify", now_ms)
        methods = ["GET", "POST"]
        routes = [Route(path, shop.receive, methods=methods) for path in ("/{rest:path}", "/")]
        async with serving(Starlette(routes=routes), listener):
            try:
                yield shop
            finally:
                shop.close()
