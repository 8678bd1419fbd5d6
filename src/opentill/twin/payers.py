"""The people who pay. A payer is a name; each wallet knows it by identifiers derived from the name."""

import base64
import hashlib

import msgspec
from starlette.requests import Request

from opentill.twin.books import Books

DEFAULT_PAYER = "payer"
COOKIE = "twin_payer"
MAX_LENGTH = 64


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


def holding(request: Request) -> str:
    """Who holds the phone: the browser's cookie says so, or it is the payer everybody knows."""
    return request.cookies.get(COOKIE, "")[:MAX_LENGTH] or DEFAULT_PAYER


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _letters(text: str, length: int) -> str:
    return (
        base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
        .decode("ascii")
        .rstrip("=")[:length]
        .replace("-", "A")
    )


def remember(books: Books, *, wallet: str, identifiers: tuple[str, ...], payer: str) -> None:
    """A wallet told a merchant these identifiers of the payer; from now on the merchant may use them."""
    for identifier in identifiers:
        books.run("INSERT OR REPLACE INTO payers VALUES (?, ?, ?)", wallet, identifier, payer)


def known(books: Books, *, wallet: str, identifier: str) -> str | None:
    """Whose identifier it is."""
    row = books.one("SELECT payer FROM payers WHERE wallet = ? AND identifier = ?", wallet, identifier)
    return None if row is None else row[0]
