"""What each answer of Alipay means; whatever is not listed here is unknown (channels 0.1, A.7 to A.16)."""

from collections.abc import Mapping
from typing import Any

import pytest

from opentill.base.outbound import Outbound
from opentill.channels.alipay import Alipay
from opentill.channels.alipay_account import AlipayAccount, certificate_sn
from opentill.channels.base import Answer, LineDiscount, Outcome, Payment, RefundAnswer, RefundOutcome
from tests.channels.played import (
    NOW_MS,
    REFUND_NO,
    TRADE_NO,
    Said,
    alipay,
    alipay_answering,
    alipay_certificate_settings,
    alipay_said,
    alipay_trade,
    certificate,
    certificate_pem,
    playing,
    refund,
    signature,
    trade,
    wire,
)

GATEWAY_REFUSALS = ["20001", "40001", "40002", "40003", "40006"]
UNKNOWN_WORDS = [
    "ACQ.SYSTEM_ERROR",
    "AQC.SYSTEM_ERROR",
    "UNKNOWN_ERROR",
    "ACQ.SOMETHING_NEW",
    "ACQ.INVALID_PARAMETER ",
    "acq.invalid_parameter",
    "",
]
UNKNOWN_CODES = ["20000", "10004", "30000", "40007", "", "1000", "10000 "]
CREATE_REFUSALS = [
    f"ACQ.{code}"
    for code in [
        "INVALID_PARAMETER",
        "ACCESS_FORBIDDEN",
        "EXIST_FORBIDDEN_WORD",
        "PARTNER_ERROR",
        "TOTAL_FEE_EXCEED",
        "BUYER_SELLER_EQUAL",
        "BUYER_NOT_EXIST",
        "BUYER_ENABLE_STATUS_FORBID",
        "BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR",
        "BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR",
        "BEYOND_PAY_RESTRICTION",
        "BEYOND_PER_RECEIPT_RESTRICTION",
        "BEYOND_PER_RECEIPT_DAY_RESTRICTION",
        "BEYOND_PER_RECEIPT_SINGLE_RESTRICTION",
        "ERROR_BUYER_CERTIFY_LEVEL_LIMIT",
        "SELLER_BEEN_BLOCKED",
        "SELLER_NOT_EXIST",
        "INVALID_STORE_ID",
        "INVALID_RECEIVE_ACCOUNT",
        "APPLY_PC_MERCHANT_CODE_ERROR",
        "SECONDARY_MERCHANT_STATUS_ERROR",
        "SECONDARY_MERCHANT_ID_INVALID",
        "TRADE_SETTLE_ERROR",
        "DEFAULT_SETTLE_RULE_NOT_EXIST",
        "NOW_TIME_AFTER_EXPIRE_TIME_ERROR",
        "SUB_GOODS_SIZE_MAX_COUNT",
        "MERCHANT_PERM_RECEIPT_SUSPEND_LIMIT",
        "MERCHANT_PERM_RECEIPT_SINGLE_LIMIT",
        "MERCHANT_PERM_RECEIPT_DAY_LIMIT",
        "RISK_MERCHANT_IP_NOT_EXIST",
        "MERCHANT_STATUS_NOT_NORMAL",
    ]
]
CHARGE_REFUSALS = [
    f"ACQ.{code}"
    for code in [
        "PAYMENT_AUTH_CODE_INVALID",
        "BUYER_BALANCE_NOT_ENOUGH",
        "BUYER_BANKCARD_BALANCE_NOT_ENOUGH",
        "ERROR_BALANCE_PAYMENT_DISABLE",
        "PULL_MOBILE_CASHIER_FAIL",
        "MOBILE_PAYMENT_SWITCH_OFF",
        "USER_FACE_PAYMENT_SWITCH_OFF",
        "NO_PAYMENT_INSTRUMENTS_AVAILABLE",
        "PAYMENT_FAIL",
        "PAYMENT_REQUEST_HAS_RISK",
        "PRODUCT_AMOUNT_LIMIT_ERROR",
    ]
]
NUMBER_IN_USE = [
    "ACQ.TRADE_HAS_SUCCESS",
    "ACQ.TRADE_HAS_CLOSE",
    "ACQ.CONTEXT_INCONSISTENT",
    "ACQ.TRADE_BUYER_NOT_MATCH",
]
PAYMENT = Payment(
    channel_trade_no="2026030122001400000000000001",
    amount_fen=1234,
    received_fen=1200,
    discount_fen=134,
    paid_at_ms=NOW_MS + 30_000,
)


