"""One HTTP server on a socket that is already bound, stopped by a signal after finishing what it began."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from opentill.base.clock import real_now_ms
from opentill.base.config import Settings
from opentill.cli import memory
from opentill.cli.connections import Connection, ConnectionLimits, allow_open_files
from opentill.cli.tls import Certificate, certificate_for
from opentill.web.busy import busy

GRACE_S = 15
"""Longest wait for open requests at a stop, seconds."""
FAREWELL_S = 5.0
"""How long a process that is asked by SIGTERM to stop still answers on connections that clients keep, seconds."""
FAREWELL_LOOK_S = 0.02
BACKLOG = 1024
MAX_CONNECTIONS = Settings.model_fields["max_connections"].default

OPEN_HOSTS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


class Lifeline:
    """Ties a process to the parent that started it: ready is said on it, and it ends when the parent is gone."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)

    def say_ready(self) -> None:
        self._socket.send(b"r")

    async def parent_gone(self) -> None:
        """Return when the parent has let go, by stopping or by dying."""
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().sock_recv(self._socket, 1)


class _Server(uvicorn.Server):
    """uvicorn re-raises the signal it was stopped by; we stop by returning, so that everything else is closed too.

    `bids_farewell`: SIGTERM means that others go on. A client may be sending on a connection it kept just when we close
    it, and would lose its request; so we stop accepting, answer whatever still comes, and say that we close.
    """

    def __init__(self, config: uvicorn.Config, lifeline: Lifeline | None, *, bids_farewell: bool = False) -> None:
        super().__init__(config)
        self._lifeline = lifeline
        self._bids_farewell = bids_farewell
        self._stopped_by = signal.SIGINT

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._lifeline is not None:
            self._lifeline.say_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ask_to_exit, number)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._bids_farewell and self._stopped_by == signal.SIGTERM:
            await self._bid_farewell(sockets or [])
        await super().shutdown(sockets)

    async def _bid_farewell(self, sockets: list[socket.socket]) -> None:
        for listening in self.servers:
            listening.close()
        for listener in sockets:
            listener.close()
        state = self.server_state
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        for connection in state.connections:
            if isinstance(connection, Connection):
                connection.leave_soon()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                while state.connections:  # noqa: ASYNC110 - uvicorn sets no event
                    await asyncio.sleep(FAREWELL_LOOK_S)

    def _ask_to_exit(self, number: signal.Signals) -> None:
        self._stopped_by = number
        self.should_exit = True


class _Companion(uvicorn.Server):
    """Listens to no signal: it is stopped by the server beside it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, kw_only=True)
class Doors:
    """Where a sandbox is entered: by people at `public_base_url`, by programs at `program_base_url`.

    Both are the same door, unless people come by https. No program trusts the certificate, so for programs there is
    then a plain door beside it.
    """

    listener: socket.socket
    public_base_url: str
    program_base_url: str
    plain: socket.socket | None = None
    certificate: Certificate | None = None


def open_doors(host: str, port: int, *, data: Path, is_tls: bool) -> Doors:
    """Bound sockets; port 0 picks a free one, and the plain door beside https always does. Raises OSError."""
    listener = bind(host, port)
    public, name = _authority(host, listener), _reachable_name(host)
    if not is_tls:
        return Doors(listener=listener, public_base_url=f"http://{public}", program_base_url=f"http://{public}")
    plain = bind(host, 0)
    return Doors(
        listener=listener,
        public_base_url=f"https://{public}",
        program_base_url=f"http://{_authority(host, plain)}",
        plain=plain,
        certificate=certificate_for(
            ("localhost", "127.0.0.1", "::1", _lan_address(), name), data, now_ms=real_now_ms()
        ),
    )


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    *,
    lifeline: Lifeline | None = None,
    max_connections: int = MAX_CONNECTIONS,
    bids_farewell: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM, or until the parent of `lifeline` is gone."""
    memory.settle()
    allow_open_files(max_connections)
    server = _Server(_config(app, max_connections=max_connections), lifeline, bids_farewell=bids_farewell)
    watching = asyncio.create_task(_exit_with_parent(server, lifeline)) if lifeline else None
    await server.serve(sockets=[listener])
    if watching:
        watching.cancel()


async def serve_doors(app: ASGIApp, doors: Doors) -> None:
    """Serve until SIGINT or SIGTERM. The plain door closes last: what people began may need it to end."""
    if doors.plain is None:
        await serve(app, doors.listener)
        return
    companion = _Companion(_config(app))
    beside = asyncio.create_task(companion.serve(sockets=[doors.plain]))
    try:
        await _Server(_config(app, doors.certificate), None).serve(sockets=[doors.listener])
    finally:
        companion.should_exit = True
        await beside


async def until_stopped(lifeline: Lifeline | None) -> None:
    """For a process that does not serve: return on SIGINT, SIGTERM, or when the parent is gone."""
    memory.settle()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    waits: set[asyncio.Future[Any]] = {asyncio.ensure_future(stopping.wait())}
    if lifeline:
        lifeline.say_ready()
        waits.add(asyncio.ensure_future(lifeline.parent_gone()))
    _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()


async def _exit_with_parent(server: uvicorn.Server, lifeline: Lifeline) -> None:
    await lifeline.parent_gone()
    server.should_exit = True


def _config(
    app: ASGIApp, certificate: Certificate | None = None, *, max_connections: int = MAX_CONNECTIONS
) -> uvicorn.Config:
    return ConnectionLimits(
        app,
        max_connections=max_connections,
        busy=busy,
        loop="none",
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=certificate.pem if certificate else None,
        ssl_keyfile=certificate.key if certificate else None,
    )


def _authority(host: str, listener: socket.socket) -> str:
    """Address and port at which others reach a server bound to `host`."""
    name = _reachable_name(host)
    return f"[{name}]:{listener.getsockname()[1]}" if ":" in name else f"{name}:{listener.getsockname()[1]}"


def _reachable_name(host: str) -> str:
    return _lan_address() if host in OPEN_HOSTS else host


def _lan_address() -> str:
    """The address other machines of the local network reach this one at; loopback when there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))  # a datagram socket sends nothing on connect
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
