"""Limits of the HTTP server: how many connections, how long a head, how long it may take to arrive."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from opentill.cli import connections
from opentill.cli.connections import ARRIVAL_TIMEOUT_S, MAX_HEAD_BYTES, ConnectionLimits
from opentill.web.busy import busy
from tests.loops import skip

REQUEST = b"POST /gatewayOpen.htm HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"
BEGUN = REQUEST[:-2]
"""A request of which two bytes are missing."""
PATIENCE_S = 60.0


class App:
    """Reads the body and answers `ok` once `may_answer` is set; counts those who left before."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.came = asyncio.Event()
        self.left = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.came.set()
        try:
            await Request(scope, receive).body()
        except ClientDisconnect:
            self.left += 1
            return
        await self.may_answer.wait()
        await PlainTextResponse("ok")(scope, receive, send)


@dataclass
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: bytes = REQUEST) -> tuple[bytes, bytes]:
        """Send, and read one answer: its head in lower case and its body."""
        self.writer.write(request)
        async with asyncio.timeout(PATIENCE_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length")
            )
            return head, await self.reader.readexactly(length)

    async def closed(self) -> bytes:
        """What still comes until the server closes."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


class Place:
    """A server and those who connect to it."""

    def __init__(self, app: App, port: int, server: uvicorn.Server) -> None:
        self.app = app
        self._port = port
        self._server = server
        self.clients: list[Client] = []

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self._port))
        self.clients.append(client)
        return client

    async def arrived(self, client: Client, *, is_request: bool) -> None:
        """Return once the server knows of this connection, and, with `is_request`, of a request's head."""
        address = client.writer.get_extra_info("sockname")
        known = self._server.server_state.connections
        async with asyncio.timeout(PATIENCE_S):
            while address not in {getattr(connection, "client", None) for connection in known}:  # noqa: ASYNC110
                await asyncio.sleep(0)
            if is_request:
                await self.app.came.wait()


@asynccontextmanager
async def place(*, max_connections: int = 16) -> AsyncIterator[Place]:
    app = App()
    config = ConnectionLimits(
        app, max_connections=max_connections, busy=busy, lifespan="off", ws="none", access_log=False, log_config=None
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await server.startup(sockets=[listener])
        there = Place(app, listener.getsockname()[1], server)
        try:
            yield there
        finally:
            app.may_answer.set()
            for client in there.clients:
                client.writer.close()
            for listening in server.servers:
                listening.close()
            async with asyncio.timeout(PATIENCE_S):
                while server.server_state.connections or server.server_state.tasks:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


async def test_as_many_connections_as_allowed_are_answered_and_one_more_hears_that_we_are_busy() -> None:
    async with place(max_connections=3) as p:
        allowed = [await p.connect() for _ in range(3)]
        answers = [await client.ask() for client in allowed]
        surplus = await p.connect()

        head, body = await surplus.ask()

        assert [body for _, body in answers] == [b"ok"] * 3
        assert head.startswith(b"http/1.1 200")
        assert b"connection: close" in head
        assert json.loads(body)["result"]["errorCode"] == "2"
        assert await surplus.closed() == b""


async def test_a_page_on_a_connection_too_many_is_503() -> None:
    async with place(max_connections=1) as p:
        await (await p.connect()).ask()
        surplus = await p.connect()

        head, _ = await surplus.ask(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")

        assert head.startswith(b"http/1.1 503")


async def test_when_a_connection_ends_its_place_is_free() -> None:
    async with place(max_connections=1) as p:
        first = await p.connect()
        await first.ask(REQUEST.replace(b"Host: x", b"Connection: close"))
        await first.closed()

        _, body = await (await p.connect()).ask()

        assert body == b"ok"


async def test_too_many_even_to_be_told_are_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_REFUSING", 1)
    async with place(max_connections=1) as p:
        await (await p.connect()).ask()
        told = await p.connect()
        _, body = await told.ask(BEGUN + b"dy")
        waiting = await p.connect()
        waiting.writer.write(BEGUN)

        beyond = await p.connect()

        assert await beyond.closed() == b""
        assert json.loads(body)["result"]["errorCode"] == "2"


@pytest.mark.parametrize(
    "said", [b"", b"POST /gatewayOpen.htm HT", BEGUN], ids=["nothing", "half a head", "half a body"]
)
async def test_what_does_not_arrive_in_time_is_ended(said: bytes) -> None:
    async with place() as p:
        client = await p.connect()
        client.writer.write(said)
        await p.arrived(client, is_request=said == BEGUN)

        skip(ARRIVAL_TIMEOUT_S)

        rest = await client.closed()

        assert rest == b""
        assert p.app.left == (1 if said == BEGUN else 0)


async def test_the_second_request_of_a_connection_has_to_arrive_in_time_too() -> None:
    async with place() as p:
        client = await p.connect()
        await client.ask()
        p.app.came.clear()
        client.writer.write(BEGUN)
        await p.arrived(client, is_request=True)

        skip(ARRIVAL_TIMEOUT_S)

        assert await client.closed() == b""
        assert p.app.left == 1


async def test_an_answer_may_take_longer_than_its_request_may_take_to_arrive() -> None:
    async with place() as p:
        p.app.may_answer.clear()
        client = await p.connect()
        asked = asyncio.create_task(client.ask())
        await p.arrived(client, is_request=True)
        silent = await p.connect()
        await p.arrived(silent, is_request=False)
        skip(ARRIVAL_TIMEOUT_S)
        await silent.closed()  # the time is over

        p.app.may_answer.set()

        assert (await asked)[1] == b"ok"


@pytest.mark.parametrize(("length", "is_read"), [(MAX_HEAD_BYTES, True), (MAX_HEAD_BYTES + 1, False)])
async def test_a_head_is_read_up_to_the_limit(length: int, is_read: bool) -> None:
    async with place() as p:
        client = await p.connect()
        start = b"GET / HTTP/1.1\r\nHost: x\r\nX: "
        client.writer.write(start + b"x" * (length - len(start)))
        if is_read:
            _, body = await client.ask(b"\r\n\r\n")
            assert body == b"ok"
        else:
            assert (await client.closed()).startswith(b"HTTP/1.1 400")
