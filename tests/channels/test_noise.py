"""Whatever comes back, an adapter answers, and never with a certainty that the wallet did not sign."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opentill.base.outbound import Outbound
from opentill.channels.alipay import Alipay
from opentill.channels.base import (
    Answer,
    CallbackRefused,
    Channel,
    Outcome,
    RefundAnswer,
    RefundOutcome,
)
from opentill.channels.wechat import Wechat
from tests.channels.played import (
    NOW_MS,
    PUBLIC_KEY_ID,
    SCHEME,
    TRADE_NO,
    Heard,
    Said,
    alipay_notice,
    alipay_said,
    alipay_settings,
    lowered,
    playing,
    refund,
    trade,
    wechat_headers,
    wechat_notice,
    wechat_said,
    wechat_settings,
    wechat_trade,
    wire,
)

CERTAIN = {Outcome.PAID, Outcome.REFUSED, Outcome.CLOSED, Outcome.ACCEPTED}
CERTAIN_REFUND = {RefundOutcome.SUCCEEDED, RefundOutcome.REFUSED, RefundOutcome.PENDING, RefundOutcome.RETRY}
NOWHERE = wire(Outbound(), "http://127.0.0.1:1")
ALIPAY, WECHAT = Alipay(NOWHERE), Wechat(NOWHERE)
ALIPAY_ACCOUNT = ALIPAY.open_account(alipay_settings())
WECHAT_ACCOUNT = WECHAT.open_account(wechat_settings())
WALLETS: dict[str, tuple[type[Alipay] | type[Wechat], Any]] = {
    "alipay": (Alipay, ALIPAY_ACCOUNT),
    "wechat": (Wechat, WECHAT_ACCOUNT),
}

noisy = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

words = st.text(max_size=20) | st.sampled_from(["10000", "SUCCESS", "TRADE_SUCCESS", TRADE_NO, "12.34", "Y"])
names = st.sampled_from(
    [
        "code", "sub_code", "sign", "trade_no", "out_trade_no", "trade_status", "trade_state", "status", "total_amount",
        "qr_code", "code_url", "prepay_id", "refund_status", "fund_change", "action", "amount",
        "alipay_trade_query_response", "alipay_trade_pay_response",
    ]
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | words, inner, max_size=5),
    max_leaves=12,
)
bodies = st.binary(max_size=200) | anything.map(
    lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
)
header_texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)
wechat_noise = st.fixed_dictionaries(
    {},
    optional={
        "Wechatpay-Signature": header_texts,
        "Wechatpay-Serial": header_texts | st.just(PUBLIC_KEY_ID),
        "Wechatpay-Timestamp": header_texts | st.just(str(NOW_MS // 1000)),
        "Wechatpay-Nonce": header_texts,
        "Wechatpay-Signature-Type": header_texts | st.just(SCHEME),
    },
)


async def everything_asked(name: str, answer: Callable[[Heard], Said]) -> tuple[list[Answer], list[RefundAnswer]]:
    kind, account = WALLETS[name]
    async with playing(answer) as (base_url, _), Outbound() as outbound:
        channel: Channel[Any] = kind(wire(outbound, base_url))
        answers = [
            await channel.create_qr(account, trade()),
            await channel.create_page(account, trade(), "o1", ""),
            await channel.charge(account, trade(), "280000000000000000"),
            await channel.query(account, TRADE_NO),
            await channel.close(account, TRADE_NO),
            await channel.reverse(account, TRADE_NO),
        ]
        return answers, [await channel.refund(account, refund()), await channel.query_refund(account, refund())]


@pytest.mark.parametrize("name", WALLETS)
@noisy
@given(status=st.sampled_from([200, 200, 200, 202, 204, 302, 500, 503]), headers=wechat_noise, body=bodies)
def test_noise_that_looks_like_success_is_never_certain(
    name: str, status: int, headers: Mapping[str, str], body: bytes
) -> None:
    said = Said(status, headers, b"" if status == 204 else body)

    answers, refunds = asyncio.run(everything_asked(name, lambda _: said))

    assert not CERTAIN & {answer.outcome for answer in answers}
    assert not CERTAIN_REFUND & {answer.outcome for answer in refunds}


@pytest.mark.parametrize("name", WALLETS)
@noisy
@given(status=st.sampled_from([400, 401, 403, 404, 429]), headers=wechat_noise, body=bodies)
def test_noise_that_looks_like_failure_is_never_a_payment(
    name: str, status: int, headers: Mapping[str, str], body: bytes
) -> None:
    answers, refunds = asyncio.run(everything_asked(name, lambda _: Said(status, headers, body)))

    assert not {Outcome.PAID, Outcome.CLOSED, Outcome.ACCEPTED} & {answer.outcome for answer in answers}
    assert RefundOutcome.SUCCEEDED not in {answer.outcome for answer in refunds}


@noisy
@given(body=st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace")))
def test_noise_on_alipays_callback_address_is_refused(body: bytes) -> None:
    with pytest.raises(CallbackRefused):
        ALIPAY.read_callback(ALIPAY_ACCOUNT, {}, body)


@noisy
@given(headers=wechat_noise, body=bodies)
def test_noise_on_wechats_callback_address_is_refused(headers: Mapping[str, str], body: bytes) -> None:
    with pytest.raises(CallbackRefused):
        WECHAT.read_callback(WECHAT_ACCOUNT, lowered(headers), body)


@noisy
@given(node=st.dictionaries(names | words, anything, max_size=8))
def test_a_well_signed_message_of_any_content_raises_nothing_else(node: dict[str, Any]) -> None:
    whole = {**wechat_trade("SUCCESS"), **node}

    for kind in ("transaction", "refund"):
        body = wechat_notice(kind, {name: whole[name] for name in sorted(whole)})
        try:
            WECHAT.read_callback(WECHAT_ACCOUNT, lowered(wechat_headers(body)), body)
        except CallbackRefused:
            continue


@noisy
@given(position=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=7))
def test_no_flipped_bit_in_a_callback_goes_unnoticed(position: int, bit: int) -> None:
    body = bytearray(alipay_notice())
    original = ALIPAY.read_callback(ALIPAY_ACCOUNT, {}, bytes(body))
    body[position % len(body)] ^= 1 << bit

    try:
        read = ALIPAY.read_callback(ALIPAY_ACCOUNT, {}, bytes(body))
    except CallbackRefused:
        return
    assert read == original  # a form has several spellings of the same thing (%4a and %4A)


@pytest.mark.parametrize("name", WALLETS)
@noisy
@given(node=st.dictionaries(names | words, anything, max_size=8))
def test_a_well_signed_answer_of_any_content_is_never_refused_or_closed_by_accident(
    name: str, node: dict[str, Any]
) -> None:
    def answer(heard: Heard) -> Said:
        if name == "alipay":
            return alipay_said(heard.form["method"], {"code": "10000", **node})
        return wechat_said(200, node)

    answers, refunds = asyncio.run(everything_asked(name, answer))

    # Creating, charging and asking need their own fields; closing is all that a bare success can mean.
    assert not {Outcome.REFUSED, Outcome.CLOSED} & {each.outcome for each in answers[:3]}
    assert all(each.outcome is not Outcome.PAID or each.payment is not None for each in answers)
    assert RefundOutcome.RETRY not in {each.outcome for each in refunds}
