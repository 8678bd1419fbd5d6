"""`open.pay.reverse` (protocol 4.7), and the money that comes all the same (design 5)."""

import asyncio

import pytest

from tests.clients import Reply
from tests.databases import on_both_engines
from tests.orders import (
    ALIPAY,
    ASKS_PASSWORD,
    CODES,
    WECHAT,
    ask,
    fault,
    is_signed_over,
    on_each_wallet,
    other_operator,
    paid,
    refunded_at_wallet,
    scanned,
    status,
)
from tests.wallets import Accident, Call, faulty_road
from tests.world import World, world

# protocol 4.7, word for word
PAID = "当前订单已经收款成功，无法执行撤销。您可以使用刷新功能同步订单最新状态！"
REFUNDED = "当前订单已经全额退款，无法执行撤销！"
FAILED = "交易失败的订单无法进行撤销！"
NOT_A_PAYMENT = "此订单不支持撤销操作，请查证（只有付款订单才可以撤销）！"


@on_both_engines
@on_each_wallet
async def test_an_order_nobody_has_paid_is_reversed(engine: str, channel: int) -> None:
    async with world(engine) as w:
        order = await scanned(w, channel=channel)

        reply = await ask(w, "reverse", order_no=order.order_no)

        assert (reply.code, set(reply.data)) == ("0", {"timestamp", "sign"})
        assert is_signed_over(w, reply, "timestamp")
        assert await status(w, order.order_no) == "8"


async def test_the_four_refusals_are_worded_as_published() -> None:
    async with world() as w:
        order_no = await paid(w, amount=1000)
        failed = await w.till.call(
            "open.pay.barcode", local_order_no="L-1", amount=1, barcode=CODES[ALIPAY] + "0002"
        )  # lacks money
        assert failed.code == "62"

        refused_paid = await ask(w, "reverse", order_no=order_no)
        refund = await ask(w, "refund", order_no=order_no, refund_amount=300)
        refused_partly = await ask(w, "reverse", order_no=order_no)
        await ask(w, "refund", order_no=order_no)
        refused_fully = await ask(w, "reverse", order_no=order_no)
        refused_failed = await ask(w, "reverse", local_order_no="L-1")
        refused_refund = await ask(w, "reverse", order_no=refund.order_no)

        replies = [refused_paid, refused_partly, refused_fully, refused_failed, refused_refund]
        assert [reply.message for reply in replies] == [PAID, PAID, REFUNDED, FAILED, NOT_A_PAYMENT]
        assert [reply.code for reply in replies] == ["80", "80", "81", "82", "83"]


@on_both_engines
@on_each_wallet
async def test_the_wallet_is_asked_first_and_money_nobody_told_us_about_refuses(engine: str, channel: int) -> None:
    async with world(engine, works=False) as w:
        order = await scanned(w, channel=channel)
        await fault(w, channel, "callback", "callback_never")
        await w.ask_twin("POST", "/api/pay", qr_code=order.qr_code)

        reply = await ask(w, "reverse", order_no=order.order_no)

        assert reply.message == PAID
        assert await w.state(order.order_no) == "PAID"
        assert await refunded_at_wallet(w, order.order_no) == []


async def test_reversing_again_succeeds() -> None:
    async with world() as w:
        order = await scanned(w)

        replies = [await ask(w, "reverse", order_no=order.order_no) for _ in range(3)]

        assert [reply.code for reply in replies] == ["0"] * 3


async def test_a_reversed_order_can_not_be_paid_at_wechat() -> None:
    async with world() as w:
        order = await scanned(w, channel=WECHAT)
        await ask(w, "reverse", order_no=order.order_no)

        code, answer = await w.ask_twin("POST", "/api/pay", qr_code=order.qr_code)

        assert (code, answer["error"]["code"]) == (409, "TRADE_CLOSED")


@on_both_engines
@pytest.mark.parametrize(
    ("policy", "order_status", "told", "refunded"),
    [("accept", "2", ["PAY_SUC"], []), ("refund", "7", [], [1000]), ("hold", "2", [], [])],
)
async def test_money_for_a_reversed_alipay_code_is_never_dropped(
    engine: str, policy: str, order_status: str, told: list[str], refunded: list[int]
) -> None:
    async with world(engine) as w:
        await w.set_rules(w.till, late_payment=policy)
        order = await scanned(w, amount=1000, notify_url=w.shop.url)
        await ask(w, "reverse", order_no=order.order_no)  # an Alipay code nobody has scanned can't be killed

        await w.pay(order.qr_code)

        assert await status(w, order.order_no) == order_status
        assert [heard.fields["orderStatus"] for heard in w.shop.heard] == told
        assert await refunded_at_wallet(w, order.order_no) == refunded
        late = await w.order(order.order_no)
        assert (late.is_late, late.attention, late.received_fen) == (True, "LATE", 1000)
        assert await w.metric("opentill_alarms_total", kind="LATE") == 1


