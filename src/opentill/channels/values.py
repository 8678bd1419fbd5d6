"""Values as both wallets write and read them: texts, times, goods, and careful reading of JSON.

Readers never raise for what a wallet sent: a field of the wrong kind counts as absent.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

import msgspec

from opentill.base.money import fen_from_yuan
from opentill.channels.base import AccountField, AccountProblem
from opentill.domain.order import GoodsLine

CHINA = timezone(timedelta(hours=8))

MAX_GOODS_NUM = 32  # protocol 5; channels B.4
_MAX_CODE = 64
_MAX_MESSAGE = 256
_MAX_NUMBER = 10**15

Json = Mapping[str, Any]


def plain_text(text: str, limit: int) -> str:
    """At most `limit` characters of the basic plane, without control characters (channels 0.3)."""
    if text.isascii() and text.isprintable():
        return text[:limit].strip()
    return "".join(
        character for character in text if character <= "\uffff" and unicodedata.category(character) not in ("Cc", "Cs")
    )[:limit].strip()


def code_text(text: str) -> str:
    """A wallet's code, safe for a log line and a column."""
    return plain_text(text, _MAX_CODE)


def message_text(text: str) -> str:
    return plain_text(text, _MAX_MESSAGE)


def china_time(at_ms: int) -> str:
    """`yyyy-MM-dd HH:mm:ss` on China's wall clock (channels A.2)."""
    return _china_time(at_ms // 1000)


@lru_cache(maxsize=256)  # all requests of a second ask for the same few texts
def _china_time(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, CHINA).strftime("%Y-%m-%d %H:%M:%S")


def ms_from_china_time(text: str) -> int:
    """The moment of a China wall clock text, milliseconds; 0 when it is not one."""
    try:
        local = datetime.strptime(text.split(".")[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA)
    except ValueError:
        return 0
    return _positive_ms(local)


def rfc3339(at_ms: int) -> str:
    """RFC 3339 with China's offset (channels B.1)."""
    return datetime.fromtimestamp(at_ms // 1000, CHINA).isoformat()


def ms_from_rfc3339(text: str) -> int:
    """The moment of an RFC 3339 text with its zone, milliseconds; 0 when it is not one."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0
    return _positive_ms(moment) if moment.tzinfo is not None else 0


def text_of(node: Json, name: str) -> str:
    """The text under `name`; "" when absent or of another kind."""
    value = node.get(name)
    return value if isinstance(value, str) else ""


def number_of(node: Json, name: str) -> int | None:
    """The integer under `name`; None when absent, of another kind or no possible amount."""
    value = node.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_NUMBER else None


def node_of(node: Json, name: str) -> Json:
    """The object under `name`; empty when absent or of another kind."""
    value = node.get(name)
    return value if isinstance(value, dict) else {}


def nodes_of(node: Json, name: str) -> list[Json]:
    """The objects in the list under `name`."""
    value = node.get(name)
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def fen_of(node: Json, name: str) -> int | None:
    """The amount in yuan under `name` as fen; None when absent or malformed."""
    try:
        return fen_from_yuan(text_of(node, name))
    except ValueError:
        return None


def read_object(raw: bytes) -> Json | None:
    """The JSON object in `raw`; None when it is not one."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (ValueError, RecursionError):
        return None


def sendable_goods(goods: Iterable[GoodsLine]) -> list[tuple[str, str, int, int]]:
    """(item number, name, whole quantity, unit price in fen) of the lines a wallet can use.

    protocol 5: lines without goods_num, or with one over 32 characters, are not sent; a fractional quantity goes as
    quantity 1 at the line total.
    """
    lines = []
    for line in goods:
        number = line.goods_num
        if not number or len(number) > MAX_GOODS_NUM or plain_text(number, MAX_GOODS_NUM) != number:
            continue
        name = plain_text(line.name, 256) or number
        if line.quantity == line.quantity.to_integral_value():
            lines.append((number, name, int(line.quantity), line.unit_price_fen))
        else:
            lines.append((number, name, 1, line.total_fen))
    return lines


def setting(settings: Mapping[str, str], field: AccountField) -> str:
    """An account's setting without surrounding blanks; "" when optional and absent. Raises AccountProblem."""
    value = settings.get(field.name, "").strip()
    if field.is_required and not value:
        raise AccountProblem(field.name, f"请填写{field.label_zh}", f"{field.label_en} is required")
    return value


def _positive_ms(moment: datetime) -> int:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    try:
        return max(0, (moment - epoch) // timedelta(milliseconds=1))
    except OverflowError:
        return 0
