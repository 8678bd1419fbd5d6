"""What is not certain is never guessed: accidents on the way to the wallets (channels 0.1, protocol 4.1)."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.databases import on_both_engines
from tests.wallets import CERTAINLY_UNKNOWN, Accident, Call, Road, faulty_road
from tests.world import World, world

both_wallets = pytest.mark.parametrize("channel", [1, 2])
# WeChat Pay answers a close with 204: there is no body that could be spoilt.
WITHOUT_BODY = [
    Accident.REQUEST_LOST, Accident.REPLY_LOST, Accident.SILENCE, Accident.ERROR_500, Accident.ERROR_502_UNHEARD,
    Accident.FORGED, Accident.UNSIGNED,
]  # fmt: skip


@asynccontextmanager
async def on_a_faulty_road(engine: str = "sqlite") -> AsyncIterator[tuple[Road, World]]:
    async with faulty_road() as road, world(engine, **road.settings) as w:
        road.leads_to(w)
        yield road, w


async def until_dead(w: World, order_no: str) -> None:
    """Let time pass until nobody can pay the order any more, with a few looks on the way."""
    expires_at_ms = (await w.order(order_no)).expires_at_ms
    for at_ms in (w.clock.now_ms() + 5_000, expires_at_ms, expires_at_ms + 120_000):
        await w.advance_to(at_ms)


async def only_order(w: World) -> str:
    (row,) = await w.rows("SELECT order_no FROM orders")
    return str(row["order_no"])


@both_wallets
async def test_after_one_accident_the_same_create_is_repeated_once_and_the_till_notices_nothing(channel: int) -> None:
    async with on_a_faulty_road() as (road, w):
        for accident in CERTAINLY_UNKNOWN:
            road.accidents, road.calls = [accident], []

            reply = await w.scan(channel=channel, notify_url=w.shop.url)

            assert reply.is_success, (accident, reply.message)
            assert [_trade_no(call) for call in road.calls] == [reply.order_no] * 2, accident
            await w.pay(reply.qr_code)
            assert await w.state(reply.order_no) == "PAID"
        assert len(w.shop.heard) == len(CERTAINLY_UNKNOWN)


def _trade_no(call: Call) -> str:
    """The 30 digits of ours in what was asked."""
    (found,) = set(re.findall(r"1\d{29}", call.body.decode()))
    return str(found)


@on_both_engines
@both_wallets
@pytest.mark.parametrize("accident", [Accident.REPLY_LOST, Accident.REQUEST_LOST, Accident.FORGED, Accident.ERROR_500])
async def test_after_two_accidents_the_till_hears_timeout_and_the_order_stays_open(
    engine: str, channel: int, accident: Accident
) -> None:
    async with on_a_faulty_road(engine) as (road, w):
        road.always = accident

        reply = await w.scan(channel=channel, local_order_no="T-1")

        assert (reply.code, reply.data) == ("63", {})
        assert "不要更换订单号" in reply.message
        assert len(road.calls) == 2
        assert await w.state(await only_order(w)) == "WAITING"
        assert (await w.scan(local_order_no="T-1")).code == "60", "the number stays used"


@both_wallets
async def test_a_repeated_create_that_never_leaves_says_nothing_about_the_first(channel: int) -> None:
    async with on_a_faulty_road() as (road, w):
        assert road.close is not None
        close = road.close
        road.accidents, road.before = [Accident.REPLY_LOST], lambda _: close()

        reply = await w.scan(channel=channel)

        assert [trade["status"] for trade in await w.wallet_trades()] in (["NOTPAY"], [])
        assert (len(road.calls), reply.code) == (1, "63")
        assert await w.state(await only_order(w)) == "WAITING"


@both_wallets
@pytest.mark.parametrize("accident", CERTAINLY_UNKNOWN)
async def test_an_order_of_unknown_outcome_is_closed_by_the_worker_and_never_paid(
    channel: int, accident: Accident
) -> None:
    async with on_a_faulty_road() as (road, w):
        road.accidents = [accident, accident]
        await w.scan(channel=channel, notify_url=w.shop.url)
        order_no = await only_order(w)

        await until_dead(w, order_no)

        assert await w.state(order_no) == "CLOSED"
        assert w.shop.heard == []
        assert {trade["status"] for trade in await w.wallet_trades(order_no)} <= {"TRADE_CLOSED", "CLOSED"}


async def test_a_trade_that_exists_at_the_wallet_is_closed_there_first() -> None:
    async with on_a_faulty_road() as (road, w):
        road.accidents = [Accident.REPLY_LOST, Accident.REPLY_LOST]
        await w.scan(channel=2)
        order_no = await only_order(w)
        before = [trade["status"] for trade in await w.wallet_trades(order_no)]

        await w.advance(5)

        assert before == ["NOTPAY"]
        assert [trade["status"] for trade in await w.wallet_trades(order_no)] == ["CLOSED"]
        assert await w.state(order_no) == "CLOSED"


@pytest.mark.parametrize("accident", WITHOUT_BODY)
async def test_a_close_of_unknown_outcome_leaves_the_order_open_and_is_tried_again(accident: Accident) -> None:
    async with on_a_faulty_road() as (road, w):
        reply = await w.scan(channel=2)
        order = await w.order(reply.order_no)
        road.always = accident
        await w.advance_to(order.expires_at_ms)
        during = await w.state(reply.order_no)

        road.always = Accident.NONE
        await w.advance(60)

        assert (during, await w.state(reply.order_no)) == ("WAITING", "CLOSED")


@both_wallets
async def test_a_question_of_unknown_outcome_concludes_nothing_and_is_asked_again(channel: int) -> None:
    async with on_a_faulty_road() as (road, w):
        for accident in CERTAINLY_UNKNOWN:
            reply = await w.scan(channel=channel, notify_url=w.shop.url)
            road.always = accident
            await w.advance(5)
            during = await w.state(reply.order_no)
            road.always = Accident.NONE

            await w.pay(reply.qr_code)

            assert (during, await w.state(reply.order_no)) == ("WAITING", "PAID"), accident
        assert len(w.shop.heard) == len(CERTAINLY_UNKNOWN)


@both_wallets
async def test_a_wallet_that_comes_back_is_asked_and_the_payment_is_found(channel: int) -> None:
    async with on_a_faulty_road() as (road, w):
        reply = await w.scan(channel=channel, notify_url=w.shop.url)
        road.always = Accident.REQUEST_LOST
        for _ in range(10):
            await w.advance(60)

        await w.pay(reply.qr_code)

        assert (await w.state(reply.order_no), len(w.shop.heard)) == ("PAID", 1)


@both_wallets
async def test_a_certain_refusal_fails_the_order_and_names_the_reason(channel: int) -> None:
    async with world() as w:
        settings = await w.administration.account_settings(channel)
        await _break_account(w, channel, settings)

        reply = await w.scan(channel=channel)

        assert reply.code == "62"
        assert {1: "支付宝", 2: "微信支付"}[channel] in reply.message
        assert await w.state(await only_order(w)) == "FAILED"
        await w.advance(3600)
        assert await w.state(await only_order(w)) == "FAILED"


async def _break_account(w: World, channel: int, settings: dict[str, str]) -> None:
    """The account has a number that the wallet does not know."""
    wrong = {1: {"app_id": "2021000000000000"}, 2: {"mchid": "1600000000"}}[channel]
    await w.administration.replace_account_settings(channel, {**settings, **wrong})
    w.deployment.parties.forget()


@on_both_engines
@both_wallets
async def test_a_gateway_that_died_after_taking_the_number_leaves_an_order_that_the_worker_settles(
    engine: str, channel: int
) -> None:
    async with on_a_faulty_road(engine) as (road, w):
        road.accidents = [Accident.SILENCE, Accident.SILENCE]
        await w.scan(channel=channel)
        order_no = await only_order(w)
        # As the database looks when the process dies between its two writes.
        await w.change(
            "UPDATE orders SET state = 'CREATED', qr_text = '', polls = 0, poll_at_ms = $1", w.clock.now_ms() + 30_000
        )
        await w.advance(29)
        before = await w.state(order_no)

        await until_dead(w, order_no)

        assert (before, await w.state(order_no)) == ("CREATED", "CLOSED")
