"""`open.pay.refund` (protocol 4.6): what is asked and answered, over real HTTP with both wallets on both databases."""

from typing import Any

import pytest

from tests.databases import on_both_engines
from tests.orders import (
    ALIPAY,
    WECHAT,
    ask,
    at_once,
    audited,
    is_signed_over,
    lacks_money,
    on_each_wallet,
    other_operator,
    paid,
    refunded_at_wallet,
    refunds_of,
    scanned,
    status,
    strict_till,
)
from tests.world import world

SIGNED = "refundStatus localOrderNo cbOrderNo outOrderNo refundAmount timestamp"
MINUTE_S = 60


@on_both_engines
@on_each_wallet
async def test_a_full_refund_is_answered_once_it_is_certain(engine: str, channel: int) -> None:
    async with world(engine) as w:
        order_no = await paid(w, channel=channel, amount=1000)

        reply = await ask(w, "refund", order_no=order_no)

        assert {name: reply.data[name] for name in ("refundStatus", "refundAmount")} == {
            "refundStatus": "5",
            "refundAmount": "1000",
        }
        assert reply.data["localOrderNo"] == reply.order_no  # without local_refund_no our number stands in
        assert reply.order_no[0] == "2"
        assert reply.data["outOrderNo"]
        assert set(reply.data) == {*SIGNED.split(), "sign"}
        assert is_signed_over(w, reply, SIGNED)
        asked = await ask(w, "query", order_no=order_no)
        assert {name: asked.data[name] for name in ("orderStatus", "refundAmount", "receiveAmount")} == {
            "orderStatus": "7",
            "refundAmount": "1000",
            "receiveAmount": "1000",
        }
        assert asked.data["refundTime"]
        assert await refunded_at_wallet(w, order_no) == [1000]


@on_both_engines
async def test_parts_add_up_and_without_an_amount_all_that_is_left_goes_back(engine: str) -> None:
    async with world(engine) as w:
        order_no = await paid(w, amount=1000, local_order_no="L-1")

        first = await ask(w, "refund", order_no=order_no, refund_amount=300, reason="少了一杯")
        after_first = await status(w, order_no)
        second = await ask(w, "refund", local_order_no="L-1", refund_amount="1")
        rest = await ask(w, "refund", order_no=order_no)
        nothing_left = await ask(w, "refund", order_no=order_no)

        assert [reply.data["refundAmount"] for reply in (first, second, rest)] == ["300", "1", "699"]
        assert (after_first, await status(w, order_no)) == ("6", "7")
        assert (nothing_left.code, "可退0分" in nothing_left.message) == ("71", True)
        assert await refunded_at_wallet(w, order_no) == [300, 1, 699]


@on_both_engines
@on_each_wallet
async def test_the_same_bytes_again_are_the_same_refund(engine: str, channel: int) -> None:
    async with world(engine) as w:
        order_no = await paid(w, channel=channel, amount=1000)
        w.clock.advance(1)
        form = w.till.form("open.pay.refund", order_no=order_no, refund_amount=400)
        first = await w.meanwhile(w.till.post(form))

        again = await w.meanwhile(w.till.post(form))
        upper_case = await w.meanwhile(w.till.post({**form, "sign": form["sign"].upper()}))

        replies = [first, again, upper_case]
        assert {(reply.data["refundStatus"], reply.order_no) for reply in replies} == {("5", first.order_no)}
        assert await refunded_at_wallet(w, order_no) == [400]


@on_both_engines
async def test_the_same_bytes_ten_times_at_once_are_one_refund(engine: str) -> None:
    async with world(engine) as w:
        order_no = await paid(w, amount=1000)
        w.clock.advance(1)
        form = w.till.form("open.pay.refund", order_no=order_no, refund_amount=100)

        replies = await w.meanwhile(at_once(w.till.post(form) for _ in range(10)))

        assert {reply.code for reply in replies} == {"0"}
        assert len({reply.order_no for reply in replies}) == 1
        assert await refunded_at_wallet(w, order_no) == [100]


