"""Ending a trade: close for unpaid ones, cancel for any (channels A.9, A.10)."""

from typing import Any

from opentill.twin import times, trades
from opentill.twin.alipay import operations, refunds, views
from opentill.twin.alipay.wire import Call, Failure
from opentill.twin.context import Context
from opentill.twin.trades import State, Trade

CANCEL_WITHIN_MS = times.DAY_MS


def close(twin: Context, call: Call) -> dict[str, Any]:
    """Only a trade that waits for the buyer can be closed; no callback tells of it."""
    trade = operations.wanted_trade(twin, call)
    if trade.state is State.PAID:
        raise Failure("40004", "ACQ.TRADE_STATUS_ERROR", "交易状态不合法", node=views.named(trade))
    if trade.state not in (State.OPEN, State.PASSWORD):
        raise Failure("40004", "ACQ.REASON_TRADE_STATUS_INVALID", "交易状态异常", node=views.named(trade))
    return views.named(trades.move(twin.books, trade, State.CLOSED, now_ms=twin.now_ms()))


def cancel(twin: Context, call: Call) -> dict[str, Any]:
    """Close what is unpaid, refund what is paid. An order number nobody knows is a success without an action."""
    try:
        trade = operations.wanted_trade(twin, call)
    except Failure as failure:
        if failure.sub_code != "ACQ.TRADE_NOT_EXIST" or call.text("trade_no"):
            raise
        return {"out_trade_no": call.text("out_trade_no"), "retry_flag": "N"}
    status = views.status(trade, now_ms=twin.now_ms())
    if status == views.FINISHED:
        raise Failure("40004", "ACQ.TRADE_HAS_FINISHED", "交易已完结", node=views.named(trade))
    if status != views.CLOSED and twin.now_ms() > trade.created_ms + CANCEL_WITHIN_MS:
        raise Failure("40004", "ACQ.TRADE_CANCEL_TIME_OUT", "超过撤销时间范围", node=views.named(trade))
    return {**views.named(trade), "retry_flag": "N", "action": _cancelled(twin, trade)}


def _cancelled(twin: Context, trade: Trade) -> str:
    """What was done, or had been done before when the call is repeated."""
    if trade.paid_ms:
        if not trade.is_refunded:
            left_fen = trade.total_fen - trade.refunded_fen
            refunds.give_back(twin, trade, out_refund_no=f"{trade.out_trade_no}_cancel", amount_fen=left_fen, reason="")
        return "refund"
    if trade.state is not State.CLOSED:
        trades.move(twin.books, trade, State.CLOSED, now_ms=twin.now_ms())
    return "close"