def failure(sub_code: str) -> dict[str, str]:
    return {"code": "40004", "msg": "Business Failed", "sub_code": sub_code, "sub_msg": "说明"}


def gateway(code: str) -> dict[str, str]:
    return {"code": code, "msg": "Gateway", "sub_code": "isv.some-word", "sub_msg": "说明"}


async def ask(operation: str, script: Mapping[str, Mapping[str, Any] | Said]) -> Answer:
    async with alipay(script) as (channel, account, _):
        return await perform(channel, account, operation)


async def perform(channel: Alipay, account: AlipayAccount, operation: str) -> Answer:
    match operation:
        case "create_qr":
            return await channel.create_qr(account, trade())
        case "create_page":
            return await channel.create_page(account, trade(), "2088102146225135", "")
        case "charge":
            return await channel.charge(account, trade(), "280000000000000000")
        case "query":
            return await channel.query(account, TRADE_NO)
        case "close":
            return await channel.close(account, TRADE_NO)
        case _:
            return await channel.reverse(account, TRADE_NO)


METHODS = {
    "create_qr": "precreate",
    "create_page": "create",
    "charge": "pay",
    "query": "query",
    "close": "close",
    "reverse": "cancel",
}


def rows(operation: str, words: list[str], outcome: Outcome) -> list[tuple[str, str, Outcome]]:
    return [(operation, word, outcome) for word in words]


@pytest.mark.parametrize(
    ("operation", "sub_code", "outcome"),
    [
        *rows("create_qr", CREATE_REFUSALS, Outcome.REFUSED),
        *rows("create_page", CREATE_REFUSALS, Outcome.REFUSED),
        *rows("charge", CREATE_REFUSALS + CHARGE_REFUSALS, Outcome.REFUSED),
        ("create_qr", "ACQ.TRADE_NOT_EXIST", Outcome.UNKNOWN),
        ("query", "ACQ.TRADE_NOT_EXIST", Outcome.NOT_FOUND),
        ("query", "ACQ.INVALID_PARAMETER", Outcome.UNKNOWN),
        ("query", "ACQ.ENTERPRISE_PAY_BIZ_ERROR", Outcome.UNKNOWN),
        ("close", "ACQ.TRADE_NOT_EXIST", Outcome.NOT_FOUND),
        ("close", "ACQ.INVALID_PARAMETER", Outcome.REFUSED),
        ("reverse", "ACQ.TRADE_NOT_EXIST", Outcome.NOT_FOUND),
        *rows(
            "reverse",
            [
                "ACQ.SELLER_BALANCE_NOT_ENOUGH",
                "ACQ.REASON_TRADE_BEEN_FREEZEN",
                "ACQ.TRADE_HAS_FINISHED",
                "ACQ.REASON_TRADE_REFUND_FEE_ERR",
                "ACQ.CANCEL_NOT_ALLOWED",
                "ACQ.TRADE_CANCEL_TIME_OUT",
                "ACQ.INVALID_PARAMETER",
            ],
            Outcome.REFUSED,
        ),
        *(row for operation in METHODS for row in rows(operation, UNKNOWN_WORDS, Outcome.UNKNOWN)),
    ],
)
async def test_a_business_failure_means_what_its_sub_code_says(operation: str, sub_code: str, outcome: Outcome) -> None:
    answer = await ask(operation, {METHODS[operation]: failure(sub_code)})

    assert answer.outcome is outcome
    assert answer.payment is None


