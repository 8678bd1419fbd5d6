"""One HTTP server on a socket that is already bound, stopped by a signal after finishing what it began."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

GRACE_S = 15
"""Longest wait for open requests at a stop, seconds."""
BACKLOG = 1024


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
    """uvicorn re-raises the signal it was stopped by; we stop by returning, so that everything else is closed too."""

    def __init__(self, config: uvicorn.Config, lifeline: Lifeline | None) -> None:
        super().__init__(config)
        self._lifeline = lifeline

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._lifeline is not None:
            self._lifeline.say_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ask_to_exit)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _ask_to_exit(self) -> None:
        self.should_exit = True


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


def reachable_at(host: str) -> str:
    """`http://` and the address at which others reach a server bound to `host`, without the port."""
    name = _lan_address() if host in OPEN_HOSTS else host
    return f"http://[{name}]" if ":" in name else f"http://{name}"


async def serve(app: ASGIApp, listener: socket.socket, *, lifeline: Lifeline | None = None) -> None:
    """Serve until SIGINT or SIGTERM, or until the parent of `lifeline` is gone."""
    config = uvicorn.Config(
        app,
        http="httptools",
        loop="none",
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config, lifeline)
    watching = asyncio.create_task(_exit_with_parent(server, lifeline)) if lifeline else None
    await server.serve(sockets=[listener])
    if watching:
        watching.cancel()


async def until_stopped(lifeline: Lifeline | None) -> None:
    """For a process that does not serve: return on SIGINT, SIGTERM, or when the parent is gone."""
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


def _lan_address() -> str:
    """The address other machines of the local network reach this one at; loopback when there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))  # a datagram socket sends nothing on connect
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
