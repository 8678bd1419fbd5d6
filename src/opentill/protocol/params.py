"""What an interface takes and answers, as tables: validation, signed sets, versions and documents come from them."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from opentill.base.errors import GatewayError
from opentill.base.money import MAX_AMOUNT_FEN
from opentill.protocol.words import CHANNEL_TITLES, VERSIONS

STRING = "String"
LONG = "Long"
INTEGER = "Integer"

MAX_LOCAL_ORDER_NO = 64
MAX_SUBJECT_HALF_WIDTHS = 39  # protocol 4.1: fewer than 20 Chinese characters; an ASCII character counts half
MAX_URL = 512
MAX_DIGITS = 19
MAX_REASON = 80


class Param(msgspec.Struct, frozen=True, kw_only=True):
    """One request parameter. `read` turns the text into a value or raises GatewayError; empty counts as absent."""

    name: str
    type: str
    is_required: bool
    is_signed: bool
    text_zh: str
    text_en: str
    example: str = ""
    read: Callable[[str], object] = str


class ReplyField(msgspec.Struct, frozen=True, kw_only=True):
    """One field of the reply's data. `since`: the first version that has it."""

    name: str
    is_signed: bool
    text_zh: str
    text_en: str
    type: str = STRING
    since: str = "1.0"


def read_values(form: Mapping[str, str], params: tuple[Param, ...]) -> dict[str, object]:
    """Typed values by name; an absent optional parameter is left out.

    Raises: PARAMETER_MISSING and what the parameters' own readers raise.
    """
    values: dict[str, object] = {}
    for param in params:
        text = form.get(param.name, "")
        if text.strip(" "):
            values[param.name] = param.read(text)
        elif param.is_required:
            raise GatewayError("PARAMETER_MISSING", parameter=param.name)
    return values


def signed_names(params: tuple[Param, ...]) -> frozenset[str]:
    return frozenset(param.name for param in params if param.is_signed)


def read_version(form: Mapping[str, str]) -> str:
    """A missing version is 1.0 everywhere (protocol 4). Raises VERSION_UNSUPPORTED, OTHER_GENERATION."""
    version = form.get("version", "").strip() or "1.0"
    if version in VERSIONS:
        return version
    raise GatewayError("OTHER_GENERATION" if version == "2.0" else "VERSION_UNSUPPORTED")


def read_timestamp_ms(text: str) -> int:
    """Milliseconds since 1970; a value in another unit says so. Raises TIMESTAMP_INVALID."""
    if not _is_digits(text):
        raise GatewayError("TIMESTAMP_INVALID", hint="")
    if len(text) == 10:
        raise GatewayError("TIMESTAMP_INVALID", hint="，收到的是秒，请乘以1000")
    if len(text) in (16, 19):
        unit = "微秒" if len(text) == 16 else "纳秒"
        raise GatewayError("TIMESTAMP_INVALID", hint=f"，收到的是{unit}")
    return int(text)


def read_local_order_no(text: str) -> str:
    if len(text) > MAX_LOCAL_ORDER_NO or text != text.strip() or not text.isprintable():
        raise GatewayError("LOCAL_ORDER_NO_INVALID")
    return text


def read_order_no(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) == 30):
        raise GatewayError("ORDER_NO_INVALID")
    return text


def read_local_refund_no(text: str) -> str:
    if len(text) > MAX_LOCAL_ORDER_NO or text != text.strip() or not text.isprintable():
        raise GatewayError("LOCAL_REFUND_NO_INVALID")
    return text


def read_refund_fen(text: str) -> int:
    if not _is_digits(text) or not 1 <= int(text) <= MAX_AMOUNT_FEN:
        raise GatewayError("REFUND_AMOUNT_INVALID")
    return int(text)


def read_reason(text: str) -> str:
    if len(text) > MAX_REASON or any(unicodedata.category(character) == "Cc" for character in text):
        raise GatewayError("REASON_INVALID")
    return text


def read_barcode(text: str) -> str:
    if not (text.isascii() and text.isdigit() and 16 <= len(text) <= 24):
        raise GatewayError("BARCODE_INVALID")
    return text


def read_sub_app_id(text: str) -> str:
    return _wallet_id(text, "sub_app_id")