@pytest.mark.parametrize(
    ("operation", "code", "outcome"),
    [
        *rows("create_qr", [*GATEWAY_REFUSALS, "40005"], Outcome.REFUSED),
        *rows("create_page", [*GATEWAY_REFUSALS, "40005"], Outcome.REFUSED),
        *rows("charge", [*GATEWAY_REFUSALS, "40005"], Outcome.REFUSED),
        *rows("close", GATEWAY_REFUSALS, Outcome.REFUSED),
        *rows("reverse", GATEWAY_REFUSALS, Outcome.REFUSED),
        *rows("query", [*GATEWAY_REFUSALS, "40005"], Outcome.UNKNOWN),
        *rows("close", ["40005"], Outcome.UNKNOWN),
        *rows("reverse", ["40005"], Outcome.UNKNOWN),
        *(row for operation in METHODS for row in rows(operation, UNKNOWN_CODES, Outcome.UNKNOWN)),
    ],
)
async def test_a_gateway_failure_means_what_its_code_says(operation: str, code: str, outcome: Outcome) -> None:
    answer = await ask(operation, {METHODS[operation]: gateway(code)})

    assert answer.outcome is outcome
    assert (answer.code, answer.message) == ("isv.some-word", "说明")


@pytest.mark.parametrize("operation", ["create_qr", "create_page", "charge"])
@pytest.mark.parametrize("sub_code", NUMBER_IN_USE)
@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ("TRADE_SUCCESS", Outcome.PAID),
        ("TRADE_CLOSED", Outcome.CLOSED),
        ("WAIT_BUYER_PAY", Outcome.UNKNOWN),
        ("", Outcome.UNKNOWN),
    ],
)
async def test_a_number_in_use_is_settled_by_asking(
    operation: str, sub_code: str, state: str, outcome: Outcome
) -> None:
    answer = await ask(operation, {METHODS[operation]: failure(sub_code), "query": alipay_trade(state)})

    is_closed_charge = operation == "charge" and outcome is Outcome.CLOSED
    assert answer.outcome is (Outcome.REFUSED if is_closed_charge else outcome)
    assert answer.payment == (PAYMENT if outcome is Outcome.PAID else None)


@pytest.mark.parametrize(
    "sub_code", ["ACQ.TRADE_STATUS_ERROR", "ACQ.REASON_TRADE_STATUS_INVALID", "ACQ.REASON_ILLEGAL_STATUS"]
)
@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ("TRADE_SUCCESS", Outcome.PAID),
        ("TRADE_FINISHED", Outcome.PAID),
        ("TRADE_CLOSED", Outcome.CLOSED),
        ("WAIT_BUYER_PAY", Outcome.UNKNOWN),
        ("SOMETHING_NEW", Outcome.UNKNOWN),
    ],
)
async def test_a_close_refused_for_the_state_is_settled_by_asking(sub_code: str, state: str, outcome: Outcome) -> None:
    answer = await ask("close", {"close": failure(sub_code), "query": alipay_trade(state)})

    assert answer.outcome is outcome
    assert (answer.payment == PAYMENT) is (outcome is Outcome.PAID)


async def test_a_created_qr_is_accepted_with_its_text() -> None:
    node = {"code": "10000", "out_trade_no": TRADE_NO, "qr_code": "https://qr.alipay.com/bax1"}

    answer = await ask("create_qr", {"precreate": node})

    assert (answer.outcome, answer.qr_text) == (Outcome.ACCEPTED, "https://qr.alipay.com/bax1")


@pytest.mark.parametrize(
    ("operation", "node"),
    [
        ("create_qr", {"code": "10000", "out_trade_no": TRADE_NO}),
        ("create_qr", {"code": "10000", "out_trade_no": "1", "qr_code": "https://qr.alipay.com/bax1"}),
        ("create_page", {"code": "10000", "out_trade_no": TRADE_NO}),
        ("charge", {"code": "10000", "out_trade_no": TRADE_NO, "total_amount": "12.34"}),
        ("charge", {"code": "10000", "out_trade_no": TRADE_NO, "trade_no": "2026"}),
        ("charge", {"code": "10000", "out_trade_no": "1", "trade_no": "2026", "total_amount": "12.34"}),
        ("query", alipay_trade("TRADE_SUCCESS", total_amount="")),
        ("query", alipay_trade("TRADE_SUCCESS", total_amount="12.345")),
        ("query", alipay_trade("TRADE_SUCCESS", trade_no="")),
        ("query", alipay_trade("TRADE_SUCCESS", out_trade_no="1")),
        ("query", alipay_trade("TRADE_CLOSED", out_trade_no="1")),
        ("query", alipay_trade("")),
        ("query", alipay_trade("SOMETHING_NEW")),
        ("query", {**alipay_trade("TRADE_SUCCESS"), "total_amount": 12}),
    ],
)
async def test_a_success_that_does_not_hold_together_is_unknown(operation: str, node: dict[str, Any]) -> None:
    answer = await ask(operation, {METHODS[operation]: node})

    assert answer.outcome is Outcome.UNKNOWN


