"""A twin on a free port with a frozen clock, and a shop beside it that receives the callbacks."""

import asyncio
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from opentill.base.clock import MovableClock, frozen
from opentill.twin.app import Twin
from tests.twin.clients import AlipayClient, WechatClient

NOON_MS = 1_795_406_400_000  # 2026-11-23 12:00:00 in China
FAR_MS = NOON_MS + 3650 * 86_400_000  # far from the real time, which the wallets accept as well
LONGER_THAN_CLIENTS_S = 75
"""For this long a server keeps idle connections: clients are the first to give one up, as in production."""


@dataclass
class Received:
    """One callback as it came over the wire. Header names are lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True))

    def document(self) -> dict[str, Any]:
        return msgspec.json.decode(self.body, type=dict[str, Any])


@dataclass
class Shop:
    """Receives callbacks at `url` and below. `answers` are given in turn; then `success`, which both wallets accept."""

    url: str
    received: list[Received] = field(default_factory=list)
    answers: list[tuple[int, bytes]] = field(default_factory=list)

    async def receive(self, request: Request) -> Response:
        self.received.append(Received(request.url.path, dict(request.headers), await request.body()))
        status, body = self.answers.pop(0) if self.answers else (200, b"success")
        return Response(body, status)


@dataclass
class World:
    """Everything a test needs. `base_url` is the twin's."""

    twin: Twin
    clock: MovableClock
    base_url: str
    http: aiohttp.ClientSession
    shop: Shop

    def alipay(self, **common: str) -> AlipayClient:
        """A client for the default merchant; `common` parameters go along with every call."""
        merchant = self.twin.alipay_merchant()
        return AlipayClient(self.http, self.base_url + "/alipay/gateway.do", merchant, self.clock.now_ms, common)

    def wechat(self, serial: str | None = None) -> WechatClient:
        """A client for the default merchant, in public-key mode unless a `serial` says otherwise."""
        merchant = self.twin.wechat_merchant()
        named = merchant.public_key_id if serial is None else serial
        return WechatClient(self.http, self.base_url + "/wechat", merchant, self.clock.now_ms, named)

    async def post(self, path: str, **values: object) -> tuple[int, dict[str, Any]]:
        async with self.http.post(self.base_url + path, json=values) as reply:
            return reply.status, await reply.json()

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        async with self.http.get(self.base_url + path) as reply:
            return reply.status, await reply.json()

    async def pay(self, qr_code: str, **more: object) -> dict[str, Any]:
        """Scan and pay; the callback has been delivered once when this returns."""
        status, answer = await self.post("/api/pay", qr_code=qr_code, **more)
        assert status == 200, answer
        await self.twin.quiet()
        return answer


@asynccontextmanager
async def world(
    data_file: Path,
    *,
    now_ms: int = NOON_MS,
    mount: str = "/twin",
    source: Callable[[], int] | None = None,
    is_first_start: bool = False,
) -> AsyncIterator[World]:
    """A started twin below `mount` on a free port, and the shop beside it.

    Making keys takes longer than a test, so books that do not exist are a copy of some made earlier in this run,
    unless it is the first start that matters.
    """
    if not is_first_start and _is_missing(data_file):
        shutil.copy(await _books_with_merchants(), data_file)
    clock = MovableClock(source=source or frozen(now_ms))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        shop = Shop(url=origin + "/shop")
        twin = Twin(data_file=data_file, clock=clock, base_url=origin + mount)
        paths = ("/shop", "/shop/{rest:path}")
        routes = [Route(path, shop.receive, methods=["POST"]) for path in paths]
        app = Starlette(routes=[*routes, Mount(mount, app=twin.app)])
        async with serving(app, listener), aiohttp.ClientSession() as http:
            await twin.start()
            try:
                yield World(twin=twin, clock=clock, base_url=origin + mount, http=http, shop=shop)
            finally:
                await twin.stop()


@asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """A real HTTP server on an open socket, without `serve`, which takes the signal handlers of the test run."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        lifespan="off",
        ws="none",
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
        # Else, after a busy machine's pause, a connection would be closed while the next request is written to it.
        timeout_keep_alive=LONGER_THAN_CLIENTS_S,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield
    finally:
        # `shutdown` would wait a tenth of a second for strangers; here all clients have gone already.
        for listening in server.servers:
            listening.close()
        for connection in list(server.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)


def _is_missing(file: Path) -> bool:
    return not file.exists()


async def _books_with_merchants() -> Path:
    if not _made:
        folder = tempfile.TemporaryDirectory()
        made = Path(folder.name) / "twin.sqlite3"
        twin = Twin(data_file=made, clock=MovableClock(source=frozen(NOON_MS)), base_url="http://twin.invalid")
        await twin.start()
        await twin.stop()
        _made.append((folder, made))
    return _made[0][1]


_made: list[tuple[tempfile.TemporaryDirectory[str], Path]] = []
