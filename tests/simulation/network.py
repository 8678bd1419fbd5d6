"""The network of the simulated world: HTTP exchanges between its hosts, in process, and everything that befalls them.

A request that was handed over is carried out whether its sender still waits or not; a reply may come too late, or
never. What happens to an exchange is drawn from the world's seed, as its `Weather` says.
"""

import asyncio
import itertools
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol
from urllib.parse import unquote

import msgspec
from starlette.applications import Starlette

from opentill.base.outbound import NotSent, Outbound, ReplyLost, Response
from opentill.twin.paying import CannotPay
from tests.simulation.loop import SimLoop

LONGEST_TRAVEL_S = 90.0
"""How late a belated request arrives at most."""


class Weather(msgspec.Struct, frozen=True, kw_only=True):
    """What befalls each exchange, as chances from 0 to 1; `delay_ms` is the usual travel time one way, at most."""

    delay_ms: int = 0
    refused: float = 0.0
    """No connection: the request certainly did not leave."""
    lost: float = 0.0
    """The request gets lost on the way; the sender waits in vain."""
    reset: float = 0.0
    """The request is carried out and the connection breaks before the reply."""
    silent: float = 0.0
    """The request is carried out and the reply gets lost; the sender waits in vain."""
    belated: float = 0.0
    """The request arrives long after its sender has given up."""
    doubled: float = 0.0
    """The request arrives twice."""


@dataclass(frozen=True)
class Request:
    """One HTTP request. Header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Host(Protocol):
    """Who answers at a name."""

    def serve(self, request: Request, connection: "Connection") -> bool:
        """Begin to answer through `connection`. False: nobody listens."""
        ...


class Connection:
    """One request's connection, as an ASGI server and its application see it."""

    def __init__(self, answer: Callable[["Response | None"], None]) -> None:
        self._answer = answer
        self._gone: asyncio.Event | None = None
        self._is_over = False
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body = b""
        self._is_read = False
        self.request_body = b""
        self.transport = _Transport(self)

    def reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self._end(Response(status=status, headers=headers, body=body, elapsed_ms=0))

    def abort(self) -> None:
        """The connection breaks before a whole reply."""
        self._end(None)

    def leave(self) -> None:
        """The client hangs up."""
        self._is_over = True
        if self._gone is not None:
            self._gone.set()

    async def receive(self) -> dict[str, Any]:
        if not self._is_read:
            self._is_read = True
            return {"type": "http.request", "body": self.request_body, "more_body": False}
        if not self._is_over:
            self._gone = asyncio.Event()
            await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            self.reply(self._status, self._headers, self._body)

    def _end(self, response: Response | None) -> None:
        if not self._is_over:
            self._is_over = True
            self._answer(response)
        if self._gone is not None:
            self._gone.set()