async def test_a_charge_that_took_the_money_is_paid() -> None:
    node = {**alipay_trade(""), "gmt_payment": "2026-03-01 12:00:30"}
    node |= {"receipt_amount": "12.00", "buyer_pay_amount": "11.00"}

    answer = await ask("charge", {"pay": node})

    assert (answer.outcome, answer.payment) == (Outcome.PAID, PAYMENT)


async def test_a_charge_that_waits_for_a_password_is_accepted() -> None:
    answer = await ask("charge", {"pay": {"code": "10003", "msg": "order success pay inprocess"}})

    assert (answer.outcome, answer.needs_password) == (Outcome.ACCEPTED, True)


@pytest.mark.parametrize("operation", ["create_qr", "create_page", "query", "close", "reverse"])
async def test_buyer_paying_means_nothing_outside_a_charge(operation: str) -> None:
    answer = await ask(operation, {METHODS[operation]: {"code": "10003", "msg": "order success pay inprocess"}})

    assert answer.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("node", "outcome", "payment"),
    [
        (alipay_trade("WAIT_BUYER_PAY"), Outcome.ACCEPTED, None),
        (alipay_trade("WAIT_BUYER_PAY", receipt_amount="0.00"), Outcome.ACCEPTED, None),
        (alipay_trade("TRADE_SUCCESS"), Outcome.PAID, PAYMENT),
        (alipay_trade("TRADE_FINISHED"), Outcome.PAID, PAYMENT),
        (alipay_trade("TRADE_CLOSED"), Outcome.CLOSED, None),
        (alipay_trade("TRADE_CLOSED", receipt_amount="0.00", buyer_pay_amount="0.00"), Outcome.CLOSED, None),
    ],
)
async def test_a_query_tells_where_the_trade_stands(
    node: dict[str, str], outcome: Outcome, payment: Payment | None
) -> None:
    answer = await ask("query", {"query": node})

    assert (answer.outcome, answer.payment) == (outcome, payment)


@pytest.mark.parametrize(
    "sign_of_payment",
    [
        {"send_pay_date": "2026-03-01 12:00:30"},
        {"receipt_amount": "0.01"},
        {"buyer_pay_amount": "12.34"},
        {"point_amount": "1.00"},
        {"invoice_amount": "12.34"},
        {"fund_bill_list": [{"fund_channel": "ALIPAYACCOUNT", "amount": "12.34"}]},
    ],
)
async def test_a_closed_trade_that_was_paid_once_is_paid_and_refunded(sign_of_payment: dict[str, Any]) -> None:
    answer = await ask("query", {"query": {**alipay_trade("TRADE_CLOSED"), **sign_of_payment}})

    assert (answer.outcome, answer.was_refunded) == (Outcome.PAID, True)
    assert answer.payment is not None
    assert answer.payment.amount_fen == 1234


async def test_amounts_that_alipay_leaves_out_are_the_total() -> None:
    node = alipay_trade("TRADE_SUCCESS", receipt_amount="", buyer_pay_amount="", send_pay_date="")

    answer = await ask("query", {"query": node})

    assert answer.payment == Payment(
        channel_trade_no=PAYMENT.channel_trade_no, amount_fen=1234, received_fen=1234, discount_fen=0, paid_at_ms=0
    )


async def test_single_item_coupons_come_with_the_payment() -> None:
    listed = '[{"goods_id":"69010","discount_amount":"1.00"},{"goods_id":"","discount_amount":"1"},{"goods_id":"x"}]'

    answer = await ask("query", {"query": alipay_trade("TRADE_SUCCESS", discount_goods_detail=listed)})

    assert answer.payment is not None
    assert answer.payment.line_discounts == (LineDiscount("69010", 100),)


