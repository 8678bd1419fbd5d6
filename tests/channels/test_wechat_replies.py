"""What each answer of WeChat Pay means; whatever is not listed here is unknown (channels 0.1, B.3 to B.11)."""

from collections.abc import Mapping
from typing import Any

import pytest

from opentill.base.clock import Clock, MovableClock, frozen
from opentill.base.outbound import Outbound
from opentill.channels.base import Answer, LineDiscount, Outcome, Payment, RefundAnswer, RefundOutcome
from opentill.channels.wechat import Wechat
from opentill.channels.wechat_account import WechatAccount
from tests.channels.played import (
    NOW_MS,
    TRADE_NO,
    Said,
    certificate_pem,
    refund,
    trade,
    wechat,
    wechat_error,
    wechat_headers,
    wechat_refund,
    wechat_said,
    wechat_settings,
    wechat_trade,
    wire,
)

ROUTES = {
    "create_qr": "native",
    "create_page": "jsapi",
    "charge": "codepay",
    "query": "query",
    "close": "close",
    "reverse": "reverse",
}
CREATES = ["create_qr", "create_page", "charge"]
NOT_EXECUTED = [
    (400, "PARAM_ERROR"),
    (400, "INVALID_REQUEST"),
    (400, "APPID_MCHID_NOT_MATCH"),
    (400, "MCH_NOT_EXISTS"),
    (404, "MCH_NOT_EXISTS"),
    (401, "SIGN_ERROR"),
    (403, "NO_AUTH"),
    (403, "NOAUTH"),
]
CREATE_REFUSALS = [
    *NOT_EXECUTED,
    (403, "RULE_LIMIT"),
    (403, "RULELIMIT"),
    (403, "TRADE_ERROR"),
    (403, "ACCOUNT_ERROR"),
    (403, "NOT_ENOUGH"),
    (403, "NOTENOUGH"),
    (404, "RESOURCE_NOT_EXISTS"),
    (400, "OPENID_MISMATCH"),
    (429, "FREQUENCY_LIMITED"),
    (429, "RATELIMIT_EXCEEDED"),
    (403, "FREQUENCY_LIMITED"),
    (429, "SOMETHING_NEW"),
]
CHARGE_REFUSALS = [
    (400, "AUTH_CODE_INVALID"),
    (400, "AUTHCODEEXPIRE"),
    (400, "AUTH_CODE_ERROR"),
    (403, "NOTSUPORTCARD"),
    (403, "BUYER_MISMATCH"),
]
ALWAYS_UNKNOWN = [
    (500, "SYSTEM_ERROR"),
    (500, "SYSTEMERROR"),
    (500, "BANK_ERROR"),
    (400, "SYSTEM_ERROR"),
    (403, "BANK_ERROR"),
    (500, "OPENID_MISMATCH"),
    (500, "INVALID_TRANSACTIONID"),
    (400, "INVALID_TRANSACTIONID"),
    (500, "PARAM_ERROR"),
    (502, "ORDER_NOT_EXIST"),
    (503, "ORDERPAID"),
    (504, "NO_AUTH"),
    (400, "SOMETHING_NEW"),
    (403, "param_error"),
    (400, ""),
    (302, "PARAM_ERROR"),
    (201, "PARAM_ERROR"),
]
PAYMENT = Payment(
    channel_trade_no="4200000000202603010000000001",
    amount_fen=1234,
    received_fen=1234,
    discount_fen=134,
    paid_at_ms=NOW_MS + 30_000,
)


async def perform(channel: Wechat, account: WechatAccount, operation: str) -> Answer:
    match operation:
        case "create_qr":
            return await channel.create_qr(account, trade())
        case "create_page":
            return await channel.create_page(account, trade(), "o1", "")
        case "charge":
            return await channel.charge(account, trade(), "130000000000000000")
        case "query":
            return await channel.query(account, TRADE_NO)
        case "close":
            return await channel.close(account, TRADE_NO)
        case _:
            return await channel.reverse(account, TRADE_NO)


