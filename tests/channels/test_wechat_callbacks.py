"""WeChat Pay's messages: who may be believed, and what they say (channels B.3, B.8)."""

import json
from typing import Any

import pytest

from opentill.base.clock import Clock, MovableClock, frozen
from opentill.base.outbound import Outbound
from opentill.channels.base import Callback, CallbackRefused, Outcome, Payment, RefundOutcome
from opentill.channels.wechat import Wechat
from tests.channels.played import (
    MCHID,
    NOW_MS,
    REFUND_NO,
    TRADE_NO,
    certificate_pem,
    clock,
    lowered,
    wechat_account,
    wechat_headers,
    wechat_notice,
    wechat_sealed,
    wechat_trade,
    wire,
)

PAID_BODY = wechat_notice("transaction", wechat_trade("SUCCESS"))


def refund_node(status: str, **changes: Any) -> dict[str, Any]:
    return {
        "mchid": MCHID,
        "transaction_id": "4200000000202603010000000001",
        "out_trade_no": TRADE_NO,
        "refund_id": "50000000000000000000000000001",
        "out_refund_no": REFUND_NO,
        "refund_status": status,
        "success_time": "2026-03-01T12:10:00+08:00",
        "amount": {"total": 1234, "refund": 234, "payer_total": 1100, "payer_refund": 209},
        **changes,
    }


def read(
    body: bytes,
    headers: dict[str, str] | None = None,
    settings: dict[str, str] | None = None,
    at: Clock | None = None,
) -> Callback:
    channel = Wechat(wire(Outbound(), "http://127.0.0.1:1", at or clock()))
    return channel.read_callback(wechat_account(**(settings or {})), lowered(headers or wechat_headers(body)), body)


def test_a_payment_is_told_with_its_amounts() -> None:
    callback = read(PAID_BODY)

    assert (callback.callback_id, callback.trade_no) == ("7d9d8b04-0000-5000-8000-000000000001", TRADE_NO)
    assert (callback.refund_no, callback.refund) == ("", None)
    assert callback.answer is not None
    assert (callback.answer.outcome, callback.answer.code) == (Outcome.PAID, "SUCCESS")
    assert callback.answer.payment == Payment(
        channel_trade_no="4200000000202603010000000001",
        amount_fen=1234,
        received_fen=1234,
        discount_fen=134,
        paid_at_ms=NOW_MS + 30_000,
    )


@pytest.mark.parametrize(
    ("node", "outcome"),
    [
        (wechat_trade("CLOSED"), Outcome.CLOSED),
        (wechat_trade("SOMETHING_NEW"), Outcome.UNKNOWN),
        (wechat_trade("SUCCESS", amount={}), Outcome.UNKNOWN),
    ],
)
def test_the_state_is_read_as_in_a_query(node: dict[str, Any], outcome: Outcome) -> None:
    callback = read(wechat_notice("transaction", node))

    assert callback.answer is not None
    assert callback.answer.outcome is outcome


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("SUCCESS", RefundOutcome.SUCCEEDED),
        ("ABNORMAL", RefundOutcome.NEEDS_PERSON),
        ("CLOSED", RefundOutcome.REFUSED),
        ("SOMETHING_NEW", RefundOutcome.UNKNOWN),
    ],
)
def test_a_refund_is_told_with_its_number_and_outcome(status: str, outcome: RefundOutcome) -> None:
    callback = read(wechat_notice("refund", refund_node(status)))

    assert (callback.trade_no, callback.refund_no, callback.answer) == (TRADE_NO, REFUND_NO, None)
    assert callback.refund is not None
    assert (callback.refund.outcome, callback.refund.code) == (outcome, status)
    assert callback.refund.channel_refund_no == "50000000000000000000000000001"
    assert callback.refund.refunded_at_ms == NOW_MS + 600_000


def test_a_partners_callback_names_both_merchants() -> None:
    node = {name: value for name, value in wechat_trade("SUCCESS").items() if name not in ("appid", "mchid")}
    body = wechat_notice("transaction", {**node, "sp_mchid": MCHID, "sub_mchid": "19"})

    assert read(body, settings={"sub_mchid": "19"}).trade_no == TRADE_NO
    with pytest.raises(CallbackRefused, match="another merchant"):
        read(body, settings={"sub_mchid": "20"})


def test_while_keys_are_switched_either_verifies() -> None:
    both = {"platform_certificates": certificate_pem("platform", 0xF1)}

    by_key = read(PAID_BODY, settings=both)
    by_certificate = read(PAID_BODY, wechat_headers(PAID_BODY, by="platform", serial="00F1"), settings=both)

    assert by_key == by_certificate


