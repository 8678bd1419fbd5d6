"""Wallets on loopback that say what a test tells them to, with keys of their own, and what they heard.

They are not simulators: they know no trade. Signing here is written anew, so that a mistake in the adapters shows.
"""

import asyncio
import base64
import dataclasses
import functools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from opentill.base.clock import Clock, MovableClock, frozen
from opentill.base.outbound import Outbound
from opentill.channels.alipay import Alipay
from opentill.channels.alipay_account import AlipayAccount
from opentill.channels.base import RefundRequest, Trade, Wire
from opentill.channels.wechat import Wechat
from opentill.channels.wechat_account import WechatAccount
from opentill.domain.order import GoodsLine

NOW_MS = 1_772_337_600_000  # 2026-03-01 12:00:00 in China
TRADE_NO = "117723376000000000000112345674"
REFUND_NO = "217723376000000000000176543210"
TIMEOUT_S = 5.0

ALIPAY_APP_ID = "2021000000000001"
SELLER_ID = "2088000000000001"
APPID, MCHID = "wx0000000000000001", "1900000001"
MERCHANT_SERIAL = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
API_V3_KEY = "0123456789abcdefghijklmnopqrstuv"
PUBLIC_KEY_ID = "PUB_KEY_ID_0119000000012026030100000001"
SCHEME = "WECHATPAY2-SHA256-RSA2048"


class Heard(NamedTuple):
    """A request as the wallet got it: `path` with its query, header names lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """Alipay: the parameters of query and body."""
        return dict(parse_qsl(urlsplit(self.path).query) + parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def json(self) -> dict[str, Any]:
        """WeChat: the body."""
        loaded: dict[str, Any] = json.loads(self.body)
        return loaded

    @property
    def biz(self) -> dict[str, Any]:
        """Alipay: the object in biz_content."""
        loaded: dict[str, Any] = json.loads(self.form["biz_content"])
        return loaded


class Said(NamedTuple):
    """What the wallet answers; status 0 drops the connection without a word."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@functools.cache
def key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The key of one party, made once: "own", "wallet", "stranger"."""
    assert name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def private_pem(name: str, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return key(name).private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def public_pem(name: str) -> str:
    return key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signature(name: str, message: bytes) -> str:
    return base64.b64encode(key(name).sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()


def check_signature(name: str, signed: str, message: bytes) -> None:
    """Raises InvalidSignature."""
    key(name).public_key().verify(base64.b64decode(signed), message, padding.PKCS1v15(), hashes.SHA256())


@functools.cache
def certificate(name: str, serial: int = 0x5A1E77E5) -> x509.Certificate:
    """A certificate for the party's key, signed by itself under an issuer with a name of four parts."""
    issuer = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test Financial"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Certification Authority"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Test CA R1"),
        ]
    )
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(issuer)
        .issuer_name(issuer)
        .public_key(key(name).public_key())
        .serial_number(serial)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1825))
        .sign(key(name), hashes.SHA256())
    )


def certificate_pem(name: str, serial: int = 0x5A1E77E5) -> str:
    return certificate(name, serial).public_bytes(Encoding.PEM).decode()


def trade(**changes: Any) -> Trade:
    given: dict[str, Any] = {
        "trade_no": TRADE_NO,
        "amount_fen": 1234,
        "un_discount_fen": None,
        "subject": "一杯咖啡",
        "goods": (),
        "operator_id": "",
        "store_id": "",
        "terminal_ip": "",
        "created_at_ms": NOW_MS,
        "expires_at_ms": NOW_MS + 3_600_000,
        "callback_url": "https://till.example/callbacks/x/1",
    }
    return Trade(**{**given, **changes})


def goods(number: str, quantity: str, unit_price_fen: int, name: str = "") -> GoodsLine:
    return GoodsLine(quantity=Decimal(quantity), unit_price_fen=unit_price_fen, goods_num=number, name=name)


def refund(**changes: Any) -> RefundRequest:
    given: dict[str, Any] = {
        "trade_no": TRADE_NO,
        "refund_no": REFUND_NO,
        "refund_fen": 234,
        "amount_fen": 1234,
        "reason": "不想要了",
        "callback_url": "https://till.example/callbacks/x/1",
    }
    return RefundRequest(**{**given, **changes})


@asynccontextmanager
async def playing(answer: Callable[[Heard], Said]) -> AsyncIterator[tuple[str, list[Heard]]]:
    """A wallet on loopback under a prefix; yields its base URL and what it hears."""
    heard: list[Heard] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        entry = Heard(request.method, request.raw_path.removeprefix("/prefix"), headers, await request.read())
        heard.append(entry)
        said = answer(entry)
        if said.status == 0:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=said.status or 200, headers=dict(said.headers), body=said.body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/prefix", heard
    finally:
        await runner.cleanup()


def clock() -> MovableClock:
    return MovableClock(source=frozen(NOW_MS))


def wire(outbound: Outbound, base_url: str, at: Clock | None = None) -> Wire:
    return Wire(outbound=outbound, base_url=base_url, clock=at or clock(), timeout_s=TIMEOUT_S)


