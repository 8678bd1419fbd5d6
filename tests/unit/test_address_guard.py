"""Where a merchant's notify_url may lead (protocol 4.1)."""

from ipaddress import ip_network

import pytest

from opentill.base.outbound import AddressGuard

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"]
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "198.18.0.1", "192.0.2.1", "240.0.0.1", "255.255.255.255", "0.1.2.3", "::1", "fc00::1", "fd12:3456::1", "fec0::1",
    "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::1", "2002:a00:1::",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "fd00::1%eth0",
]  # fmt: skip
NEVER = [
    "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%lo", "0.0.0.0", "::", "224.0.0.1", "239.255.255.255",
    "ff02::1", "100.100.100.200", "fd00:ec2::254", "::ffff:169.254.169.254", "::ffff:0.0.0.0", "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
]  # fmt: skip
EVERYTHING = tuple(ip_network(text) for text in ("0.0.0.0/0", "::/0"))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert AddressGuard().allows(address)


@pytest.mark.parametrize("address", [*PRIVATE, *NEVER])
def test_nothing_else_is_allowed_unless_named(address: str) -> None:
    assert not AddressGuard().allows(address)


@pytest.mark.parametrize("address", NEVER)
def test_link_local_metadata_unspecified_and_multicast_are_never_allowed(address: str) -> None:
    assert not AddressGuard(EVERYTHING).allows(address)


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("127.0.0.0/8", "127.0.0.1", "10.0.0.1"),
        ("127.0.0.0/8", "::ffff:127.0.0.1", "::1"),
        ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
        ("::1/128", "::1", "127.0.0.1"),
        ("fc00::/7", "fd12::1", "fe80::1"),
    ],
)
def test_a_named_network_is_allowed_and_its_neighbour_is_not(network: str, inside: str, outside: str) -> None:
    guard = AddressGuard((ip_network(network),))

    assert guard.allows(inside)
    assert not guard.allows(outside)