def changed(**changes: str | None) -> dict[str, str]:
    headers = wechat_headers(PAID_BODY)
    for name, value in changes.items():
        full = f"Wechatpay-{name.title()}"
        if value is None:
            del headers[full]
        else:
            headers[full] = value
    return headers


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Content-Type": "application/json"}, "not signed"),
        (changed(signature=None), "not signed"),
        (changed(signature="AAAA"), "wrong"),
        (changed(nonce="other"), "wrong"),
        (changed(timestamp="1"), "wrong"),
        (changed(timestamp=None), "wrong"),
        (changed(serial=None), "does not hold"),
        (changed(serial="PUB_KEY_ID_9"), "public key that this account does not hold"),
        (changed(serial="B" * 40), "platform certificate that this account does not hold"),
        (wechat_headers(PAID_BODY, by="stranger"), "wrong"),
        (wechat_headers(PAID_BODY, by="own"), "wrong"),
        (wechat_headers(PAID_BODY, at_ms=NOW_MS - 300_000), "too old"),
        (wechat_headers(PAID_BODY, at_ms=NOW_MS + 300_000), "too old or from the future"),
        (changed(nonce="n\udcff"), "wrong"),
    ],
)
def test_a_callback_that_is_not_wechats_word_is_refused(headers: dict[str, str], reason: str) -> None:
    with pytest.raises(CallbackRefused, match=reason) as refused:
        read(PAID_BODY, headers)

    assert not refused.value.is_probe


@pytest.mark.parametrize("change", [lambda body: body + b" ", lambda body: body.replace(b"refund", b"refunD") + b"\n"])
def test_a_changed_body_is_refused(change: Any) -> None:
    with pytest.raises(CallbackRefused, match="wrong"):
        read(change(PAID_BODY), wechat_headers(PAID_BODY))


def test_a_probe_is_refused_without_an_alarm() -> None:
    headers = changed(signature="WECHATPAY/SIGNTEST/" + wechat_headers(PAID_BODY)["Wechatpay-Signature"])

    with pytest.raises(CallbackRefused) as refused:
        read(PAID_BODY, headers)

    assert refused.value.is_probe


def resealed(**changes: Any) -> bytes:
    notice = json.loads(PAID_BODY)
    notice["resource"].update(changes)
    return json.dumps(notice).encode()


@pytest.mark.parametrize(
    "body",
    [
        wechat_notice("transaction", wechat_trade("SUCCESS"), api_v3_key="x" * 32),
        resealed(nonce="ba9876543210"),
        resealed(nonce="short"),
        resealed(nonce=""),
        resealed(associated_data="other"),
        resealed(algorithm="AEAD_SM4_GCM"),
        resealed(ciphertext="not base64!"),
        resealed(ciphertext=""),
        resealed(ciphertext="AAAA"),
        resealed(ciphertext=5),
        resealed(**wechat_sealed(b"not json", "transaction")),
        resealed(**wechat_sealed(b"[]", "transaction")),
        b'{"id":"1"}',
        b'{"id":"1","resource":[]}',
        b"[]",
        b"",
    ],
)
def test_a_message_that_does_not_open_is_refused_though_signed(body: bytes) -> None:
    with pytest.raises(CallbackRefused, match=r"does not open|not a JSON object"):
        read(body)


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (wechat_trade("SUCCESS", mchid="1900000002"), "another merchant"),
        (wechat_trade("SUCCESS", mchid=1900000001), "another merchant"),
        (wechat_trade("SUCCESS", out_trade_no=""), "names no order"),
        ({}, "another merchant"),
    ],
)
def test_a_message_for_somebody_else_is_refused(node: dict[str, Any], reason: str) -> None:
    with pytest.raises(CallbackRefused, match=reason):
        read(wechat_notice("transaction", node))


def test_a_refund_for_another_merchant_is_refused() -> None:
    with pytest.raises(CallbackRefused, match="another merchant"):
        read(wechat_notice("refund", refund_node("SUCCESS", mchid="1900000002")))


def test_an_empty_associated_data_is_allowed() -> None:
    plain = json.dumps(wechat_trade("SUCCESS")).encode()

    assert read(resealed(**wechat_sealed(plain, ""))).trade_no == TRADE_NO


@pytest.mark.parametrize(("at_ms", "is_read"), [(NOW_MS, True), (NOW_MS + 86_400_000, True), (NOW_MS + 600_000, False)])
def test_under_a_moved_clock_either_time_passes(at_ms: int, is_read: bool) -> None:
    moved = MovableClock(source=frozen(NOW_MS))
    moved.advance(86_400_000)
    headers = wechat_headers(PAID_BODY, at_ms=at_ms)

    if is_read:
        assert read(PAID_BODY, headers, at=moved).trade_no == TRADE_NO
    else:
        with pytest.raises(CallbackRefused):
            read(PAID_BODY, headers, at=moved)


def test_wechat_hears_no_content_or_a_failure() -> None:
    channel = Wechat(wire(Outbound(), "http://127.0.0.1:1"))

    accepted = channel.callback_reply(is_accepted=True)
    refused = channel.callback_reply(is_accepted=False)

    assert (accepted.status, accepted.body) == (204, b"")
    assert 400 <= refused.status < 600
    assert json.loads(refused.body)["code"] == "FAIL"
