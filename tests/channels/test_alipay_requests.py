"""What Alipay hears: signatures checked independently, and the fields of each call (channels A.2, A.3, A.5 to A.13)."""

import hashlib

import pytest

from opentill.base.outbound import Outbound
from opentill.channels.alipay import Alipay
from opentill.channels.alipay_account import AlipayAccount
from tests.channels.played import (
    ALIPAY_APP_ID,
    REFUND_NO,
    TRADE_NO,
    Heard,
    alipay,
    alipay_answering,
    alipay_certificate_settings,
    alipay_trade,
    certificate,
    check_signature,
    goods,
    playing,
    refund,
    trade,
    wire,
)

SCRIPT = {
    "precreate": {"code": "10000", "msg": "Success", "out_trade_no": TRADE_NO, "qr_code": "https://qr.alipay.com/bax1"},
    "create": {"code": "10000", "msg": "Success", "out_trade_no": TRADE_NO, "trade_no": "2026"},
    "pay": {"code": "10003", "msg": "order success pay inprocess"},
    "query": alipay_trade("WAIT_BUYER_PAY"),
    "close": {"code": "10000", "msg": "Success"},
    "cancel": {"code": "10000", "msg": "Success", "trade_no": "2026", "retry_flag": "N", "action": "close"},
    "refund": {"code": "10000", "msg": "Success", "fund_change": "Y"},
    "refund.query": {"code": "10000", "msg": "Success", "refund_status": "REFUND_SUCCESS"},
}


async def call(channel: Alipay, account: AlipayAccount, operation: str) -> None:
    match operation:
        case "create_qr":
            await channel.create_qr(account, trade())
        case "create_page":
            await channel.create_page(account, trade(), "2088102146225135", "")
        case "charge":
            await channel.charge(account, trade(), "280000000000000000")
        case "query" | "close" | "reverse":
            await getattr(channel, operation)(account, TRADE_NO)
        case _:
            await getattr(channel, operation)(account, refund())


def signed_text(heard: Heard) -> bytes:
    """channels A.3, written anew: everything but sign, sign_type included."""
    form = heard.form
    return "&".join(f"{name}={form[name]}" for name in sorted(form) if name != "sign").encode()


@pytest.mark.parametrize(
    ("operation", "method"),
    [
        ("create_qr", "alipay.trade.precreate"),
        ("create_page", "alipay.trade.create"),
        ("charge", "alipay.trade.pay"),
        ("query", "alipay.trade.query"),
        ("close", "alipay.trade.close"),
        ("reverse", "alipay.trade.cancel"),
        ("refund", "alipay.trade.refund"),
        ("query_refund", "alipay.trade.fastpay.refund.query"),
    ],
)
async def test_every_call_is_signed_over_all_its_parameters_and_none_is_empty(operation: str, method: str) -> None:
    async with alipay(SCRIPT) as (channel, account, heard):
        await call(channel, account, operation)

    form = heard[0].form
    check_signature("own", form["sign"], signed_text(heard[0]))
    assert heard[0].method == "POST"
    assert heard[0].path.split("?")[0] == "/gateway.do"
    assert all(form.values())
    assert {name: form[name] for name in ("app_id", "method", "format", "charset", "sign_type", "version")} == {
        "app_id": ALIPAY_APP_ID,
        "method": method,
        "format": "JSON",
        "charset": "utf-8",
        "sign_type": "RSA2",
        "version": "1.0",
    }
    assert form["timestamp"] == "2026-03-01 12:00:00"  # China's wall clock, whatever the machine's zone


