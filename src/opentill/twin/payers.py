"""The people who pay. A payer is a name; each wallet knows it by identifiers derived from the name."""

import base64
import hashlib

import msgspec

DEFAULT_PAYER = "payer"


class AlipayUser(msgspec.Struct, frozen=True):
    user_id: str
    open_id: str
    logon_id: str


def alipay_user(payer: str, *, app_id: str) -> AlipayUser:
    """An Alipay user: 16 digits beginning with 2088; the open id differs from app to app."""
    number = _number(f"alipay:{payer}")
    return AlipayUser(
        user_id=f"2088{number % 10**12:012d}",
        open_id="0" + _letters(f"alipay:{app_id}:{payer}", 39),
        logon_id=f"1{30 + number % 70}****{number % 10**4:04d}",
    )


def openid(payer: str, *, appid: str) -> str:
    """A WeChat user within one app: 28 characters."""
    return "o" + _letters(f"wechat:{appid}:{payer}", 27)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _letters(text: str, length: int) -> str:
    return (
        base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
        .decode("ascii")
        .rstrip("=")[:length]
        .replace("-", "A")
    )
