"""What a wallet may do with a refund, and what becomes of it (protocol 4.6; design 5): one number for life."""

import pytest

from opentill.domain.refund import RefundState
from opentill.services import refunds
from tests.databases import on_both_engines
from tests.orders import (
    ALIPAY,
    WECHAT,
    ask,
    fault,
    lacks_money,
    on_each_wallet,
    paid,
    refunded_at_wallet,
    refunds_of,
    status,
)
from tests.wallets import hanging_up_at_once
from tests.world import ground, running, world

YEAR_S = 366 * 24 * 3600
MINUTE_S = 60

# channels 0.1: nothing is certain after any of these. The wallet may have acted (the first ones) or not.
UNKNOWN = [
    "lost_reply", "reset_after", "truncated", "bad_signature", "unsigned", "http_429",
    "reset_before", "html", "http_500", "system_error", "hang",
]  # fmt: skip


@on_each_wallet
@pytest.mark.parametrize("name", UNKNOWN)
async def test_an_unknown_outcome_is_asked_about_and_never_paid_out_twice(channel: int, name: str) -> None:
    async with world() as w, hanging_up_at_once(w):
        order_no = await paid(w, channel=channel, amount=1000)
        await fault(w, channel, "refund", name)

        reply = await ask(w, "refund", order_no=order_no, refund_amount=300)
        for _ in range(4):  # wallets may be asked, told again, and take their time
            await w.advance(MINUTE_S)

        assert reply.data["refundStatus"] in {"4", "5"}
        refund = (await refunds_of(w, order_no))[0]
        assert (refund.refund_no, refund.state) == (reply.order_no, RefundState.SUCCEEDED)
        assert await refunded_at_wallet(w, order_no) == [300]
        assert await status(w, order_no) == "6"


async def test_an_answer_that_others_keep_outrunning_leaves_the_refund_pending_and_it_ends_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world() as w, hanging_up_at_once(w):
        order_no = await paid(w, channel=ALIPAY, amount=1000)
        await fault(w, ALIPAY, "refund", "reset_before")
        await ask(w, "refund", order_no=order_no, refund_amount=300)

        with monkeypatch.context() as never:
            never.setattr(refunds, "MAX_RACES", 0)
            await w.advance(MINUTE_S)
            in_between = (await refunds_of(w, order_no))[0].state
        await w.advance(5 * MINUTE_S)

        assert in_between is RefundState.PENDING
        assert await refunded_at_wallet(w, order_no) == [300]
        assert await status(w, order_no) == "6"


async def test_certainty_is_waited_for_three_seconds_and_no_longer() -> None:
    async with world() as w:
        order_no = await paid(w, channel=WECHAT)
        await fault(w, WECHAT, "refund_callback", "callback_never", times=9)
        began_at_ms = w.clock.now_ms()

        reply = await ask(w, "refund", order_no=order_no)

        assert reply.data["refundStatus"] == "4"
        assert w.clock.now_ms() - began_at_ms == 3_001


@on_both_engines
async def test_a_refund_nobody_told_us_about_is_found_by_the_worker(engine: str) -> None:
    async with world(engine) as w:
        order_no = await paid(w, channel=WECHAT)
        await fault(w, WECHAT, "refund_callback", "callback_never", times=9)
        reply = await ask(w, "refund", order_no=order_no)

        await w.advance(10)

        assert await status(w, reply.order_no) == "3"
        assert await status(w, order_no) == "7"


@on_both_engines
@on_each_wallet
async def test_a_refund_that_lacks_money_succeeds_later_under_the_same_number(engine: str, channel: int) -> None:
    async with world(engine) as w:
        order_no = await paid(w, channel=channel, amount=1000)
        lacks_money(w, channel)
        reply = await ask(w, "refund", order_no=order_no, refund_amount=300)
        await w.advance(MINUTE_S)
        still_pending = await status(w, reply.order_no)
        lacks_money(w, channel, is_out=False)

        await w.advance(2 * MINUTE_S)
        await w.advance(3)

        assert (reply.data["refundStatus"], still_pending) == ("4", "1")
        assert [(refund.refund_no, refund.state) for refund in await refunds_of(w, order_no)] == [
            (reply.order_no, RefundState.SUCCEEDED)
        ]
        assert await refunded_at_wallet(w, order_no) == [300]


async def test_a_refund_the_wallet_refuses_is_failed_and_its_money_free_again() -> None:
    async with world() as w:
        order_no = await paid(w, channel=WECHAT)
        await w.advance(YEAR_S)  # channels B.7: no refunds after a year

        reply = await ask(w, "refund", order_no=order_no)

        assert reply.data["refundStatus"] == "-3"
        assert await status(w, reply.order_no) == "-2"
        assert await status(w, order_no) == "2"
        order = await w.order(order_no)
        assert (order.refunding_fen, order.refunded_fen) == (0, 0)


async def test_a_refused_refund_can_be_asked_for_anew() -> None:
    async with world() as w:
        order_no = await paid(w, channel=WECHAT)
        await w.advance(YEAR_S)
        first = await ask(w, "refund", order_no=order_no)

        second = await ask(w, "refund", order_no=order_no)

        assert second.code == "0"
        assert second.order_no != first.order_no


@on_both_engines
async def test_a_refund_reserved_before_a_crash_is_sent_after_it(engine: str) -> None:
    async with ground(engine) as g:
        async with running(g) as w:
            order_no = await paid(w, channel=WECHAT, amount=1000)
            await ask(w, "refund", order_no=order_no, refund_amount=300)
            reserved = await ask(w, "refund", order_no=order_no, refund_amount=200)  # waits for WeChat's minute
            assert await refunded_at_wallet(w, order_no) == [300]

        async with running(g) as w:
            await w.advance(MINUTE_S)
            await w.advance(3)

            assert await refunded_at_wallet(w, order_no) == [300, 200]
            assert await status(w, reserved.order_no) == "3"


@on_both_engines
@pytest.mark.parametrize("name", ["reset_before", "reset_after"])
async def test_a_refund_that_may_have_left_before_a_crash_is_asked_about_first(engine: str, name: str) -> None:
    async with ground(engine) as g:
        async with running(g, works=False) as w:
            order_no = await paid(w, amount=1000)
            await fault(w, ALIPAY, "refund_callback", "callback_never")
            await fault(w, ALIPAY, "refund", name)
            reply = await ask(w, "refund", order_no=order_no, refund_amount=300)
            assert reply.data["refundStatus"] == "4"

        async with running(g) as w:
            await w.advance(2 * MINUTE_S)

            assert await refunded_at_wallet(w, order_no) == [300]
            assert await status(w, reply.order_no) == "3"
            assert await status(w, order_no) == "6"


@on_both_engines
async def test_two_workers_send_a_waiting_refund_once(engine: str) -> None:
    async with world(engine) as w, w.another_worker():
        orders = [await paid(w, amount=1000) for _ in range(5)]
        lacks_money(w, ALIPAY)
        for order_no in orders:
            await ask(w, "refund", order_no=order_no)
        lacks_money(w, ALIPAY, is_out=False)

        await w.advance(10 * MINUTE_S)

        assert [await refunded_at_wallet(w, order_no) for order_no in orders] == [[1000]] * 5
        assert [await status(w, order_no) for order_no in orders] == ["7"] * 5