async def ask(
    operation: str,
    script: Mapping[str, Said],
    settings: Mapping[str, str] | None = None,
    *,
    at: Clock | None = None,
) -> Answer:
    async with wechat(script, settings, at=at) as (channel, account, _):
        return await perform(channel, account, operation)


def rows(operation: str, errors: list[tuple[int, str]], outcome: Outcome) -> list[tuple[str, int, str, Outcome]]:
    return [(operation, status, code, outcome) for status, code in errors]


@pytest.mark.parametrize(
    ("operation", "status", "code", "outcome"),
    [
        *(row for operation in CREATES for row in rows(operation, CREATE_REFUSALS, Outcome.REFUSED)),
        *rows("charge", CHARGE_REFUSALS, Outcome.REFUSED),
        *rows("create_qr", CHARGE_REFUSALS, Outcome.UNKNOWN),
        *rows("create_qr", [(404, "ORDER_NOT_EXIST")], Outcome.UNKNOWN),
        *rows("query", [(404, "ORDER_NOT_EXIST"), (404, "ORDERNOTEXIST"), (400, "ORDER_NOT_EXIST")], Outcome.NOT_FOUND),
        *rows("query", [*NOT_EXECUTED, (404, "RESOURCE_NOT_EXISTS"), (429, "FREQUENCY_LIMITED")], Outcome.UNKNOWN),
        *rows("close", NOT_EXECUTED, Outcome.REFUSED),
        *rows("close", [(404, "ORDER_NOT_EXIST")], Outcome.NOT_FOUND),
        *rows("close", [(429, "FREQUENCY_LIMITED"), (400, "USER_PAYING")], Outcome.UNKNOWN),
        *rows("reverse", [*NOT_EXECUTED, (403, "NOT_ENOUGH")], Outcome.REFUSED),
        *rows("reverse", [(404, "ORDER_NOT_EXIST")], Outcome.NOT_FOUND),
        *rows("reverse", [(429, "FREQUENCY_LIMITED"), (403, "TRADE_ERROR")], Outcome.UNKNOWN),
        *(row for operation in ROUTES for row in rows(operation, ALWAYS_UNKNOWN, Outcome.UNKNOWN)),
    ],
)
async def test_an_error_means_what_its_status_and_code_say(
    operation: str, status: int, code: str, outcome: Outcome
) -> None:
    answer = await ask(operation, {ROUTES[operation]: wechat_error(status, code)})

    assert answer.outcome is outcome
    assert (answer.payment, answer.qr_text, answer.page_values) == (None, "", {})


@pytest.mark.parametrize("operation", CREATES)
@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "ORDERPAID"), (400, "ORDER_PAID"), (400, "ORDER_CLOSED"), (403, "OUT_TRADE_NO_USED")],
)
@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ("SUCCESS", Outcome.PAID),
        ("REFUND", Outcome.PAID),
        ("CLOSED", Outcome.CLOSED),
        ("NOTPAY", Outcome.UNKNOWN),
        ("SOMETHING_NEW", Outcome.UNKNOWN),
    ],
)
async def test_a_number_in_use_is_settled_by_asking(
    operation: str, status: int, code: str, state: str, outcome: Outcome
) -> None:
    script = {ROUTES[operation]: wechat_error(status, code), "query": wechat_said(200, wechat_trade(state))}

    answer = await ask(operation, script)

    is_closed_charge = operation == "charge" and outcome is Outcome.CLOSED
    assert answer.outcome is (Outcome.REFUSED if is_closed_charge else outcome)
    assert answer.payment == (PAYMENT if outcome is Outcome.PAID else None)


@pytest.mark.parametrize("code", ["ORDERPAID", "ORDER_PAID", "ORDER_CLOSED"])
@pytest.mark.parametrize(
    ("state", "outcome"),
    [("SUCCESS", Outcome.PAID), ("CLOSED", Outcome.CLOSED), ("NOTPAY", Outcome.UNKNOWN), ("", Outcome.UNKNOWN)],
)
async def test_a_close_refused_for_the_state_is_settled_by_asking(code: str, state: str, outcome: Outcome) -> None:
    script = {"close": wechat_error(400, code), "query": wechat_said(200, wechat_trade(state))}

    answer = await ask("close", script)

    assert answer.outcome is outcome


