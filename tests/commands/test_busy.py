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
from tests.orders import fault, paid, refunded_at_wallet, refunds_of
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


async def test_without_a_place_a_refund_is_neither_reserved_nor_sent_and_may_be_repeated_as_it_is() -> None:
    async with world() as w:
        order_no = await paid(w, channel=WECHAT, amount=1000)
        form = w.till.form("open.pay.refund", order_no=order_no, refund_amount=300)

        reply, _ = await asked_without_a_place(w, lambda till: till.post(form))

        assert reply.code == "2"
        assert (await refunds_of(w, order_no), (await w.order(order_no)).refunding_fen) == ([], 0)
        assert await refunded_at_wallet(w, order_no) == []
        assert (await w.meanwhile(w.till.post(form))).data["refundStatus"] in {"4", "5"}
        await w.settle()
        assert await refunded_at_wallet(w, order_no) == [300]


async def test_without_a_place_a_repeated_refund_hears_how_the_first_one_stands() -> None:
    async with world() as w:
        order_no = await paid(w, channel=WECHAT, amount=1000)
        await fault(w, WECHAT, "refund_callback", "callback_never", times=9)
        form = w.till.form("open.pay.refund", order_no=order_no, refund_amount=300)
        first = await w.meanwhile(w.till.post(form))

        again, _ = await asked_without_a_place(w, lambda till: till.post(form))

        # Error 2 would say that nothing was done, and somebody would give the money back once more.
        assert (first.data["refundStatus"], again.data["refundStatus"]) == ("4", "4")
        assert again.order_no == first.order_no


@pytest.mark.parametrize("command", ["query", "reverse"])
async def test_without_a_place_an_open_order_is_neither_asked_about_nor_reversed(command: str) -> None:
    async with world() as w:
        order_no = (await w.scan(channel=WECHAT)).order_no

        reply, _ = await asked_without_a_place(w, lambda till: till.call(f"open.pay.{command}", order_no=order_no))

        assert (reply.code, await w.state(order_no)) == ("2", "WAITING")
        assert (await w.order(order_no)).asked_at_ms == 0
        assert (
            await w.metric("opentill_wallet_calls_total", channel="wechat", operation="query", outcome="ACCEPTED") == 0
        )


async def test_without_a_place_what_is_certain_is_answered_all_the_same() -> None:
    async with world() as w:
        order_no = await paid(w, channel=WECHAT)

        reply, _ = await asked_without_a_place(w, lambda till: till.call("open.pay.query", order_no=order_no))

        assert reply.data["orderStatus"] == "2"


async def asked_without_a_place(w: World, call: Callable[[Till], Any]) -> tuple[Reply, int]:
    """A call at a second gateway that has no place at WeChat Pay, and how many orders there are then."""
    deployment = dataclasses.replace(w.deployment, wallet_places=WalletPlaces(per_wallet=0))
    async with w.free_listener() as (listener, base_url), serving(sandbox_app(deployment, w.twin), listener):
        reply: Reply = await call(Till(w.http, base_url, w.clock.now_ms))
    return reply, await w.number("SELECT count(*) FROM orders")
