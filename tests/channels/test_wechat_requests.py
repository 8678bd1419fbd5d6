"""What WeChat Pay hears: signatures checked independently, and the fields of each call (channels B.2, B.4 to B.10)."""

import re

import pytest

from opentill.channels.base import Answer
from opentill.channels.wechat import Wechat
from opentill.channels.wechat_account import WechatAccount
from tests.channels.played import (
    APPID,
    MCHID,
    MERCHANT_SERIAL,
    NOW_MS,
    PUBLIC_KEY_ID,
    REFUND_NO,
    TRADE_NO,
    Heard,
    certificate_pem,
    check_signature,
    goods,
    refund,
    trade,
    wechat,
    wechat_refund,
    wechat_said,
    wechat_trade,
)

SCRIPT = {
    "native": wechat_said(200, {"code_url": "weixin://wxpay/bizpayurl?pr=1"}),
    "jsapi": wechat_said(200, {"prepay_id": "wx2612"}),
    "codepay": wechat_said(200, wechat_trade("USERPAYING")),
    "query": wechat_said(200, wechat_trade("NOTPAY")),
    "close": wechat_said(204),
    "reverse": wechat_said(200, {}),
    "refund": wechat_said(200, wechat_refund("PROCESSING")),
    "refund_query": wechat_said(200, wechat_refund("PROCESSING")),
}
AUTHORIZATION = re.compile(
    r'WECHATPAY2-SHA256-RSA2048 mchid="(?P<mchid>[^"]*)",nonce_str="(?P<nonce>[^"]*)",'
    r'signature="(?P<signature>[^"]*)",timestamp="(?P<timestamp>[^"]*)",serial_no="(?P<serial>[^"]*)"'
)
PARTNER = {"sub_mchid": "1900000109", "sub_appid": "wx0000000000000002"}


async def call(channel: Wechat, account: WechatAccount, operation: str) -> None:
    match operation:
        case "create_qr":
            await channel.create_qr(account, trade())
        case "create_page":
            await channel.create_page(account, trade(), "o1", "")
        case "charge":
            await channel.charge(account, trade(), "130000000000000000")
        case "query" | "close" | "reverse":
            await getattr(channel, operation)(account, TRADE_NO)
        case _:
            await getattr(channel, operation)(account, refund())


BASE = "/v3/pay/transactions"
PARTNER_BASE = "/v3/pay/partner/transactions"
REFUNDS = "/v3/refund/domestic/refunds"
BY_NUMBER = f"out-trade-no/{TRADE_NO}"


@pytest.mark.parametrize(
    ("operation", "method", "path", "partner_path"),
    [
        ("create_qr", "POST", f"{BASE}/native", f"{PARTNER_BASE}/native"),
        ("create_page", "POST", f"{BASE}/jsapi", f"{PARTNER_BASE}/jsapi"),
        ("charge", "POST", f"{BASE}/codepay", f"{PARTNER_BASE}/codepay"),
        (
            "query",
            "GET",
            f"{BASE}/{BY_NUMBER}?mchid={MCHID}",
            f"{PARTNER_BASE}/{BY_NUMBER}?sp_mchid={MCHID}&sub_mchid=1900000109",
        ),
        ("close", "POST", f"{BASE}/{BY_NUMBER}/close", f"{PARTNER_BASE}/{BY_NUMBER}/close"),
        ("reverse", "POST", f"{BASE}/{BY_NUMBER}/reverse", f"{PARTNER_BASE}/{BY_NUMBER}/reverse"),
        ("refund", "POST", REFUNDS, REFUNDS),
        ("query_refund", "GET", f"{REFUNDS}/{REFUND_NO}", f"{REFUNDS}/{REFUND_NO}?sub_mchid=1900000109"),
    ],
)
@pytest.mark.parametrize("is_partner", [False, True], ids=["direct", "partner"])
async def test_every_call_is_signed_over_its_path_after_the_base_url(
    operation: str, method: str, path: str, partner_path: str, is_partner: bool
) -> None:
    async with wechat(SCRIPT, PARTNER if is_partner else {}) as (channel, account, heard):
        await call(channel, account, operation)

    request = heard[0]
    assert (request.method, request.path) == (method, partner_path if is_partner else path)
    check_request_signature(request)


