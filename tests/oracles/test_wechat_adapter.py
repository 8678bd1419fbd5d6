"""Our adapter's whole life at the twin, recorded once per mode, and judged by wechatpayv3.

Requests: the header that the SDK would send. Answers and callbacks: what the adapter believed, the SDK believes too.
It verifies no freshness and no errors (channels D.3); for those `tests/channels` has vectors of our own.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from opentill.base.outbound import Outbound
from opentill.channels.base import Callback, Outcome, RefundOutcome, Wire
from opentill.channels.wechat import Wechat
from opentill.channels.wechat_account import WechatAccount
from opentill.twin.app import REFUND_DELAY_MS
from opentill.twin.merchants import WechatMerchant
from tests.channels.played import goods, refund, trade
from tests.oracles.oracle import Oracle, opened
from tests.oracles.worlds import Exchange, real_world, recorded
from tests.twin.world import World

MODE = pytest.mark.parametrize("mode", ["public key", "certificate", "partner"])
QR, CODE, PAGE = "T00001", "T00002", "T00003"


@dataclass(frozen=True)
class Life:
    """What went over the wire, and what the adapter made of it."""

    merchant: WechatMerchant
    exchanges: list[Exchange]
    outcomes: list[Outcome | RefundOutcome]
    page_values: dict[str, str]
    notices: list[tuple[dict[str, str], bytes]]
    callbacks: list[Callback]


async def lived(folder: Path, mode: str) -> Life:
    """Every operation of the adapter."""
    if mode in _LIVES:
        return _LIVES[mode]
    async with real_world(folder) as w, recorded(w) as recorder, Outbound() as outbound:
        wire = Wire(
            outbound=outbound,
            base_url=recorder.url + "/wechat",
            clock=w.clock,
            timeout_s=5.0,
            oauth_base_url=w.base_url + "/wechat",
            api_base_url=w.base_url + "/wechat",
        )
        channel = Wechat(wire)
        account = channel.open_account(await settings(w, mode))
        await channel.prepare(account)
        outcomes = [*await by_code(w, channel, account), *await by_hand(w, channel, account)]
        page_outcomes, page_values = await by_page(w, channel, account)
        notices = [(received.headers, received.body) for received in w.shop.received]
        callbacks = [channel.read_callback(account, headers, body) for headers, body in notices]
        merchant = w.twin.wechat_merchant()
        _LIVES[mode] = Life(merchant, recorder.heard, outcomes + page_outcomes, page_values, notices, callbacks)
    return _LIVES[mode]


_LIVES: dict[str, Life] = {}


async def settings(w: World, mode: str) -> dict[str, str]:
    merchant = w.twin.wechat_merchant()
    own = {
        "appid": merchant.appid,
        "mchid": merchant.mchid,
        "merchant_serial": merchant.merchant_serial,
        "merchant_private_key": merchant.merchant_private_key_pem,
        "api_v3_key": merchant.api_v3_key,
        "app_secret": merchant.app_secret,
    }
    if mode == "certificate":
        return own
    by_key = own | {"public_key_id": merchant.public_key_id, "public_key": merchant.public_key_pem}
    if mode == "public key":
        return by_key
    _, served = await w.post("/api/sub_merchants", wallet="wechat")
    return by_key | {"sub_mchid": served["sub_mchid"]}


def order(w: World, number: str) -> Any:
    now_ms = w.clock.now_ms()
    return trade(
        trade_no=number,
        subject="绿茶 {a/b} & c=d",
        goods=(goods("G1", "2", 617, "绿茶 大杯"),),
        store_id="S1",
        terminal_ip="127.0.0.1",
        created_at_ms=now_ms,
        expires_at_ms=now_ms + 3_600_000,
        callback_url=w.shop.url,
    )


async def by_code(w: World, channel: Wechat, account: WechatAccount) -> list[Outcome | RefundOutcome]:
    """A code that is paid and partly refunded."""
    unknown = await channel.query(account, QR)
    created = await channel.create_qr(account, order(w, QR))
    await w.pay(created.qr_text)
    paid = await channel.query(account, QR)
    wanted = refund(trade_no=QR, refund_no="R1", callback_url=w.shop.url)
    accepted = await channel.refund(account, wanted)
    w.clock.advance(REFUND_DELAY_MS)
    await w.twin.quiet()
    refunded = await channel.query_refund(account, wanted)
    return [unknown.outcome, created.outcome, paid.outcome, accepted.outcome, refunded.outcome]


async def by_hand(w: World, channel: Wechat, account: WechatAccount) -> list[Outcome | RefundOutcome]:
    """A payment code, undone."""
    charged = await channel.charge(account, order(w, CODE), "131234567890123456")
    undone = await channel.reverse(account, CODE)
    return [charged.outcome, undone.outcome]


async def by_page(
    w: World, channel: Wechat, account: WechatAccount
) -> tuple[list[Outcome | RefundOutcome], dict[str, str]]:
    """A page, closed."""
    url = channel.authorize_url(account, w.shop.url, "s")
    assert url is not None
    async with w.http.get(url, allow_redirects=False) as reply:
        code = dict(parse_qsl(urlsplit(reply.headers["Location"]).query))[channel.grant_parameter]
    payer = (await channel.payer_of(account, code)).payer
    page = await channel.create_page(account, order(w, PAGE), payer, account.appid)
    closed = await channel.close(account, PAGE)
    return [page.outcome, closed.outcome], dict(page.page_values)


@asynccontextmanager
async def judge(folder: Path, mode: str, merchant: WechatMerchant) -> AsyncIterator[Oracle]:
    """The SDK as a shop of this mode opens it; in certificate mode it asks the twin for certificates."""
    keys = {"public_key": merchant.public_key_pem, "public_key_id": merchant.public_key_id}
    values = {
        "type": "NATIVE",
        "mchid": merchant.mchid,
        "private_key": merchant.merchant_private_key_pem,
        "cert_serial_no": merchant.merchant_serial,
        "appid": merchant.appid,
        "apiv3_key": merchant.api_v3_key,
    }
    async with (
        real_world(folder) as w,
        opened("wechatpayv3", w.base_url + "/wechat", **values, **({} if mode == "certificate" else keys)) as oracle,
    ):
        yield oracle


def said(header: str) -> tuple[str, dict[str, str]]:
    """The scheme and the values of an Authorization header, whose order is free (channels B.2)."""
    scheme, _, values = header.partition(" ")
    return scheme, dict(re.findall(r'(\w+)="([^"]*)"', values))


def kind(exchange: Exchange) -> str:
    """Method and path, without the parts that change."""
    path = urlsplit(exchange.path).path.replace("/pay/partner/", "/pay/")
    return f"{exchange.method} " + re.sub(r"/(T0000\d|R1)(?=/|$)", "/{}", path)


@MODE
async def test_the_recorded_life_holds_every_operation_and_ends_well(tmp_path: Path, mode: str) -> None:
    life = await lived(tmp_path, mode)

    certificates = {"GET /v3/certificates"} if mode == "certificate" else set()
    assert {kind(exchange) for exchange in life.exchanges} == certificates | {
        "POST /v3/pay/transactions/native",
        "POST /v3/pay/transactions/jsapi",
        "POST /v3/pay/transactions/codepay",
        "GET /v3/pay/transactions/out-trade-no/{}",
        "POST /v3/pay/transactions/out-trade-no/{}/close",
        "POST /v3/pay/transactions/out-trade-no/{}/reverse",
        "POST /v3/refund/domestic/refunds",
        "GET /v3/refund/domestic/refunds/{}",
    }
    assert life.outcomes == [
        Outcome.NOT_FOUND,
        Outcome.ACCEPTED,
        Outcome.PAID,
        RefundOutcome.PENDING,
        RefundOutcome.SUCCEEDED,
        Outcome.PAID,
        Outcome.CLOSED,
        Outcome.ACCEPTED,
        Outcome.CLOSED,
    ]


@MODE
async def test_every_request_has_the_header_of_the_sdk_which_verifies(tmp_path: Path, mode: str) -> None:
    life = await lived(tmp_path, mode)

    async with judge(tmp_path, mode, life.merchant) as sdk:
        for exchange in life.exchanges:
            scheme, values = said(exchange.headers["authorization"])
            body, nonce, timestamp = exchange.body.decode(), values["nonce_str"], values["timestamp"]
            # channels B.2, written anew
            lines = [exchange.method, exchange.path, timestamp, nonce, body]
            signed = {"signature": values["signature"], "public_key": life.merchant.merchant_public_key_pem}

            wanted = await sdk.call(
                "authorization",
                method=exchange.method,
                path=exchange.path,
                body=body,
                nonce=nonce,
                timestamp=int(timestamp),
            )

            assert said(wanted) == (scheme, values), kind(exchange)
            assert await sdk.call("is_signed", lines=lines, **signed) is True
            assert await sdk.call("is_signed", lines=[*lines[:-1], body + " "], **signed) is False


@MODE
async def test_every_answer_verifies_whatever_its_status(tmp_path: Path, mode: str) -> None:
    life = await lived(tmp_path, mode)

    async with judge(tmp_path, mode, life.merchant) as sdk:
        for exchange in life.exchanges:
            headers, body = exchange.answer_headers, exchange.answer.decode()

            assert await sdk.call("is_answer", headers=headers, body=body) is True, kind(exchange)
            assert await sdk.call("is_answer", headers=headers, body=body + " ") is False

    assert {exchange.status for exchange in life.exchanges} == {200, 204, 404}


@MODE
async def test_every_callback_verifies_and_opens_to_the_same(tmp_path: Path, mode: str) -> None:
    life = await lived(tmp_path, mode)

    async with judge(tmp_path, mode, life.merchant) as sdk:
        told = [await sdk.call("callback", headers=headers, body=body.decode()) for headers, body in life.notices]

    # channels B.8: payment codes are not announced.
    assert [each["event_type"] for each in told] == ["TRANSACTION.SUCCESS", "REFUND.SUCCESS"]
    for document, callback, (_, body) in zip(told, life.callbacks, life.notices, strict=True):
        resource = document["resource"]
        assert (callback.callback_id, callback.trade_no) == (json.loads(body)["id"], resource["out_trade_no"])
        assert callback.refund_no == resource.get("out_refund_no", "")


@MODE
async def test_a_page_gets_the_signature_that_the_sdk_computes(tmp_path: Path, mode: str) -> None:
    life = await lived(tmp_path, mode)
    values = life.page_values

    async with judge(tmp_path, mode, life.merchant) as sdk:
        wanted = await sdk.call("sign", data=[values[name] for name in ("appId", "timeStamp", "nonceStr", "package")])

    assert (values["signType"], values["paySign"]) == ("RSA", wanted)
