"""`open.pay.query` (protocol 4.5), over real HTTP with both wallets on both databases."""

from typing import Any

import pytest

from opentill.domain.parties import AppRules
from tests.databases import on_both_engines
from tests.orders import (
    ALIPAY,
    WECHAT,
    ask,
    fault,
    is_signed_over,
    lacks_money,
    on_each_wallet,
    other_operator,
    paid,
    scanned,
    status,
)  # fmt: skip
from tests.wallets import Accident, faulty_road
from tests.world import TEST_APP_ID, world

# protocol 4.5: the reply's fields in 1.0, and those marked s.
FIELDS = {
    "localOrderNo", "cbOrderNo", "outOrderNo", "orderStatus", "subject", "paymentChannel", "paymentWay", "payTime",
    "totalAmount", "receiveAmount", "refundAmount", "refundTime", "timestamp", "sign",
}  # fmt: skip
SIGNED = "localOrderNo cbOrderNo outOrderNo paymentChannel paymentWay totalAmount timestamp"


@on_both_engines
@on_each_wallet
async def test_a_paid_order_is_answered_with_every_field(engine: str, channel: int) -> None:
    async with world(engine) as w:
        order_no = await paid(w, channel=channel, amount=1234, local_order_no="L-1", subject="一杯咖啡")
        paid_at_ms = w.clock.now_ms()

        reply = await ask(w, "query", order_no=order_no)

        trade = (await w.wallet_trades(order_no))[0]
        assert {name: reply.data[name] for name in FIELDS - {"sign"}} == {
            "localOrderNo": "L-1",
            "cbOrderNo": order_no,
            "outOrderNo": trade["trade_no"],
            "orderStatus": "2",
            "subject": "一杯咖啡",
            "paymentChannel": str(channel),
            "paymentWay": "SCAN",
            "payTime": str(paid_at_ms // 1000 * 1000),  # both wallets tell whole seconds
            "totalAmount": "1234",
            "receiveAmount": "1234",
            "refundAmount": "0",
            "refundTime": "",
            "timestamp": str(w.clock.now_ms()),
        }
        assert set(reply.data) == FIELDS
        assert is_signed_over(w, reply, SIGNED)


async def test_version_1_1_adds_the_discount_and_signs_the_same_fields() -> None:
    async with world() as w:
        order_no = await paid(w)

        reply = await ask(w, "query", order_no=order_no, version="1.1")

        assert set(reply.data) == FIELDS | {"discountAmount"}
        assert reply.data["discountAmount"] == "0"
        assert is_signed_over(w, reply, SIGNED)


async def test_an_order_nobody_has_paid_is_1_and_its_empty_fields_are_not_signed() -> None:
    async with world() as w:
        order = await scanned(w, local_order_no="L-1")

        reply = await ask(w, "query", local_order_no="L-1")

        assert reply.data["orderStatus"] == "1"
        assert {name: reply.data[name] for name in ("outOrderNo", "payTime", "receiveAmount")} == {
            "outOrderNo": "", "payTime": "", "receiveAmount": "0",
        }  # fmt: skip
        assert reply.order_no == order.order_no
        assert is_signed_over(w, reply, SIGNED.replace("outOrderNo ", ""))


@on_both_engines
async def test_of_two_numbers_order_no_wins(engine: str) -> None:
    async with world(engine) as w:
        first = await scanned(w, local_order_no="L-1")
        await scanned(w, local_order_no="L-2")

        reply = await ask(w, "query", order_no=first.order_no, local_order_no="L-2")

        assert reply.data["localOrderNo"] == "L-1"


@on_both_engines
async def test_nobody_is_told_about_an_order_of_others(engine: str) -> None:
    async with world(engine) as w:
        order = await scanned(w, local_order_no="L-1")
        stranger = await w.add_till()
        cashier_of_another_merchant = await other_operator(w, w.till)

        replies = [
            await ask(w, "query", till=stranger, order_no=order.order_no),
            await ask(w, "query", till=stranger, local_order_no="L-1"),
            await ask(w, "query", till=cashier_of_another_merchant, order_no=order.order_no),
            await ask(w, "query", order_no="1" * 30),
            await ask(w, "query", order_no="2" * 30),
        ]

        assert [(reply.code, reply.data) for reply in replies] == [("64", {})] * 5


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "65"),
        ({"order_no": "", "local_order_no": ""}, "65"),
        ({"order_no": "123"}, "55"),
        ({"order_no": "1" * 31}, "55"),
    ],
)
async def test_one_well_formed_number_is_needed(params: dict[str, Any], code: str) -> None:
    async with world() as w:
        reply = await ask(w, "query", **params)

        assert reply.code == code


