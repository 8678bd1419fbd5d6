"""Ordering and asking (channels B.4, B.5)."""

from typing import Any

from opentill.twin import trades
from opentill.twin.context import Context
from opentill.twin.merchants import WECHAT
from opentill.twin.trades import Code, State, Terms, Trade
from opentill.twin.wechat import terms as reading
from opentill.twin.wechat import views
from opentill.twin.wechat.wire import Call, Failure, new_nonce

Answer = dict[str, Any]


def native(twin: Context, call: Call) -> Answer:
    """Order and issue a QR code; the trade exists at once (channels B.4)."""
    out_trade_no, terms = reading.read_terms(call, product="native", now_ms=twin.now_ms())
    trade = ordered(twin, call, out_trade_no, terms)
    code = f"weixin://wxpay/bizpayurl?pr={new_nonce(9)}zz"
    add_code(twin, trade, code)
    return {"code_url": code}


def query_by_order(twin: Context, call: Call) -> Answer:
    reading.check_signer(call, call.query)
    return views.queried(wanted_trade(twin, call))


def close(twin: Context, call: Call) -> None:
    """204 without a body, also when it is closed already (channels B.6)."""
    reading.check_signer(call, call.body)
    trade = wanted_trade(twin, call)
    if trade.paid_ms:
        raise Failure(400, "ORDERPAID", "该订单已支付", number=268449538)
    if trade.terms.product == "codepay":
        raise Failure(400, "INVALID_REQUEST", "付款码支付的订单请调用撤销接口")
    if trade.state is State.OPEN:
        trades.move(twin.books, trade, State.CLOSED, now_ms=twin.now_ms())


def query_by_transaction(twin: Context, call: Call) -> Answer:
    reading.check_signer(call, call.query)
    trade = trades.by_trade_no(
        twin.books,
        wallet=WECHAT,
        merchant=call.mchid,
        trade_no=call.path["transaction_id"],
        now_ms=twin.now_ms(),
    )
    if trade is None or not trade.paid_ms or not belongs(call, trade):
        raise not_exist()
    return views.queried(trade)


def ordered(twin: Context, call: Call, out_trade_no: str, terms: Terms) -> Trade:
    """The new trade, or the one that exists when the call repeats it (channels B.4). Raises Failure."""
    now_ms = twin.now_ms()
    trade = trade_named(twin, call.mchid, out_trade_no)
    if trade is None:
        trade_no = trades.new_number("4200002" + trades.day_text(now_ms), 13)
        return trades.add_trade(
            twin.books,
            wallet=WECHAT,
            merchant=call.mchid,
            out_trade_no=out_trade_no,
            trade_no=trade_no,
            terms=terms,
            now_ms=now_ms,
        )
    if trade.paid_ms:
        raise Failure(400, "ORDERPAID", "该订单已支付", number=268449538)
    if trade.state is not State.OPEN:
        raise Failure(400, "ORDER_CLOSED", "该订单已关闭", number=268447914)
    if (trade.terms.fingerprint, trade.terms.product) != (terms.fingerprint, terms.product):
        raise Failure(403, "OUT_TRADE_NO_USED", "商户订单号重复，请求参数不一致", number=268498688)
    return trade


def add_code(twin: Context, trade: Trade, code: str) -> None:
    """A new code lives two hours and kills the earlier ones (channels B.4)."""
    trades.replace_codes(twin.books, wallet=WECHAT, merchant=trade.merchant, out_trade_no=trade.out_trade_no)
    trades.add_code(
        twin.books,
        Code(
            code=code,
            wallet=WECHAT,
            merchant=trade.merchant,
            out_trade_no=trade.out_trade_no,
            expires_ms=min(trade.expires_ms, twin.now_ms() + reading.CODE_LIFE_MS),
            is_replaced=False,
            terms=trade.terms,
        ),
    )


def wanted_trade(twin: Context, call: Call) -> Trade:
    """The trade that the path names. Raises Failure."""
    trade = trade_named(twin, call.mchid, call.path["out_trade_no"])
    if trade is None or not belongs(call, trade):
        raise not_exist()
    return trade


def trade_named(twin: Context, mchid: str, out_trade_no: str) -> Trade | None:
    return trades.by_out_trade_no(
        twin.books, wallet=WECHAT, merchant=mchid, out_trade_no=out_trade_no, now_ms=twin.now_ms()
    )


def belongs(call: Call, trade: Trade) -> bool:
    """Whether the trade is of the merchant that the request speaks of: a partner's are kept apart by `sub_mchid`."""
    return trade.terms.partner.get("sub_mchid", "") == call.sub_mchid


def not_exist() -> Failure:
    return Failure(404, "ORDER_NOT_EXIST", "订单不存在", number=268512771)
