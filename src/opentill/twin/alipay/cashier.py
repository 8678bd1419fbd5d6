"""Somebody opens an Alipay code on the phone and pays, or does not."""

from opentill.twin import paying, trades
from opentill.twin.alipay import notify, operations
from opentill.twin.amounts import fen
from opentill.twin.context import Context
from opentill.twin.merchants import ALIPAY
from opentill.twin.payers import DEFAULT_PAYER
from opentill.twin.paying import CannotPay
from opentill.twin.trades import Code, State, Trade


def scan(twin: Context, code: Code, payer: str) -> Trade:
    """Open the cashier: now, and not before, the trade exists (channels A.7). Raises CannotPay."""
    if twin.now_ms() >= code.expires_ms:
        raise CannotPay("CODE_EXPIRED", "the QR code is no longer valid")
    trade = operations.trade_named(twin, code.merchant, code.out_trade_no)
    if trade is None:
        trade = operations.add_trade(twin, owner=code.merchant, out_trade_no=code.out_trade_no, terms=code.terms)
    elif trade.terms.fingerprint != code.terms.fingerprint:
        raise CannotPay("CONTEXT_INCONSISTENT", "another QR code of this order was opened, with other terms")
    return trades.bind(twin.books, trade, payer)


def goods(trade: Trade) -> list[dict[str, object]]:
    """What the payer is shown of the order's goods; `price_fen` is per unit."""
    return [
        {
            "name": str(item.get("goods_name", "")),
            "quantity": str(item.get("quantity", "")),
            "price_fen": fen(item.get("price")),
        }
        for item in trade.terms.request.get("goods_detail") or ()
    ]


def pay_regardless(twin: Context, *, owner: str, out_trade_no: str) -> None:
    """Somebody pays all the same: before the code was shown, or after the trade was closed. For faults."""
    trade = operations.trade_named(twin, owner, out_trade_no)
    if trade is None:
        code = trades.newest_code(twin.books, wallet=ALIPAY, merchant=owner, out_trade_no=out_trade_no)
        if code is None:
            return
        trade = scan(twin, code, DEFAULT_PAYER)
    if trade.state is not State.PAID:
        pay(twin, trade, trade.payer or DEFAULT_PAYER)


def pay(twin: Context, trade: Trade, payer: str) -> Trade:
    """The payer pays, and the merchant is told."""
    request = trade.terms.request
    goods_nums = tuple(str(item.get("goods_id", "")) for item in request.get("goods_detail") or ())
    trade = paying.take_money(
        twin.books,
        trade,
        payer,
        goods=goods_nums,
        fixed_fen=fen(request.get("undiscountable_amount")) or 0,
        now_ms=twin.now_ms(),
    )
    notify.paid(twin, trade)
    return trade