# --- Alipay


def alipay_settings(**changes: str) -> dict[str, str]:
    given = {
        "app_id": ALIPAY_APP_ID,
        "app_private_key": private_pem("own"),
        "alipay_public_key": public_pem("wallet"),
    }
    return {**given, **changes}


def alipay_certificate_settings(**changes: str) -> dict[str, str]:
    certificates = {
        "app_cert": certificate_pem("own", 0xA1),
        "alipay_root_cert": certificate_pem("root", 0xB1) + certificate_pem("root", 0xB2),
        "alipay_cert": certificate_pem("wallet", 0xC1),
    }
    return {**alipay_settings(alipay_public_key=""), **certificates, **changes}


def alipay_said(
    method: str, node: Mapping[str, Any] | str, *, by: str = "wallet", outer: Mapping[str, str] | None = None
) -> Said:
    """A signed answer; a node given as text is sent and signed as it is."""
    text = node if isinstance(node, str) else json.dumps(node, ensure_ascii=False)
    more = "".join(f',"{name}":"{value}"' for name, value in (outer or {}).items())
    name = f"{method.replace('.', '_')}_response"
    body = f'{{"{name}":{text}{more},"sign":"{signature(by, text.encode())}"}}'
    return Said(200, {"Content-Type": "text/html;charset=utf-8"}, body.encode())


def alipay_answering(script: Mapping[str, Mapping[str, Any] | Said]) -> Callable[[Heard], Said]:
    """Answers by the method's last words: {"precreate": {...}, "refund.query": Said(...)}."""

    def answer(heard: Heard) -> Said:
        method = heard.form["method"]
        entry = script[max((name for name in script if method.endswith(f".{name}")), key=len)]
        return entry if isinstance(entry, Said) else alipay_said(method, entry)

    return answer


@asynccontextmanager
async def alipay(
    script: Mapping[str, Mapping[str, Any] | Said], **settings: str
) -> AsyncIterator[tuple[Alipay, AlipayAccount, list[Heard]]]:
    async with playing(alipay_answering(script)) as (base_url, heard), Outbound() as outbound:
        yield Alipay(wire(outbound, base_url)), alipay_account(**settings), heard


@functools.cache
def alipay_account(**settings: str) -> AlipayAccount:
    """Parsing a private key costs 40 ms, so each combination is opened once."""
    return Alipay(wire(Outbound(), "")).open_account(alipay_settings(**settings))


def alipay_trade(status: str, **changes: str) -> dict[str, str]:
    """A query's answer; paid ones with their amounts."""
    node = {
        "code": "10000",
        "msg": "Success",
        "out_trade_no": TRADE_NO,
        "trade_no": "2026030122001400000000000001",
        "trade_status": status,
        "total_amount": "12.34",
    }
    if status in ("TRADE_SUCCESS", "TRADE_FINISHED"):
        node |= {"receipt_amount": "12.00", "buyer_pay_amount": "11.00", "send_pay_date": "2026-03-01 12:00:30"}
    return {name: value for name, value in {**node, **changes}.items() if value}


def alipay_fields(**changes: str) -> dict[str, str]:
    """The parameters of a payment's callback."""
    return {
        "notify_time": "2026-03-01 12:00:31",
        "notify_type": "trade_status_sync",
        "notify_id": "ac05099524730693a8b330c45cece72da9",
        "charset": "utf-8",
        "version": "1.0",
        "app_id": ALIPAY_APP_ID,
        "seller_id": SELLER_ID,
        "trade_no": "2026030122001400000000000001",
        "out_trade_no": TRADE_NO,
        "trade_status": "TRADE_SUCCESS",
        "total_amount": "12.34",
        "receipt_amount": "12.00",
        "buyer_pay_amount": "11.00",
        "subject": "一杯咖啡 {1/2}",
        "gmt_payment": "2026-03-01 12:00:30",
        **changes,
    }


def alipay_form(fields: Mapping[str, str], signed: Mapping[str, str], *, by: str = "wallet") -> bytes:
    """`fields` as a form, with a signature over `signed`."""
    message = "&".join(f"{name}={signed[name]}" for name in sorted(signed))
    return urlencode({**fields, "sign": signature(by, message.encode()), "sign_type": "RSA2"}).encode()


def alipay_notice(*, by: str = "wallet", **changes: str) -> bytes:
    """A payment's callback."""
    fields = alipay_fields(**changes)
    return alipay_form(fields, fields, by=by)


# --- WeChat Pay


def wechat_settings(**changes: str) -> dict[str, str]:
    given = {
        "appid": APPID,
        "mchid": MCHID,
        "merchant_serial": MERCHANT_SERIAL,
        "merchant_private_key": private_pem("own"),
        "api_v3_key": API_V3_KEY,
        "public_key_id": PUBLIC_KEY_ID,
        "public_key": public_pem("wallet"),
    }
    return {**given, **changes}


