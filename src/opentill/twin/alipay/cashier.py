"""Somebody opens an Alipay code on the phone and pays, or does not."""

from opentill.twin import trades
from opentill.twin.alipay import notify, operations
from opentill.twin.context import Context
from opentill.twin.paying import CannotPay, Wish
from opentill.twin.trades import Code, State, Trade


def scan(twin: Context, code: Code, payer: str) -> Trade:
    """Open the cashier: now, and not before, the trade exists (channels A.7). Raises CannotPay."""
    if twin.now_ms() >= code.expires_ms:
        raise CannotPay("CODE_EXPIRED", "the QR code is no longer valid")
    trade = operations.trade_named(twin, code.merchant, code.out_trade_no)
    if trade is None:
        trade = operations.add_trade(twin, app_id=code.merchant, out_trade_no=code.out_trade_no, terms=code.terms)
    elif trade.terms.fingerprint != code.terms.fingerprint:
        raise CannotPay("CONTEXT_INCONSISTENT", "another QR code of this order was opened, with other terms")
    return trades.bind(twin.books, trade, payer)


def pay(twin: Context, trade: Trade, wish: Wish) -> Trade:
    """The payer pays an open trade."""
    trade = trades.move(twin.books, trade, State.PAID, payer=wish.payer, now_ms=twin.now_ms())
    notify.paid(twin, trade)
    return trade
