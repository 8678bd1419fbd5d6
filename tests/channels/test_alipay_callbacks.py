"""Alipay's messages: who may be believed, and what they say (channels A.15)."""

from urllib.parse import quote, urlencode

import pytest

from opentill.base.outbound import Outbound
from opentill.channels.alipay import Alipay
from opentill.channels.base import Callback, CallbackRefused, Outcome, Payment
from tests.channels.played import (
    NOW_MS,
    REFUND_NO,
    SELLER_ID,
    TRADE_NO,
    alipay_account,
    alipay_certificate_settings,
    alipay_fields,
    alipay_form,
    alipay_notice,
    signature,
    wire,
)

CHANNEL = Alipay(wire(Outbound(), "http://127.0.0.1:1"))
HEADERS = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def read(body: bytes, **settings: str) -> Callback:
    return CHANNEL.read_callback(alipay_account(**settings), HEADERS, body)


def test_a_payment_is_told_with_its_amounts() -> None:
    callback = read(alipay_notice(), seller_id=SELLER_ID)

    assert (callback.callback_id, callback.trade_no) == ("ac05099524730693a8b330c45cece72da9", TRADE_NO)
    assert (callback.refund_no, callback.refund) == ("", None)
    assert callback.answer is not None
    assert (callback.answer.outcome, callback.answer.code) == (Outcome.PAID, "TRADE_SUCCESS")
    assert callback.answer.payment == Payment(
        channel_trade_no="2026030122001400000000000001",
        amount_fen=1234,
        received_fen=1200,
        discount_fen=134,
        paid_at_ms=NOW_MS + 30_000,
    )


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"trade_status": "TRADE_FINISHED"}, Outcome.PAID),
        ({"trade_status": "TRADE_CLOSED"}, Outcome.PAID),
        (
            {"trade_status": "TRADE_CLOSED", "gmt_payment": "", "receipt_amount": "", "buyer_pay_amount": ""},
            Outcome.CLOSED,
        ),
        ({"trade_status": "WAIT_BUYER_PAY"}, Outcome.ACCEPTED),
        ({"trade_status": "SOMETHING_NEW"}, Outcome.UNKNOWN),
        ({"total_amount": "12.3.4"}, Outcome.UNKNOWN),
    ],
)
def test_the_state_is_read_as_in_a_query(changes: dict[str, str], outcome: Outcome) -> None:
    callback = read(alipay_notice(**changes))

    assert callback.answer is not None
    assert callback.answer.outcome is outcome


@pytest.mark.parametrize(
    "changes",
    [
        {"gmt_refund": "2026-03-01 12:10:00.123", "refund_fee": "2.34", "out_biz_no": REFUND_NO},
        {"refund_fee": "2.34", "out_biz_no": REFUND_NO},
        {"gmt_refund": "2026-03-01 12:10:00", "out_biz_no": REFUND_NO},
        {"trade_status": "TRADE_CLOSED", "refund_fee": "12.34", "out_biz_no": REFUND_NO},
    ],
    ids=["partial", "without a time", "without an amount", "in full"],
)
def test_a_refund_announced_on_the_payments_address_is_not_a_payment(changes: dict[str, str]) -> None:
    callback = read(alipay_notice(**changes))

    assert (callback.trade_no, callback.refund_no) == (TRADE_NO, REFUND_NO)
    assert (callback.answer, callback.refund) == (None, None)


def test_a_refund_fee_of_zero_announces_no_refund() -> None:
    callback = read(alipay_notice(refund_fee="0.00", out_biz_no=""))

    assert callback.answer is not None
    assert callback.answer.outcome is Outcome.PAID


def test_empty_values_may_be_signed_or_left_out_of_the_signed_text() -> None:
    sent = alipay_fields(passback_params="")

    kept = read(alipay_form(sent, sent))
    dropped = read(alipay_form(sent, alipay_fields()))

    assert kept == dropped


def test_a_signed_text_that_holds_sign_type_is_refused() -> None:
    body = alipay_form(alipay_fields(), alipay_fields(sign_type="RSA2"))

    with pytest.raises(CallbackRefused, match="signature"):
        read(body)


def test_a_gbk_callback_is_verified_in_its_own_charset() -> None:
    fields = {"charset": "GBK", "app_id": "2021000000000001", "out_trade_no": TRADE_NO, "subject": "一杯咖啡"}
    message = "&".join(f"{name}={fields[name]}" for name in sorted(fields)).encode("gbk")
    body = urlencode({**fields, "sign": signature("wallet", message), "sign_type": "RSA2"}, encoding="gbk")

    assert read(body.encode()).trade_no == TRADE_NO


def change(body: bytes, old: str, new: str) -> bytes:
    assert old.encode() in body
    return body.replace(old.encode(), new.encode())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (change(alipay_notice(), "12.34", "99.99"), "signature"),
        (alipay_notice() + b"&extra=1", "signature"),
        (change(alipay_notice(), "&sign=", "&no_sign="), "signature"),
        (alipay_notice(by="stranger"), "signature"),
        (alipay_notice(by="own"), "signature"),
        (change(alipay_notice(), "sign_type=RSA2", "sign_type=RSA"), "RSA2"),
        (alipay_notice(app_id="2021000000000002"), "another app"),
        (alipay_notice(app_id=""), "another app"),
        (alipay_notice(seller_id="2088000000000009"), "another seller"),
        (alipay_notice(seller_id=""), "another seller"),
        (alipay_notice(out_trade_no=""), "no order"),
        (alipay_notice() + b"&app_id=2021000000000001", "twice"),
        (alipay_notice(charset="utf-7"), "charset"),
        (b"", "signature"),
        (b"\xff\xfe", "form"),
        (b"subject=%FF%FE&sign=AAAA", "form"),
        (b"&".join(b"a%d=1" % each for each in range(300)), "form"),
        (b'{"app_id":"2021000000000001"}', "signature"),
    ],
)
def test_a_callback_that_is_not_alipays_word_for_this_account_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(CallbackRefused, match=reason) as refused:
        read(body, seller_id=SELLER_ID)

    assert not refused.value.is_probe


def test_the_seller_is_checked_only_when_it_is_known() -> None:
    assert read(alipay_notice(seller_id="2088000000000009")).trade_no == TRADE_NO


def test_in_certificate_mode_alipays_certificate_verifies_callbacks() -> None:
    account = CHANNEL.open_account(alipay_certificate_settings())

    assert CHANNEL.read_callback(account, HEADERS, alipay_notice()).trade_no == TRADE_NO
    with pytest.raises(CallbackRefused):
        CHANNEL.read_callback(account, HEADERS, alipay_notice(by="own"))


def test_values_are_decoded_before_they_are_verified() -> None:
    body = alipay_notice(subject="a+b c%25=&")

    assert quote("a+b", safe="").encode() in body
    assert read(body).trade_no == TRADE_NO


def test_alipay_hears_exactly_success_or_something_else() -> None:
    accepted = CHANNEL.callback_reply(is_accepted=True)
    refused = CHANNEL.callback_reply(is_accepted=False)

    assert (accepted.status, accepted.body) == (200, b"success")
    assert refused.body == b"fail"