@pytest.mark.parametrize(
    ("node", "query", "outcome", "was_refunded", "payment"),
    [
        ({"action": "close", "trade_no": "2026", "retry_flag": "N"}, "TRADE_CLOSED", Outcome.CLOSED, False, None),
        ({"action": "refund", "trade_no": "2026", "retry_flag": "N"}, "TRADE_SUCCESS", Outcome.CLOSED, True, PAYMENT),
        ({"action": "refund", "trade_no": "2026", "retry_flag": "N"}, "", Outcome.CLOSED, True, None),
        ({"retry_flag": "Y", "action": "refund", "trade_no": "2026"}, "TRADE_SUCCESS", Outcome.UNKNOWN, False, None),
        ({"retry_flag": "N"}, "TRADE_SUCCESS", Outcome.NOT_FOUND, False, None),
        ({"retry_flag": "N", "trade_no": "2026"}, "TRADE_CLOSED", Outcome.CLOSED, False, None),
        ({"retry_flag": "N", "trade_no": "2026"}, "WAIT_BUYER_PAY", Outcome.UNKNOWN, False, None),
        ({"retry_flag": "N", "trade_no": "2026"}, "TRADE_SUCCESS", Outcome.UNKNOWN, False, None),
    ],
)
async def test_a_reverse_says_what_it_undid(
    node: dict[str, str], query: str, outcome: Outcome, was_refunded: bool, payment: Payment | None
) -> None:
    answer = await ask("reverse", {"cancel": {"code": "10000", **node}, "query": alipay_trade(query)})

    assert (answer.outcome, answer.was_refunded, answer.payment) == (outcome, was_refunded, payment)


async def test_a_repeated_reverse_still_tells_that_money_went_back() -> None:
    node = {"code": "10000", "retry_flag": "N", "trade_no": "2026"}
    closed = alipay_trade("TRADE_CLOSED", send_pay_date="2026-03-01 12:00:30")

    answer = await ask("reverse", {"cancel": node, "query": closed})

    assert (answer.outcome, answer.was_refunded) == (Outcome.CLOSED, True)


# --- refunds

NO_REFUND = {"code": "10000", "msg": "Success"}
REFUND_REFUSALS = [
    f"ACQ.{code}"
    for code in [
        "REFUND_AMT_NOT_EQUAL_TOTAL",
        "REFUND_FEE_ERROR",
        "TRADE_NOT_EXIST",
        "TRADE_HAS_FINISHED",
        "TRADE_STATUS_ERROR",
        "TRADE_HAS_CLOSE",
        "TRADE_NOT_ALLOW_REFUND",
        "NOT_ALLOW_PARTIAL_REFUND",
        "REASON_TRADE_BEEN_FREEZEN",
        "REASON_TRADE_REFUND_FEE_ERR",
        "REFUND_CHARGE_ERROR",
        "BUYER_NOT_EXIST",
        "BUYER_ENABLE_STATUS_FORBID",
        "CURRENCY_NOT_SUPPORT",
        "INVALID_PARAMETER",
    ]
]


async def ask_refund(script: Mapping[str, Mapping[str, Any] | Said]) -> RefundAnswer:
    async with alipay(script) as (channel, account, _):
        return await channel.refund(account, refund())


async def ask_refund_query(node: Mapping[str, Any] | Said) -> RefundAnswer:
    async with alipay({"refund.query": node}) as (channel, account, _):
        return await channel.query_refund(account, refund())


