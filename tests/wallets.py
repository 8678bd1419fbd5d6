"""A road to both wallets on which accidents happen: a proxy before the twin.

async with faulty_road() as road, world(**road.settings) as w:
    road.leads_to(w)
    road.accidents = [Accident.REPLY_LOST]      # one per call, in turn; then none
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import aiohttp
from aiohttp import web

from tests.loops import skip
from tests.world import World

WALLET_TIMEOUT_S = 5.0
"""Patience of the gateway on this road. Silence lasts as long, but nobody waits for it."""

LOOK_EVERY_S = 0.005


class Accident(Enum):
    """What happens to one call of a wallet."""

    NONE = auto()
    REQUEST_LOST = auto()
    """The connection ends before the wallet has heard anything."""
    REPLY_LOST = auto()
    """The wallet did it, and the connection ends before it says so."""
    SILENCE = auto()
    """The wallet did it and never answers."""
    ERROR_500 = auto()
    """The wallet did it, and something in front of it answers 500."""
    ERROR_502_UNHEARD = auto()
    """Something in front of the wallet answers 502; the wallet heard nothing."""
    GARBLED = auto()
    """The reply is cut in half."""
    EMPTY = auto()
    """200, without a body."""
    HTML = auto()
    """A page of some box in between."""
    FORGED = auto()
    """The reply is whole, but its signature is not the wallet's."""
    CHANGED = auto()
    """The signature is the wallet's, but a byte of the content is not."""
    UNSIGNED = auto()
    """The signature is missing."""


CERTAINLY_UNKNOWN = [accident for accident in Accident if accident is not Accident.NONE]


@dataclass
class Call:
    """What the gateway asked of a wallet."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Road:
    """`settings` lead the gateway here; `calls` is what it asked."""

    base_url: str
    http: aiohttp.ClientSession
    accidents: list[Accident] = field(default_factory=list)
    always: Accident = Accident.NONE
    """What happens when `accidents` is used up."""
    calls: list[Call] = field(default_factory=list)
    before: Callable[[Call], Any] | None = None
    """Called (and awaited) before a call goes on: another deed can be done in between."""
    close: Callable[[], Awaitable[None]] | None = None
    """From now on connections are refused: nobody listens. What is under way goes on."""
    _target: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "alipay_base_url": f"{self.base_url}/alipay",
            "wechat_base_url": f"{self.base_url}/wechat",
            "wallet_timeout_s": WALLET_TIMEOUT_S,
        }

    def leads_to(self, world: World) -> None:
        self._target = f"{world.base_url}/twin"

    async def travel(self, request: web.Request) -> web.StreamResponse:
        kept = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "connection")}
        call = Call(request.method, request.path_qs, await request.read(), kept)
        self.calls.append(call)
        accident = self.accidents.pop(0) if self.accidents else self.always
        if self.before is not None:
            await self.before(call)
        if accident is Accident.REQUEST_LOST:
            return _cut(request)
        if accident is Accident.ERROR_502_UNHEARD:
            return web.Response(status=502, text="bad gateway")
        status, headers, body = await self.arrive(call)
        if accident is Accident.REPLY_LOST:
            return _cut(request)
        if accident is Accident.SILENCE:
            skip(WALLET_TIMEOUT_S)
            while request.transport is not None:  # noqa: ASYNC110 - the gateway hangs up now; it sets no event
                await asyncio.sleep(0)
        return _spoilt(accident, status, headers, body)

    async def arrive(self, call: Call) -> tuple[int, dict[str, str], bytes]:
        """The wallet hears this call, now or for a second time, and answers (status, headers, body)."""
        url = self._target + call.path
        async with self.http.request(call.method, url, data=call.body, headers=call.headers) as reply:
            skipped = ("content-length", "date", "server", "connection")
            headers = {name: value for name, value in reply.headers.items() if name.lower() not in skipped}
            return reply.status, headers, await reply.read()


@asynccontextmanager
async def hanging_up_at_once(w: World) -> AsyncIterator[None]:
    """Whenever the twin hangs, the gateway's patience is used up: real time passes at once."""
    watching = asyncio.create_task(_skip_hangs(w))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def _skip_hangs(w: World) -> None:
    seen = 0
    while True:
        hits = sum(fault.hits for fault in w.twin._context.faults.listed() if fault.fault == "hang")
        if hits > seen:
            seen = hits
            skip(w.deployment.settings.wallet_timeout_s + 1)  # time-outs may be rounded up to whole seconds
        await asyncio.sleep(LOOK_EVERY_S)


def _cut(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:  # else the gateway has hung up already
        request.transport.abort()
    return web.Response()


def _spoilt(accident: Accident, status: int, headers: dict[str, str], body: bytes) -> web.Response:
    if accident is Accident.ERROR_500:
        status, body = 500, b"internal error"
    elif accident is Accident.GARBLED:
        body = body[: len(body) // 2]
    elif accident is Accident.EMPTY:
        body = b""
    elif accident is Accident.HTML:
        body = b"<html><body>Please log in to the network</body></html>"
    elif accident is Accident.CHANGED:
        body = _with_another_digit(body)
    elif accident in (Accident.FORGED, Accident.UNSIGNED):
        body, headers = _with_another_signature(body, headers, is_missing=accident is Accident.UNSIGNED)
    return web.Response(status=status, headers=headers, body=body)


def _with_another_digit(body: bytes) -> bytes:
    """A digit of a code or number inside a value is another one; the JSON stays whole."""
    head, sign, tail = body.partition(b'"sign"')
    for old in b"0123456789":
        place = head.rfind(bytes([old]))
        if place > 0:
            new = b"0" if old != ord("0") else b"1"
            return head[:place] + new + head[place + 1 :] + sign + tail
    raise AssertionError("no digit in the reply")


def _with_another_signature(body: bytes, headers: dict[str, str], *, is_missing: bool) -> tuple[bytes, dict[str, str]]:
    """Alipay's signature is a member of the document, WeChat Pay's a header (channels A.3, B.2)."""
    name = next((name for name in headers if name.lower() == "wechatpay-signature"), None)
    if name is not None:
        value = headers[name]
        spoilt = {} if is_missing else {name: ("B" if value[0] == "A" else "A") + value[1:]}
        return body, {key: value for key, value in headers.items() if key != name} | spoilt
    head, mark, tail = body.partition(b'"sign":"')
    assert mark, "the reply is not signed at all"
    if is_missing:
        return head.rstrip().rstrip(b",") + tail[tail.index(b'"') + 1 :], headers
    return head + mark + (b"B" if tail[:1] == b"A" else b"A") + tail[1:], headers


@asynccontextmanager
async def faulty_road() -> AsyncIterator[Road]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as http:
            road = Road(f"http://127.0.0.1:{listener.getsockname()[1]}", http)
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", road.travel)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = web.SockSite(runner, listener)
            await site.start()
            road.close = site.stop
            try:
                yield road
            finally:
                await runner.cleanup()
