"""Our adapter's whole life at the twin, recorded once per mode, and judged by Alipay SDKs of third parties.

Requests: signed as the SDKs sign. Answers and callbacks: what the adapter believed, the SDKs believe as well. Which
tricky answers must not be believed no SDK can tell (channels D.5); `tests/channels` has vectors of our own.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from opentill.base.outbound import Outbound
from opentill.channels.alipay import Alipay
from opentill.channels.alipay_account import AlipayAccount, certificate_sn, root_certificates_sn
from opentill.channels.base import Callback, Outcome, RefundOutcome, Wire
from opentill.twin.merchants import AlipayMerchant
from tests.channels.played import certificate, certificate_pem, goods, refund, trade
from tests.oracles.oracle import Oracle, needs_official, opened
from tests.oracles.test_official_alipay_sdk import pkcs1
from tests.oracles.worlds import Exchange, real_world, recorded
from tests.twin.world import World

NOWHERE = "http://127.0.0.1:1"
COMMUNITY, OFFICIAL = "python-alipay-sdk", "official alipay"
MODES = ("keys", "certificates", "isv")
MODE = pytest.mark.parametrize("mode", MODES)
JUDGES = [
    *[(mode, COMMUNITY) for mode in MODES],
    *[pytest.param(mode, OFFICIAL, marks=needs_official) for mode in MODES],
]
JUDGED = pytest.mark.parametrize(("mode", "judge"), JUDGES)
# channels D.2: the official SDK takes an answer that names a certificate for misshapen.
WALLET_JUDGED = pytest.mark.parametrize(
    ("mode", "judge"), [case for case in JUDGES if getattr(case, "values", case) != ("certificates", OFFICIAL)]
)
METHODS = {
    "alipay.trade.precreate",
    "alipay.trade.create",
    "alipay.trade.pay",
    "alipay.trade.query",
    "alipay.trade.close",
    "alipay.trade.cancel",
    "alipay.trade.refund",
    "alipay.trade.fastpay.refund.query",
    "alipay.system.oauth.token",
}


@dataclass(frozen=True)
class Life:
    """What went over the wire, and what the adapter made of it."""

    merchant: AlipayMerchant
    account: AlipayAccount
    exchanges: list[Exchange]
    outcomes: list[Outcome | RefundOutcome]
    notices: list[bytes]
    callbacks: list[Callback]


async def lived(folder: Path, mode: str) -> Life:
    """Every operation of the adapter; the same life for every judge."""
    if mode in _LIVES:
        return _LIVES[mode]
    async with real_world(folder) as w, recorded(w) as recorder, Outbound() as outbound:
        wire = Wire(
            outbound=outbound,
            base_url=recorder.url + "/alipay",
            clock=w.clock,
            timeout_s=5.0,
            oauth_base_url=w.base_url + "/alipay",
        )
        channel = Alipay(wire)
        account = channel.open_account(await settings(w, mode))
        outcomes = [*await by_code(w, channel, account), *await by_hand(w, channel, account)]
        await w.twin.quiet()
        notices = [received.body for received in w.shop.received]
        callbacks = [channel.read_callback(account, {}, body) for body in notices]
        merchant = w.twin.alipay_merchant()
        _LIVES[mode] = Life(merchant, account, recorder.heard, outcomes, notices, callbacks)
    return _LIVES[mode]


_LIVES: dict[str, Life] = {}


async def settings(w: World, mode: str) -> dict[str, str]:
    merchant = w.twin.alipay_merchant()
    own = {"app_id": merchant.app_id, "app_private_key": merchant.app_private_key_pem}
    if mode == "certificates":
        return own | {
            "seller_id": merchant.seller_id,
            "app_cert": merchant.app_cert_pem,
            "alipay_cert": merchant.alipay_cert_pem,
            "alipay_root_cert": merchant.alipay_root_cert_pem,
        }
    by_key = own | {"alipay_public_key": merchant.alipay_public_key_pem}
    if mode == "keys":
        return by_key | {"seller_id": merchant.seller_id}
    _, authorised = await w.post("/api/sub_merchants", wallet="alipay")
    return by_key | {"app_auth_token": authorised["app_auth_token"]}


def order(w: World, number: str) -> Any:
    now_ms = w.clock.now_ms()
    return trade(
        trade_no=number,
        subject="绿茶 {a/b} & c=d",
        goods=(goods("G1", "2", 617, "绿茶 大杯"),),
        operator_id="cashier 1",
        created_at_ms=now_ms,
        expires_at_ms=now_ms + 3_600_000,
        callback_url=w.shop.url,
    )


async def by_code(w: World, channel: Alipay, account: AlipayAccount) -> list[Outcome | RefundOutcome]:
    """A code that is paid and refunded in two parts."""
    unknown = await channel.query(account, "T1")
    created = await channel.create_qr(account, order(w, "T1"))
    await w.pay(created.qr_text)
    paid = await channel.query(account, "T1")
    refunds = []
    for number, fen in (("R1", 234), ("R2", 1000)):
        wanted = refund(trade_no="T1", refund_no=number, refund_fen=fen)
        refunds += [await channel.refund(account, wanted), await channel.query_refund(account, wanted)]
        await w.twin.quiet()
    return [unknown.outcome, created.outcome, paid.outcome, *(each.outcome for each in refunds)]


async def by_hand(w: World, channel: Alipay, account: AlipayAccount) -> list[Outcome | RefundOutcome]:
    """A payment code, undone; a page, closed."""
    charged = await channel.charge(account, order(w, "T2"), "281234567890123456")
    undone = await channel.reverse(account, "T2")
    url = channel.authorize_url(account, w.shop.url, "s")
    assert url is not None
    async with w.http.get(url, allow_redirects=False) as reply:
        code = dict(parse_qsl(urlsplit(reply.headers["Location"]).query))[channel.grant_parameter]
    payer = (await channel.payer_of(account, code)).payer
    page = await channel.create_page(account, order(w, "T3"), payer, "")
    closed = await channel.close(account, "T3")
    return [charged.outcome, undone.outcome, page.outcome, closed.outcome]


def judge_with(name: str, merchant: AlipayMerchant, public_key: str) -> Any:
    """The SDK with the merchant's private key and whichever public key it shall verify with."""
    if name == OFFICIAL:
        key = pkcs1(merchant.app_private_key_pem)
        return opened(name, NOWHERE, app_id=merchant.app_id, app_private_key=key, alipay_public_key=public_key)
    values = {
        "appid": merchant.app_id,
        "app_private_key_string": merchant.app_private_key_pem,
        "alipay_public_key_string": public_key,
    }
    return opened(name, NOWHERE, **values)