async def test_a_reversed_alipay_order_is_watched_until_its_code_is_dead() -> None:
    async with world() as w:
        order = await scanned(w)
        await ask(w, "reverse", order_no=order.order_no)
        await fault(w, ALIPAY, "callback", "callback_never", times=9)
        await w.ask_twin("POST", "/api/pay", qr_code=order.qr_code)
        before = await status(w, order.order_no)

        await w.advance(60)

        assert (before, await status(w, order.order_no)) == ("8", "2")


async def test_a_trade_that_comes_up_after_the_reverse_is_closed() -> None:
    async with world() as w:
        order = await scanned(w)
        await ask(w, "reverse", order_no=order.order_no)
        await w.ask_twin("POST", "/api/scan", qr_code=order.qr_code)

        await w.advance(60)

        assert [trade["status"] for trade in await w.wallet_trades(order.order_no)] == ["TRADE_CLOSED"]


async def test_the_watch_ends_with_the_code() -> None:
    async with world() as w:
        order = await scanned(w)
        await ask(w, "reverse", order_no=order.order_no)

        await w.advance(3 * 3600)

        assert (await w.order(order.order_no)).poll_at_ms == 0
        assert await status(w, order.order_no) == "8"


@on_each_wallet
@pytest.mark.parametrize("accident", [Accident.REPLY_LOST, Accident.ERROR_500, Accident.FORGED])
async def test_nothing_is_concluded_from_an_unknown_answer(channel: int, accident: Accident) -> None:
    async with faulty_road() as road, world(works=False, **road.settings) as w:
        road.leads_to(w)
        order = await scanned(w, channel=channel)
        road.always = accident

        unknown = await ask(w, "reverse", order_no=order.order_no)
        state = await w.state(order.order_no)
        road.always = Accident.NONE
        known = await ask(w, "reverse", order_no=order.order_no)

        assert (unknown.code, state, known.code) == ("63", "WAITING", "0")


@on_both_engines
async def test_an_order_may_be_reversed_before_the_wallet_has_answered(engine: str) -> None:
    async with faulty_road() as road, world(engine, **road.settings | {"wallet_timeout_s": 5}) as w:
        road.leads_to(w)
        reversing = _Reversing(w)
        road.before = reversing.before_first

        scan = await w.till.scan(channel=WECHAT, local_order_no="L-1")

        assert [reply.code for reply in reversing.replies] == ["0"]
        assert scan.code == "63"  # nobody gets a code for an order that has ended
        asked = await ask(w, "query", local_order_no="L-1")
        assert asked.data["orderStatus"] == "8"
        await w.advance(60)
        assert [trade["status"] for trade in await w.wallet_trades(asked.order_no)] == ["CLOSED"]


async def test_a_charge_that_waits_for_a_password_is_undone() -> None:
    async with world() as w:
        charge = await w.till.call(
            "open.pay.barcode", local_order_no="L-1", amount=1, barcode=CODES[WECHAT] + ASKS_PASSWORD
        )

        reply = await ask(w, "reverse", order_no=charge.order_no)

        assert reply.code == "0"
        assert await status(w, charge.order_no) == "8"
        assert [trade["status"] for trade in await w.wallet_trades(charge.order_no)] == ["REVOKED"]


async def test_nobody_reverses_an_order_of_others() -> None:
    async with world() as w:
        order = await scanned(w)
        stranger = await w.add_till()
        cashier_of_another_merchant = await other_operator(w, w.till)

        replies = [
            await ask(w, "reverse", till=till, order_no=order.order_no)
            for till in (stranger, cashier_of_another_merchant)
        ]

        assert [reply.code for reply in replies] == ["64", "64"]
        assert await w.state(order.order_no) == "WAITING"


class _Reversing:
    """Reverses the order L-1 while the first call of the wallet is on its way."""

    def __init__(self, w: World) -> None:
        self._world = w
        self._is_first = True
        self.replies: list[Reply] = []

    async def before_first(self, _: Call) -> None:
        if self._is_first:
            self._is_first = False
            self._world.clock.advance(1)
            call = self._world.till.call("open.pay.reverse", local_order_no="L-1")
            self.replies.append(await asyncio.wait_for(call, 10))
