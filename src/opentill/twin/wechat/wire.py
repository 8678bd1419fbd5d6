"""WeChat Pay's signatures, headers and encrypted resources (channels B.2, B.3)."""

import base64
import re
import secrets
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from opentill.twin.keys import KeyPair
from opentill.twin.merchants import WechatAccount

SCHEME = "WECHATPAY2-SHA256-RSA2048"
_PAIR = re.compile(r'([a-z_]+)="([^"]*)"')


class Call(msgspec.Struct, frozen=True):
    """A verified request. `signed_by` names the key that its answer must be signed with.

    `is_partner`: it came by a partner's path.
    """

    account: WechatAccount
    is_partner: bool
    signed_by: str
    body: dict[str, Any]
    path: dict[str, str]
    query: dict[str, str]

    @property
    def mchid(self) -> str:
        return self.account.merchant.mchid

    @property
    def sub_mchid(self) -> str:
        """The merchant whom the partner serves in this request; empty without a partner."""
        return str(self.query.get("sub_mchid") or self.body.get("sub_mchid") or "")


class Failure(Exception):
    """An error answer (channels B.11). `number` is what `Request-ID` ends with."""

    def __init__(
        self, status: int, code: str, message: str, *, detail: dict[str, Any] | None = None, number: int = 268435456
    ) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail
        self.number = number

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {"code": self.code, "message": self.message}
        return document | {"detail": self.detail} if self.detail else document


class Authorization(msgspec.Struct, frozen=True):
    """The five values of the Authorization header."""

    mchid: str
    nonce_str: str
    signature: str
    timestamp: str
    serial_no: str


def read_authorization(header: str) -> Authorization | None:
    """None when the header does not have the scheme and the five values, in whatever order."""
    scheme, _, rest = header.partition(" ")
    values = dict(_PAIR.findall(rest))
    if scheme != SCHEME or set(values) != set(Authorization.__struct_fields__) or not values["timestamp"].isdecimal():
        return None
    return Authorization(**values)


def request_message(method: str, target: str, authorization: Authorization, body: bytes) -> bytes:
    """Five lines, each ended by LF (channels B.2)."""
    head = f"{method}\n{target}\n{authorization.timestamp}\n{authorization.nonce_str}\n"
    return head.encode() + body + b"\n"


def signed_headers(key: KeyPair, serial: str, body: bytes, *, now_ms: int) -> dict[str, str]:
    """The headers that sign an answer or a callback (channels B.3)."""
    timestamp, nonce = str(now_ms // 1000), new_nonce()
    message = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
    return {
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": key.sign(message),
        "Wechatpay-Serial": serial,
        "Wechatpay-Signature-Type": SCHEME,
    }


def sealed(api_v3_key: str, plain: bytes, *, associated_data: str, nonce: str) -> str:
    """AES-256-GCM in base64, the tag at the end (channels B.3)."""
    aead = AESGCM(api_v3_key.encode())
    return base64.b64encode(aead.encrypt(nonce.encode(), plain, associated_data.encode())).decode("ascii")


def unsealed(api_v3_key: str, ciphertext: str, *, associated_data: str, nonce: str) -> bytes:
    """What `sealed` has sealed."""
    aead = AESGCM(api_v3_key.encode())
    return aead.decrypt(nonce.encode(), base64.b64decode(ciphertext), associated_data.encode())


def new_nonce(length: int = 32) -> str:
    return secrets.token_hex(length // 2 + 1)[:length]


def new_request_id(number: int) -> str:
    """`Request-ID`; its end tells the kind of failure (channels B.11)."""
    return f"08{secrets.token_hex(16).upper()}-{number}"
