"""Worlds in which SDKs feel at home: the twin follows the real clock, because they do."""

import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from yarl import URL

from opentill.base.clock import MovableClock, real_now_ms
from opentill.twin.app import Twin
from tests.twin.world import World, world


@asynccontextmanager
async def real_world(folder: Path) -> AsyncIterator[World]:
    """As `world`, with certificates that are valid today."""
    books = folder / "twin.sqlite3"
    shutil.copy(await _books(), books)
    async with world(books, source=real_now_ms) as w:
        yield w


@dataclass(frozen=True)
class Exchange:
    """A request and its answer as they went over the wire, header names lower case; `path` with its query."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    answer_headers: dict[str, str]
    answer: bytes

    @property
    def parameters(self) -> dict[str, str]:
        """Alipay: the parameters of query and body."""
        return dict(parse_qsl(urlsplit(self.path).query)) | dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass
class Recorder:
    """Hands everything on to the twin at `target`, unchanged, and keeps it."""

    url: str
    world: World
    heard: list[Exchange] = field(default_factory=list)

    async def hand_on(self, request: web.Request) -> web.Response:
        body, path = await request.read(), request.raw_path
        headers = {name.lower(): value for name, value in request.headers.items()}
        url = URL(self.world.base_url + path, encoded=True)
        sent = {name: value for name, value in headers.items() if name not in ("host", "connection")}
        async with self.world.http.request(request.method, url, data=body or None, headers=sent) as reply:
            answer, status = await reply.read(), reply.status
            answer_headers = {name.lower(): value for name, value in reply.headers.items()}
        wallet_path = path.removeprefix("/alipay").removeprefix("/wechat")
        self.heard.append(Exchange(request.method, wallet_path, headers, body, status, answer_headers, answer))
        kept = {name: value for name, value in answer_headers.items() if name.startswith(("wechatpay-", "content-t"))}
        return web.Response(status=status, headers=kept, body=answer)


@asynccontextmanager
async def recorded(w: World) -> AsyncIterator[Recorder]:
    """Between an adapter and the twin. Its wallets are at `url` + `/alipay` and `/wechat`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        recorder = Recorder(f"http://127.0.0.1:{listener.getsockname()[1]}", w)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", recorder.hand_on)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        try:
            yield recorder
        finally:
            await runner.cleanup()


_made: list[tuple[tempfile.TemporaryDirectory[str], Path]] = []


async def _books() -> Path:
    """Made once per run: making keys takes longer than a test."""
    if not _made:
        folder = tempfile.TemporaryDirectory()
        made = Path(folder.name) / "twin.sqlite3"
        twin = Twin(data_file=made, clock=MovableClock(source=real_now_ms), base_url="http://twin.invalid")
        await twin.start()
        await twin.stop()
        _made.append((folder, made))
    return _made[0][1]