@pytest.mark.parametrize("status", [200, 204])
async def test_a_close_that_was_done_is_closed(status: int) -> None:
    answer = await ask("close", {"close": wechat_said(status)})

    assert answer.outcome is Outcome.CLOSED


@pytest.mark.parametrize("operation", list(ROUTES))
async def test_accepted_without_more_is_unknown(operation: str) -> None:
    answer = await ask(operation, {ROUTES[operation]: wechat_said(202, {"code": "PARAM_ERROR"})})

    assert answer.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("said", [wechat_said(202, {"code": "USER_PAYING"}), wechat_error(400, "USERPAYING")])
async def test_a_charge_that_waits_for_a_password_is_accepted(said: Said) -> None:
    answer = await ask("charge", {"codepay": said})

    assert (answer.outcome, answer.needs_password) == (Outcome.ACCEPTED, True)


async def test_a_created_qr_is_accepted_with_its_text() -> None:
    answer = await ask("create_qr", {"native": wechat_said(200, {"code_url": "weixin://wxpay/bizpayurl?pr=1"})})

    assert (answer.outcome, answer.qr_text) == (Outcome.ACCEPTED, "weixin://wxpay/bizpayurl?pr=1")


@pytest.mark.parametrize(
    ("operation", "node"),
    [
        ("create_qr", {}),
        ("create_qr", None),
        ("create_qr", {"code_url": 5}),
        ("create_page", {}),
        ("charge", {}),
        ("charge", wechat_trade("SUCCESS", out_trade_no="1")),
        ("charge", wechat_trade("CLOSED")),
        ("charge", wechat_trade("SOMETHING_NEW")),
        ("query", {}),
        ("query", None),
        ("query", wechat_trade("SUCCESS", out_trade_no="1")),
        ("query", wechat_trade("SUCCESS", mchid="1900000002")),
        ("query", wechat_trade("SUCCESS", transaction_id="")),
        ("query", wechat_trade("SUCCESS", amount={})),
        ("query", wechat_trade("SUCCESS", amount={"total": "1234"})),
        ("query", wechat_trade("SUCCESS", amount={"total": True})),
        ("query", wechat_trade("SUCCESS", amount={"total": 12.34})),
        ("query", wechat_trade("SUCCESS", amount={"total": 10**16})),
        ("query", wechat_trade("SUCCESS", amount={"total": 1234, "currency": "USD"})),
        ("query", wechat_trade("CLOSED", out_trade_no="1")),
        ("query", wechat_trade("SOMETHING_NEW")),
        ("query", wechat_trade("")),
    ],
)
async def test_a_success_that_does_not_hold_together_is_unknown(operation: str, node: dict[str, Any] | None) -> None:
    answer = await ask(operation, {ROUTES[operation]: wechat_said(200, node)})

    assert answer.outcome is Outcome.UNKNOWN


REVOKED_PAID = {**wechat_trade("SUCCESS"), "trade_state": "REVOKED"}


@pytest.mark.parametrize(
    ("node", "outcome", "payment"),
    [
        (wechat_trade("NOTPAY"), Outcome.ACCEPTED, None),
        (wechat_trade("USERPAYING"), Outcome.ACCEPTED, None),
        (wechat_trade("SUCCESS"), Outcome.PAID, PAYMENT),
        (wechat_trade("REFUND"), Outcome.PAID, PAYMENT),
        (wechat_trade("CLOSED"), Outcome.CLOSED, None),
        (wechat_trade("REVOKED"), Outcome.CLOSED, None),
        (REVOKED_PAID, Outcome.CLOSED, PAYMENT),
        (wechat_trade("PAYERROR"), Outcome.REFUSED, None),
    ],
)
@pytest.mark.parametrize("operation", ["query", "charge"])
async def test_the_state_of_a_trade_is_what_it_says(
    operation: str, node: dict[str, Any], outcome: Outcome, payment: Payment | None
) -> None:
    answer = await ask(operation, {ROUTES[operation]: wechat_said(200, node)})

    if operation == "charge" and outcome is Outcome.CLOSED:
        assert answer.outcome is Outcome.UNKNOWN
    else:
        assert (answer.outcome, answer.payment) == (outcome, payment)
        assert answer.needs_password is (node["trade_state"] == "USERPAYING")
        assert answer.was_refunded is (node is REVOKED_PAID)