async def test_the_same_sign_with_another_amount_is_refused_and_written_down() -> None:
    async with world() as w:
        order_no = await paid(w, amount=1000)
        form = w.till.form("open.pay.refund", order_no=order_no, refund_amount=100)
        await w.meanwhile(w.till.post(form))

        more = await w.till.post({**form, "refund_amount": "900"})
        all_of_it = await w.till.post({name: value for name, value in form.items() if name != "refund_amount"})

        assert (more.code, all_of_it.code) == ("73", "73")
        assert await audited(w) == ["REFUND_REPEAT_DIFFERS"] * 2
        assert await refunded_at_wallet(w, order_no) == [100]


@on_both_engines
async def test_a_refund_number_of_the_integrator_names_one_refund(engine: str) -> None:
    async with world(engine) as w:
        order_no = await paid(w, amount=1000)
        another_order = await paid(w, amount=1000)
        first = await ask(w, "refund", order_no=order_no, refund_amount=300, local_refund_no="R-1")

        same_amount = await ask(w, "refund", order_no=order_no, refund_amount=300, local_refund_no="R-1")
        no_amount = await ask(w, "refund", order_no=order_no, local_refund_no="R-1")
        other_amount = await ask(w, "refund", order_no=order_no, refund_amount=200, local_refund_no="R-1")
        other_order = await ask(w, "refund", order_no=another_order, refund_amount=300, local_refund_no="R-1")

        assert first.data["localOrderNo"] == "R-1"
        assert {reply.order_no for reply in (first, same_amount, no_amount)} == {first.order_no}
        assert (other_amount.code, other_order.code) == ("73", "73")
        assert (await refunded_at_wallet(w, order_no), await refunded_at_wallet(w, another_order)) == ([300], [])


async def test_another_app_may_use_the_same_refund_number() -> None:
    async with world() as w:
        other = await w.add_till()
        ours, theirs = await paid(w), await paid(w, till=other)
        await ask(w, "refund", order_no=ours, local_refund_no="R-1")

        reply = await ask(w, "refund", till=other, order_no=theirs, local_refund_no="R-1")

        assert (reply.code, reply.data["refundStatus"]) == ("0", "5")


async def test_while_a_refund_without_a_number_is_pending_another_could_be_the_same() -> None:
    async with world() as w:
        order_no = await paid(w, amount=1000)
        lacks_money(w, ALIPAY)
        pending = await ask(w, "refund", order_no=order_no, refund_amount=300)

        again = await ask(w, "refund", order_no=order_no, refund_amount=300)
        told_apart = await ask(w, "refund", order_no=order_no, refund_amount=300, local_refund_no="R-2")

        assert (pending.data["refundStatus"], again.code, told_apart.data["refundStatus"]) == ("4", "72", "4")


async def test_a_strict_app_may_have_several_refunds_pending() -> None:
    async with world() as w:
        till = await strict_till(w)
        order_no = await paid(w, till=till)
        lacks_money(w, ALIPAY)
        await ask(w, "refund", till=till, order_no=order_no, refund_amount=300)

        second = await ask(w, "refund", till=till, order_no=order_no, refund_amount=300)

        assert (second.code, second.data["refundStatus"]) == ("0", "4")


@on_both_engines
async def test_fifty_refunds_at_once_never_exceed_what_was_received(engine: str) -> None:
    async with world(engine) as w:
        order_no = await paid(w, amount=1000)
        w.clock.advance(1)
        forms = [
            w.till.form("open.pay.refund", order_no=order_no, refund_amount=90, local_refund_no=f"R-{number}")
            for number in range(50)
        ]

        replies = await w.meanwhile(at_once(w.till.post(form) for form in forms))

        # 11 times 90 fit into 1000. Who lost too many races in a row is told to try again, and nothing was done.
        codes = [reply.code for reply in replies]
        assert set(codes) <= {"0", "71", "2"}
        assert 1 <= codes.count("0") <= 11
        assert await refunded_at_wallet(w, order_no) == [90] * codes.count("0")
        order = await w.order(order_no)
        assert (order.refunded_fen, order.refunding_fen) == (90 * codes.count("0"), 0)


@on_both_engines
async def test_wechat_allows_the_next_refund_of_an_order_after_a_minute(engine: str) -> None:
    async with world(engine) as w:
        order_no = await paid(w, channel=WECHAT, amount=1000)
        first = await ask(w, "refund", order_no=order_no, refund_amount=300)

        second = await ask(w, "refund", order_no=order_no, refund_amount=200)

        assert (first.data["refundStatus"], second.data["refundStatus"]) == ("5", "4")
        assert await refunded_at_wallet(w, order_no) == [300]
        assert await status(w, second.order_no) == "1"
        await w.advance(MINUTE_S)
        await w.advance(3)
        assert await refunded_at_wallet(w, order_no) == [300, 200]
        assert await status(w, second.order_no) == "3"


