"""Creating a code and asking for a trade (channels A.7, A.8)."""

from typing import Any

from opentill.twin import trades
from opentill.twin.alipay import terms as reading
from opentill.twin.alipay import views
from opentill.twin.alipay.wire import Call, Failure
from opentill.twin.amounts import yuan
from opentill.twin.context import Context
from opentill.twin.merchants import ALIPAY
from opentill.twin.trades import Code, State, Terms, Trade

Node = dict[str, Any]


def precreate(twin: Context, call: Call) -> Node:
    """Issue a QR code. No trade exists before somebody scans it (channels A.7)."""
    now_ms = twin.now_ms()
    out_trade_no, terms = reading.read_terms(call, product="precreate", now_ms=now_ms)
    check_repeat(trade_named(twin, call.owner, out_trade_no), terms)
    code = "https://qr.alipay.com/" + trades.new_number("bax0", 19)
    expires_ms = reading.code_expires_ms(call, terms, now_ms=now_ms)
    trades.add_code(
        twin.books,
        Code(
            code=code,
            wallet=ALIPAY,
            merchant=call.owner,
            out_trade_no=out_trade_no,
            expires_ms=expires_ms,
            is_replaced=False,
            terms=terms,
        ),
    )
    return {"out_trade_no": out_trade_no, "qr_code": code}


def query(twin: Context, call: Call) -> Node:
    options = call.biz.get("query_options")
    asked = options if isinstance(options, list) else []
    return views.queried(wanted_trade(twin, call), now_ms=twin.now_ms(), options=asked)


def wanted_trade(twin: Context, call: Call) -> Trade:
    """The trade that the call names. Raises Failure."""
    if not call.text("trade_no") and not call.text("out_trade_no"):
        raise reading.invalid("out_trade_no, trade_no")
    trade = named_trade(twin, call)
    if trade is None:
        raise not_exist(call.text("out_trade_no"))
    return trade


def named_trade(twin: Context, call: Call) -> Trade | None:
    """The trade that `trade_no` (which wins) or `out_trade_no` names."""
    trade_no = call.text("trade_no")
    if not trade_no:
        return trade_named(twin, call.owner, call.text("out_trade_no"))
    return trades.by_trade_no(twin.books, wallet=ALIPAY, merchant=call.owner, trade_no=trade_no, now_ms=twin.now_ms())


def trade_named(twin: Context, owner: str, out_trade_no: str) -> Trade | None:
    return trades.by_out_trade_no(
        twin.books, wallet=ALIPAY, merchant=owner, out_trade_no=out_trade_no, now_ms=twin.now_ms()
    )


def not_exist(out_trade_no: str) -> Failure:
    """The answer still carries zero amounts (channels A.8)."""
    names = ("buyer_pay_amount", "invoice_amount", "point_amount", "receipt_amount")
    node = {name: yuan(0) for name in names} | ({"out_trade_no": out_trade_no} if out_trade_no else {})
    return Failure("40004", "ACQ.TRADE_NOT_EXIST", "交易不存在", node=node)


def add_trade(twin: Context, *, owner: str, out_trade_no: str, terms: Terms) -> Trade:
    """The trade comes to be: a scan, a payment code, or `alipay.trade.create`."""
    now_ms = twin.now_ms()
    trade_no = trades.new_number(trades.day_text(now_ms) + "22001", 15)
    return trades.add_trade(
        twin.books,
        wallet=ALIPAY,
        merchant=owner,
        out_trade_no=out_trade_no,
        trade_no=trade_no,
        terms=terms,
        now_ms=now_ms,
    )


def check_repeat(trade: Trade | None, terms: Terms) -> None:
    """What a further call with the number of an existing trade meets (channels A.7)."""
    if trade is None:
        return
    if trade.is_refunded or trade.state not in (State.OPEN, State.PASSWORD, State.PAID):
        raise Failure("40004", "ACQ.TRADE_HAS_CLOSE", "交易已经关闭")
    if trade.state is State.PAID:
        raise Failure("40004", "ACQ.TRADE_HAS_SUCCESS", "交易已被支付")
    if trade.terms.fingerprint != terms.fingerprint:
        raise Failure("40004", "ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改")
