"""Every HTTP call we make: limits, the address guard, and the difference between "not sent" and "reply lost".

The difference decides what may be concluded: a request that was not sent cannot have moved money; a lost reply
leaves the outcome unknown (channels 0.1).
"""

import asyncio
import socket
import time
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from opentill.base.config import Network

MAX_CONNECTIONS = 256
MAX_CONNECTIONS_PER_HOST = 64
KEEP_ALIVE_S = 30.0

# Cloud metadata services outside the link-local range: Alibaba Cloud, AWS over IPv6.
_METADATA = (ip_network("100.100.100.200/32"), ip_network("fd00:ec2::254/128"))


class NotSent(Exception):
    """The request did not leave: no address, refused address, no connection. Nothing can have happened."""


class AddressRefused(NotSent):
    """The address guard does not allow the receiver's address."""


class ReplyLost(Exception):
    """The request may have been read, but no whole reply came back: the outcome is unknown."""


class Response(msgspec.Struct, frozen=True):
    """A reply. Header names are lower case. `is_truncated`: the body was longer than the limit and cut."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed_ms: int
    is_truncated: bool = False


class AddressGuard:
    """Decides which addresses a merchant-given URL may lead to (protocol 4.1, notify_url)."""

    def __init__(self, allow: Sequence[Network] = ()) -> None:
        self._allow = tuple(allow)

    def allows(self, address: str) -> bool:
        """Whether `address` (a literal IPv4 or IPv6 address) may be connected to."""
        ip = _unwrapped(address)
        if ip.is_link_local or ip.is_multicast or ip.is_unspecified or any(ip in network for network in _METADATA):
            return False
        is_global = ip.is_global and not any(ip in network for network in _NOT_GLOBAL)
        return is_global or any(ip in network for network in self._allow)


class _GuardedResolver(AbstractResolver):
    """Hands on only addresses the guard allows, so the address checked is the address connected to."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        allowed = [entry for entry in found if self._guard.allows(entry["host"])]
        if not allowed:
            raise AddressRefused(f"the address of {host} is not allowed")
        return allowed

    async def close(self) -> None:
        await self._inner.close()


class _CleanConnector(aiohttp.TCPConnector):
    """Hands out no kept connection on which something came since: it would be read as the answer to what is sent next.

    A server that answers twice does that. aiohttp looks only when a connection is given back.
    """

    async def _get(self, key: Any, traces: Any) -> Any:
        connection = await super()._get(key, traces)
        while connection is not None and connection.protocol is not None and connection.protocol.should_close:
            connection.close()
            connection = await super()._get(key, traces)
        return connection


class Outbound:
    """A pool of connections. Give it a guard when URLs come from merchants; none when they are our own settings."""

    def __init__(
        self,
        *,
        guard: AddressGuard | None = None,
        connections: int = MAX_CONNECTIONS,
        connections_per_host: int = MAX_CONNECTIONS_PER_HOST,
    ) -> None:
        self._guard = guard
        self._connections = connections
        self._connections_per_host = connections_per_host
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        self._is_closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float,
        connect_timeout_s: float | None = None,
        max_body_bytes: int = 1_048_576,
    ) -> Response:
        """One HTTP exchange. Redirects are not followed; `url` is sent as given, but for characters beyond ASCII.

        Raises: NotSent (AddressRefused), ReplyLost.
        """
        if self._is_closed:
            raise NotSent("the process is stopping")
        target = _parsed(url)
        self._check_literal(target)
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=connect_timeout_s, connect=None)
        started = time.monotonic()
        try:
            async with self._open_session().request(
                method, target, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as reply:
                content, is_truncated = await _read_at_most(reply.content, max_body_bytes)
                if is_truncated:
                    reply.close()
                return Response(
                    status=reply.status,
                    headers={name.lower(): value for name, value in reply.headers.items()},
                    body=content,
                    elapsed_ms=round((time.monotonic() - started) * 1000),
                    is_truncated=is_truncated,
                )
        except AddressRefused:
            raise
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            raise NotSent(_words(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ReplyLost(_words(error)) from error

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = _CleanConnector(
                limit=self._connections,
                limit_per_host=self._connections_per_host,
                keepalive_timeout=KEEP_ALIVE_S,
                resolver=_GuardedResolver(self._guard) if self._guard else ThreadedResolver(),
                # A cached answer is one that was checked; still, merchants move, so keep it short.
                ttl_dns_cache=10,
                loop=asyncio.get_running_loop(),
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity", "User-Agent": "OpenTill"},
            )
        return self._session

    def _check_literal(self, url: URL) -> None:
        """aiohttp connects to literal addresses without asking the resolver, so they are checked here."""
        if self._guard is None or url.host is None:
            return
        try:
            is_allowed = self._guard.allows(url.host)
        except ValueError:
            # 127.1 and 2130706433 are addresses to the C library, and no names that a resolver would check.
            is_allowed = not url.host.replace(".", "").isdigit()
        # A name passes: the resolver checks what it leads to.
        if not is_allowed:
            raise AddressRefused(f"the address {url.host} is not allowed")


def _parsed(url: str) -> URL:
    """Raises NotSent for whatever aiohttp or the resolver would stumble over with an error of their own."""
    try:
        target = URL(url, encoded=url.isascii())
        (target.raw_host or "").encode("idna")
        is_good = target.scheme in ("http", "https") and bool(target.host) and bool(target.port)
    except ValueError as error:
        raise NotSent(f"not a URL: {error}") from error
    if not is_good:
        raise NotSent("not an absolute http or https URL")
    return target


def _unwrapped(address: str) -> IPv4Address | IPv6Address:
    """An IPv4 address hidden in IPv6 (mapped, 6to4, NAT64) is judged as what it leads to. Raises ValueError."""
    ip = ip_address(address.split("%", 1)[0])
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return ip.ipv4_mapped
        if ip.sixtofour is not None:
            return ip.sixtofour
        if ip in _NAT64:
            return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


_NAT64 = ip_network("64:ff9b::/96")
# Not global, though this Python's ipaddress takes them for it: IPv4-compatible, local NAT64, site-local.
_NOT_GLOBAL = tuple(ip_network(text) for text in ("::/96", "64:ff9b:1::/48", "fec0::/10"))


async def _read_at_most(stream: aiohttp.StreamReader, limit: int) -> tuple[bytes, bool]:
    chunks: list[bytes] = []
    size = 0
    async for chunk in stream.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            return b"".join(chunks)[:limit], True
    return b"".join(chunks), False


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
