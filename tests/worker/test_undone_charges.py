"""A charge that is undone while its payment becomes known: what the wallet gave back is found out (design 4, 5)."""

import asyncio

import pytest

from opentill.domain.order import Order
from opentill.services import closing, orders, undoing
from opentill.storage import history
from tests.clients import Reply
from tests.orders import ALIPAY, ASKS_PASSWORD, CODES, PAYS, WECHAT, ask, on_each_wallet, refunded_at_wallet, refunds_of
from tests.wallets import Accident, Call, Road, faulty_road
from tests.world import World, world

ENDED = {ALIPAY: "TRADE_CLOSED", WECHAT: "REVOKED"}


def is_undoing(call: Call) -> bool:
    return call.path.endswith("/reverse") or b"alipay.trade.cancel" in call.body


async def charge(w: World, channel: int, payer: str) -> Reply:
    return await ask(w, "barcode", local_order_no="L-1", amount=1000, barcode=CODES[channel] + payer)


async def paid_while_it_is_undone(w: World, road: Road, channel: int, accident: Accident) -> Order:
    """The payer types the password, and a question finds it out, while the request to undo the charge is on its way."""
    order_no = (await charge(w, channel, ASKS_PASSWORD)).order_no

    async def pay_before(call: Call) -> None:
        if is_undoing(call):
            road.before = None
            await w.ask_twin("POST", "/api/password", out_trade_no=order_no, result="success")
            w.clock.advance(3_000)
            assert (await w.till.call("open.pay.query", order_no=order_no)).data["orderStatus"] == "2"

    road.before = pay_before
    road.accidents = [Accident.NONE, accident]  # the wallet is asked first
    await ask(w, "reverse", order_no=order_no)
    return await w.order(order_no)


@on_each_wallet
@pytest.mark.parametrize("accident", [Accident.REPLY_LOST, Accident.ERROR_500])
async def test_money_that_undoing_gave_back_unseen_is_found_out(channel: int, accident: Accident) -> None:
    async with faulty_road() as road, world(**road.settings | {"wallet_timeout_s": 5}) as w:
        road.leads_to(w)
        order = await paid_while_it_is_undone(w, road, channel, accident)
        at_wallet = await refunded_at_wallet(w, order.order_no)

        await w.advance(180)

        stored = await w.order(order.order_no)
        assert (order.refunded_fen, at_wallet) == (0, [1000])
        assert (stored.state.value, stored.refunded_fen, stored.attention) == ("PAID", 1000, "RETURNED")
        assert [refund.cause.value for refund in await refunds_of(w, order.order_no)] == ["REVERSED"]
        assert stored.poll_at_ms == 0


@on_each_wallet
async def test_a_refund_that_was_asked_for_meanwhile_does_not_hide_that_the_money_is_gone(channel: int) -> None:
    async with faulty_road() as road, world(**road.settings | {"wallet_timeout_s": 5}) as w:
        road.leads_to(w)
        order = await paid_while_it_is_undone(w, road, channel, Accident.REPLY_LOST)
        # The wallet has nothing left to refund; until it says so the money is set aside here.
        await w.change("UPDATE orders SET refunding_fen = received_fen")
        await w.advance(180)
        await w.change("UPDATE orders SET refunding_fen = 0")

        await w.advance(600)

        stored = await w.order(order.order_no)
        assert (stored.refunded_fen, stored.attention, stored.poll_at_ms) == (1000, "RETURNED", 0)


@on_each_wallet
async def test_money_that_stayed_is_asked_about_until_the_request_must_have_arrived(channel: int) -> None:
    async with faulty_road() as road, world(**road.settings | {"wallet_timeout_s": 5}) as w:
        road.leads_to(w)
        order = await paid_while_it_is_undone(w, road, channel, Accident.ERROR_502_UNHEARD)
        asked_at_ms = w.clock.now_ms()

        await w.advance_to(order.poll_at_ms)
        road.calls.clear()
        await w.advance(600)

        stored = await w.order(order.order_no)
        assert (stored.state.value, stored.refunded_fen, stored.poll_at_ms) == ("PAID", 0, 0)
        assert (order.poll_at_ms > asked_at_ms, len(road.calls)) == (True, 1)


def worded_as_refunds(w: World) -> None:
    """From here on the wallet says REFUND of a charge that was undone, as of any other with a refund."""
    # channels B.5, B.10: which of its two words it uses for these is written nowhere.
    w.twin._context.books.run("UPDATE trades SET state = 'PAID' WHERE state = 'REVOKED'")


@pytest.mark.parametrize("accident", [Accident.REPLY_LOST, Accident.ERROR_500])
async def test_a_charge_that_was_undone_is_no_payment_whatever_the_wallet_calls_it(accident: Accident) -> None:
    async with faulty_road() as road, world(**road.settings | {"wallet_timeout_s": 5}) as w:
        road.leads_to(w)
        road.accidents = [Accident.REPLY_LOST]
        order_no = (await charge(w, WECHAT, PAYS)).order_no
        order = await w.order(order_no)
        # Every question until then is lost, and so is the answer to being asked to undo it.
        road.always = accident
        await closing.expire(w.deployment, order)
        road.always = Accident.NONE
        worded_as_refunds(w)

        await w.advance(180)

        stored = await w.order(order_no)
        assert await refunded_at_wallet(w, order_no) == [1000]
        assert (stored.state.value, stored.received_fen, stored.refunded_fen) == ("PAID", 1000, 1000)
        assert [refund.cause.value for refund in await refunds_of(w, order_no)] == ["REVERSED"]
        assert w.shop.heard == []