async def test_a_partners_trade_must_name_both_merchants() -> None:
    node = {name: value for name, value in wechat_trade("SUCCESS").items() if name not in ("appid", "mchid")}
    node |= {"sp_mchid": "1900000001", "sub_mchid": "19"}

    ours = await ask("query", {"query": wechat_said(200, node)}, {"sub_mchid": "19"})
    others = await ask("query", {"query": wechat_said(200, node)}, {"sub_mchid": "20"})

    assert (ours.outcome, others.outcome) == (Outcome.PAID, Outcome.UNKNOWN)


async def test_coupons_say_what_the_payer_and_the_merchant_did_not_give() -> None:
    promotions = [
        {
            "type": "NOCASH",
            "amount": 100,
            "goods_detail": [
                {"goods_id": "69010", "discount_amount": 60, "quantity": 1, "unit_price": 200},
                {"goods_id": "69011", "discount_amount": 40},
                {"goods_id": "", "discount_amount": 1},
                {"goods_id": "69012", "discount_amount": "1"},
            ],
        },
        {"type": "CASH", "amount": 34},
        {"type": "NOCASH", "amount": "1"},
        "nonsense",
    ]

    answer = await ask("query", {"query": wechat_said(200, wechat_trade("SUCCESS", promotion_detail=promotions))})

    assert answer.payment is not None
    assert (answer.payment.received_fen, answer.payment.discount_fen) == (1134, 134)
    assert answer.payment.line_discounts == (LineDiscount("69010", 60), LineDiscount("69011", 40))


@pytest.mark.parametrize(
    ("reverse", "found", "outcome", "was_refunded"),
    [
        (wechat_said(200, {}), wechat_trade("REVOKED"), Outcome.CLOSED, False),
        (wechat_said(204), wechat_trade("CLOSED"), Outcome.CLOSED, False),
        (wechat_said(200, {}), REVOKED_PAID, Outcome.CLOSED, True),
        (wechat_said(200, {}), wechat_trade("REFUND"), Outcome.CLOSED, True),
        (wechat_said(200, {}), wechat_trade("SUCCESS"), Outcome.UNKNOWN, False),
        (wechat_said(200, {}), wechat_trade("USERPAYING"), Outcome.UNKNOWN, False),
        (wechat_error(400, "ORDER_CLOSED"), wechat_trade("REVOKED"), Outcome.CLOSED, False),
        (wechat_error(400, "ORDERPAID"), wechat_trade("SUCCESS"), Outcome.UNKNOWN, False),
        (wechat_error(400, "ORDERPAID"), wechat_trade("REFUND"), Outcome.UNKNOWN, False),
    ],
)
async def test_a_reverse_says_what_it_undid(
    reverse: Said, found: dict[str, Any], outcome: Outcome, was_refunded: bool
) -> None:
    answer = await ask("reverse", {"reverse": reverse, "query": wechat_said(200, found)})

    assert (answer.outcome, answer.was_refunded) == (outcome, was_refunded)
    assert answer.payment == (PAYMENT if was_refunded else None)


# --- refunds

NO_REFUND = wechat_error(404, "RESOURCE_NOT_EXISTS")
REFUND_STATES = [
    ("SUCCESS", RefundOutcome.SUCCEEDED),
    ("PROCESSING", RefundOutcome.PENDING),
    ("ABNORMAL", RefundOutcome.NEEDS_PERSON),
    ("CLOSED", RefundOutcome.REFUSED),
    ("SOMETHING_NEW", RefundOutcome.UNKNOWN),
    ("", RefundOutcome.UNKNOWN),
]


async def ask_refund(script: Mapping[str, Said]) -> RefundAnswer:
    async with wechat(script) as (channel, account, _):
        return await channel.refund(account, refund())