@pytest.mark.parametrize("number", ["order_no", "local_order_no"])
async def test_only_a_paid_order_of_the_caller_can_be_refunded(number: str) -> None:
    async with world() as w:
        order = await scanned(w, local_order_no="L-1")
        await paid(w, local_order_no="L-2")
        stranger = await w.add_till()
        cashier_of_another_merchant = await other_operator(w, w.till)
        unpaid: dict[str, Any] = {"order_no": order.order_no, "local_order_no": "L-1"}
        paid_no = (await ask(w, "query", local_order_no="L-2")).order_no
        paid_numbers: dict[str, Any] = {"order_no": paid_no, "local_order_no": "L-2"}

        replies = [
            await ask(w, "refund", **{number: unpaid[number]}),
            await ask(w, "refund", till=stranger, **{number: paid_numbers[number]}),
            await ask(w, "refund", till=cashier_of_another_merchant, **{number: paid_numbers[number]}),
            await ask(w, "refund", order_no="1" * 30),
        ]

        assert [reply.code for reply in replies] == ["70", "64", "64", "64"]
        assert await refunded_at_wallet(w, paid_no) == []


async def test_a_refund_can_not_be_refunded() -> None:
    async with world() as w:
        refund = await ask(w, "refund", order_no=await paid(w), refund_amount=1)

        reply = await ask(w, "refund", order_no=refund.order_no)

        assert reply.code == "70"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"refund_amount": "0"}, "52"),
        ({"refund_amount": "-1"}, "52"),
        ({"refund_amount": "+1"}, "52"),
        ({"refund_amount": "1.0"}, "52"),
        ({"refund_amount": "一"}, "52"),
        ({"refund_amount": "10000000001"}, "52"),
        ({"refund_amount": "1001"}, "71"),
        ({"reason": "长" * 81}, "53"),
        ({"local_refund_no": "R" * 65}, "54"),
    ],
)
async def test_what_is_out_of_its_limits_is_refused(params: dict[str, Any], code: str) -> None:
    async with world() as w:
        order_no = await paid(w, amount=1000)

        reply = await ask(w, "refund", order_no=order_no, **params)

        assert reply.code == code
        assert await refunds_of(w, order_no) == []


async def test_a_merchant_hears_of_refunds_only_if_its_app_wants_to() -> None:
    async with world() as w:
        first = await paid(w, amount=1000, notify_url=w.shop.url)
        await ask(w, "refund", order_no=first, refund_amount=300)
        heard_by_default = [heard.fields["orderStatus"] for heard in w.shop.heard]
        await w.set_rules(w.till, notify_refunds=True)

        await ask(w, "refund", order_no=first, refund_amount=100)
        await ask(w, "refund", order_no=first)
        await w.settle()

        heard = [heard.fields["orderStatus"] for heard in w.shop.heard]
        assert heard_by_default == ["PAY_SUC"]
        assert heard == ["PAY_SUC", "PART_REFUND", "ALL_REFUND"]


@on_both_engines
async def test_a_day_of_shanghai_has_its_ceiling(engine: str) -> None:
    async with world(engine) as w:
        order_no = await paid(w, amount=1000)
        await w.set_rules(w.till, refund_ceiling_fen=500)

        within = await ask(w, "refund", order_no=order_no, refund_amount=300)
        exactly = await ask(w, "refund", order_no=order_no, refund_amount=200)
        one_more = await ask(w, "refund", order_no=order_no, refund_amount=1)
        late_that_evening = 12 * 3600 - 60
        await w.advance(late_that_evening)
        still = await ask(w, "refund", order_no=order_no, refund_amount=1)
        await w.advance(60)
        next_day = await ask(w, "refund", order_no=order_no, refund_amount=500)

        assert [reply.code for reply in (within, exactly, one_more, still, next_day)] == ["0", "0", "74", "74", "0"]
        assert await audited(w) == ["REFUND_CEILING"] * 2
        assert await refunded_at_wallet(w, order_no) == [300, 200, 500]