async def test_money_that_undoing_gave_back_is_found_out_whatever_the_wallet_calls_it() -> None:
    async with faulty_road() as road, world(**road.settings | {"wallet_timeout_s": 5}) as w:
        road.leads_to(w)
        order = await paid_while_it_is_undone(w, road, WECHAT, Accident.REPLY_LOST)
        worded_as_refunds(w)

        await w.advance(180)

        stored = await w.order(order.order_no)
        assert (stored.state.value, stored.refunded_fen, stored.attention) == ("PAID", 1000, "RETURNED")


async def test_a_refund_of_ours_is_not_taken_for_the_undoing() -> None:
    async with world() as w:
        order_no = (await charge(w, WECHAT, PAYS)).order_no
        event = history.add_event(1, order_no, now_ms=w.clock.now_ms(), kind=undoing.UNDO_ASKED, detail={})
        await w.database.write([event])
        await ask(w, "refund", order_no=order_no, refund_amount=300)

        await orders.ask_wallet(w.deployment, await w.order(order_no), source="watch")

        assert (await w.order(order_no)).refunded_fen == 300


async def test_an_order_that_is_known_to_be_paid_is_not_undone() -> None:
    async with world() as w:
        reply = await charge(w, WECHAT, ASKS_PASSWORD)
        waiting = await w.order(reply.order_no)
        await w.ask_twin("POST", "/api/password", out_trade_no=reply.order_no, result="success")
        await w.advance(60)

        found = await closing.expire(w.deployment, waiting)

        assert found.state.value == "PAID"
        assert await refunded_at_wallet(w, reply.order_no) == []


async def test_a_charge_whose_money_is_held_by_now_is_not_undone() -> None:
    async with world() as w:
        reply = await charge(w, WECHAT, ASKS_PASSWORD)
        waiting = await w.order(reply.order_no)
        await w.ask_twin("POST", "/api/password", out_trade_no=reply.order_no, result="success")
        await w.change("UPDATE orders SET attention = 'WRONG_AMOUNT'")

        found = await closing.expire(w.deployment, waiting)

        assert (found.is_open, found.attention) == (True, "WRONG_AMOUNT")
        assert await refunded_at_wallet(w, reply.order_no) == []


@on_each_wallet
async def test_a_charge_that_nobody_undid_is_not_asked_about_any_more(channel: int) -> None:
    async with faulty_road() as road, world(**road.settings) as w:
        road.leads_to(w)
        reply = await charge(w, channel, ASKS_PASSWORD)
        await w.ask_twin("POST", "/api/password", out_trade_no=reply.order_no, result="success")
        await w.advance(60)
        assert await w.state(reply.order_no) == "PAID"
        road.calls.clear()

        await w.advance(600)

        assert road.calls == []
        assert (await w.order(reply.order_no)).poll_at_ms == 0


async def test_a_charge_undone_before_the_wallets_first_answer_is_asked_about_again() -> None:
    async with faulty_road() as road, world(works=False, **road.settings | {"wallet_timeout_s": 5}) as w:
        road.leads_to(w)

        async def undo_first(call: Call) -> None:
            road.before = None
            road.accidents = [Accident.NONE, Accident.REQUEST_LOST]
            w.clock.advance(1)
            reply = await asyncio.wait_for(w.till.call("open.pay.reverse", local_order_no="L-1"), 10)
            assert reply.code == "63"

        road.before = undo_first
        reply = await charge(w, ALIPAY, PAYS)

        stored = await w.order(reply.order_no)
        assert (reply.data["orderStatus"], stored.poll_at_ms > 0) == ("2", True)


async def reversed_before_it_arrives(w: World, road: Road, channel: int) -> Order:
    """A charge that is still on its way when a till reverses it: the wallet knows of none."""
    road.accidents = [Accident.REQUEST_LOST]
    order_no = (await charge(w, channel, ASKS_PASSWORD)).order_no
    assert (await ask(w, "reverse", order_no=order_no)).code == "0"
    return await w.order(order_no)


@on_each_wallet
async def test_a_charge_that_arrives_after_it_was_reversed_is_undone_when_it_is_seen(channel: int) -> None:
    async with faulty_road() as road, world(**road.settings) as w:
        road.leads_to(w)
        order = await reversed_before_it_arrives(w, road, channel)
        await road.arrive(road.calls[0])

        await w.advance(60)

        assert (order.state.value, await w.state(order.order_no)) == ("REVERSED", "REVERSED")
        assert [trade["status"] for trade in await w.wallet_trades(order.order_no)] == [ENDED[channel]]


@on_each_wallet
async def test_an_ended_charge_is_watched_until_the_wallet_has_answered(channel: int) -> None:
    async with faulty_road() as road, world(**road.settings) as w:
        road.leads_to(w)
        order = await reversed_before_it_arrives(w, road, channel)
        await road.arrive(road.calls[0])
        road.always = Accident.ERROR_502_UNHEARD
        await w.advance(190)

        road.always = Accident.NONE
        await w.advance(90)  # less than the wallet waits for a password

        assert [trade["status"] for trade in await w.wallet_trades(order.order_no)] == [ENDED[channel]]
        assert (await w.order(order.order_no)).poll_at_ms == 0
