"""Where a request comes from, behind our own proxies too."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.requests import Request

from opentill.base.config import Network


def source_ip(request: Request, trusted: Sequence[Network]) -> str:
    """The caller's address; "" when there is none.

    Proxies append to X-Forwarded-For, so it is read from its end: the first address that is not one of our proxies is
    the caller. What stands before it anybody could have written.
    """
    peer = request.client.host if request.client else ""
    if not is_in(peer, trusted):
        return peer
    hops = [hop.strip() for value in request.headers.getlist("x-forwarded-for") for hop in value.split(",")]
    for hop in reversed(hops):
        if not is_in(hop, trusted):
            return hop
    return peer


def is_in(address: str, networks: Sequence[Network]) -> bool:
    """Whether a literal address lies in one of the networks; what is no address lies nowhere."""
    if not networks:  # the usual case, and reading an address costs 8 µs
        return False
    try:
        ip: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in networks)
