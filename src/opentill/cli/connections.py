"""HTTP connections with limits: how many there are, how long a request may take to arrive, how long its head may be.

uvicorn's own `limit_concurrency` answers with a text that no client of the protocol reads, and a connection on which
nothing arrives it keeps for ever.
"""

import asyncio
import contextlib
import resource
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 131_072
"""Request line and headers; a GET carries its whole form there."""
ARRIVAL_TIMEOUT_S = 20.0
"""How long a request may take to arrive, from the connection or its first byte on."""
KEEP_ALIVE_S = 75
"""How long a connection is kept for the next request: longer than proxies keep theirs, so that they hang up first."""
MAX_REFUSING = 256
"""Connections beyond the limit that are still told that we are busy; more are closed at once."""
OTHER_FILES = 1024
"""Open files beside the connections: to wallets, merchants and the database, and our own."""

_TOO_LONG = "Request header fields too large."


class ConnectionLimits(uvicorn.Config):
    """uvicorn's configuration and ours: beyond `max_connections` the application `busy` answers."""

    def __init__(self, app: ASGIApp, *, max_connections: int, busy: ASGIApp, **more: Any) -> None:
        super().__init__(app, http=Connection, timeout_keep_alive=KEEP_ALIVE_S, **more)
        self.max_connections = max_connections
        self.busy = busy


class Connection(HttpToolsProtocol):
    """One connection of a client."""

    config: ConnectionLimits

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._is_arriving = False
        self._is_in_head = True
        self._head_bytes = 0
        self._arrival: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        surplus = len(self.connections) - self.config.max_connections
        if surplus > MAX_REFUSING:
            transport.abort()
            return
        if surplus > 0:
            self.app = self.config.busy
        self._await_arrival()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_arrival()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_arriving:
            return  # the request is whole: the usual case costs nothing more
        self._await_arrival()
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.send_400_response(_TOO_LONG)

    def on_message_begin(self) -> None:
        self._is_arriving = self._is_in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_arriving = False
        self._end_arrival()
        super().on_message_complete()

    def leave_soon(self) -> None:
        """Answer what is under way or still comes, and tell the client to go."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def _await_arrival(self) -> None:
        if self._arrival is None:
            self._arrival = self.loop.call_later(ARRIVAL_TIMEOUT_S, self._give_up)

    def _end_arrival(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _give_up(self) -> None:
        self._arrival = None
        self.transport.close()


def allow_open_files(connections: int) -> None:
    """Let this process have as many files open as its connections need, as far as the system permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + MAX_REFUSING + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