def read_open_id(text: str) -> str:
    return _wallet_id(text, "open_id")


def read_redirect_url(text: str) -> str:
    if not _is_url(text):
        raise GatewayError("REDIRECT_URL_INVALID")
    return text


def read_channel(text: str) -> int:
    """The channel's number. 3 and 4 are known, not available (protocol 4.1)."""
    if text not in ("1", "2", "3", "4"):
        raise GatewayError("CHANNEL_INVALID")
    number = int(text)
    if number not in (1, 2):
        raise GatewayError("CHANNEL_NOT_AVAILABLE", channel=CHANNEL_TITLES[number])
    return number


def read_amount_fen(text: str) -> int:
    if not _is_digits(text) or not 1 <= int(text) <= MAX_AMOUNT_FEN:
        raise GatewayError("AMOUNT_INVALID")
    return int(text)


def read_un_discount_fen(text: str) -> int:
    if not _is_digits(text) or int(text) > MAX_AMOUNT_FEN:
        raise GatewayError("UN_DISCOUNT_AMOUNT_INVALID")
    return int(text)


def read_subject(text: str) -> str:
    width = sum(1 if character.isascii() else 2 for character in text)
    if width > MAX_SUBJECT_HALF_WIDTHS or any(unicodedata.category(character) == "Cc" for character in text):
        raise GatewayError("SUBJECT_INVALID")
    return text


def read_url(text: str) -> str:
    """An absolute http(s) URL without userinfo (protocol 4.1). Raises NOTIFY_URL_INVALID."""
    if not _is_url(text):
        raise GatewayError("NOTIFY_URL_INVALID")
    return text


def host_of(url: str) -> str:
    """The host name of a URL that `read_url` accepted, lower case."""
    return urlsplit(url).hostname or ""


def read_ip(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError as error:
        raise GatewayError("DEVICE_CREATE_IP_INVALID") from error
    if "%" in text:
        raise GatewayError("DEVICE_CREATE_IP_INVALID")
    return str(address)


def _is_url(text: str) -> bool:
    """Absolute http(s), at most 512 characters, no userinfo, nothing a parser could read in two ways."""
    if len(text) > MAX_URL or not text.isprintable() or any(mark in text for mark in " \\"):
        return False
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and "@" not in parts.netloc
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        return False


def _wallet_id(text: str, name: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z_-]{1,128}", text):
        raise GatewayError("WALLET_ID_INVALID", parameter=name)
    return text


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS


# protocol 4: parameters that every interface has. command and version are read before the rest.
COMMON = (
    Param(
        name="command", type=STRING, is_required=True, is_signed=False,
        text_zh="接口名称", text_en="Name of the interface",
    ),
    Param(
        name="operator_id", type=STRING, is_required=True, is_signed=True,
        text_zh="收银员编号，决定收款账户", text_en="Cashier; names the account that receives the money",
        example="ccaaad2ba1f2a6baccb986d0a748dbb9",
    ),
    Param(
        name="app", type=STRING, is_required=True, is_signed=True,
        text_zh="接入商编号", text_en="Integrator id", example="A00305710000067",
    ),
    Param(
        name="version", type=STRING, is_required=False, is_signed=False,
        text_zh="接口版本：1.0（默认）或1.1，1.1的返回参数更多",
        text_en="Interface version: 1.0 (default) or 1.1, which answers with more fields", example="1.1",
    ),
    Param(
        name="sign", type=STRING, is_required=True, is_signed=False,
        text_zh="签名，见“签名”一节", text_en="Signature, see the section on signing",
    ),
    Param(
        name="timestamp", type=LONG, is_required=True, is_signed=True,
        text_zh="当前时间，自1970-01-01 UTC起的毫秒数", text_en="Now, milliseconds since 1970-01-01 UTC",
        read=read_timestamp_ms,
    ),
)  # fmt: skip

REPLY_TIMESTAMP = ReplyField(
    name="timestamp", is_signed=True, type=LONG, text_zh="应答时间，毫秒", text_en="Time of the reply, milliseconds"
)
REPLY_SIGN = ReplyField(
    name="sign", is_signed=False, text_zh="平台签名（RSA2）", text_en="Signature by the platform (RSA2)"
)
