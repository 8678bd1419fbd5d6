"""`open.pay.barcode` (protocol 4.2): one interface for every wallet's payment codes."""

import pytest

from tests.clients import Reply
from tests.databases import on_both_engines
from tests.orders import (
    ALIPAY,
    ASKS_PASSWORD,
    CODES,
    LACKS_MONEY,
    LEAVES_UNKNOWN,
    PAYS,
    WECHAT,
    ask,
    at_once,
    fault,
    is_signed_over,
    on_each_wallet,
    refunded_at_wallet,
    status,
)
from tests.world import World, world

SIGNED = "localOrderNo cbOrderNo outOrderNo totalAmount paymentChannel timestamp"
FIELDS = {*SIGNED.split(), "orderStatus", "receiveAmount", "sign"}


async def charge(w: World, channel: int, payer: str, **params: object) -> Reply:
    """Scan the code of a payer who behaves as its last digits say."""
    given = {"local_order_no": "L-1", "amount": 1000, "barcode": CODES[channel] + payer}
    return await ask(w, "barcode", **{**given, **params})  # type: ignore[arg-type]


@on_both_engines
@on_each_wallet
async def test_a_payment_code_is_charged_at_once(engine: str, channel: int) -> None:
    async with world(engine) as w:
        reply = await charge(w, channel, PAYS)

        trade = (await w.wallet_trades(reply.order_no))[0]
        assert {name: reply.data[name] for name in FIELDS - {"cbOrderNo", "timestamp", "sign"}} == {
            "localOrderNo": "L-1",
            "outOrderNo": trade["trade_no"],
            "orderStatus": "2",
            "totalAmount": "1000",
            "receiveAmount": "1000",
            "paymentChannel": str(channel),
        }
        assert set(reply.data) == FIELDS
        assert is_signed_over(w, reply, SIGNED)