def check_request_signature(request: Heard) -> None:
    """channels B.2, written anew."""
    found = AUTHORIZATION.fullmatch(request.headers["authorization"])
    assert found is not None
    assert (found["mchid"], found["serial"], found["timestamp"]) == (MCHID, MERCHANT_SERIAL, str(NOW_MS // 1000))
    assert re.fullmatch(r"[0-9A-Za-z]{16,32}", found["nonce"])
    lines = (request.method, request.path, found["timestamp"], found["nonce"], "")
    check_signature("own", found["signature"], "\n".join(lines).encode() + request.body + b"\n")


async def test_headers_that_wechat_insists_on_are_there() -> None:
    async with wechat(SCRIPT) as (channel, account, heard):
        await channel.create_qr(account, trade())
        await channel.query(account, TRADE_NO)

    for request in heard:
        assert request.headers["accept"] == "application/json"
        assert request.headers["user-agent"]
        assert request.headers["wechatpay-serial"] == PUBLIC_KEY_ID
    assert heard[0].headers["content-type"] == "application/json"
    assert heard[1].body == b""


async def test_with_certificates_no_serial_number_is_asked_for() -> None:
    settings = {"public_key": "", "public_key_id": "", "platform_certificates": certificate_pem("wallet", 0xF1)}
    said = wechat_said(200, {"code_url": "weixin://1"}, serial="F1")

    async with wechat({"native": said}, settings) as (channel, account, heard):
        answer = await channel.create_qr(account, trade())

    assert answer.qr_text == "weixin://1"
    assert "wechatpay-serial" not in heard[0].headers


async def test_every_nonce_is_new() -> None:
    async with wechat(SCRIPT) as (channel, account, heard):
        await channel.query(account, TRADE_NO)
        await channel.query(account, TRADE_NO)

    assert heard[0].headers["authorization"] != heard[1].headers["authorization"]


async def test_a_qr_order_carries_amount_expiry_and_callback() -> None:
    async with wechat(SCRIPT) as (channel, account, heard):
        await channel.create_qr(account, trade(un_discount_fen=34, operator_id="c" * 32, store_id="7"))

    assert heard[0].json == {
        "appid": APPID,
        "mchid": MCHID,
        "description": "一杯咖啡",
        "out_trade_no": TRADE_NO,
        "amount": {"total": 1234, "currency": "CNY"},
        "time_expire": "2026-03-01T13:00:00+08:00",
        "notify_url": "https://till.example/callbacks/x/1",
    }


async def test_the_same_trade_is_sent_the_same_way_each_time() -> None:
    async with wechat(SCRIPT) as (channel, account, heard):
        await channel.create_qr(account, trade())
        await channel.create_qr(account, trade())

    assert heard[0].body == heard[1].body


@pytest.mark.parametrize(
    ("subject", "sent"),
    [("a/b=c&d", "a/b=c&d"), ("咖啡☕🍰", "咖啡☕"), ("\x00行\n", "行"), ("🍰", TRADE_NO), ("长" * 128, "长" * 127)],
)
async def test_a_description_is_sent_without_what_wechat_refuses(subject: str, sent: str) -> None:
    async with wechat(SCRIPT) as (channel, account, heard):
        await channel.create_qr(account, trade(subject=subject))

    assert heard[0].json["description"] == sent


async def test_goods_go_with_their_item_number_and_fractions_as_one_line() -> None:
    lines = (
        goods("69010", "2", 150, "可乐"),
        goods("69011", "0.375", 1000, "苹果🍎"),
        goods("", "1", 100, "没有编号"),
        goods("x" * 33, "1", 100),
        goods("🍎", "1", 100),
    )

    async with wechat(SCRIPT) as (channel, account, heard):
        await channel.create_qr(account, trade(goods=lines))

    assert heard[0].json["detail"] == {
        "goods_detail": [
            {"merchant_goods_id": "69010", "goods_name": "可乐", "quantity": 2, "unit_price": 150},
            {"merchant_goods_id": "69011", "goods_name": "苹果", "quantity": 1, "unit_price": 375},
        ]
    }


@pytest.mark.parametrize(
    ("changes", "scene"),
    [
        ({"terminal_ip": "203.0.113.7"}, {"payer_client_ip": "203.0.113.7"}),
        (
            {"terminal_ip": "203.0.113.7", "operator_id": "c" * 32, "store_id": "s" * 32},
            {"payer_client_ip": "203.0.113.7", "device_id": "c" * 32, "store_info": {"id": "s" * 32}},
        ),
        (
            {"terminal_ip": "203.0.113.7", "operator_id": "c" * 33, "store_id": "s" * 33},
            {"payer_client_ip": "203.0.113.7"},
        ),
    ],
)
async def test_the_scene_is_sent_with_what_is_known_of_it(changes: dict[str, str], scene: dict[str, object]) -> None:
    async with wechat(SCRIPT) as (channel, account, heard):
        await channel.create_qr(account, trade(**changes))

    assert heard[0].json["scene_info"] == scene


async def test_a_charge_names_the_payment_code_and_its_own_scene() -> None:
    order = trade(terminal_ip="203.0.113.7", operator_id="c1", store_id="7")

    async with wechat(SCRIPT) as (channel, account, heard):
        await channel.charge(account, order, "130000000000000000")

    assert heard[0].json == {
        "appid": APPID,
        "mchid": MCHID,
        "description": "一杯咖啡",
        "out_trade_no": TRADE_NO,
        "amount": {"total": 1234, "currency": "CNY"},
        "payer": {"auth_code": "130000000000000000"},
        "scene_info": {"device_id": "c1", "device_ip": "203.0.113.7", "store_info": {"out_id": "7"}},
    }


@pytest.mark.parametrize(
    ("settings", "payer_app_id", "payee", "payer", "page_app_id"),
    [
        ({}, "", {"appid": APPID, "mchid": MCHID}, {"openid": "o1"}, APPID),
        ({}, "wxother", {"appid": "wxother", "mchid": MCHID}, {"openid": "o1"}, "wxother"),
        (
            {"sub_mchid": "19"},
            "wxsub",
            {"sp_appid": APPID, "sp_mchid": MCHID, "sub_mchid": "19", "sub_appid": "wxsub"},
            {"sub_openid": "o1"},
            "wxsub",
        ),
        (
            {"sub_mchid": "19", "sub_appid": "wxsub"},
            "",
            {"sp_appid": APPID, "sp_mchid": MCHID, "sub_mchid": "19", "sub_appid": "wxsub"},
            {"sp_openid": "o1"},
            APPID,
        ),
        (
            {"sub_mchid": "19"},
            APPID,
            {"sp_appid": APPID, "sp_mchid": MCHID, "sub_mchid": "19"},
            {"sp_openid": "o1"},
            APPID,
        ),
    ],
    ids=["direct", "another app of ours", "the sub-merchant's app", "the provider's app", "the provider's app named"],
)
async def test_a_page_is_opened_for_the_app_that_knows_the_payer(
    settings: dict[str, str], payer_app_id: str, payee: dict[str, str], payer: dict[str, str], page_app_id: str
) -> None:
    async with wechat(SCRIPT, settings) as (channel, account, heard):
        answer = await channel.create_page(account, trade(), "o1", payer_app_id)

    body = heard[0].json
    assert {
        name: body[name]
        for name in ("appid", "mchid", "sp_appid", "sp_mchid", "sub_mchid", "sub_appid")
        if name in body
    } == payee
    assert body["payer"] == payer
    check_page(answer, page_app_id)


def check_page(answer: Answer, appid: str) -> None:
    """channels B.9, written anew."""
    values = answer.page_values
    assert set(values) == {"appId", "timeStamp", "nonceStr", "package", "signType", "paySign"}
    assert (values["appId"], values["package"], values["signType"]) == (appid, "prepay_id=wx2612", "RSA")
    assert values["timeStamp"] == str(NOW_MS // 1000)
    message = f"{appid}\n{values['timeStamp']}\n{values['nonceStr']}\nprepay_id=wx2612\n"
    check_signature("own", values["paySign"], message.encode())


async def test_closing_and_reversing_name_the_merchant() -> None:
    async with wechat(SCRIPT, PARTNER) as (channel, account, heard):
        await channel.close(account, TRADE_NO)
        await channel.reverse(account, TRADE_NO)

    merchant = {"sp_mchid": MCHID, "sub_mchid": "1900000109"}
    assert heard[0].json == merchant
    assert heard[1].json == {"sp_appid": APPID, "sub_appid": "wx0000000000000002", **merchant}


async def test_a_refund_carries_both_amounts_its_number_and_where_to_tell() -> None:
    async with wechat(SCRIPT) as (channel, account, heard):
        await channel.refund(account, refund())

    assert heard[0].json == {
        "out_trade_no": TRADE_NO,
        "out_refund_no": REFUND_NO,
        "amount": {"refund": 234, "total": 1234, "currency": "CNY"},
        "reason": "不想要了",
        "notify_url": "https://till.example/callbacks/x/1",
    }


async def test_a_refund_leaves_out_what_it_does_not_know_and_names_the_sub_merchant() -> None:
    async with wechat(SCRIPT, PARTNER) as (channel, account, heard):
        await channel.refund(account, refund(reason="长" * 81, callback_url=""))
        await channel.refund(account, refund(reason="", callback_url=""))

    assert heard[0].json["reason"] == "长" * 80
    assert heard[0].json["sub_mchid"] == "1900000109"
    assert not {"reason", "notify_url"} & heard[1].json.keys()


async def test_a_number_with_reserved_characters_is_sent_and_signed_percent_encoded() -> None:
    async with wechat(SCRIPT) as (channel, account, heard):
        await channel.query(account, "a|b/c")

    assert heard[0].path == f"{BASE}/out-trade-no/a%7Cb%2Fc?mchid={MCHID}"
    check_request_signature(heard[0])


@pytest.mark.parametrize(
    ("barcode", "is_known"),
    [
        ("100000000000000000", True),
        ("159999999999999999", True),
        ("160000000000000000", False),
        ("099999999999999999", False),
        ("13000000000000000", False),
        ("1300000000000000000", False),
        ("280000000000000000", False),
        ("13000000000000000x", False),
        ("13000000000000000２", False),
        ("", False),
    ],
)
def test_payment_codes_are_known_by_length_and_beginning(barcode: str, is_known: bool) -> None:
    assert Wechat.recognises(Wechat.__new__(Wechat), barcode) is is_known
