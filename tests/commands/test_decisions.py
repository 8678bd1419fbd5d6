"""What a person decides about money that no rule could place, and what a person does to an order by hand."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from opentill.base.errors import GatewayError
from opentill.domain.order import Order
from opentill.domain.refund import Refund, RefundState
from opentill.services import acting, audit, decisions
from opentill.services.decisions import By, Choice, NotDecided, choices
from opentill.storage import held
from opentill.storage import orders as order_rows
from opentill.storage.held import ReceivedPayment
from tests.databases import on_both_engines
from tests.orders import (
    WECHAT,
    ask,
    fault,
    on_each_wallet,
    paid,
    refunded_at_wallet,
    refunds_of,
    scanned,
    status,
    wrongly_charged,
)
from tests.phones import bridge, link, open_in
from tests.world import World, world

YEAR_S = 366 * 86_400
ANN = By("ann", "203.0.113.9")


async def payments(w: World, order: Order) -> list[ReceivedPayment]:
    return await held.payments_of(w.database, order.app_id, order.order_no)


async def decided(w: World, order: Order, choice: Choice, **more: str) -> None:
    """Decide about the payment that waits for it, and let everything follow."""
    (waiting,) = [payment for payment in await payments(w, order) if payment.is_undecided]
    w.clock.advance(1)
    await w.meanwhile(decisions.decide(w.deployment, order, waiting, choice, by=ANN, **more))
    await w.settle()


async def wrong(w: World, channel: int) -> Order:
    """An order whose wallet once spoke of another amount."""
    reply = await wrongly_charged(w, channel)
    return await w.order(reply.order_no)


async def surplus(w: World, *, wallets: tuple[str, str] = ("wechat", "alipay")) -> Order:
    """A link that two people paid."""
    reply = await link(w, amount=1234)
    pages = [await open_in(w, wallet, reply.data["url"], payer=f"payer{n}") for n, wallet in enumerate(wallets)]
    for number, (wallet, page) in enumerate(zip(wallets, pages, strict=True)):
        await w.pay(await bridge(w, wallet, page.values), payer=f"payer{number}")
    return await w.order(reply.order_no)


async def late(w: World) -> Order:
    """Money that came after the order was reversed, and that is held."""
    await w.set_rules(w.till, late_payment="hold")
    reply = await scanned(w, amount=1000, notify_url=w.shop.url)
    await ask(w, "reverse", order_no=reply.order_no)
    await w.pay(reply.qr_code)
    return await w.order(reply.order_no)


# --- a wrong amount


@on_both_engines
@on_each_wallet
async def test_accepted_money_pays_the_order_with_what_the_wallet_confirms(engine: str, channel: int) -> None:
    async with world(engine) as w:
        order = await wrong(w, channel)

        await decided(w, order, Choice.ACCEPT, note="known customer")

        found = await w.order(order.order_no)
        assert (found.state, found.received_fen, found.amount_fen, found.attention) == ("PAID", 1000, 1000, "")
        assert [payment.role for payment in await payments(w, order)] == ["EFFECTIVE"]
        assert await status(w, order.order_no) == "2"
        last = (await w.timeline(order.order_no))[-1]
        assert (last.kind, last.detail["actor"], last.detail["note"]) == ("DECIDED", "ann", "known customer")
        assert await w.number("SELECT orders FROM sales_hours") == 1


async def test_an_accepted_order_is_notified_and_can_be_refunded_for_what_was_paid() -> None:
    async with world() as w:
        await w.set_rules(w.till, default_notify_url=w.shop.url)
        order = await wrong(w, WECHAT)
        await w.change("UPDATE orders SET amount_fen = 1500")  # what was asked for; the wallet has 1000

        await decided(w, order, Choice.ACCEPT)
        refund = await ask(w, "refund", order_no=order.order_no)

        assert w.shop.heard[0].fields["totalAmount"] == "1000"
        assert refund.data["refundAmount"] == "1000"
        assert await refunded_at_wallet(w, order.order_no) == [1000]


@on_both_engines
@on_each_wallet
async def test_wrong_money_goes_back_and_the_order_ends(engine: str, channel: int) -> None:
    async with world(engine) as w:
        order = await wrong(w, channel)

        await decided(w, order, Choice.REFUND)
        await w.advance(60)

        found = await w.order(order.order_no)
        assert (found.state, found.attention, found.poll_at_ms, found.received_fen) == ("CLOSED", "", 0, 0)
        assert await refunded_at_wallet(w, order.order_no) == [1000]
        assert [(refund.state, refund.cause) for refund in await refunds_of(w, order.order_no)] == [
            ("SUCCEEDED", "SURPLUS")
        ]


@on_each_wallet
async def test_money_settled_in_another_way_is_left_alone(channel: int) -> None:
    async with world() as w:
        order = await wrong(w, channel)

        await decided(w, order, Choice.KEEP)
        await w.advance(3600)

        found = await w.order(order.order_no)
        assert (found.state, found.attention) == ("CLOSED", "")
        assert await refunded_at_wallet(w, order.order_no) == []


async def test_a_decision_waits_for_a_wallet_that_does_not_confirm() -> None:
    async with world() as w:
        order = await wrong(w, WECHAT)
        for choice in (Choice.ACCEPT, Choice.REFUND):
            await fault(w, WECHAT, "query", "http_500")

            with pytest.raises(NotDecided, match=decisions.NOT_CONFIRMED):
                await decided(w, order, choice)

        assert (await w.order(order.order_no)).attention == "WRONG_AMOUNT"
        assert [payment.role for payment in await payments(w, order)] == ["WRONG_AMOUNT"]


@on_both_engines
async def test_of_two_people_who_decide_at_once_one_does(engine: str) -> None:
    async with world(engine) as w:
        order = await wrong(w, WECHAT)
        (payment,) = await payments(w, order)
        every = (Choice.ACCEPT, Choice.REFUND, Choice.KEEP)

        outcomes = await asyncio.gather(
            *(decisions.decide(w.deployment, order, payment, choice, by=ANN) for choice in every),
            return_exceptions=True,
        )
        await w.settle()

        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "NotDecided", "NotDecided"]
        assert await w.number("SELECT count(*) FROM audit_events WHERE action = 'order.decided'") == 1
        assert await audit.verify_chain(w.database) is None


# --- surplus money


@on_both_engines
async def test_a_second_payment_goes_back_when_a_person_says_so(engine: str) -> None:
    async with world(engine) as w:
        order = await surplus(w)

        await decided(w, order, Choice.REFUND)

        found = await w.order(order.order_no)
        assert (found.state, found.attention, found.received_fen, found.refunded_fen) == ("PAID", "", 1234, 0)
        assert [payment.role for payment in await payments(w, order)] == ["EFFECTIVE", "GIVEN_BACK"]
        refunds = {trade["out_trade_no"][-2:]: trade["refunded_fen"] for trade in await w.wallet_trades()}
        assert refunds == {"01": 0, "02": 1234}


async def test_a_paid_order_is_not_paid_again_with_surplus_money() -> None:
    async with world() as w:
        order = await surplus(w)
        (_, second) = await payments(w, order)

        assert choices(order, second) == (Choice.REFUND, Choice.KEEP)
        with pytest.raises(NotDecided, match=decisions.PAID_ALREADY):
            await decisions.decide(w.deployment, order, second, Choice.ACCEPT, by=ANN)


async def test_a_person_is_not_asked_about_money_that_policy_gives_back() -> None:
    async with world() as w:
        await w.set_rules(w.till, surplus_payment="refund")
        order = await surplus(w)

        with pytest.raises(NotDecided, match=decisions.REFUNDING_ALREADY):
            await decided(w, order, Choice.REFUND)


async def test_money_that_could_not_go_back_needs_a_person_again() -> None:
    async with world() as w:
        order = await surplus(w, wallets=("alipay", "wechat"))
        await w.advance(YEAR_S)  # channels B.7: no refunds after a year

        await decided(w, order, Choice.REFUND)

        assert (await w.order(order.order_no)).attention == "SURPLUS"
        assert [payment.role for payment in await payments(w, order)] == ["EFFECTIVE", "SURPLUS"]


# --- late money, and what only has to be seen


async def test_held_late_money_is_accepted_and_the_merchant_told() -> None:
    async with world() as w:
        order = await late(w)

        await decisions.tell_after_all(w.deployment, order, by=ANN)
        await w.settle()

        assert [heard.fields["orderStatus"] for heard in w.shop.heard] == ["PAY_SUC"]
        assert (await w.order(order.order_no)).attention == ""
        with pytest.raises(NotDecided, match=decisions.CHANGED):
            await decisions.tell_after_all(w.deployment, await w.order(order.order_no), by=ANN)


async def test_a_merchant_that_was_told_is_not_told_again() -> None:
    async with world() as w:
        order = await late(w)
        await decisions.tell_after_all(w.deployment, order, by=ANN)
        await w.change("UPDATE orders SET attention = 'LATE'")

        with pytest.raises(NotDecided, match=decisions.TOLD_ALREADY):
            await decisions.tell_after_all(w.deployment, order, by=ANN)


async def test_what_was_seen_is_flagged_no_more_but_money_is_not_dismissed() -> None:
    async with world() as w:
        seen, undecided = await late(w), await wrong(w, WECHAT)

        await decisions.dismiss(w.deployment, seen, by=ANN, note="asked the customer")
        with pytest.raises(NotDecided):
            await decisions.dismiss(w.deployment, undecided, by=ANN)

        assert (await w.order(seen.order_no)).attention == ""
        assert (await w.order(undecided.order_no)).attention == "WRONG_AMOUNT"
        last = (await w.timeline(seen.order_no))[-1]
        assert (last.kind, last.detail["attention"], last.detail["actor"]) == ("SEEN", "LATE", "ann")


async def test_another_trouble_does_not_make_held_money_forgotten() -> None:
    async with world() as w:
        order = await wrong(w, WECHAT)
        await w.database.write([order_rows.flag(order.app_id, order.order_no, attention="REFUND_STUCK")])

        assert (await w.order(order.order_no)).attention == "WRONG_AMOUNT"


# --- by hand


async def _all(calls: list[Coroutine[Any, Any, Refund]]) -> list[Refund]:
    return await asyncio.gather(*calls)


@on_both_engines
async def test_the_same_click_is_the_same_refund(engine: str) -> None:
    async with world(engine) as w:
        order = await w.order(await paid(w, amount=1000))

        calls = [
            acting.refund(w.deployment, order, amount_fen=300, reason="broken", token="abc", by=ANN) for _ in range(4)
        ]
        refunds = await w.meanwhile(_all(calls))

        assert len({refund.refund_no for refund in refunds}) == 1
        assert await refunded_at_wallet(w, order.order_no) == [300]
        assert await w.number("SELECT count(*) FROM audit_events WHERE action = 'order.refund'") == 1
        created = next(event for event in await w.timeline(order.order_no) if event.kind == "REFUND_CREATED")
        assert (created.detail["actor"], created.detail["reason"]) == ("ann", "broken")


async def test_a_refund_by_hand_never_exceeds_what_is_left() -> None:
    async with world() as w:
        order = await w.order(await paid(w, amount=1000))
        await w.meanwhile(acting.refund(w.deployment, order, amount_fen=700, reason="", token="1", by=ANN))
        order = await w.order(order.order_no)

        with pytest.raises(GatewayError) as refused:
            await acting.refund(w.deployment, order, amount_fen=301, reason="", token="2", by=ANN)
        rest = await w.meanwhile(acting.refund(w.deployment, order, amount_fen=None, reason="", token="3", by=ANN))

        assert refused.value.name == "REFUND_EXCEEDS_PAYMENT"
        assert rest.amount_fen == 300


async def test_asking_by_hand_finds_money_whose_callback_is_lost_and_says_who_asked() -> None:
    async with world(works=False) as w:
        reply = await scanned(w, amount=1000)
        await fault(w, 1, "callback", "callback_never", times=9)
        await w.ask_twin("POST", "/api/pay", qr_code=reply.qr_code)

        found = await acting.ask_now(w.deployment, await w.order(reply.order_no), by=ANN)

        assert (found.state, found.received_fen) == ("PAID", 1000)
        asked = next(event for event in await w.timeline(reply.order_no) if event.kind == "ASKED")
        assert (asked.detail["actor"], asked.detail["outcome"]) == ("ann", "paid")
        assert reply.order_no in asked.detail["said"]


async def test_asking_by_hand_brings_a_refund_to_its_end() -> None:
    async with world() as w:
        order = await w.order(await paid(w, amount=1000))
        await fault(w, 1, "refund", "lost_reply")
        await fault(w, 1, "refund_callback", "callback_never", times=9)
        pending = await w.meanwhile(acting.refund(w.deployment, order, amount_fen=None, reason="", token="1", by=ANN))

        found = await acting.ask_now(w.deployment, await w.order(order.order_no), by=ANN)

        assert (pending.state, found.refunded_fen) == (RefundState.PENDING, 1000)


async def test_reversing_by_hand_ends_the_order_at_its_wallet() -> None:
    async with world() as w:
        reply = await scanned(w, channel=WECHAT)

        order = await acting.reverse(w.deployment, await w.order(reply.order_no), by=ANN)

        assert order.state == "REVERSED"
        assert [trade["status"] for trade in await w.wallet_trades(reply.order_no)] == ["CLOSED"]
        assert "REVERSE_ASKED" in [event.kind for event in await w.timeline(reply.order_no)]
