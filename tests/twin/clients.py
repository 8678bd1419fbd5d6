"""Clients written from the wallets' papers, for tests.

They sign and verify with `cryptography` alone and share nothing with the twin, so mistakes cannot cancel out.
"""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from yarl import URL

from opentill.twin.merchants import AlipayMerchant, WechatMerchant

ALIPAY_METHOD = "alipay.trade."


def sign(private_pem: str, message: bytes) -> str:
    key = serialization.load_pem_private_key(private_pem.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey)
    return base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()


def verify(public_pem: str, message: bytes, signature: str) -> None:
    """Raises InvalidSignature."""
    key: object
    if "CERTIFICATE" in public_pem:
        key = x509.load_pem_x509_certificate(public_pem.encode()).public_key()
    else:
        key = serialization.load_pem_public_key(public_pem.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(base64.b64decode(signature), message, padding.PKCS1v15(), hashes.SHA256())


def china_text(at_ms: int) -> str:
    return (datetime.fromtimestamp(at_ms // 1000, UTC) + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S")


@dataclass
class AlipayAnswer:
    """`node` is the answer's node, `text` its raw characters; `sign` is empty when the answer is unsigned."""

    name: str
    node: dict[str, Any]
    text: bytes
    sign: str
    raw: bytes

    @property
    def code(self) -> str:
        return str(self.node.get("sub_code") or self.node["code"])


@dataclass
class AlipayClient:
    """Calls `gateway.do`; every signed answer is verified."""

    http: aiohttp.ClientSession
    url: str
    merchant: AlipayMerchant
    now_ms: Callable[[], int]
    common: Mapping[str, str]

    async def call(self, method: str, biz: Mapping[str, Any] | None = None, **params: str) -> AlipayAnswer:
        """POST everything as a form."""
        values = self.signed(method, biz or {}, **params)
        body = urlencode(values, encoding=values["charset"]).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        async with self.http.post(self.url, data=body, headers=headers) as reply:
            assert reply.status == 200
            return self.read(await reply.read())

    def signed(self, method: str, biz: Mapping[str, Any], **params: str) -> dict[str, str]:
        values = {
            "app_id": self.merchant.app_id,
            "method": ALIPAY_METHOD + method if "." not in method else method,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": china_text(self.now_ms()),
            "version": "1.0",
            "biz_content": json.dumps(biz, ensure_ascii=False),
            **self.common,
            **params,
        }
        message = "&".join(f"{name}={values[name]}" for name in sorted(values) if values[name])
        return values | {"sign": sign(self.merchant.app_private_key_pem, message.encode(values["charset"]))}

    def read(self, raw: bytes) -> AlipayAnswer:
        """The node's raw characters are found from the outside in, which is right for these answers alone."""
        head = re.match(rb'\{"([a-z_]+)":', raw)
        assert head is not None, raw
        tail = re.search(rb'(,"alipay_cert_sn":"[0-9a-f]{32}")?(,"sign":"([^"]*)")?\}$', raw)
        assert tail is not None
        text, signature = raw[head.end() : tail.start()], (tail[3] or b"").decode()
        if signature:
            verify(self.merchant.alipay_public_key_pem, text, signature)
        try:
            node = json.loads(text)
        except UnicodeDecodeError:
            node = json.loads(text.decode("gbk"))
        return AlipayAnswer(name=head[1].decode(), node=node, text=text, sign=signature, raw=raw)


def verified_notify(merchant: AlipayMerchant, form: Mapping[str, str]) -> dict[str, str]:
    """A callback's parameters, its signature verified over all but `sign` and `sign_type`."""
    content = {name: value for name, value in form.items() if name not in ("sign", "sign_type")}
    message = "&".join(f"{name}={content[name]}" for name in sorted(content))
    verify(merchant.alipay_public_key_pem, message.encode(), form["sign"])
    return content


def certificate_names(merchant: AlipayMerchant) -> dict[str, str]:
    """The parameters that certificate mode adds."""
    return {
        "app_cert_sn": certificate_sn(merchant.app_cert_pem),
        "alipay_root_cert_sn": root_sn(merchant.alipay_root_cert_pem),
    }


def root_sn(bundle: str) -> str:
    """The RSA-signed certificates of the bundle, joined by an underscore (channels A.5)."""
    pems = [f"{part}-----END CERTIFICATE-----" for part in bundle.split("-----END CERTIFICATE-----")[:-1]]
    names = [x509.load_pem_x509_certificate(pem.encode()).signature_algorithm_oid._name for pem in pems]
    return "_".join(certificate_sn(pem) for pem, name in zip(pems, names, strict=True) if "RSA" in name)


def certificate_sn(pem: str) -> str:
    """MD5 of the issuer's name, written backwards, and the serial in decimal (channels A.5)."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    issuer = ",".join(part.rfc4514_string() for part in reversed(list(certificate.issuer)))
    return hashlib.md5(f"{issuer}{certificate.serial_number}".encode()).hexdigest()


@dataclass
class WechatAnswer:
    """`document` is None for an empty body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def code(self) -> str:
        return str(self.document["code"])


@dataclass
class WechatClient:
    """Calls API v3; every signed answer is verified. `serial` goes out as Wechatpay-Serial unless it is empty."""

    http: aiohttp.ClientSession
    url: str
    merchant: WechatMerchant
    now_ms: Callable[[], int]
    serial: str

    async def call(
        self, method: str, target: str, document: object = None, *, headers: Mapping[str, str] | None = None
    ) -> WechatAnswer:
        body = self.encoded(document)
        sent = self.headers(method, target, body) | dict(headers or {})
        async with self.http.request(method, _exact(self.url + target), data=body or None, headers=sent) as reply:
            answer = WechatAnswer(reply.status, {k.lower(): v for k, v in reply.headers.items()}, await reply.read())
        if "wechatpay-signature" in answer.headers:
            verify_wechat(self.merchant, answer.headers, answer.body)
        return answer

    @staticmethod
    def encoded(document: object) -> bytes:
        return b"" if document is None else json.dumps(document, ensure_ascii=False).encode()

    def headers(self, method: str, target: str, body: bytes) -> dict[str, str]:
        timestamp, nonce = self.now_ms() // 1000, secrets.token_hex(16)
        message = f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"
        values = {
            "mchid": self.merchant.mchid,
            "nonce_str": nonce,
            "signature": sign(self.merchant.merchant_private_key_pem, message),
            "timestamp": str(timestamp),
            "serial_no": self.merchant.merchant_serial,
        }
        joined = ",".join(f'{name}="{value}"' for name, value in values.items())
        headers = {
            "Authorization": f"WECHATPAY2-SHA256-RSA2048 {joined}",
            "Accept": "application/json",
            "User-Agent": "test",
        }
        if body:
            headers["Content-Type"] = "application/json"
        return headers | ({"Wechatpay-Serial": self.serial} if self.serial else {})


def verify_wechat(merchant: WechatMerchant, headers: Mapping[str, str], body: bytes) -> None:
    """Three lines; the serial chooses the key. Header names are lower case."""
    message = f"{headers['wechatpay-timestamp']}\n{headers['wechatpay-nonce']}\n".encode() + body + b"\n"
    known = {
        merchant.public_key_id: merchant.public_key_pem,
        merchant.platform_certificate_serial: merchant.platform_certificate_pem,
    }
    assert headers["wechatpay-signature-type"] == "WECHATPAY2-SHA256-RSA2048"
    verify(known[headers["wechatpay-serial"]], message, headers["wechatpay-signature"])


def opened(merchant: WechatMerchant, resource: Mapping[str, str]) -> dict[str, Any]:
    """The plain content of a callback's resource."""
    plain = AESGCM(merchant.api_v3_key.encode()).decrypt(
        resource["nonce"].encode(), base64.b64decode(resource["ciphertext"]), resource["associated_data"].encode()
    )
    document: dict[str, Any] = json.loads(plain)
    return document


def _exact(url: str) -> URL:
    """A URL sent as written: percent-encoding is part of what was signed."""
    return URL(url, encoded=True)