def wechat_headers(
    body: bytes, *, by: str = "wallet", serial: str = PUBLIC_KEY_ID, at_ms: int = NOW_MS, nonce: str = "n0nce"
) -> dict[str, str]:
    timestamp = str(at_ms // 1000)
    return {
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Serial": serial,
        "Wechatpay-Signature-Type": SCHEME,
        "Wechatpay-Signature": signature(by, f"{timestamp}\n{nonce}\n".encode() + body + b"\n"),
    }


def wechat_said(
    status: int,
    node: Mapping[str, Any] | None = None,
    *,
    by: str = "wallet",
    serial: str = PUBLIC_KEY_ID,
    at_ms: int = NOW_MS,
) -> Said:
    body = b"" if node is None else json.dumps(node, ensure_ascii=False).encode()
    return Said(status, wechat_headers(body, by=by, serial=serial, at_ms=at_ms), body)


def wechat_error(status: int, code: str) -> Said:
    return wechat_said(status, {"code": code, "message": "说明"})


def wechat_route(heard: Heard) -> str:
    """Which operation a request is: the last word of its path, or query, refund, refund_query."""
    path = urlsplit(heard.path).path
    if "/refund/domestic/refunds" in path:
        return "refund" if heard.method == "POST" else "refund_query"
    if "/out-trade-no/" in path and heard.method == "GET":
        return "query"
    return path.rsplit("/", 1)[-1]


@asynccontextmanager
async def wechat(
    script: Mapping[str, Said], settings: Mapping[str, str] | None = None, *, at: Clock | None = None
) -> AsyncIterator[tuple[Wechat, WechatAccount, list[Heard]]]:
    async with playing(lambda heard: script[wechat_route(heard)]) as (base_url, heard), Outbound() as outbound:
        yield Wechat(wire(outbound, base_url, at)), wechat_account(**(settings or {})), heard


def wechat_account(**settings: str) -> WechatAccount:
    """A fresh account (it may learn certificates) around keys that are parsed once."""
    opened = _opened_wechat_account(**settings)
    return dataclasses.replace(opened, wallet_keys=dict(opened.wallet_keys), fetching=asyncio.Lock())


@functools.cache
def _opened_wechat_account(**settings: str) -> WechatAccount:
    return Wechat(wire(Outbound(), "")).open_account(wechat_settings(**settings))


def wechat_trade(state: str, **changes: Any) -> dict[str, Any]:
    """A query's answer; paid ones with their amounts."""
    node: dict[str, Any] = {
        "appid": APPID,
        "mchid": MCHID,
        "out_trade_no": TRADE_NO,
        "trade_state": state,
        "trade_state_desc": "说明",
        "amount": {"total": 1234, "currency": "CNY"},
    }
    if state in ("SUCCESS", "REFUND"):
        node |= {
            "transaction_id": "4200000000202603010000000001",
            "trade_type": "NATIVE",
            "success_time": "2026-03-01T12:00:30+08:00",
            "payer": {"openid": "o1"},
            "amount": {"total": 1234, "payer_total": 1100, "currency": "CNY", "payer_currency": "CNY"},
        }
    return {**node, **changes}


def wechat_refund(status: str, **changes: Any) -> dict[str, Any]:
    """A refund's or a refund query's answer."""
    return {
        "refund_id": "50000000000000000000000000001",
        "out_refund_no": REFUND_NO,
        "out_trade_no": TRADE_NO,
        "transaction_id": "4200000000202603010000000001",
        "status": status,
        "success_time": "2026-03-01T12:10:00+08:00",
        "amount": {"total": 1234, "refund": 234, "payer_total": 1100, "payer_refund": 209, "currency": "CNY"},
        **changes,
    }


def wechat_sealed(plain: bytes, associated_data: str, *, api_v3_key: str = API_V3_KEY) -> dict[str, str]:
    nonce = "0123456789ab"
    ciphertext = AESGCM(api_v3_key.encode()).encrypt(nonce.encode(), plain, associated_data.encode())
    return {
        "algorithm": "AEAD_AES_256_GCM",
        "nonce": nonce,
        "associated_data": associated_data,
        "ciphertext": base64.b64encode(ciphertext).decode(),
    }


def wechat_notice(kind: str, node: Mapping[str, Any], *, api_v3_key: str = API_V3_KEY) -> bytes:
    """A callback's body: `kind` is transaction or refund."""
    plain = json.dumps(node, ensure_ascii=False).encode()
    notice = {
        "id": "7d9d8b04-0000-5000-8000-000000000001",
        "create_time": "2026-03-01T12:00:31+08:00",
        "resource_type": "encrypt-resource",
        "event_type": "TRANSACTION.SUCCESS" if kind == "transaction" else "REFUND.SUCCESS",
        "summary": "支付成功",
        "resource": {"original_type": kind, **wechat_sealed(plain, kind, api_v3_key=api_v3_key)},
    }
    return json.dumps(notice, ensure_ascii=False).encode()


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """Header names as the gateway hands them on."""
    return {name.lower(): value for name, value in headers.items()}
