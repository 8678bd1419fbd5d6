"""Somebody opens a WeChat Pay code on the phone and pays, or does not."""

from opentill.twin import paying, trades
from opentill.twin.context import Context
from opentill.twin.payers import DEFAULT_PAYER
from opentill.twin.paying import CannotPay
from opentill.twin.trades import Code, State, Trade
from opentill.twin.wechat import notify, operations


def scan(twin: Context, code: Code, payer: str) -> Trade:
    """Open the cashier; the order belongs to the first who does (channels B.4). Raises CannotPay."""
    if code.is_replaced:
        raise CannotPay("CODE_REPLACED", "a newer QR code of this order was issued")
    if twin.now_ms() >= code.expires_ms:
        raise CannotPay("CODE_EXPIRED", "the QR code is no longer valid")
    trade = operations.trade_named(twin, code.merchant, code.out_trade_no)
    assert trade is not None  # made before its code
    return trades.bind(twin.books, trade, payer) if trade.state is State.OPEN else trade


def goods(trade: Trade) -> list[dict[str, object]]:
    """What the payer is shown of the order's goods; `price_fen` is per unit."""
    return [
        {
            "name": str(item.get("goods_name", "")),
            "quantity": str(item.get("quantity", "")),
            "price_fen": item.get("unit_price"),
        }
        for item in trade.terms.request.get("detail", {}).get("goods_detail", ())
    ]


def pay_regardless(twin: Context, *, mchid: str, out_trade_no: str) -> None:
    """Somebody pays all the same: before the code was shown, or after the order was closed. For faults."""
    trade = operations.trade_named(twin, mchid, out_trade_no)
    if trade is not None and trade.state is not State.PAID:
        pay(twin, trade, trade.payer or DEFAULT_PAYER)


def pay(twin: Context, trade: Trade, payer: str) -> Trade:
    """The payer pays, and the merchant is told."""
    detail = trade.terms.request.get("detail", {})
    goods_nums = tuple(str(item["merchant_goods_id"]) for item in detail.get("goods_detail", ()))
    trade = paying.take_money(twin.books, trade, payer, goods=goods_nums, now_ms=twin.now_ms())
    notify.paid(twin, trade)
    return trade
