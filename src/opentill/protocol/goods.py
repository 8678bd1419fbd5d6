"""goods_list: a JSON array as a text (protocol 5)."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import NoReturn

from opentill.base.errors import GatewayError
from opentill.domain.order import GoodsLine

MAX_LINES = 200
MAX_BYTES = 32 * 1024
MAX_TEXT = 256
MAX_QUANTITY = Decimal(1_000_000)
MAX_PRICE_FEN = 10_000_000_000

YUAN = "yuan"
FEN = "fen"


def read_goods(text: str, *, price_unit: str = YUAN) -> tuple[GoodsLine, ...]:
    """The lines of a goods_list; `price_unit` is the app's rule for goods_price. Raises GOODS_LIST_INVALID."""
    if len(text.encode()) > MAX_BYTES:
        _invalid(f"最多{MAX_BYTES}字节")
    try:
        lines = json.loads(text, parse_int=Decimal, parse_float=Decimal)
    except (ValueError, RecursionError, ArithmeticError):
        _invalid("不是有效的JSON")
    if not isinstance(lines, list):
        _invalid("必须是JSON数组")
    if len(lines) > MAX_LINES:
        _invalid(f"最多{MAX_LINES}行")
    return tuple(_line(number, line, price_unit) for number, line in enumerate(lines, 1))


def _line(number: int, line: object, price_unit: str) -> GoodsLine:
    if not isinstance(line, dict):
        _invalid(f"第{number}行必须是JSON对象")
    price = _decimal(number, line, "goods_price", decimals=2 if price_unit == YUAN else 0)
    price_fen = int(price * 100) if price_unit == YUAN else int(price)
    if price_fen > MAX_PRICE_FEN:
        _invalid(f"第{number}行的goods_price过大")
    quantity = _decimal(number, line, "sell_amount", decimals=3)
    if not 0 < quantity <= MAX_QUANTITY:
        _invalid(f"第{number}行的sell_amount必须大于0且不超过{MAX_QUANTITY}")
    return GoodsLine(
        quantity=quantity,
        unit_price_fen=price_fen,
        goods_id=_text(number, line, "goods_id"),
        goods_num=_text(number, line, "goods_num"),
        name=_text(number, line, "goods_name"),
        sku_id=_text(number, line, "goods_sku_id"),
    )


def _decimal(number: int, line: Mapping[str, object], name: str, *, decimals: int) -> Decimal:
    value = line.get(name)
    if value is None or value == "":
        _invalid(f"第{number}行缺少{name}")
    expected = f"最多{decimals}位小数的数字" if decimals else "整数（单位为分）"
    text = str(value) if isinstance(value, str | Decimal) else ""
    whole, point, fraction = text.partition(".")
    is_number = text.isascii() and whole.isdigit() and len(whole) <= 12 and (fraction.isdigit() or not point)
    # 1.500 is three decimals with two of them idle: only what is left after them counts.
    if not is_number or len(fraction.rstrip("0")) > decimals:
        _invalid(f"第{number}行的{name}必须是{expected}")
    return Decimal(text)


def _text(number: int, line: Mapping[str, object], name: str) -> str:
    value = line.get(name)
    if value is None:
        return ""
    text = str(value) if isinstance(value, str | Decimal) else None
    if text is None or len(text) > MAX_TEXT or not _is_storable(text):
        _invalid(f"第{number}行的{name}必须是最多{MAX_TEXT}个字符的字符串")
    return text.strip()


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _invalid(reason: str) -> NoReturn:
    raise GatewayError("GOODS_LIST_INVALID", reason=reason)
