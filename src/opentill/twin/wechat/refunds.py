"""Refunds: accepted first, done a moment later (channels B.7)."""

import re
from typing import Any

from opentill.twin import refunds, times, trades
from opentill.twin.context import Context
from opentill.twin.merchants import WECHAT
from opentill.twin.refunds import Refund, RefundState, RefundTerms
from opentill.twin.trades import Trade
from opentill.twin.wechat import notify, operations, views
from opentill.twin.wechat import terms as reading
from opentill.twin.wechat.wire import Call, Failure

WITHIN_MS = 365 * times.DAY_MS
MOST_REFUNDS = 50
SHORTEST_GAP_MS = times.MINUTE_MS
_OUT_REFUND_NO = re.compile(r"[0-9A-Za-z_\-|*@]{1,64}", re.ASCII)


def refund(twin: Context, call: Call) -> dict[str, Any]:
    """Accept a refund, or repeat what became of it when the number was used before with the same values."""
    body = call.body
    reading.check_text(body)
    number, amount_fen = _read_number(body), _read_amount(body)
    trade = _wanted_trade(twin, call)
    earlier = refunds.numbered(twin.books, wallet=WECHAT, merchant=call.mchid, out_refund_no=number)
    if earlier is not None:
        if (earlier.trade_id, earlier.amount_fen) != (trade.id, amount_fen):
            raise Failure(400, "INVALID_REQUEST", "商户退款单号重复，请求参数与原退款不一致")
        return views.refunded(twin.books, trade, earlier)
    _check(twin, call, trade, amount_fen)
    now_ms = twin.now_ms()
    accepted = refunds.add(
        twin.books,
        trade,
        out_refund_no=number,
        refund_no=trades.new_number("5030" + trades.day_text(now_ms), 16),
        amount_fen=amount_fen,
        now_ms=now_ms,
        due_ms=now_ms + twin.refund_delay_ms,
        terms=RefundTerms(
            reason=body.get("reason", ""), notify_url=body.get("notify_url", ""), signed_by=call.signed_by
        ),
    )
    if accepted.state is RefundState.SUCCESS:
        notify.refunded(twin, accepted)
    twin.settling.wake()
    return views.refunded(twin.books, trades.by_id(twin.books, trade.id), accepted)


def refund_query(twin: Context, call: Call) -> dict[str, Any]:
    settle(twin)
    number = call.path["out_refund_no"]
    found = refunds.numbered(twin.books, wallet=WECHAT, merchant=call.mchid, out_refund_no=number)
    trade = None if found is None else trades.by_id(twin.books, found.trade_id)
    if found is None or trade is None or not operations.belongs(call, trade):
        raise Failure(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
    return views.refunded(twin.books, trade, found)


def apply_abnormal_refund(twin: Context, call: Call) -> dict[str, Any]:
    """A person names another account for money that could not go back: it is processed anew."""
    found = refunds.by_refund_no(twin.books, merchant=call.mchid, refund_no=call.path["refund_id"])
    if found is None or found.out_refund_no != call.body.get("out_refund_no"):
        raise Failure(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
    if found.state is not RefundState.ABNORMAL:
        raise Failure(400, "INVALID_REQUEST", "退款单状态不是退款异常")
    due_ms = twin.now_ms() + twin.refund_delay_ms
    again = refunds.move(twin.books, found, RefundState.PROCESSING, now_ms=twin.now_ms(), due_ms=due_ms)
    twin.settling.wake()
    return views.refunded(twin.books, trades.by_id(twin.books, again.trade_id), again)


def hurry(twin: Context, call: Call) -> None:
    """Let the refund of this call succeed at once. For faults."""
    number = str(call.body.get("out_refund_no", ""))
    found = refunds.numbered(twin.books, wallet=WECHAT, merchant=call.mchid, out_refund_no=number)
    if found is not None and found.state is RefundState.PROCESSING:
        with twin.books.write():
            finish(twin, found, RefundState.SUCCESS)


def settle(twin: Context) -> int | None:
    """What is due succeeds. When the next refund is due."""
    for refund in refunds.due(twin.books, now_ms=twin.now_ms()):
        with twin.books.write():
            finish(twin, refund, RefundState.SUCCESS)
    return refunds.next_due_ms(twin.books)


def finish(twin: Context, refund: Refund, to: RefundState) -> Refund:
    """A refund ends, and the merchant is told how."""
    done = refunds.move(twin.books, refund, to, now_ms=twin.now_ms())
    notify.refunded(twin, done)
    return done


def _read_number(body: dict[str, Any]) -> str:
    number = body.get("out_refund_no")
    if not isinstance(number, str) or _OUT_REFUND_NO.fullmatch(number) is None:
        raise reading.invalid("out_refund_no", "1 到 64 位数字、字母或 _-|*@")
    for name, length in {"reason": 80, "notify_url": 256}.items():
        if not isinstance(body.get(name, ""), str) or len(body.get(name, "")) > length:
            raise reading.invalid(name, f"最长 {length}")
    return number


def _read_amount(body: dict[str, Any]) -> int:
    amount = body.get("amount")
    if not isinstance(amount, dict) or amount.get("currency") != "CNY":
        raise reading.invalid("amount/currency", "CNY")
    for name in ("refund", "total"):
        value = amount.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise reading.invalid(f"amount/{name}", "正整数，单位分")
    refund_fen: int = amount["refund"]
    return refund_fen


def _wanted_trade(twin: Context, call: Call) -> Trade:
    body = call.body
    if body.get("transaction_id"):
        trade = trades.by_trade_no(
            twin.books, wallet=WECHAT, merchant=call.mchid, trade_no=str(body["transaction_id"]), now_ms=twin.now_ms()
        )
    elif body.get("out_trade_no"):
        trade = operations.trade_named(twin, call.mchid, str(body["out_trade_no"]))
    else:
        raise reading.invalid("out_trade_no", "与 transaction_id 必填其一")
    if trade is None or not operations.belongs(call, trade):
        raise Failure(404, "RESOURCE_NOT_EXISTS", "订单不存在", number=268512771)
    return trade


def _check(twin: Context, call: Call, trade: Trade, amount_fen: int) -> None:
    """Whether the trade can be refunded by this much now. Raises Failure."""
    now_ms = twin.now_ms()
    if not trade.paid_ms:
        raise Failure(400, "INVALID_REQUEST", "订单未支付")
    if call.body["amount"]["total"] != trade.total_fen:
        raise Failure(400, "INVALID_REQUEST", "订单金额与原订单不一致")
    if now_ms > trade.paid_ms + WITHIN_MS:
        raise Failure(400, "INVALID_REQUEST", "订单已超过可退款的最大期限")
    if trade.refunded_fen + amount_fen > trade.total_fen:
        raise Failure(400, "INVALID_REQUEST", "申请退款金额超过订单可退金额")
    earlier = refunds.of_trade(twin.books, trade.id)
    if len(earlier) >= MOST_REFUNDS:
        raise Failure(400, "INVALID_REQUEST", "订单退款次数超过上限")
    if earlier and now_ms < earlier[-1].created_ms + SHORTEST_GAP_MS:
        raise Failure(429, "FREQUENCY_LIMITED", "同一订单两次退款间隔过短，请稍后用原退款单号重试")
    if twin.merchants.is_out_of_money(WECHAT, call.mchid):
        raise Failure(403, "NOT_ENOUGH", "商户账户余额不足")