@pytest.mark.parametrize(
    ("node", "outcome"),
    [
        ({"code": "10000", "fund_change": "Y", "refund_fee": "2.34"}, RefundOutcome.SUCCEEDED),
        ({"code": "10000", "fund_change": "N"}, RefundOutcome.UNKNOWN),
        ({"code": "10000"}, RefundOutcome.UNKNOWN),
        (failure("ACQ.SELLER_BALANCE_NOT_ENOUGH"), RefundOutcome.RETRY),
        (gateway("40005"), RefundOutcome.RETRY),
        (failure("ACQ.DISCORDANT_REPEAT_REQUEST"), RefundOutcome.UNKNOWN),
        *((failure(word), RefundOutcome.REFUSED) for word in REFUND_REFUSALS),
        *((gateway(code), RefundOutcome.REFUSED) for code in GATEWAY_REFUSALS),
        *((failure(word), RefundOutcome.UNKNOWN) for word in UNKNOWN_WORDS),
        *((gateway(code), RefundOutcome.UNKNOWN) for code in UNKNOWN_CODES),
    ],
)
async def test_a_refund_means_what_its_answer_says(node: dict[str, str], outcome: RefundOutcome) -> None:
    answer = await ask_refund({"refund": node, "refund.query": NO_REFUND})

    assert answer.outcome is outcome


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        ({"code": "10000", "refund_status": "REFUND_SUCCESS"}, RefundOutcome.SUCCEEDED),
        (failure("ACQ.SYSTEM_ERROR"), RefundOutcome.UNKNOWN),
        (failure("ACQ.TRADE_NOT_EXIST"), RefundOutcome.REFUSED),
        (NO_REFUND, RefundOutcome.REFUSED),
    ],
)
async def test_a_refused_refund_is_refused_only_when_none_of_its_number_exists(
    found: dict[str, str], outcome: RefundOutcome
) -> None:
    answer = await ask_refund({"refund": failure("ACQ.TRADE_HAS_CLOSE"), "refund.query": found})

    assert answer.outcome is outcome


@pytest.mark.parametrize(
    ("node", "outcome"),
    [
        ({"code": "10000", "refund_status": "REFUND_SUCCESS"}, RefundOutcome.SUCCEEDED),
        (
            {"code": "10000", "refund_status": "REFUND_SUCCESS", "out_request_no": REFUND_NO, "refund_amount": "2.34"},
            RefundOutcome.SUCCEEDED,
        ),
        ({"code": "10000", "refund_status": "REFUND_SUCCESS", "refund_amount": "2.33"}, RefundOutcome.UNKNOWN),
        ({"code": "10000", "refund_status": "REFUND_SUCCESS", "out_request_no": "1"}, RefundOutcome.UNKNOWN),
        ({"code": "10000", "refund_status": "REFUND_FAIL"}, RefundOutcome.UNKNOWN),
        ({"code": "10000", "out_request_no": REFUND_NO, "refund_amount": "2.34"}, RefundOutcome.UNKNOWN),
        ({"code": "10000"}, RefundOutcome.NOT_FOUND),
        (failure("ACQ.TRADE_NOT_EXIST"), RefundOutcome.NOT_FOUND),
        (failure("ACQ.INVALID_PARAMETER"), RefundOutcome.UNKNOWN),
        *((failure(word), RefundOutcome.UNKNOWN) for word in UNKNOWN_WORDS),
        *((gateway(code), RefundOutcome.UNKNOWN) for code in [*GATEWAY_REFUSALS, "40005", *UNKNOWN_CODES]),
    ],
)
async def test_a_refund_query_means_what_its_answer_says(node: dict[str, str], outcome: RefundOutcome) -> None:
    answer = await ask_refund_query(node)

    assert answer.outcome is outcome


async def test_a_settled_refund_tells_when_and_under_which_number() -> None:
    answer = await ask_refund_query(
        {
            "code": "10000",
            "refund_status": "REFUND_SUCCESS",
            "trade_no": "2026",
            "gmt_refund_pay": "2026-03-01 12:10:00",
        }
    )

    assert (answer.channel_refund_no, answer.refunded_at_ms) == ("2026", NOW_MS + 600_000)


# --- which answers may be believed (channels A.4)

QUERY = "alipay.trade.query"
PAID_NODE = alipay_trade("TRADE_SUCCESS")
REFUSED_BODY = b'{"%s":{"code":"40002","msg":"Invalid Arguments","sub_code":"isv.invalid-signature"}}'


