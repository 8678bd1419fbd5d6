"""A number is used once, for ever (protocol 4.1)."""

import asyncio
from collections import Counter

import pytest

from opentill.domain.parties import AppRules
from tests.databases import on_both_engines
from tests.wallets import Accident, faulty_road
from tests.world import world

CROWD = 100


@on_both_engines
@pytest.mark.parametrize("channel", [1, 2])
async def test_of_a_hundred_requests_at_once_with_one_number_exactly_one_gets_a_qr_code(
    engine: str, channel: int
) -> None:
    async with faulty_road() as road, world(engine, **road.settings | {"wallet_timeout_s": 30}) as w:
        road.leads_to(w)
        params = w.till.scan_params(channel=channel)

        replies = await asyncio.gather(*(w.scan(**params) for _ in range(CROWD)))

        assert Counter(reply.code for reply in replies) == {"0": 1, "60": CROWD - 1}
        (winner,) = [reply for reply in replies if reply.is_success]
        assert await w.number("SELECT count(*) FROM orders") == 1
        assert len(road.calls) == 1, "one trade was opened at the wallet"
        await w.pay(winner.qr_code)
        assert [trade["out_trade_no"] for trade in await w.wallet_trades()] == [winner.order_no]


@on_both_engines
async def test_a_hundred_requests_at_once_with_a_hundred_numbers_all_get_one(engine: str) -> None:
    async with world(engine, wallet_timeout_s=30) as w:
        replies = await asyncio.gather(*(w.scan(channel=1 + number % 2) for number in range(CROWD)))

        assert Counter(reply.code for reply in replies) == {"0": CROWD}
        assert len({reply.qr_code for reply in replies}) == len({reply.order_no for reply in replies}) == CROWD


@on_both_engines
async def test_two_gateways_on_one_database_give_a_number_once(engine: str) -> None:
    async with world(engine, wallet_timeout_s=30) as w, w.another_gateway() as second:
        params = w.till.scan_params()

        replies = await asyncio.gather(*(till.scan(**params) for till in (w.till, second) for _ in range(25)))

        assert Counter(reply.code for reply in replies) == {"0": 1, "60": 49}
        assert await w.number("SELECT count(*) FROM orders") == 1


async def test_a_number_is_refused_for_another_wallet_amount_or_cashier() -> None:
    async with world() as w:
        first = await w.scan(local_order_no="T-1")
        cashier = await w.administration.add_operator("second", merchant_id=1, store_id=1, account_ids=[1, 2])

        again = [
            await w.scan(local_order_no="T-1", channel=2),
            await w.scan(local_order_no="T-1", amount=2),
            await w.scan(local_order_no="T-1", operator_id=cashier),
        ]

        assert first.is_success
        assert {reply.code for reply in again} == {"60"}
        assert "T-1" in again[0].message


async def test_the_same_number_of_another_app_is_another_number() -> None:
    async with world() as w:
        till = await w.add_till()

        codes = [(await each.scan(local_order_no="T-1")).code for each in (w.till, till)]

        assert codes == ["0", "0"]


async def test_numbers_differ_by_case_and_inner_spaces() -> None:
    async with world() as w:
        codes = [(await w.scan(local_order_no=number)).code for number in ("T-1", "t-1", "T -1", "T-１")]

        assert codes == ["0"] * 4


async def test_a_number_stays_used_when_its_order_was_paid_closed_or_refused() -> None:
    async with faulty_road() as road, world(**road.settings) as w:
        road.leads_to(w)
        paid = await w.scan(local_order_no="paid")
        await w.pay(paid.qr_code)
        await w.scan(local_order_no="closed", channel=2)
        await w.advance(3 * 3600)
        road.always = Accident.REPLY_LOST
        unknown = await w.scan(local_order_no="unknown")
        road.always = Accident.NONE

        codes = {number: (await w.scan(local_order_no=number)).code for number in ("paid", "closed", "unknown")}

        assert unknown.code == "63"
        assert codes == dict.fromkeys(("paid", "closed", "unknown"), "60")


async def test_with_replay_a_byte_identical_repeat_gets_the_first_reply_again() -> None:
    async with world() as w:
        till = await w.add_till(rules=AppRules(idempotent_replay=True))
        form = till.form("open.pay.scan", **till.scan_params(version="1.1"))

        first = await till.post(form)
        await w.advance(60)
        again = [
            await till.post(form),
            await till.post_json(form),
            await till.post({**form, "sign": form["sign"].upper()}),
        ]

        assert first.is_success
        assert [reply.body for reply in again] == [first.body] * 3
        assert [reply.headers.get("x-opentill-replayed") for reply in [first, *again]] == [None, "true", "true", "true"]
        assert await w.number("SELECT count(*) FROM orders") == 1


async def test_with_replay_everything_else_under_the_number_is_still_refused() -> None:
    async with world() as w:
        till = await w.add_till(rules=AppRules(idempotent_replay=True))
        params = till.scan_params()
        form = till.form("open.pay.scan", **params)
        await till.post(form)

        later = await till.post(till.form("open.pay.scan", **params, timestamp=w.clock.now_ms() + 1))
        other = await till.post(till.form("open.pay.scan", **{**params, "amount": 2}))

        assert [later.code, other.code] == ["60", "60"]


async def test_without_replay_a_byte_identical_repeat_is_refused() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params())

        codes = [(await w.till.post(form)).code for _ in range(2)]

        assert codes == ["0", "60"]


async def test_an_unknown_first_try_is_not_replayed() -> None:
    async with faulty_road() as road, world(**road.settings) as w:
        road.leads_to(w)
        till = await w.add_till(rules=AppRules(idempotent_replay=True))
        form = till.form("open.pay.scan", **till.scan_params())
        road.accidents = [Accident.REPLY_LOST, Accident.REPLY_LOST]

        codes = [(await till.post(form)).code for _ in range(2)]

        assert codes == ["63", "60"]


@on_both_engines
async def test_with_replay_concurrent_repeats_get_the_first_reply_or_the_duplicate_error(engine: str) -> None:
    async with world(engine, wallet_timeout_s=30) as w:
        till = await w.add_till(rules=AppRules(idempotent_replay=True))
        form = till.form("open.pay.scan", **till.scan_params())

        replies = await asyncio.gather(*(till.post(form) for _ in range(20)))

        fresh = [reply for reply in replies if reply.is_success and "x-opentill-replayed" not in reply.headers]
        assert len(fresh) == 1
        assert {reply.code for reply in replies} <= {"0", "60"}
        assert {reply.body for reply in replies if reply.is_success} == {fresh[0].body}