async def test_version_1_1_adds_fields_and_signs_the_same() -> None:
    async with world() as w:
        reply = await charge(w, ALIPAY, PAYS, version="1.1", subject="茶")

        assert set(reply.data) == FIELDS | {"subject", "discountAmount", "paymentWay", "payTime"}
        assert (reply.data["subject"], reply.data["discountAmount"], reply.data["paymentWay"]) == ("茶", "0", "BARCODE")
        assert reply.data["payTime"] == str(w.clock.now_ms() // 1000 * 1000)
        assert is_signed_over(w, reply, SIGNED)


async def test_the_app_s_default_address_is_notified() -> None:
    async with world() as w:
        await w.set_rules(w.till, default_notify_url=w.shop.url)

        reply = await charge(w, ALIPAY, PAYS, notify_url="http://203.0.113.1/ignored")
        await w.settle()

        assert [heard.fields["cbOrderNo"] for heard in w.shop.heard] == [reply.order_no]
        assert w.shop.heard[0].fields["paymentWay"] == "BARCODE"


@on_both_engines
@on_each_wallet
async def test_a_password_that_is_typed_pays(engine: str, channel: int) -> None:
    async with world(engine) as w:
        reply = await charge(w, channel, ASKS_PASSWORD)

        await w.ask_twin("POST", "/api/password", out_trade_no=reply.order_no)
        await w.advance(5)

        assert reply.data["orderStatus"] == "1"
        assert await status(w, reply.order_no) == "2"


@on_both_engines
@on_each_wallet
async def test_a_password_nobody_types_ends_in_a_reversal_of_ours(engine: str, channel: int) -> None:
    async with world(engine) as w:
        reply = await charge(w, channel, ASKS_PASSWORD)

        await _advance_through(w, 61)

        assert await status(w, reply.order_no) == "9"
        code, _ = await w.ask_twin("POST", "/api/password", out_trade_no=reply.order_no)
        assert code == 404


@on_both_engines
@on_each_wallet
async def test_a_payer_without_money_is_a_refusal_and_the_number_may_be_used_again(engine: str, channel: int) -> None:
    async with world(engine) as w:
        refused = await charge(w, channel, LACKS_MONEY)
        before = await ask(w, "query", local_order_no="L-1")

        again = await charge(w, channel, PAYS)

        assert (refused.code, "余额不足" in refused.message) == ("62", True)
        assert before.data["orderStatus"] == "-2"
        assert again.data["orderStatus"] == "2"
        latest = await ask(w, "query", local_order_no="L-1")
        assert (latest.order_no, latest.order_no != before.order_no) == (again.order_no, True)


@on_both_engines
@on_each_wallet
async def test_an_unknown_charge_is_asked_about_and_found_paid(engine: str, channel: int) -> None:
    async with world(engine, works=False) as w:
        await fault(w, channel, "callback", "callback_never", times=9)
        reply = await charge(w, channel, LEAVES_UNKNOWN)
        state = await w.state(reply.order_no)
        w.worker.start()
        w.workers.append(w.worker)

        await w.advance(5)

        assert (reply.code, reply.data["orderStatus"], state) == ("0", "1", "WAITING")
        assert await status(w, reply.order_no) == "2"


@on_each_wallet
@pytest.mark.parametrize("name", ["reset_before", "http_500"])
async def test_an_unknown_charge_that_never_happened_is_reversed(channel: int, name: str) -> None:
    async with world() as w:
        await fault(w, channel, "pay", name, acts=False)
        reply = await charge(w, channel, PAYS)

        await _advance_through(w, 61)

        assert reply.data["orderStatus"] == "1"
        assert await status(w, reply.order_no) == "9"
        assert {trade["status"] for trade in await w.wallet_trades(reply.order_no)} <= {"TRADE_CLOSED", "REVOKED"}


@on_each_wallet
async def test_a_reversal_that_gave_money_back_is_recorded_as_received_and_refunded(channel: int) -> None:
    async with world() as w:
        await w.set_rules(w.till, default_notify_url=w.shop.url)
        await fault(w, channel, "callback", "callback_never", times=9)
        await fault(w, channel, "query", "truncated", times=5)  # at 5, 10, 20, 40 and 60 seconds
        reply = await charge(w, channel, LEAVES_UNKNOWN)

        await _advance_through(w, 61)

        asked = await ask(w, "query", order_no=reply.order_no)
        assert {name: asked.data[name] for name in ("orderStatus", "receiveAmount", "refundAmount")} == {
            "orderStatus": "7",
            "receiveAmount": "1000",
            "refundAmount": "1000",
        }
        assert await refunded_at_wallet(w, reply.order_no) == [1000]
        assert w.shop.heard == []


@on_both_engines
@pytest.mark.parametrize(
    ("payer", "waited_s", "code"),
    [(PAYS, 0, "60"), (ASKS_PASSWORD, 0, "60"), (ASKS_PASSWORD, 61, "0"), (LACKS_MONEY, 0, "0")],
)
async def test_a_number_is_free_again_only_after_an_end_without_money(
    engine: str, payer: str, waited_s: int, code: str
) -> None:
    async with world(engine) as w:
        await charge(w, WECHAT, payer)
        await _advance_through(w, waited_s)

        again = await charge(w, ALIPAY, PAYS)

        assert again.code == code


async def test_an_unknown_charge_keeps_its_number() -> None:
    async with world(works=False) as w:
        await fault(w, ALIPAY, "callback", "callback_never")
        await charge(w, ALIPAY, LEAVES_UNKNOWN)

        again = await charge(w, ALIPAY, PAYS)

        assert again.code == "60"
        assert len(await w.wallet_trades()) == 1


async def test_only_barcode_uses_a_number_again() -> None:
    async with world() as w:
        await charge(w, ALIPAY, LACKS_MONEY, local_order_no="L-1")
        scan = await w.scan(local_order_no="L-2")
        await ask(w, "reverse", order_no=scan.order_no)

        scan_after_barcode = await w.scan(local_order_no="L-1")
        barcode_after_scan = await charge(w, ALIPAY, PAYS, local_order_no="L-2")

        assert (scan_after_barcode.code, barcode_after_scan.code) == ("60", "60")


@on_both_engines
async def test_of_ten_charges_at_once_under_one_number_one_takes_money(engine: str) -> None:
    async with world(engine) as w:
        await charge(w, ALIPAY, LACKS_MONEY)  # so that the race is about the second attempt
        w.clock.advance(1)
        calls = [
            w.till.call("open.pay.barcode", local_order_no="L-1", amount=1000, barcode=f"2801234567890{number}1234")
            for number in range(10)
        ]

        replies = await at_once(calls)

        assert sorted(reply.code for reply in replies) == ["0"] + ["60"] * 9
        taken = [trade for trade in await w.wallet_trades() if trade["status"] == "TRADE_SUCCESS"]
        assert len(taken) == 1


@pytest.mark.parametrize(
    ("barcode", "code"),
    [
        ("6212345678901234567", "61"),  # UnionPay
        ("51234567890123456", "61"),
        ("130123456789012345678", "61"),  # WeChat's are 18 digits
        ("28012345678901x", "49"),
        ("280123456789012", "49"),
        ("2801234567890123456789012", "49"),
    ],
)
async def test_a_code_of_no_wallet_takes_no_money(barcode: str, code: str) -> None:
    async with world() as w:
        reply = await charge(w, ALIPAY, PAYS, barcode=barcode)

        assert reply.code == code
        assert await w.wallet_trades() == []
        assert await w.number("SELECT count(*) FROM orders") == 0


async def _advance_through(w: World, seconds: int) -> None:
    """Stop where the worker asks: jumping over all of it, it would ask once."""
    passed_s = 0
    for at_s in (5, 10, 20, 40, 60, 61):
        if at_s <= seconds:
            await w.advance(at_s - passed_s)
            passed_s = at_s
