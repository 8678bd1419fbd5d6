"""Alipay's envelope: which bytes are signed, and how requests and answers are laid out (channels A.1 to A.5)."""

import re
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec

from opentill.twin.merchants import AlipayAccount, Authorised

CHARSETS = {"utf-8": "utf-8", "gbk": "gbk", "gb2312": "gb18030"}
MAX_PARAMETERS = 200
_CHARSET = re.compile(r"(?:^|&)charset=([^&]*)", re.ASCII)


class Call(msgspec.Struct, frozen=True):
    """A verified request: who calls, for which seller, the common parameters, and `biz_content`."""

    account: AlipayAccount
    seller: Authorised
    params: dict[str, str]
    biz: dict[str, Any]

    @property
    def app_id(self) -> str:
        return self.account.merchant.app_id

    @property
    def owner(self) -> str:
        """The app id in whose name trades are kept: the caller's, or that of the merchant it acts for."""
        return self.seller.auth_app_id

    def text(self, name: str) -> str:
        """A field of `biz_content` as text; empty when it is missing."""
        value = self.biz.get(name)
        return value if isinstance(value, str) else "" if value is None else str(value)


class Signer(Protocol):
    """Signs bytes; the signature is base64."""

    def sign(self, message: bytes) -> str: ...


class Failure(Exception):
    """An answer that is not a success. `node` holds what it carries beside the codes; gateway failures are unsigned."""

    def __init__(
        self, code: str, sub_code: str, sub_msg: str, *, node: Mapping[str, Any] | None = None, is_signed: bool = True
    ) -> None:
        super().__init__(f"{code} {sub_code}")
        self.code = code
        self.sub_code = sub_code
        self.sub_msg = sub_msg
        self.node = dict(node or {})
        self.is_signed = is_signed


# channels A.16
MESSAGES = {
    "10000": "Success",
    "10003": "order success pay inprocess",
    "20000": "Service Currently Unavailable",
    "20001": "Insufficient Token Permissions",
    "40001": "Missing Required Arguments",
    "40002": "Invalid Arguments",
    "40003": "Insufficient Conditions",
    "40004": "Business Failed",
    "40005": "Call Limited",
    "40006": "Insufficient Permissions",
}


def read_params(query: bytes, body: bytes) -> dict[str, str]:
    """Query and body as one set of parameters: clients split them as they like (channels A.1).

    Decoded in the charset that they name. Raises ValueError.
    """
    raw = b"&".join(part for part in (query, body) if part).decode("latin-1")
    named = _CHARSET.search(raw)
    encoding = CHARSETS.get(named[1].lower() if named else "utf-8", "utf-8")
    pairs = parse_qsl(raw, keep_blank_values=True, encoding=encoding, errors="strict", max_num_fields=MAX_PARAMETERS)
    return dict(pairs)


def signed_text(params: Mapping[str, str], *, without: frozenset[str], keeps_empty: bool = False) -> str:
    """Sorted `name=value` joined by `&`, values raw (channels A.3, A.15)."""
    return "&".join(
        f"{name}={value}" for name, value in sorted(params.items()) if name not in without and (value or keeps_empty)
    )


def is_signed_by(account: AlipayAccount, params: Mapping[str, str]) -> bool:
    """Whether `sign` covers the request. SDKs disagree about empty values, so both readings count (channels A.3)."""
    encoding = CHARSETS.get(params.get("charset", "utf-8").lower(), "utf-8")
    without = frozenset({"sign"})
    text = signed_text(params, without=without)
    if account.app_key.verifies(text.encode(encoding), params["sign"]):
        return True
    with_empty = signed_text(params, without=without, keeps_empty=True)
    return with_empty != text and account.app_key.verifies(with_empty.encode(encoding), params["sign"])


def node_text(node: Mapping[str, Any]) -> str:
    """The JSON text of a node, in the order given."""
    return msgspec.json.encode(node).decode()


def succeeded(node: Mapping[str, Any], *, code: str = "10000") -> dict[str, Any]:
    return {"code": code, "msg": MESSAGES[code], **node}


def failed(failure: Failure) -> dict[str, Any]:
    codes = {"code": failure.code, "msg": MESSAGES[failure.code]}
    return codes | {"sub_code": failure.sub_code, "sub_msg": failure.sub_msg} | failure.node


def envelope(
    name: str, text: str, *, encoding: str, key: Signer | None, cert_sn: str = "", escapes_slashes: bool = False
) -> bytes:
    """The whole answer. Signed are the raw characters of the node (channels A.4); no key: unsigned.

    `escapes_slashes`: the text is sent with `\\/` where `/` was signed, as Alipay may do.
    """
    node = text.encode(encoding)
    sent = text.replace("/", "\\/").encode(encoding) if escapes_slashes else node
    parts = [f'"{name}":'.encode() + sent]
    if cert_sn:
        parts.append(f'"alipay_cert_sn":"{cert_sn}"'.encode())
    if key is not None:
        parts.append(f'"sign":"{key.sign(node)}"'.encode())
    return b"{" + b",".join(parts) + b"}"


def node_name(method: str) -> str:
    return method.replace(".", "_") + "_response"
