"""`alipay.trade.pay`: the seller reads the payer's code (channels A.13)."""

import re
from typing import Any

from opentill.twin import paying, trades
from opentill.twin.alipay import cashier, operations, views, wire
from opentill.twin.alipay import terms as reading
from opentill.twin.alipay.wire import Call, Failure
from opentill.twin.context import Context
from opentill.twin.payers import DEFAULT_PAYER
from opentill.twin.paying import Payer
from opentill.twin.trades import State, Trade

_AUTH_CODE = re.compile(r"(?:2[5-9]|30)\d{14,22}|fp[0-9A-Za-z]{14,62}", re.ASCII)
_SCENES = ("bar_code", "security_code", "")


def pay(twin: Context, call: Call) -> dict[str, Any]:
    """Charge at once, or ask the payer for the password first, or fail; the code's last digits decide."""
    out_trade_no, terms = reading.read_terms(call, product="pay", now_ms=twin.now_ms())
    if call.text("scene") not in _SCENES:
        raise reading.invalid("scene")
    auth_code = call.text("auth_code")
    if _AUTH_CODE.fullmatch(auth_code) is None:
        raise Failure(
            "40004", "ACQ.PAYMENT_AUTH_CODE_INVALID", "支付失败，获取顾客账户信息失败，请顾客刷新付款码后重新收款"
        )
    trade = operations.trade_named(twin, call.owner, out_trade_no)
    operations.check_repeat(trade, terms)
    if trade is None:
        trade = operations.add_trade(twin, owner=call.owner, out_trade_no=out_trade_no, terms=terms)
    if trade.state is State.PASSWORD:
        return _asked(trade)
    return _charged(twin, trade, paying.behaviour(auth_code))


def _charged(twin: Context, trade: Trade, behaviour: Payer) -> dict[str, Any]:
    match behaviour:
        case Payer.ASKS_PASSWORD:
            _record(twin, trade, "password")
            return _asked(trades.move(twin.books, trade, State.PASSWORD, payer=DEFAULT_PAYER, now_ms=twin.now_ms()))
        case Payer.LACKS_MONEY:
            _record(twin, trade, paying.FAIL)
            return wire.failed(Failure("40004", "ACQ.BUYER_BALANCE_NOT_ENOUGH", "余额不足", node=views.named(trade)))
        case Payer.LEAVES_UNKNOWN:
            _record(twin, trade, paying.SUCCESS)
            cashier.pay(twin, trade, DEFAULT_PAYER)
            return wire.failed(Failure("20000", "isp.unknow-error", "系统繁忙"))
        case Payer.PAYS:
            _record(twin, trade, paying.SUCCESS)
            return views.charged(cashier.pay(twin, trade, DEFAULT_PAYER))


def _asked(trade: Trade) -> dict[str, Any]:
    """10003: the buyer is typing the password."""
    return wire.succeeded({**views.named(trade), **views.buyer(trade)}, code="10003")


def _record(twin: Context, trade: Trade, result: str) -> None:
    trades.add_attempt(
        twin.books, trade, payer=DEFAULT_PAYER, result=result, reason="payment code", now_ms=twin.now_ms()
    )
