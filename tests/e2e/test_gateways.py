"""One gateway, or two on addresses of their own with one database: nobody outside can tell the difference."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.clients import is_signed
from tests.e2e.towns import Town, town

ONE: Sequence[Sequence[str]] = [[]]
TWO: Sequence[Sequence[str]] = [[], ["--workers", "2"]]
on_one_and_two = pytest.mark.parametrize("gateways", [ONE, TWO], ids=["one gateway", "two gateways"])
RACERS = 12


async def public_key(t: Town, number: int) -> str:
    async with t.http.get(t.till(number).url.replace("/gatewayOpen.htm", "/public-key")) as reply:
        return await reply.text()


@on_one_and_two
async def test_an_order_lives_its_whole_life_wherever_its_calls_arrive(gateways: Sequence[Sequence[str]]) -> None:
    async with town("postgresql", *gateways) as t:
        here, there = t.till(0), t.till(1)
        opened = await there.scan(channel=2, amount=100, local_order_no="LIFE", notify_url=t.shop.url)
        again = await here.scan(channel=1, amount=100, local_order_no="LIFE")
        await t.pay(opened.qr_code)  # the wallet calls the first gateway back, whoever opened the order
        paid = await t.becomes(here, opened.order_no, "2")
        (heard,) = await t.shop.arrived(1)
        part = await there.call("open.pay.refund", order_no=opened.order_no, refund_amount=40, local_refund_no="R1")
        too_much = await here.call("open.pay.refund", order_no=opened.order_no, refund_amount=61, local_refund_no="R2")
        repeated = await here.call("open.pay.refund", order_no=opened.order_no, refund_amount=40, local_refund_no="R1")
        refused = await here.call("open.pay.reverse", order_no=opened.order_no)
        other = await here.scan()
        reversed_there = await there.call("open.pay.reverse", order_no=other.order_no)
        status = await here.call("open.pay.query", order_no=other.order_no)

        assert again.code == "60"
        assert paid.data["receiveAmount"] == "100"
        fields = heard.fields
        assert is_signed(fields, fields.pop("sign"), await public_key(t, 0))
        assert await public_key(t, 0) == await public_key(t, 1)
        assert part.is_success, part.message
        assert (too_much.code, refused.code) == ("71", "80")
        assert repeated.data["cbOrderNo"] == part.data["cbOrderNo"]
        assert reversed_there.is_success, reversed_there.message
        assert status.data["orderStatus"] == "8"
        rows = await t.rows("SELECT SUM(amount_fen) AS fen, COUNT(*) AS count FROM refunds WHERE state <> 'FAILED'")
        assert [(int(row["fen"]), row["count"]) for row in rows] == [(40, 1)]


async def test_of_many_tills_at_both_gateways_with_one_number_exactly_one_gets_a_code() -> None:
    async with town("postgresql", *TWO) as t:
        for round_number in range(5):
            calls = [t.till(place).scan(local_order_no=f"RACE{round_number}", channel=2) for place in range(RACERS)]

            replies = await asyncio.gather(*calls)

            assert sorted(reply.code for reply in replies) == ["0", *["60"] * (RACERS - 1)]
        assert len(await t.wallet_trades()) == 5


async def test_a_payment_is_told_once_although_every_process_may_tell_it() -> None:
    async with town("postgresql", *TWO, has_worker=True) as t:
        opened = [await t.till(place).scan(channel=1 + place % 2, notify_url=t.shop.url) for place in range(8)]

        await asyncio.gather(*(t.pay(reply.qr_code) for reply in opened))

        await t.shop.arrived(len(opened))
        for reply in opened:
            await t.becomes(t.till(0), reply.order_no, "2")
        told = await t.rows("SELECT state, attempts FROM notifications")
        while any(row["state"] == "DUE" for row in told):
            told = await t.rows("SELECT state, attempts FROM notifications")
        assert told == [{"state": "DELIVERED", "attempts": 1}] * len(opened)
        assert sorted(heard.fields["cbOrderNo"] for heard in t.shop.heard) == sorted(r.order_no for r in opened)


async def test_a_refund_asked_for_at_both_gateways_at_once_gives_money_back_once() -> None:
    async with town("postgresql", *TWO) as t:
        opened = await t.till(0).scan(amount=100)
        await t.pay(opened.qr_code)
        await t.becomes(t.till(1), opened.order_no, "2")

        calls = [
            t.till(place).call(
                "open.pay.refund", order_no=opened.order_no, refund_amount=60, local_refund_no=f"R{place}"
            )
            for place in range(RACERS)
        ]
        replies = await asyncio.gather(*calls)

        assert [reply.code for reply in replies].count("0") == 1
        (trade,) = await t.wallet_trades()
        assert trade["refunded_fen"] == 60


async def test_a_signature_used_at_one_gateway_is_refused_for_another_interface_at_the_other() -> None:
    async with town("postgresql", *TWO) as t:
        opened = await t.till(0).scan()
        await t.pay(opened.qr_code)
        await t.becomes(t.till(1), opened.order_no, "2")
        form = t.till(0).form("open.pay.query", order_no=opened.order_no)

        asked = await t.till(0).post(form)
        stolen = await t.till(1).post({**form, "command": "open.pay.refund"})

        assert asked.is_success
        assert stolen.code == "29"