@on_both_engines
async def test_the_number_of_a_refund_answers_for_the_refund(engine: str) -> None:
    async with world(engine) as w:
        order_no = await paid(w, amount=1000, local_order_no="L-1")
        done = await ask(w, "refund", order_no=order_no, refund_amount=300, local_refund_no="R-1")
        done_at_ms = w.clock.now_ms()
        lacks_money(w, ALIPAY)
        waiting = await ask(w, "refund", order_no=order_no, refund_amount=200, local_refund_no="R-2")

        settled = await ask(w, "query", order_no=done.order_no)
        pending = await ask(w, "query", order_no=waiting.order_no)

        assert (settled.data["orderStatus"], pending.data["orderStatus"]) == ("3", "1")
        assert {name: settled.data[name] for name in ("localOrderNo", "totalAmount", "refundAmount", "refundTime")} == {
            "localOrderNo": "R-1", "totalAmount": "300", "refundAmount": "300",
            "refundTime": str(done_at_ms // 1000 * 1000),
        }  # fmt: skip
        assert (pending.data["refundAmount"], pending.data["refundTime"]) == ("0", "")
        assert await status(w, order_no) == "6"


@on_both_engines
@on_each_wallet
async def test_a_payment_nobody_told_us_about_is_found_by_asking(engine: str, channel: int) -> None:
    async with world(engine, works=False) as w:
        order = await scanned(w, channel=channel)
        await fault(w, channel, "callback", "callback_never")
        await w.ask_twin("POST", "/api/pay", qr_code=order.qr_code)
        assert await w.state(order.order_no) == "WAITING"

        reply = await ask(w, "query", order_no=order.order_no)

        assert reply.data["orderStatus"] == "2"
        assert await w.state(order.order_no) == "PAID"


async def test_the_wallet_is_asked_at_most_every_two_seconds() -> None:
    async with faulty_road() as road, world(works=False, **road.settings) as w:
        road.leads_to(w)
        order = await scanned(w, channel=WECHAT)
        await ask(w, "query", order_no=order.order_no)
        road.calls.clear()

        w.clock.advance(1_999)
        await ask(w, "query", order_no=order.order_no)
        after_two_seconds = len(road.calls)
        await ask(w, "query", order_no=order.order_no)

        assert (after_two_seconds, len(road.calls)) == (0, 1)


async def test_the_wallet_is_not_asked_about_what_is_settled() -> None:
    async with faulty_road() as road, world(**road.settings) as w:
        road.leads_to(w)
        order_no = await paid(w, channel=WECHAT)
        w.clock.advance(60_000)
        road.calls.clear()

        await ask(w, "query", order_no=order_no)

        assert road.calls == []


@pytest.mark.parametrize("accident", [Accident.SILENCE, Accident.ERROR_500, Accident.FORGED, Accident.REQUEST_LOST])
async def test_without_a_word_of_the_wallet_the_database_answers(accident: Accident) -> None:
    async with faulty_road() as road, world(works=False, **road.settings) as w:
        road.leads_to(w)
        order = await scanned(w)
        await fault(w, ALIPAY, "callback", "callback_never")
        await w.ask_twin("POST", "/api/pay", qr_code=order.qr_code)
        road.accidents = [accident]

        reply = await ask(w, "query", order_no=order.order_no)

        assert reply.data["orderStatus"] == "1"
        assert await w.state(order.order_no) == "WAITING"


async def test_an_app_that_may_only_query_leaves_no_bindings() -> None:
    async with world() as w:
        till = await w.add_till(rules=AppRules(commands=("open.pay.scan", "open.pay.query")))
        order = await scanned(w, till=till)

        await ask(w, "query", till=till, order_no=order.order_no)

        assert await w.number("SELECT count(*) FROM sign_bindings WHERE app_id <> $1", TEST_APP_ID) == 0


@on_both_engines
@on_each_wallet
async def test_a_payment_of_another_amount_is_held_and_alarmed(engine: str, channel: int) -> None:
    async with world(engine, works=False) as w:
        order = await scanned(w, channel=channel, amount=1000, notify_url=w.shop.url)
        await fault(w, channel, "callback", "callback_never")
        await w.ask_twin("POST", "/api/pay", qr_code=order.qr_code)
        await fault(w, channel, "query", "wrong_amount")

        reply = await ask(w, "query", order_no=order.order_no)

        assert (reply.data["orderStatus"], reply.data["receiveAmount"]) == ("1", "0")
        assert (await w.order(order.order_no)).attention == "WRONG_AMOUNT"
        assert [row["role"] for row in await w.rows("SELECT role FROM payments")] == ["WRONG_AMOUNT"]
        assert await w.metric("opentill_alarms_total", kind="WRONG_AMOUNT") == 1
        assert await w.told(order.order_no) == []
