"""Cheap keys with the interface of the RSA keys: they sign with a hash, two thousand times faster.

What is signed, by whom, with which key it is verified and what happens when it does not hold stays the same.
"""

import base64
from hashlib import blake2b
from typing import Any, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from opentill.channels.alipay_account import AlipayAccount
from opentill.channels.wechat_account import WechatAccount
from opentill.twin.app import Twin


class CheapPublicKey:
    """Verifies what the `CheapPrivateKey` of the same name signed."""

    def __init__(self, name: str) -> None:
        self._key = name.encode()

    def verify(self, signature: bytes, data: bytes, *_: object) -> None:
        """Raises InvalidSignature."""
        if signature != blake2b(data, digest_size=32, key=self._key).digest():
            raise InvalidSignature

    def public_bytes(self, *_: object) -> bytes:
        return self._key


class CheapPrivateKey:
    """Signs; `name` tells one from another."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._key = name.encode()

    def sign(self, data: bytes, *_: object) -> bytes:
        return blake2b(data, digest_size=32, key=self._key).digest()

    def public_key(self) -> CheapPublicKey:
        return CheapPublicKey(self._name)

    def private_bytes(self, *_: object) -> bytes:
        return self._key


def private(name: str) -> rsa.RSAPrivateKey:
    return cast(rsa.RSAPrivateKey, CheapPrivateKey(name))


def public(name: str) -> rsa.RSAPublicKey:
    return cast(rsa.RSAPublicKey, CheapPublicKey(name))


def is_platform_signed(text: str, sign: str) -> bool:
    """Whether a notification or reply was signed by the platform's cheap key."""
    return base64.b64decode(sign) == CheapPrivateKey("platform").sign(text.encode())


def open_alipay_account(settings: dict[str, str]) -> AlipayAccount:
    """As Alipay's adapter opens an account, but for the keys."""
    return AlipayAccount(
        app_id=settings["app_id"],
        private_key=private("alipay app"),
        wallet_keys={"": public("alipay")},
        seller_id=settings["seller_id"],
        app_auth_token="",
        service_provider_id="",
    )


def open_wechat_account(settings: dict[str, str]) -> WechatAccount:
    """As WeChat Pay's adapter opens an account, but for the keys."""
    return WechatAccount(
        appid=settings["appid"],
        mchid=settings["mchid"],
        merchant_serial=settings["merchant_serial"],
        private_key=private("wechat merchant"),
        aead=AESGCM(settings["api_v3_key"].encode()),
        app_secret=settings["app_secret"],
        public_key_id=settings["public_key_id"],
        sub_mchid="",
        sub_appid="",
        wallet_keys={settings["public_key_id"]: public("wechat")},
    )


def give_twin(twin: Twin) -> None:
    """The wallets' keys and those by which they know their merchants; parsed keys are remembered, so these are used."""
    merchants = twin._context.merchants
    for alipay in merchants.alipay.all():
        _remember(alipay.key, "private", private("alipay"))
        _remember(alipay.app_key, "_key", public("alipay app"))
    for wechat in merchants.wechat.all():
        _remember(wechat.merchant_key, "_key", public("wechat merchant"))
        for signer in wechat.signers.values():
            _remember(signer, "private", private("wechat"))


def _remember(owner: Any, name: str, value: object) -> None:
    owner.__dict__[name] = value