@pytest.mark.parametrize(
    "text",
    [
        '{"code":"10000","out_trade_no":"%s","trade_no":"1","trade_status":"TRADE_SUCCESS","total_amount":"12.34",'
        '"subject":"a } b { \\"sign\\":\\"x\\" \\\\"}',
        '{ "code" : "10000" ,\n"out_trade_no":"%s","trade_no":"1","trade_status":"TRADE_SUCCESS",'
        '"total_amount":"12.34", "nested":{"a":[{"b":"}]"}]} }',
        '{"code":"10000","out_trade_no":"%s","trade_no":"1","trade_status":"TRADE_SUCCESS","total_amount":"12.34",'
        '"url":"https:\\/\\/a.example\\/b"}',
    ],
    ids=["braces and quotes inside a value", "blanks and nesting", "escaped slashes signed as sent"],
)
async def test_the_raw_characters_of_the_node_are_what_is_verified(text: str) -> None:
    answer = await ask("query", {"query": alipay_said(QUERY, text % TRADE_NO)})

    assert answer.outcome is Outcome.PAID


async def test_slashes_escaped_after_signing_are_accepted() -> None:
    signed = (
        f'{{"code":"10000","out_trade_no":"{TRADE_NO}","trade_no":"1","trade_status":"TRADE_SUCCESS",'
        '"total_amount":"12.34","url":"https://a.example/b"}'
    )
    sent = signed.replace("/", "\\/")
    body = f'{{"alipay_trade_query_response":{sent},"sign":"{signature("wallet", signed.encode())}"}}'

    answer = await ask("query", {"query": Said(200, {}, body.encode())})

    assert answer.outcome is Outcome.PAID


async def test_what_was_signed_is_read_not_what_was_sent() -> None:
    # A backslash before an escaped slash: un-escaping changes the value, so the value must come from the signed text.
    signed = (
        f'{{"code":"10000","out_trade_no":"{TRADE_NO}","trade_no":"a\\/b","trade_status":"TRADE_SUCCESS",'
        '"total_amount":"12.34"}'
    )
    sent = signed.replace("\\/", "\\\\/")
    body = f'{{"alipay_trade_query_response":{sent},"sign":"{signature("wallet", signed.encode())}"}}'

    answer = await ask("query", {"query": Said(200, {}, body.encode())})

    assert answer.payment is not None
    assert answer.payment.channel_trade_no == "a/b"


def said(node_name: str, node: str, sign: str | None) -> Said:
    end = "" if sign is None else f',"sign":"{sign}"'
    return Said(200, {}, f'{{"{node_name}":{node}{end}}}'.encode())


PAID_TEXT = (
    f'{{"code":"10000","out_trade_no":"{TRADE_NO}","trade_no":"1","trade_status":"TRADE_SUCCESS",'
    '"total_amount":"12.34"}'
)


@pytest.mark.parametrize(
    "reply",
    [
        said("alipay_trade_query_response", PAID_TEXT, None),
        said("alipay_trade_query_response", PAID_TEXT, ""),
        said("alipay_trade_query_response", PAID_TEXT, "AAAA"),
        said("alipay_trade_query_response", PAID_TEXT, "not base64!"),
        said("alipay_trade_query_response", PAID_TEXT, signature("stranger", PAID_TEXT.encode())),
        said(
            "alipay_trade_query_response", PAID_TEXT.replace("12.34", "0.01"), signature("wallet", PAID_TEXT.encode())
        ),
        said("error_response", PAID_TEXT, signature("wallet", PAID_TEXT.encode())),
        said("error_response", PAID_TEXT, None),
        alipay_said("alipay.trade.pay", PAID_NODE),
        alipay_said(QUERY, PAID_NODE, by="own"),
    ],
    ids=[
        "no signature",
        "empty signature",
        "short signature",
        "unreadable signature",
        "a stranger's key",
        "changed after signing",
        "error node with success, signed",
        "error node with success, unsigned",
        "another method's answer",
        "our own key",
    ],
)
async def test_a_success_that_is_not_signed_well_is_unknown(reply: Said) -> None:
    answer = await ask("query", {"query": reply})

    assert answer.outcome is Outcome.UNKNOWN
    assert answer.payment is None


@pytest.mark.parametrize("name", ["alipay_trade_precreate_response", "error_response"])
async def test_a_refusal_without_a_signature_is_believed(name: str) -> None:
    answer = await ask("create_qr", {"precreate": Said(200, {}, REFUSED_BODY % name.encode())})

    assert (answer.outcome, answer.code) == (Outcome.REFUSED, "isv.invalid-signature")


