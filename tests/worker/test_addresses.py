"""Where a notification may go: decided at delivery, after DNS, on every attempt (protocol 4.1)."""

from ipaddress import ip_network

import pytest

from tests.shops import Answer, open_shop
from tests.world import World, world

LOOPBACK = ip_network("127.0.0.0/8")


async def problem_of(w: World, url: str) -> str:
    """What became of the first attempt at `url`."""
    order = await w.scan(notify_url=url)
    assert order.is_success, order.message
    await w.pay(order.qr_code)
    (told,) = await w.told(order.order_no)
    return told.attempts[0].problem


def at(w: World, host: str) -> str:
    return w.shop.url.replace("127.0.0.1", host)


INSIDE = [
    "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "10.0.0.1", "172.16.0.1", "192.168.0.1",
    "100.64.0.1", "[fc00::1]", "0.0.0.0", "[::]", "169.254.169.254", "[fe80::1]", "100.100.100.200",
    "[fd00:ec2::254]", "224.0.0.1", "[ff02::1]",
]  # fmt: skip


async def test_without_an_allowance_nothing_private_is_reached() -> None:
    async with world(notify_allow_networks=()) as w:
        problems = {host: await problem_of(w, at(w, host)) for host in INSIDE}

        assert {host: problem.split(":")[0] for host, problem in problems.items()} == dict.fromkeys(INSIDE, "address")
        assert w.shop.heard == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_a_network_that_the_deployment_names_is_reached(host: str) -> None:
    async with world(notify_allow_networks=(LOOPBACK,)) as w:
        await problem_of(w, at(w, host))

        assert len(w.shop.heard) == 1


NEVER = ["0.0.0.0", "[::]", "169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]"]


async def test_what_is_never_allowed_is_not_even_by_name() -> None:
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    async with world(notify_allow_networks=everything) as w:
        problems = {host: await problem_of(w, at(w, host)) for host in NEVER}

        assert {host: problem.split(":")[0] for host, problem in problems.items()} == dict.fromkeys(NEVER, "address")


async def test_the_address_is_checked_on_every_attempt() -> None:
    async with world(notify_allow_networks=()) as w:
        order = await w.scan(notify_url=at(w, "localhost"))
        await w.pay(order.qr_code)

        await w.advance(5)
        await w.advance(15)

        (told,) = await w.told(order.order_no)
        assert [attempt.problem.split(":")[0] for attempt in told.attempts] == ["address"] * 3


async def test_a_redirect_into_the_inside_is_not_followed() -> None:
    async with world(notify_allow_networks=(LOOPBACK,)) as w, open_shop(w.clock.now_ms) as inside:
        w.shop.usually = Answer(302, headers={"Location": inside.url})

        await problem_of(w, w.shop.url)

        assert (len(w.shop.heard), inside.heard) == (1, [])
