"""What a payer wants, and why a payment may not happen. The rules are the same in both wallets' cashiers."""

import msgspec

from opentill.twin.payers import DEFAULT_PAYER
from opentill.twin.trades import State, Trade

SUCCESS = "success"
FAIL = "fail"


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


def check(trade: Trade, wish: Wish) -> None:
    """Whether this payer may pay this trade. Raises CannotPay."""
    if trade.state is State.PAID:
        raise CannotPay("ALREADY_PAID", "the trade is paid already")
    if trade.state is not State.OPEN:
        raise CannotPay("TRADE_CLOSED", "the trade is closed")
    if trade.payer not in ("", wish.payer):
        raise CannotPay("OTHER_PAYER", "somebody else has opened this trade; it is theirs to pay")
    if wish.expected_fen not in (None, trade.total_fen):
        raise CannotPay("AMOUNT_DIFFERS", f"the trade asks for {trade.total_fen} fen")