async def test_a_refusal_with_a_wrong_signature_is_not_believed() -> None:
    body = REFUSED_BODY % b"alipay_trade_precreate_response"

    answer = await ask("create_qr", {"precreate": Said(200, {}, body[:-1] + b',"sign":"AAAA"}')})

    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "BAD_SIGNATURE")


@pytest.mark.parametrize("status", [201, 302, 400, 401, 404, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("operation", list(METHODS))
async def test_any_other_transport_status_is_unknown(status: int, operation: str) -> None:
    reply = alipay_said(f"alipay.trade.{METHODS[operation]}", failure("ACQ.INVALID_PARAMETER"))

    answer = await ask(operation, {METHODS[operation]: reply._replace(status=status)})

    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, f"HTTP_{status}")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html></html>",
        b'{"alipay_trade_precreate_response":[],"sign":"AAAA"}',
        b'{"alipay_trade_precreate_response":null}',
        b'{"alipay_trade_precreate_response":{"code":40004,"sub_code":"ACQ.INVALID_PARAMETER"}}',
        REFUSED_BODY[:-1] % b"alipay_trade_precreate_response",
        b'{"a":' * 100_000,
        "{}".encode("utf-16"),
        b"\xff" * 100,
        b" " * 2_000_000 + REFUSED_BODY % b"alipay_trade_precreate_response",
    ],
    ids=[
        "empty", "null", "list", "no node", "html", "node is a list", "node is null", "code is a number", "cut",
        "bottomless", "utf-16", "no text", "too long",
    ],
)  # fmt: skip
async def test_an_unreadable_answer_is_unknown(body: bytes) -> None:
    answer = await ask("create_qr", {"precreate": Said(200, {}, body)})

    assert answer.outcome is Outcome.UNKNOWN


async def test_a_lost_answer_is_unknown_whatever_was_asked() -> None:
    lost = Said(0, {}, b"")
    async with alipay({**dict.fromkeys(METHODS.values(), lost), "refund": lost, "refund.query": lost}) as played:
        channel, account, heard = played

        answers = [await perform(channel, account, operation) for operation in METHODS]
        refunds = [await channel.refund(account, refund()), await channel.query_refund(account, refund())]

    assert [(answer.outcome, answer.code) for answer in answers] == [(Outcome.UNKNOWN, "REPLY_LOST")] * len(METHODS)
    assert [answer.outcome for answer in refunds] == [RefundOutcome.UNKNOWN] * 2
    assert len(heard) >= len(METHODS) + 2


async def test_a_call_that_did_not_leave_burns_nothing_but_the_attempt() -> None:
    async with Outbound() as outbound:
        channel = Alipay(wire(outbound, "http://127.0.0.1:1"))
        account = channel.open_account(alipay_certificate_settings())

        answers = {operation: await perform(channel, account, operation) for operation in METHODS}
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


# --- certificate mode (channels A.5)


@pytest.mark.parametrize(
    ("by", "named", "outcome"),
    [
        ("wallet", ("wallet", 0xC1), Outcome.PAID),
        ("wallet2", ("wallet2", 0xC2), Outcome.PAID),
        ("wallet", ("wallet2", 0xC2), Outcome.UNKNOWN),
        ("wallet", ("stranger", 0xC1), Outcome.PAID),
        ("wallet", ("wallet", 0xC9), Outcome.UNKNOWN),
        ("wallet", None, Outcome.PAID),
    ],
    ids=[
        "the first certificate",
        "the second certificate",
        "signed by one, naming another",
        "the serial number decides, which is the same",
        "an unknown certificate",
        "naming none",
    ],
)
async def test_the_certificate_that_the_answer_names_verifies_it(
    by: str, named: tuple[str, int] | None, outcome: Outcome
) -> None:
    outer = {"alipay_cert_sn": certificate_sn(certificate(*named))} if named else {}
    reply = alipay_said(QUERY, PAID_NODE, by=by, outer=outer)
    both = certificate_pem("wallet", 0xC1) + certificate_pem("wallet2", 0xC2)

    async with playing(alipay_answering({"query": reply})) as (base_url, _), Outbound() as outbound:
        channel = Alipay(wire(outbound, base_url))
        answer = await channel.query(channel.open_account(alipay_certificate_settings(alipay_cert=both)), TRADE_NO)

    assert answer.outcome is outcome