async def test_certificate_mode_sends_both_serial_numbers() -> None:
    async with playing(alipay_answering(SCRIPT)) as (base_url, heard), Outbound() as outbound:
        channel = Alipay(wire(outbound, base_url))

        await channel.query(channel.open_account(alipay_certificate_settings()), TRADE_NO)

    def sn(name: str, serial: int) -> str:
        issuer = "CN=Test CA R1,OU=Certification Authority,O=Test Financial,C=CN"
        assert certificate(name, serial).serial_number == serial
        return hashlib.md5(f"{issuer}{serial}".encode()).hexdigest()

    form = heard[0].form
    assert form["app_cert_sn"] == sn("own", 0xA1)
    assert form["alipay_root_cert_sn"] == f"{sn('root', 0xB1)}_{sn('root', 0xB2)}"
    check_signature("own", form["sign"], signed_text(heard[0]))


async def test_a_qr_order_carries_amount_times_and_callback() -> None:
    async with alipay(SCRIPT) as (channel, account, heard):
        await channel.create_qr(account, trade())

    assert heard[0].form["notify_url"] == "https://till.example/callbacks/x/1"
    assert heard[0].biz == {
        "out_trade_no": TRADE_NO,
        "total_amount": "12.34",
        "subject": "一杯咖啡",
        "product_code": "FACE_TO_FACE_PAYMENT",
        "time_expire": "2026-03-01 13:00:00",
        "qr_code_timeout_express": "60m",
    }


async def test_the_same_trade_is_sent_the_same_way_each_time() -> None:
    async with alipay(SCRIPT) as (channel, account, heard):
        await channel.create_qr(account, trade())
        await channel.create_qr(account, trade())

    assert heard[0].body == heard[1].body


@pytest.mark.parametrize(
    ("life_ms", "minutes"), [(1, "1m"), (119_999, "1m"), (120_000, "2m"), (7_200_000, "120m"), (9_000_000, "120m")]
)
async def test_the_qr_lives_whole_minutes_between_one_and_two_hours(life_ms: int, minutes: str) -> None:
    order = trade()
    order = trade(expires_at_ms=order.created_at_ms + life_ms)

    async with alipay(SCRIPT) as (channel, account, heard):
        await channel.create_qr(account, order)

    assert heard[0].biz["qr_code_timeout_express"] == minutes


@pytest.mark.parametrize(
    ("un_discount_fen", "parts"),
    [
        (None, {}),
        (0, {}),
        (34, {"undiscountable_amount": "0.34", "discountable_amount": "12.00"}),
        (1234, {"undiscountable_amount": "12.34"}),
    ],
)
async def test_the_parts_of_the_amount_add_up(un_discount_fen: int | None, parts: dict[str, str]) -> None:
    async with alipay(SCRIPT) as (channel, account, heard):
        await channel.create_qr(account, trade(un_discount_fen=un_discount_fen))

    biz = heard[0].biz
    assert {name: biz[name] for name in ("undiscountable_amount", "discountable_amount") if name in biz} == parts
    assert biz["total_amount"] == "12.34"


@pytest.mark.parametrize(
    ("subject", "sent"),
    [
        ("a/b=c&d", "a／b＝c＆d"),
        ("咖啡☕🍰", "咖啡☕"),
        ("\x00行\n", "行"),
        ("🍰", TRADE_NO),
        ("长" * 300, "长" * 256),
    ],
)
async def test_a_subject_is_sent_without_what_alipay_refuses(subject: str, sent: str) -> None:
    async with alipay(SCRIPT) as (channel, account, heard):
        await channel.create_qr(account, trade(subject=subject))

    assert heard[0].biz["subject"] == sent


async def test_goods_go_with_their_item_number_and_fractions_as_one_line() -> None:
    lines = (
        goods("69010", "2", 150, "可乐"),
        goods("69011", "0.375", 1000, "苹果"),
        goods("69012", "3.000", 5),
        goods("", "1", 100, "没有编号"),
        goods("x" * 32, "1", 100),
        goods("x" * 33, "1", 100),
    )

    async with alipay(SCRIPT) as (channel, account, heard):
        await channel.create_qr(account, trade(goods=lines))

    assert heard[0].biz["goods_detail"] == [
        {"goods_id": "69010", "goods_name": "可乐", "quantity": 2, "price": "1.50"},
        {"goods_id": "69011", "goods_name": "苹果", "quantity": 1, "price": "3.75"},
        {"goods_id": "69012", "goods_name": "69012", "quantity": 3, "price": "0.05"},
        {"goods_id": "x" * 32, "goods_name": "x" * 32, "quantity": 1, "price": "1.00"},
    ]


