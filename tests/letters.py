"""Callbacks of the wallets, caught on their way, changed, and signed again with the wallets' own keys.

async with ground() as g, running(g, **caught(g)) as w:
    order = await w.scan(channel=1)
    await w.pay(order.qr_code)
    letter = caught_letters(w)[0]
    answer = await letter.with_values(w, total_amount="0.02").deliver(w)
"""

import base64
import json
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.world import Ground, World


def caught(on: Ground) -> dict[str, Any]:
    """Settings that make the wallets send their callbacks to the shop instead of the gateway."""
    return {"public_base_url": on.shop.url.removesuffix("/notify")}


@dataclass(frozen=True)
class Answered:
    """What the gateway said to a callback."""

    status: int
    body: bytes

    @property
    def is_accepted(self) -> bool:
        """Whether the wallet takes it for success: Alipay wants `success`, WeChat Pay 200 or 204 (A.15, B.8)."""
        return (self.status, self.body) in ((200, b"success"), (204, b""))


@dataclass(frozen=True)
class Letter:
    """A callback as it goes over the wire. Header names are lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_alipay(self) -> bool:
        return "/alipay/" in self.path

    async def deliver(self, w: World) -> Answered:
        async with w.http.post(w.base_url + self.path, data=self.body, headers=dict(self.headers)) as reply:
            return Answered(reply.status, await reply.read())

    def values(self, w: World) -> dict[str, Any]:
        """What the letter says: Alipay's form, WeChat Pay's opened resource."""
        if self.is_alipay:
            return dict(parse_qsl(self.body.decode(), keep_blank_values=True))
        resource = json.loads(self.body)["resource"]
        return dict(json.loads(_cipher(w).decrypt(
            resource["nonce"].encode(), base64.b64decode(resource["ciphertext"]), resource["associated_data"].encode()
        )))  # fmt: skip

    def with_values(self, w: World, **changes: Any) -> "Letter":
        """The same letter saying something else, genuinely signed."""
        values = {name: value for name, value in {**self.values(w), **changes}.items() if value is not None}
        return self._alipay(w, values) if self.is_alipay else self._wechat(w, values)

    def changed(self, **headers: str | None) -> "Letter":
        """The same letter with other headers (None: left out); underscores stand for hyphens."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in {**self.headers, **given}.items() if value is not None}
        return replace(self, headers=kept)

    def _alipay(self, w: World, values: dict[str, str]) -> "Letter":
        signed = "&".join(f"{name}={value}" for name, value in sorted(values.items())
                          if value and name not in ("sign", "sign_type"))  # fmt: skip
        key = _private_key(w, "alipay", "alipay_private_key_pem")
        return replace(self, body=urlencode({**values, "sign": _signature(key, signed)}).encode())

    def _wechat(self, w: World, values: dict[str, Any]) -> "Letter":
        document = json.loads(self.body)
        resource = document["resource"]
        nonce = secrets.token_hex(6)
        sealed = _cipher(w).encrypt(nonce.encode(), json.dumps(values).encode(), resource["associated_data"].encode())
        document["resource"] = {**resource, "nonce": nonce, "ciphertext": base64.b64encode(sealed).decode()}
        return self.signed_by_wechat(w, json.dumps(document).encode(), at_ms=w.clock.now_ms())

    def signed_by_wechat(self, w: World, body: bytes, *, at_ms: int) -> "Letter":
        """`body` under WeChat Pay's own signature of that time (channels B.3)."""
        timestamp, nonce = str(at_ms // 1000), secrets.token_hex(16)
        key = _private_key(w, "wechat", "wallet_private_key_pem")
        signature = _signature(key, f"{timestamp}\n{nonce}\n{body.decode()}\n")
        headers = {
            "wechatpay-timestamp": timestamp, "wechatpay-nonce": nonce, "wechatpay-signature": signature,
        }  # fmt: skip
        return replace(self, body=body, headers={**self.headers, **headers})


def caught_letters(w: World) -> list[Letter]:
    """The callbacks that came to the shop, oldest first."""
    kept = ("content-type", "wechatpay-")
    return [
        Letter(heard.path, {name: value for name, value in heard.headers.items() if name.startswith(kept)}, heard.body)
        for heard in w.shop.heard
        if heard.path.startswith("/callbacks/")
    ]


def _cipher(w: World) -> AESGCM:
    return AESGCM(_account(w, "wechat")["merchant"]["api_v3_key"].encode())


def _private_key(w: World, wallet: str, name: str) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(_account(w, wallet)[name].encode(), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _signature(key: rsa.RSAPrivateKey, text: str) -> str:
    return base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()


def _account(w: World, wallet: str) -> dict[str, Any]:
    """The first merchant as the wallet's books know it, private keys included."""
    with sqlite3.connect(w.ground.folder / "twin.sqlite3") as books:
        (document,) = books.execute("SELECT document FROM merchants WHERE wallet = ? ORDER BY id", (wallet,)).fetchone()
    books.close()
    return dict(json.loads(document))
