"""Amounts: integer fen inside; Alipay and the bills write yuan. The twin has its own, on purpose (design 1.8)."""

import re

_YUAN = re.compile(r"(\d{1,9})(?:\.(\d{1,2}))?", re.ASCII)


def yuan(amount_fen: int) -> str:
    """Fen as yuan text with two decimals."""
    sign = "-" if amount_fen < 0 else ""
    return f"{sign}{abs(amount_fen) // 100}.{abs(amount_fen) % 100:02d}"


def fen(text: object) -> int | None:
    """Yuan text (or a JSON number, which Alipay accepts too) as fen; None when it is not an amount."""
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        return None
    match = _YUAN.fullmatch(str(text))
    if match is None:
        return None
    return int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
