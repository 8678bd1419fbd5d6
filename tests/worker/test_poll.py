"""Asking the wallets: lost callbacks, expiry, money that comes late (design 5, 7)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.databases import on_both_engines
from tests.letters import caught, caught_letters
from tests.wallets import Road, faulty_road
from tests.world import World, ground, running

both_wallets = pytest.mark.parametrize("channel", [1, 2])
MARGIN_MS = 120_000


@asynccontextmanager
async def deaf(engine: str = "sqlite") -> AsyncIterator[tuple[World, Road]]:
    """A world in which no callback arrives; the calls of the wallets can be counted."""
    async with ground(engine) as g, faulty_road() as road, running(g, **caught(g), **road.settings) as w:
        road.leads_to(w)
        yield w, road


async def live_to(w: World, at_ms: int) -> None:
    """Let an order live through its first questions, then until `at_ms`."""
    for seconds in (5, 5, 10, 20, 60):
        await w.advance(seconds)
    await w.advance_to(at_ms)


def notified(w: World) -> list[str]:
    return [heard.fields["cbOrderNo"] for heard in w.shop.heard if heard.path == "/notify"]


@on_both_engines
@both_wallets
async def test_a_lost_callback_is_found_out_by_asking(engine: str, channel: int) -> None:
    async with deaf(engine) as (w, _):
        order = await w.scan(channel=channel, notify_url=w.shop.url)
        trade = await w.pay(order.qr_code)
        before = await w.state(order.order_no)

        await w.advance(5)

        stored = await w.order(order.order_no)
        assert (before, stored.state.value, stored.channel_trade_no) == ("WAITING", "PAID", trade["trade_no"])
        assert notified(w) == [order.order_no]
        assert (await w.timeline(order.order_no))[-1].detail["source"] == "poll"


@both_wallets
async def test_an_open_order_is_asked_about_after_5_10_20_40_s_and_then_each_minute(channel: int) -> None:
    async with deaf() as (w, road):
        created_at_ms = w.clock.now_ms()
        await w.scan(channel=channel)
        asked: list[int] = []

        for second in range(1, 225):
            calls = len(road.calls)
            await w.advance(1)
            if len(road.calls) > calls:
                asked.append(second)

        assert w.clock.now_ms() == created_at_ms + 224_000
        assert asked == [5, 10, 20, 40, 100, 160, 220]


@both_wallets
async def test_a_paid_order_is_not_asked_about_any_more(channel: int) -> None:
    async with deaf() as (w, road):
        order = await w.scan(channel=channel)
        await w.pay(order.qr_code)
        await w.advance(5)
        calls = len(road.calls)

        for _ in range(5):
            await w.advance(3600)

        assert len(road.calls) == calls


@on_both_engines
async def test_an_overdue_order_is_closed_at_the_wallet_first_and_then_here(engine: str) -> None:
    async with deaf(engine) as (w, road):
        order = await w.scan(channel=2, notify_url=w.shop.url)
        expires_at_ms = (await w.order(order.order_no)).expires_at_ms
        await live_to(w, expires_at_ms - 1)
        before = (await w.state(order.order_no), [trade["status"] for trade in await w.wallet_trades(order.order_no)])
        states_when_asked: list[str] = []
        road.before = lambda call: _note(w, order.order_no, states_when_asked, call.path)

        await w.advance_to(expires_at_ms)

        assert before == ("WAITING", ["NOTPAY"])
        assert await w.state(order.order_no) == "CLOSED"
        assert states_when_asked[-1].startswith("WAITING /wechat/v3/pay/transactions/out-trade-no/")
        assert notified(w) == []


async def _note(w: World, order_no: str, states: list[str], path: str) -> None:
    states.append(f"{await w.state(order_no)} {path}")


async def test_an_alipay_code_that_was_scanned_but_not_paid_is_closed_when_overdue() -> None:
    async with deaf() as (w, _):
        order = await w.scan(channel=1)
        await w.pay(order.qr_code, result="fail")

        await w.advance_to((await w.order(order.order_no)).expires_at_ms)

        assert await w.state(order.order_no) == "CLOSED"
        assert [trade["status"] for trade in await w.wallet_trades(order.order_no)] == ["TRADE_CLOSED"]


async def test_an_alipay_code_that_nobody_scanned_is_closed_only_when_it_is_dead_for_certain() -> None:
    async with deaf() as (w, _):
        order = await w.scan(channel=1)
        expires_at_ms = (await w.order(order.order_no)).expires_at_ms

        await live_to(w, expires_at_ms)
        at_expiry = await w.state(order.order_no)
        await w.advance_to(expires_at_ms + MARGIN_MS - 1)
        before_the_margin = await w.state(order.order_no)
        await w.advance_to(expires_at_ms + MARGIN_MS)

        assert (at_expiry, before_the_margin, await w.state(order.order_no)) == ("WAITING", "WAITING", "CLOSED")


@both_wallets
async def test_money_that_came_just_before_the_end_wins(channel: int) -> None:
    async with deaf() as (w, _):
        order = await w.scan(channel=channel, notify_url=w.shop.url)
        expires_at_ms = (await w.order(order.order_no)).expires_at_ms
        await live_to(w, expires_at_ms - 1)
        await w.pay(order.qr_code)

        await w.advance_to(expires_at_ms)

        stored = await w.order(order.order_no)
        assert (stored.state.value, stored.is_late, notified(w)) == ("PAID", False, [order.order_no])


@both_wallets
async def test_money_that_comes_between_the_question_and_the_close_wins(channel: int) -> None:
    async with deaf() as (w, road):
        order = await w.scan(channel=channel, notify_url=w.shop.url)
        await w.pay(order.qr_code, result="fail")
        expires_at_ms = (await w.order(order.order_no)).expires_at_ms

        async def pay_before_the_close(call: object) -> None:
            if "close" in str(call):
                await w.ask_twin("POST", "/api/pay", qr_code=order.qr_code)

        await w.change("UPDATE orders SET expires_at_ms = expires_at_ms - 60000")
        road.before = pay_before_the_close
        await w.advance_to(expires_at_ms - 60_000)
        road.before = None
        await w.advance(60)

        stored = await w.order(order.order_no)
        assert (stored.state.value, stored.is_late, notified(w)) == ("PAID", False, [order.order_no])


@on_both_engines
@both_wallets
async def test_a_callback_and_a_question_at_once_pay_an_order_once(engine: str, channel: int) -> None:
    async with deaf(engine) as (w, _):
        replies = [await w.scan(channel=channel, amount=100, notify_url=w.shop.url) for _ in range(8)]
        for reply in replies:
            await w.pay(reply.qr_code)
        letters = caught_letters(w)

        w.clock.advance(5_000)
        answers = await asyncio.gather(*(letter.deliver(w) for letter in letters for _ in range(3)))
        await w.settle()

        assert all(answer.is_accepted for answer in answers)
        assert await w.number("SELECT count(*) FROM history WHERE kind = 'PAID'") == len(replies)
        assert await w.number("SELECT count(*) FROM payments") == len(replies)
        assert await w.number("SELECT sum(received_fen) FROM sales_hours") == 100 * len(replies)
        assert sorted(notified(w)) == sorted(reply.order_no for reply in replies)


@on_both_engines
async def test_money_and_the_close_at_once_end_in_one_of_two_consistent_ways(engine: str) -> None:
    async with deaf(engine) as (w, _):
        replies = [await w.scan(channel=2, amount=100, notify_url=w.shop.url) for _ in range(12)]
        await live_to(w, (await w.order(replies[0].order_no)).expires_at_ms - 1)

        pays = [w.ask_twin("POST", "/api/pay", qr_code=reply.qr_code) for reply in replies]
        paying = asyncio.gather(*pays)
        w.clock.advance(1)
        paid = {answer["out_trade_no"] for status, answer in await paying if status == 200}
        await w.settle()
        for letter in caught_letters(w):
            assert (await letter.deliver(w)).is_accepted
        await w.settle()

        states = {reply.order_no: await w.state(reply.order_no) for reply in replies}
        assert states == {order_no: "PAID" if order_no in paid else "CLOSED" for order_no in states}
        assert sorted(notified(w)) == sorted(paid)


async def closed_and_then_paid(w: World, channel: int) -> str:
    """An order that we closed although the wallet, as it turns out, took the money. Its callback has been caught."""
    order = await w.scan(channel=channel, notify_url=w.shop.url, amount=100)
    await w.pay(order.qr_code)
    await w.change("UPDATE orders SET state = 'CLOSED', poll_at_ms = 0")
    return order.order_no


@on_both_engines
@both_wallets
async def test_late_money_is_recorded_and_flagged_and_by_default_accepted(engine: str, channel: int) -> None:
    async with deaf(engine) as (w, _):
        order_no = await closed_and_then_paid(w, channel)

        answer = await caught_letters(w)[0].deliver(w)

        await w.settle()
        order = await w.order(order_no)
        assert answer.is_accepted
        assert (order.state.value, order.is_late, order.attention, order.received_fen) == ("PAID", True, "LATE", 100)
        assert (await w.timeline(order_no))[-1].kind == "PAID_LATE"
        assert notified(w) == [order_no]
        assert await w.metric("opentill_alarms_total", kind="LATE") == 1


@both_wallets
async def test_late_money_may_be_held_for_a_person(channel: int) -> None:
    async with deaf() as (w, _):
        await w.set_rules(w.till, late_payment="hold")
        order_no = await closed_and_then_paid(w, channel)

        await caught_letters(w)[0].deliver(w)

        await w.settle()
        order = await w.order(order_no)
        assert (order.state.value, order.attention, order.refunded_fen, notified(w)) == ("PAID", "LATE", 0, [])


@on_both_engines
@both_wallets
async def test_late_money_may_be_given_back_at_once(engine: str, channel: int) -> None:
    async with deaf(engine) as (w, _):
        await w.set_rules(w.till, late_payment="refund")
        order_no = await closed_and_then_paid(w, channel)

        await caught_letters(w)[0].deliver(w)
        await w.settle()
        for _ in range(5):
            await w.advance(60)

        order = await w.order(order_no)
        assert (order.state.value, order.refunded_fen, order.refunding_fen, notified(w)) == ("PAID", 100, 0, [])
        (trade,) = await w.wallet_trades(order_no)
        assert trade["refunded_fen"] == 100


@both_wallets
@pytest.mark.parametrize("state", ["CLOSED", "FAILED", "REVERSED"])
async def test_money_is_never_dropped_whatever_became_of_the_order(channel: int, state: str) -> None:
    async with deaf() as (w, _):
        order_no = await closed_and_then_paid(w, channel)
        await w.change("UPDATE orders SET state = $1", state)

        await caught_letters(w)[0].deliver(w)

        order = await w.order(order_no)
        assert (order.state.value, order.is_late, order.received_fen) == ("PAID", True, 100)


@both_wallets
async def test_an_apps_own_order_life_ends_its_orders(channel: int) -> None:
    async with deaf() as (w, _):
        await w.set_rules(w.till, order_life_ms=300_000)
        order = await w.scan(channel=channel)
        created_at_ms = w.clock.now_ms()

        assert (await w.order(order.order_no)).expires_at_ms == created_at_ms + 300_000
        await w.advance(300 + 120)
        assert await w.state(order.order_no) == "CLOSED"


@both_wallets
async def test_an_order_is_settled_though_its_parties_are_disabled(channel: int) -> None:
    async with deaf() as (w, _):
        order = await w.scan(channel=channel, notify_url=w.shop.url)
        await w.pay(order.qr_code)
        await w.administration.set_disabled("app", w.till.app, is_disabled=True)
        await w.administration.set_disabled("merchant", 1, is_disabled=True)
        await w.administration.set_disabled("account", channel, is_disabled=True)

        await w.advance(5)

        assert (await w.state(order.order_no), notified(w)) == ("PAID", [order.order_no])
