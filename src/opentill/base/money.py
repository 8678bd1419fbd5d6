"""Amounts are integer fen (1/100 yuan). Yuan texts exist only at the wallets' edge and in goods lists."""

import re

MAX_AMOUNT_FEN = 10_000_000_000  # protocol 4.1

_YUAN = re.compile(r"(-?)(\d{1,15})(?:\.(\d{1,2}))?", re.ASCII)


def yuan_text(amount_fen: int) -> str:
    """1234 -> "12.34": always two decimals, the form both wallets and their bills accept."""
    sign = "-" if amount_fen < 0 else ""
    yuan, fen = divmod(abs(amount_fen), 100)
    return f"{sign}{yuan}.{fen:02d}"


def fen_from_yuan(text: str) -> int:
    """ "12.3" -> 1230. Raises ValueError for anything but digits with at most two decimals."""
    match = _YUAN.fullmatch(text)
    if match is None:
        raise ValueError("not an amount in yuan with at most two decimals")
    sign, yuan, decimals = match.groups()
    amount = int(yuan) * 100 + int((decimals or "").ljust(2, "0"))
    return -amount if sign else amount
