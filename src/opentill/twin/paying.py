"""What a payer wants, and why a payment may not happen. The rules are the same in both wallets' cashiers."""

import re
from enum import StrEnum

import msgspec

from opentill.twin import coupons, trades
from opentill.twin.books import Books
from opentill.twin.payers import DEFAULT_PAYER
from opentill.twin.trades import State, Trade

SUCCESS = "success"
FAIL = "fail"
_TAIL = re.compile(r"\d*(\d{4})", re.ASCII)


class Wish(msgspec.Struct, frozen=True):
    """One attempt to pay. `expected_fen` is what the payer believes to pay, None: whatever is asked."""

    payer: str = DEFAULT_PAYER
    result: str = SUCCESS
    reason: str = ""
    expected_fen: int | None = None


class CannotPay(Exception):
    """The cashier refuses before any money moves. `code` is for programs, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Payer(StrEnum):
    """How the payer behind a payment code behaves: the last four digits tell."""

    PAYS = ""
    ASKS_PASSWORD = "0001"  # noqa: S105 - pays once the password is entered, on the phone
    LACKS_MONEY = "0002"
    LEAVES_UNKNOWN = "0003"  # pays, but the answer does not say so


def behaviour(auth_code: str) -> Payer:
    """The payer behind a payment code."""
    match = _TAIL.fullmatch(auth_code)
    tail = match[1] if match else ""
    return Payer(tail) if tail in set(Payer) else Payer.PAYS


def check(trade: Trade, wish: Wish) -> None:
    """Whether this payer may pay this trade. Raises CannotPay."""
    if trade.state is State.PAID:
        raise CannotPay("ALREADY_PAID", "the trade is paid already")
    if trade.state is State.PASSWORD:
        raise CannotPay("PASSWORD_ASKED", "the trade waits for the password of another payer")
    if trade.state is not State.OPEN:
        raise CannotPay("TRADE_CLOSED", "the trade is closed")
    if trade.payer not in ("", wish.payer):
        raise CannotPay("OTHER_PAYER", "somebody else has opened this trade; it is theirs to pay")
    if wish.expected_fen not in (None, trade.total_fen):
        raise CannotPay("AMOUNT_DIFFERS", f"the trade asks for {trade.total_fen} fen")


def take_money(
    books: Books, trade: Trade, payer: str, *, goods: tuple[str, ...], fixed_fen: int = 0, now_ms: int
) -> Trade:
    """The money moves: coupons for the `goods` first, the payer gives the rest, at least one fen.

    `fixed_fen` of the total take no discount. Raises Moved.
    """
    limit_fen = trade.total_fen - max(fixed_fen, 1)
    used = coupons.use(books, wallet=trade.wallet, goods=goods, limit_fen=limit_fen)
    return trades.move(books, trade, State.PAID, payer=payer, coupons=used, now_ms=now_ms)