class _Transport:
    """What the twin's faults find below HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        self._connection.abort()

    def abort(self) -> None:
        self._connection.abort()

    def write(self, _: bytes) -> None:
        """More than the reply: the client does not look at it."""

    def get_extra_info(self, _: str) -> socket.socket:
        return _A_SOCKET


_A_SOCKET = socket.socket()


@dataclass
class Network:
    """All hosts by name. `weather` is what befalls exchanges between them."""

    loop: SimLoop
    chance: Random
    weather: Weather
    hosts: dict[str, Host] = field(default_factory=dict)
    tell: Callable[[str], None] | None = None
    """Told what happens, when somebody wants the story."""
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def exchange(self, sender: str, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        """One exchange in this weather, without a limit of time. Raises NotSent, ReplyLost."""
        name, target, host = _host_of(url)[0], _host_of(url)[1], self.hosts.get(_host_of(url)[0])
        path, _, query = target.partition("?")
        request = Request(method, path, query, {key.lower(): value for key, value in headers.items()}, body)
        number = next(self.numbers) if self.tell else 0
        self._say(number, f"{sender} -> {name} {method} {target}", body)
        befalls = self._draw(request)
        if befalls:
            self._say(number, befalls)
        if host is None or befalls == "refused":
            await self._travel()
            raise NotSent("connection refused")
        if befalls == "lost":
            await asyncio.sleep(LONGEST_TRAVEL_S)
            raise ReplyLost("no answer")
        reply: asyncio.Future[Response | None] = self.loop.create_future()
        await self._travel()
        if befalls == "belated":
            delay_s = self.chance.random() * LONGEST_TRAVEL_S
            self.loop.call_later(delay_s, self._hand_over, host, request, None, number, context=Context())
            await asyncio.sleep(LONGEST_TRAVEL_S)
            raise ReplyLost("no answer")
        connection = self._hand_over(host, request, reply, number)
        if connection is None:
            raise NotSent("connection refused")
        if befalls == "doubled":
            delay_s = self.chance.random() * 3
            self.loop.call_later(delay_s, self._hand_over, host, request, None, number, context=Context())
        try:
            response = await reply
        finally:
            connection.leave()
        self._say(number, f"{response.status if response else 'connection reset'}", response.body if response else b"")
        if befalls == "silent":
            await asyncio.sleep(LONGEST_TRAVEL_S)
        if response is None or befalls in ("reset", "silent"):
            raise ReplyLost("the connection broke")
        await self._travel()
        return response

    def _hand_over(
        self, host: Host, request: Request, reply: "asyncio.Future[Response | None] | None", number: int
    ) -> Connection | None:
        def answer(response: Response | None) -> None:
            if reply is not None and not reply.done():
                reply.set_result(response)
            elif reply is None:
                self._say(number, f"unheard: {response.status if response else 'reset'}")

        connection = Connection(answer)
        connection.request_body = request.body
        return connection if host.serve(request, connection) else None

    def _draw(self, request: Request) -> str:
        """What befalls this exchange; empty: nothing."""
        draw = self.chance.random()
        for chance, kind in _kinds(self.weather):
            if draw < chance:
                # Undoing a charge is final for every later word about it, so it does not stray for minutes.
                return "silent" if kind in ("belated", "doubled") and _is_undoing(request) else kind
            draw -= chance
        return ""

    async def _travel(self) -> None:
        if self.weather.delay_ms:
            await asyncio.sleep(self.chance.random() * self.weather.delay_ms / 1000)

    def _say(self, number: int, text: str, body: bytes = b"") -> None:
        if self.tell is not None:
            self.tell(f"[{number}] {text}" + (f"  {unquote(body.decode(errors='replace'))[:600]}" if body else ""))


class SimOutbound(Outbound):
    """What a process calls others with: `Outbound`, but through the simulated network."""

    def __init__(self, network: Network, sender: str) -> None:
        super().__init__()
        self._network = network
        self._sender = sender
        self._is_fenced = False

    def fence(self) -> None:
        """The process is dead: nothing leaves any more."""
        self._is_fenced = True

    async def close(self) -> None:
        self._is_fenced = True

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float,
        connect_timeout_s: float | None = None,  # noqa: ARG002
        max_body_bytes: int = 1_048_576,
    ) -> Response:
        if self._is_fenced:
            raise NotSent("the process is dead")
        loop = self._network.loop
        started_us = loop.now_us
        try:
            async with asyncio.timeout(timeout_s):
                found = await self._network.exchange(self._sender, method, url, headers or {}, body or b"")
        except TimeoutError as error:
            raise ReplyLost("timed out") from error
        return Response(
            status=found.status,
            headers=found.headers,
            body=found.body[:max_body_bytes],
            elapsed_ms=(loop.now_us - started_us) // 1000,
            is_truncated=len(found.body) > max_body_bytes,
        )


class AppHost:
    """A host whose application never dies."""

    def __init__(self, loop: SimLoop, app: Starlette) -> None:
        self._loop = loop
        self._app = app
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, request: Request, connection: Connection) -> bool:
        task = self._loop.create_task(self._answer(request, connection), context=Context())
        self._loop.watch(task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _answer(self, request: Request, connection: Connection) -> None:
        try:
            await run_app(self._app, request, connection)
        except CannotPay:
            """The fault `paid_after_close` met a code that is dead; a server's 500 has been answered already."""


async def run_app(app: Callable[..., Awaitable[None]], request: Request, connection: Connection) -> None:
    """Let an ASGI application answer."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(request.path),
        "raw_path": request.path.encode("ascii"),
        "root_path": "",
        "query_string": request.query.encode("ascii"),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in request.headers.items()],
        "client": ("10.0.0.9", 40000),
        "server": ("sim", 80),
        "state": {},
    }
    await app(scope, connection.receive, connection.send)


def context_of(owner: Any, variable: Any) -> Context:
    """A context whose tasks belong to `owner`."""
    context = copy_context()
    context.run(variable.set, owner)
    return context


def _is_undoing(request: Request) -> bool:
    return request.path.endswith("/reverse") or b"alipay.trade.cancel" in request.body


def _kinds(weather: Weather) -> tuple[tuple[float, str], ...]:
    return (
        (weather.refused, "refused"),
        (weather.lost, "lost"),
        (weather.reset, "reset"),
        (weather.silent, "silent"),
        (weather.belated, "belated"),
        (weather.doubled, "doubled"),
    )


def _host_of(url: str) -> tuple[str, str]:
    name, slash, target = url.removeprefix("http://").partition("/")
    return name, slash + target if slash else "/"