@pytest.mark.parametrize(("field", "limit"), [("operator_id", 28), ("store_id", 32)], ids=["operator_id", "store_id"])
async def test_ids_that_alipay_would_refuse_are_left_out(field: str, limit: int) -> None:
    async with alipay(SCRIPT) as (channel, account, heard):
        await channel.create_qr(account, trade(**{field: "c" * limit}))
        await channel.create_qr(account, trade(**{field: "c" * (limit + 1)}))

    assert heard[0].biz[field] == "c" * limit
    assert field not in heard[1].biz


async def test_terminal_address_seller_provider_and_token_go_along_when_known() -> None:
    settings = {
        "seller_id": "2088000000000001",
        "service_provider_id": "2088511833207846",
        "app_auth_token": "202603BBcdba",
    }

    async with alipay(SCRIPT, **settings) as (channel, account, heard):
        await channel.create_qr(account, trade(terminal_ip="203.0.113.7"))

    assert heard[0].form["app_auth_token"] == "202603BBcdba"
    biz = heard[0].biz
    assert biz["seller_id"] == "2088000000000001"
    assert biz["extend_params"] == {"sys_service_provider_id": "2088511833207846"}
    assert biz["business_params"] == {"mc_create_trade_ip": "203.0.113.7"}


async def test_a_charge_names_the_payment_code() -> None:
    async with alipay(SCRIPT) as (channel, account, heard):
        await channel.charge(account, trade(), "280000000000000000")

    biz = heard[0].biz
    assert (biz["scene"], biz["auth_code"]) == ("bar_code", "280000000000000000")
    assert (biz["out_trade_no"], biz["total_amount"]) == (TRADE_NO, "12.34")


@pytest.mark.parametrize(
    ("payer", "field"), [("2088102146225135", "buyer_id"), ("068ZnnCFq4WLqQ6hCpmGmQ", "buyer_open_id")]
)
async def test_a_page_names_its_payer_and_gets_the_trade_number(payer: str, field: str) -> None:
    async with alipay(SCRIPT) as (channel, account, heard):
        answer = await channel.create_page(account, trade(), payer, "")

    assert heard[0].biz[field] == payer
    assert answer.page_values == {"tradeNO": "2026"}


async def test_a_refund_always_carries_its_number_and_amount() -> None:
    async with alipay(SCRIPT) as (channel, account, heard):
        await channel.refund(account, refund())
        await channel.query_refund(account, refund())

    assert heard[0].biz == {
        "out_trade_no": TRADE_NO,
        "out_request_no": REFUND_NO,
        "refund_amount": "2.34",
        "refund_reason": "不想要了",
    }
    assert (heard[1].biz["out_trade_no"], heard[1].biz["out_request_no"]) == (TRADE_NO, REFUND_NO)


async def test_a_refund_without_a_reason_sends_none() -> None:
    async with alipay(SCRIPT) as (channel, account, heard):
        await channel.refund(account, refund(reason=""))

    assert "refund_reason" not in heard[0].biz


@pytest.mark.parametrize(
    ("barcode", "is_known"),
    [
        ("2500000000000000", True),
        ("300000000000000000000000", True),
        ("280000000000000000", True),
        ("250000000000000", False),
        ("3000000000000000000000000", False),
        ("240000000000000000", False),
        ("310000000000000000", False),
        ("130000000000000000", False),
        ("28000000000000000x", False),
        ("28000000000000000２", False),
        ("", False),
    ],
)
def test_payment_codes_are_known_by_length_and_beginning(barcode: str, is_known: bool) -> None:
    assert Alipay.recognises(Alipay.__new__(Alipay), barcode) is is_known