async def ask_refund_query(said: Said) -> RefundAnswer:
    async with wechat({"refund_query": said}) as (channel, account, _):
        return await channel.query_refund(account, refund())


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        *((status, code, RefundOutcome.REFUSED) for status, code in NOT_EXECUTED),
        (403, "USER_ACCOUNT_ABNORMAL", RefundOutcome.REFUSED),
        (403, "REQUEST_BLOCKED", RefundOutcome.REFUSED),
        (404, "RESOURCE_NOT_EXISTS", RefundOutcome.REFUSED),
        (403, "NOT_ENOUGH", RefundOutcome.RETRY),
        (403, "NOTENOUGH", RefundOutcome.RETRY),
        (202, "", RefundOutcome.PENDING),
        (429, "FREQUENCY_LIMITED", RefundOutcome.UNKNOWN),
        (429, "RATELIMIT_EXCEEDED", RefundOutcome.UNKNOWN),
        (429, "NOT_ENOUGH", RefundOutcome.UNKNOWN),
        (400, "FREQUENCY_LIMITED", RefundOutcome.UNKNOWN),
        *((status, code, RefundOutcome.UNKNOWN) for status, code in ALWAYS_UNKNOWN),
    ],
)
async def test_a_refunds_error_means_what_its_status_and_code_say(
    status: int, code: str, outcome: RefundOutcome
) -> None:
    answer = await ask_refund({"refund": wechat_error(status, code), "refund_query": NO_REFUND})

    assert answer.outcome is outcome


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (wechat_said(200, wechat_refund("SUCCESS")), RefundOutcome.SUCCEEDED),
        (wechat_said(200, wechat_refund("PROCESSING")), RefundOutcome.PENDING),
        (wechat_error(500, "SYSTEM_ERROR"), RefundOutcome.UNKNOWN),
        (NO_REFUND, RefundOutcome.REFUSED),
    ],
)
async def test_a_refused_refund_is_refused_only_when_none_of_its_number_exists(
    found: Said, outcome: RefundOutcome
) -> None:
    answer = await ask_refund({"refund": wechat_error(400, "INVALID_REQUEST"), "refund_query": found})

    assert answer.outcome is outcome


@pytest.mark.parametrize(("status", "outcome"), REFUND_STATES)
async def test_a_refund_stands_where_its_status_says(status: str, outcome: RefundOutcome) -> None:
    said = wechat_said(200, wechat_refund(status))

    answers = [await ask_refund({"refund": said}), await ask_refund_query(said)]

    assert [answer.outcome for answer in answers] == [outcome, outcome]
    assert all(answer.code == status for answer in answers)


async def test_a_settled_refund_tells_when_and_under_which_number() -> None:
    answer = await ask_refund_query(wechat_said(200, wechat_refund("SUCCESS")))

    assert answer.channel_refund_no == "50000000000000000000000000001"
    assert answer.refunded_at_ms == NOW_MS + 600_000


@pytest.mark.parametrize(
    "node",
    [
        {},
        wechat_refund("SUCCESS", out_refund_no="1"),
        wechat_refund("SUCCESS", amount={"refund": 235, "total": 1234}),
    ],
)
async def test_an_answer_about_another_refund_is_unknown(node: dict[str, Any]) -> None:
    said = wechat_said(200, node)

    answers = [await ask_refund({"refund": said}), await ask_refund_query(said)]

    assert [answer.outcome for answer in answers] == [RefundOutcome.UNKNOWN] * 2


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (404, "RESOURCE_NOT_EXISTS", RefundOutcome.NOT_FOUND),
        (404, "RESOURCENOTEXISTS", RefundOutcome.NOT_FOUND),
        (404, "MCH_NOT_EXISTS", RefundOutcome.UNKNOWN),
        (400, "PARAM_ERROR", RefundOutcome.UNKNOWN),
        (401, "SIGN_ERROR", RefundOutcome.UNKNOWN),
        (403, "NOT_ENOUGH", RefundOutcome.UNKNOWN),
        (202, "", RefundOutcome.UNKNOWN),
        (429, "FREQUENCY_LIMITED", RefundOutcome.UNKNOWN),
        *((status, code, RefundOutcome.UNKNOWN) for status, code in ALWAYS_UNKNOWN),
    ],
)
async def test_a_refund_querys_error_means_what_its_status_and_code_say(
    status: int, code: str, outcome: RefundOutcome
) -> None:
    answer = await ask_refund_query(wechat_error(status, code))

    assert answer.outcome is outcome