def wallet_of(name: str, mode: str, merchant: AlipayMerchant) -> Any:
    """The SDK as a shop of this mode opens it."""
    if mode != "certificates":
        return judge_with(name, merchant, merchant.alipay_public_key_pem)
    values = {
        "appid": merchant.app_id,
        "app_private_key_string": merchant.app_private_key_pem,
        "app_public_key_cert_string": merchant.app_cert_pem,
        "alipay_public_key_cert_string": merchant.alipay_cert_pem,
        "alipay_root_cert_string": merchant.alipay_root_cert_pem,
    }
    return opened(name, NOWHERE, **values)


def unsigned(parameters: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if name != "sign"}


async def is_signed(judge: Oracle, parameters: Mapping[str, str], signature: str) -> Any:
    """channels A.3, written anew: everything but `sign`, sorted."""
    text = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))
    return await judge.call("is_signed", text=text, signature=signature)


@MODE
async def test_the_recorded_life_holds_every_method_and_ends_well(tmp_path: Path, mode: str) -> None:
    life = await lived(tmp_path, mode)

    assert {exchange.parameters["method"] for exchange in life.exchanges} == METHODS
    assert life.outcomes == [
        Outcome.NOT_FOUND,
        Outcome.ACCEPTED,
        Outcome.PAID,
        *[RefundOutcome.SUCCEEDED] * 4,
        Outcome.PAID,
        Outcome.CLOSED,
        Outcome.ACCEPTED,
        Outcome.CLOSED,
    ]


@JUDGED
async def test_every_request_is_signed_as_the_sdk_signs_and_verifies(tmp_path: Path, mode: str, judge: str) -> None:
    life = await lived(tmp_path, mode)

    async with judge_with(judge, life.merchant, life.merchant.app_public_key_pem) as sdk:
        for exchange in life.exchanges:
            sent, signature = unsigned(exchange.parameters), exchange.parameters["sign"]

            assert await is_signed(sdk, sent, signature) is True, exchange.path
            assert await is_signed(sdk, sent | {"app_id": "2021"}, signature) is False
            assert await sdk.call("signature_of", parameters=sent) == signature


@WALLET_JUDGED
async def test_every_answer_verifies_and_says_the_same(tmp_path: Path, mode: str, judge: str) -> None:
    life = await lived(tmp_path, mode)

    async with wallet_of(judge, mode, life.merchant) as sdk:
        for exchange in life.exchanges:
            method, answer = exchange.parameters["method"], exchange.answer.decode()

            node = await sdk.call("read", answer=answer, method=method)

            assert node == json.loads(answer)[method.replace(".", "_") + "_response"]


@WALLET_JUDGED
async def test_every_callback_verifies_and_none_that_was_changed(tmp_path: Path, mode: str, judge: str) -> None:
    life = await lived(tmp_path, mode)

    async with wallet_of(judge, mode, life.merchant) as sdk:
        verdicts = []
        for body in life.notices:
            form = dict(parse_qsl(body.decode(), keep_blank_values=True))
            changed = form | {"out_trade_no": "T9"}
            verdicts.append((await sdk.call("is_callback", form=form), await sdk.call("is_callback", form=changed)))

    # A payment, two refunds; a payment, and the refund by which it was undone.
    assert verdicts == [(True, False)] * 5
    assert [(each.trade_no, each.refund_no) for each in life.callbacks][:3] == [("T1", ""), ("T1", "R1"), ("T1", "R2")]
    assert [each.trade_no for each in life.callbacks][3:] == ["T2", "T2"]


async def test_every_request_names_the_certificates_as_the_sdk_computes(tmp_path: Path) -> None:
    life = await lived(tmp_path, "certificates")

    async with wallet_of(COMMUNITY, "certificates", life.merchant) as sdk:
        body = await sdk.call("build_body", method="alipay.trade.query", biz_content={})

    names = ("app_cert_sn", "alipay_root_cert_sn")
    sent = {tuple(exchange.parameters[name] for name in names) for exchange in life.exchanges}
    assert sent == {tuple(body[name] for name in names)}


async def test_names_of_certificates_with_a_long_issuer_are_computed_alike(tmp_path: Path) -> None:
    life = await lived(tmp_path, "keys")
    chain = "\n".join(certificate_pem("root", serial) for serial in (0xB1, 0xB2))

    async with judge_with(COMMUNITY, life.merchant, life.merchant.alipay_public_key_pem) as sdk:
        names = await sdk.call("certificate_names", app=certificate_pem("own", 0xA1), root=chain)

    # The first one's issuer has four parts, which is all the SDK can read; the chain is joined by an underscore.
    assert names == {
        "app_cert_sn": certificate_sn(certificate("own", 0xA1)),
        "alipay_root_cert_sn": root_certificates_sn([certificate("root", 0xB1), certificate("root", 0xB2)]),
    }
