"""Beyond its capacity the gateway says so at once, and nothing was done (protocol 1, errors: 2)."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from opentill.base.errors import GatewayError
from opentill.cli.sandbox import sandbox_app
from opentill.domain.parties import ALIPAY, WECHAT
from opentill.services.places import WalletPlaces
from tests.clients import Reply, Till
from tests.twin.world import serving
from tests.world import World, world


def test_so_many_places_as_there_are_can_be_taken_at_each_wallet_and_no_more() -> None:
    places = WalletPlaces(per_wallet=2)
    with places.taken(ALIPAY), places.taken(ALIPAY):
        with pytest.raises(GatewayError) as refused, places.taken(ALIPAY):
            pass
        with places.taken(WECHAT), places.taken(WECHAT):
            pass

    assert refused.value.name == "BUSY"
    with places.taken(ALIPAY), places.taken(ALIPAY):
        pass


CALLS: dict[str, Callable[[Till], Any]] = {
    "scan": lambda till: till.scan(channel=2, local_order_no="B-1"),
    "barcode": lambda till: till.call("open.pay.barcode", local_order_no="B-1", amount=1, barcode="130000000000000000"),
    "mp": lambda till: till.call("open.pay.mp", amount=1, local_order_no="B-1", sub_app_id="wx1", open_id="o1"),
}


@pytest.mark.parametrize("command", CALLS)
async def test_without_a_place_at_the_wallet_busy_is_said_and_no_number_is_used(command: str) -> None:
    async with world() as w:
        reply, orders = await asked_without_a_place(w, CALLS[command])

        assert (reply.code, orders) == ("2", 0)
        assert (await w.scan(local_order_no="B-1")).is_success, "it may be repeated as it is"


async def asked_without_a_place(w: World, call: Callable[[Till], Any]) -> tuple[Reply, int]:
    """A call at a second gateway that has no place at WeChat Pay, and how many orders there are then."""
    deployment = dataclasses.replace(w.deployment, wallet_places=WalletPlaces(per_wallet=0))
    async with w.free_listener() as (listener, base_url), serving(sandbox_app(deployment, w.twin), listener):
        reply: Reply = await call(Till(w.http, base_url, w.clock.now_ms))
    return reply, await w.number("SELECT count(*) FROM orders")