# --- which answers may be believed (channels B.3)

PAID = wechat_trade("SUCCESS")


def with_headers(said: Said, **changes: str | None) -> Said:
    headers = {**said.headers}
    for name, value in changes.items():
        full = f"Wechatpay-{name.title().replace('_', '-')}"
        if value is None:
            del headers[full]
        else:
            headers[full] = value
    return said._replace(headers=headers)


SAID = wechat_said(200, PAID)
SIGNED_204 = wechat_said(204)


@pytest.mark.parametrize(
    "said",
    [
        with_headers(SAID, signature=None),
        with_headers(SAID, signature=""),
        with_headers(SAID, signature="AAAA"),
        with_headers(SAID, signature="not base64!"),
        with_headers(SAID, signature="A" * 5000),
        with_headers(SAID, serial=None),
        with_headers(SAID, serial="PUB_KEY_ID_0000000000"),
        with_headers(SAID, serial="A" * 40),
        with_headers(SAID, nonce="other"),
        with_headers(SAID, nonce=None),
        with_headers(SAID, timestamp=str(NOW_MS // 1000 + 1)),
        with_headers(SAID, timestamp=None),
        with_headers(SAID, timestamp="now"),
        with_headers(SAID, signature_type="WECHATPAY2-SM2-WITH-SM3"),
        wechat_said(200, PAID, by="stranger"),
        wechat_said(200, PAID, by="own"),
        wechat_said(200, PAID, at_ms=NOW_MS - 300_000),
        wechat_said(200, PAID, at_ms=NOW_MS + 300_000),
        SAID._replace(body=SAID.body.replace(b"1234", b"1235")),
        SAID._replace(body=SAID.body + b" "),
    ],
    ids=[
        "no signature", "empty signature", "short signature", "unreadable signature", "endless signature",
        "no serial number", "unknown public key", "unknown certificate", "changed nonce", "no nonce", "changed time",
        "no time", "time in words", "unknown scheme", "a stranger's key", "our own key", "five minutes old",
        "five minutes ahead", "changed amount", "one blank more",
    ],
)  # fmt: skip
async def test_a_success_that_is_not_signed_well_is_unknown(said: Said) -> None:
    answer = await ask("query", {"query": said})

    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "BAD_SIGNATURE")
    assert answer.payment is None


async def test_a_probe_of_the_signature_check_is_unknown_and_no_alarm() -> None:
    probe = with_headers(SAID, signature="WECHATPAY/SIGNTEST/" + SAID.headers["Wechatpay-Signature"])

    answer = await ask("query", {"query": probe})

    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "PROBE")


@pytest.mark.parametrize("at_ms", [NOW_MS - 299_000, NOW_MS + 299_000])
async def test_an_answer_may_be_nearly_five_minutes_off(at_ms: int) -> None:
    answer = await ask("query", {"query": wechat_said(200, PAID, at_ms=at_ms)})

    assert answer.outcome is Outcome.PAID


@pytest.mark.parametrize(
    ("at_ms", "outcome"),
    [
        (NOW_MS, Outcome.PAID),
        (NOW_MS + 86_400_000, Outcome.PAID),
        (NOW_MS + 43_200_000, Outcome.UNKNOWN),
        (NOW_MS - 86_400_000, Outcome.UNKNOWN),
    ],
    ids=["the time it was moved from", "the moved time", "in between", "before"],
)
async def test_under_a_moved_clock_either_time_passes(at_ms: int, outcome: Outcome) -> None:
    moved = MovableClock(source=frozen(NOW_MS))
    moved.advance(86_400_000)

    answer = await ask("query", {"query": wechat_said(200, PAID, at_ms=at_ms)}, at=moved)

    assert answer.outcome is outcome


async def test_an_empty_answer_is_signed_too() -> None:
    unsigned = SIGNED_204._replace(headers={})

    answer = await ask("close", {"close": unsigned})

    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "BAD_SIGNATURE")


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (wechat_error(400, "PARAM_ERROR"), Outcome.REFUSED),
        (wechat_error(400, "PARAM_ERROR")._replace(headers={}), Outcome.REFUSED),
        (with_headers(wechat_error(400, "PARAM_ERROR"), signature="AAAA"), Outcome.UNKNOWN),
        (with_headers(wechat_error(400, "PARAM_ERROR"), signature="WECHATPAY/SIGNTEST/AAAA"), Outcome.UNKNOWN),
    ],
    ids=["signed", "unsigned", "wrongly signed", "probe"],
)
async def test_a_refusal_counts_signed_well_or_not_at_all(said: Said, outcome: Outcome) -> None:
    answer = await ask("create_qr", {"native": said})

    assert answer.outcome is outcome


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"<html></html>",
        b'{"code_url":"weixin://1"',
        b'{"a":' * 100_000,
        b"\xff",
        b'{"code_url":"weixin://1"}' + b" " * 2_000_000,
    ],
)
async def test_an_unreadable_answer_is_unknown_though_signed(body: bytes) -> None:
    answer = await ask("create_qr", {"native": Said(200, wechat_headers(body), body)})

    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "UNREADABLE")


@pytest.mark.parametrize("body", [b"", b"[]", b"<html></html>", b'{"code":5}', b"\xff"])
async def test_an_unreadable_refusal_is_unknown(body: bytes) -> None:
    answer = await ask("create_qr", {"native": Said(400, {}, body)})

    assert answer.outcome is Outcome.UNKNOWN


async def test_a_lost_answer_is_unknown_whatever_was_asked() -> None:
    lost = Said(0, {}, b"")
    async with wechat({**dict.fromkeys(ROUTES.values(), lost), "refund": lost, "refund_query": lost}) as played:
        channel, account, _ = played

        answers = [await perform(channel, account, operation) for operation in ROUTES]
        refunds = [await channel.refund(account, refund()), await channel.query_refund(account, refund())]

    assert [(answer.outcome, answer.code) for answer in answers] == [(Outcome.UNKNOWN, "REPLY_LOST")] * len(ROUTES)
    assert [answer.outcome for answer in refunds] == [RefundOutcome.UNKNOWN] * 2


@pytest.mark.parametrize("has_key", [True, False], ids=["public key", "nothing to verify with"])
async def test_a_call_that_did_not_leave_burns_nothing_but_the_attempt(has_key: bool) -> None:
    settings = wechat_settings() if has_key else wechat_settings(public_key="", public_key_id="")
    async with Outbound() as outbound:
        channel = Wechat(wire(outbound, "http://127.0.0.1:1"))
        account = channel.open_account(settings)

        answers = {operation: await perform(channel, account, operation) for operation in ROUTES}
        refunds = [await channel.refund(account, refund()), await channel.query_refund(account, refund())]

    assert {name: answer.outcome for name, answer in answers.items()} == {
        "create_qr": Outcome.REFUSED,
        "create_page": Outcome.REFUSED,
        "charge": Outcome.REFUSED,
        "query": Outcome.UNKNOWN,
        "close": Outcome.UNKNOWN,
        "reverse": Outcome.UNKNOWN,
    }
    assert {answer.code for answer in answers.values()} == {"NOT_SENT"}
    assert [answer.outcome for answer in refunds] == [RefundOutcome.RETRY, RefundOutcome.UNKNOWN]


async def test_while_keys_are_switched_either_verifies() -> None:
    certificates = {"platform_certificates": certificate_pem("platform", 0xF1)}

    by_key = await ask("query", {"query": SAID}, certificates)
    by_certificate = await ask("query", {"query": wechat_said(200, PAID, by="platform", serial="F1")}, certificates)
    crossed = await ask("query", {"query": wechat_said(200, PAID, by="wallet", serial="F1")}, certificates)

    assert [each.outcome for each in (by_key, by_certificate, crossed)] == [
        Outcome.PAID,
        Outcome.PAID,
        Outcome.UNKNOWN,
    ]
