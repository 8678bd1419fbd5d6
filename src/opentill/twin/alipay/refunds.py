"""Refunds and their query (channels A.11, A.12). Money goes back at once."""

import re
from typing import Any

from opentill.twin import refunds, times, trades
from opentill.twin.alipay import notify, operations, views
from opentill.twin.alipay import terms as reading
from opentill.twin.alipay.wire import Call, Failure
from opentill.twin.amounts import fen, yuan
from opentill.twin.context import Context
from opentill.twin.merchants import ALIPAY
from opentill.twin.refunds import Refund, RefundTerms
from opentill.twin.trades import Trade

_OUT_REQUEST_NO = re.compile(r"[0-9A-Za-z_\-]{1,64}", re.ASCII)


def refund(twin: Context, call: Call) -> dict[str, Any]:
    """Refund part or all. The same request number again changes nothing and says so (`fund_change` N)."""
    amount_fen = fen(call.biz.get("refund_amount"))
    if not amount_fen:
        raise reading.invalid("refund_amount")
    if len(call.text("refund_reason")) > 256:
        raise reading.invalid("refund_reason")
    trade = operations.wanted_trade(twin, call)
    number = call.text("out_request_no")
    if not number and amount_fen != trade.total_fen:
        raise reading.invalid("out_request_no")  # channels A.11: required for a part
    number = number or trade.out_trade_no
    if _OUT_REQUEST_NO.fullmatch(number) is None:
        raise reading.invalid("out_request_no")
    earlier = refunds.in_trade(twin.books, trade.id, number)
    if earlier is not None:
        if earlier.amount_fen != amount_fen:
            raise Failure("40004", "ACQ.DISCORDANT_REPEAT_REQUEST", "不一致的请求", node=views.named(trade))
        return _refunded(trade, earlier, _back_fen(twin, trade, earlier), is_new=False)
    _check(twin, call, trade, amount_fen)
    given = give_back(twin, trade, out_refund_no=number, amount_fen=amount_fen, reason=call.text("refund_reason"))
    trade = trades.by_id(twin.books, trade.id)
    return _refunded(trade, given, _back_fen(twin, trade, given), is_new=True)


def refund_query(twin: Context, call: Call) -> dict[str, Any]:
    """10000 says that the query worked; only `refund_status` says that a refund succeeded."""
    number = call.text("out_request_no")
    if not number:
        raise reading.invalid("out_request_no")
    trade = operations.wanted_trade(twin, call)
    found = refunds.in_trade(twin.books, trade.id, number)
    if found is None:
        return {}
    answer: dict[str, Any] = {
        **views.named(trade),
        "out_request_no": number,
        "total_amount": yuan(trade.total_fen),
        "refund_amount": yuan(found.amount_fen),
        "refund_status": "REFUND_SUCCESS",
    }
    if found.terms.reason:
        answer["refund_reason"] = found.terms.reason
    back_fen = _back_fen(twin, trade, found)
    optional = {
        "gmt_refund_pay": times.wall_text(found.done_ms),
        "refund_detail_item_list": _details(back_fen),
        "send_back_fee": yuan(back_fen),
    }
    wanted = call.biz.get("query_options") or []
    return answer | {name: value for name, value in optional.items() if name in wanted or name == "send_back_fee"}


def give_back(twin: Context, trade: Trade, *, out_refund_no: str, amount_fen: int, reason: str) -> Refund:
    """The money moves, and the merchant is told (channels A.15)."""
    now_ms = twin.now_ms()
    given = refunds.add(
        twin.books,
        trade,
        out_refund_no=out_refund_no,
        refund_no=trades.new_number(trades.day_text(now_ms) + "01", 18),
        amount_fen=amount_fen,
        now_ms=now_ms,
        due_ms=now_ms,
        terms=RefundTerms(reason=reason),
    )
    after = trades.by_id(twin.books, trade.id)
    notify.refunded(twin, after, given, back_fen=_back_fen(twin, after, given))
    return given


def _check(twin: Context, call: Call, trade: Trade, amount_fen: int) -> None:
    """Whether the trade can be refunded by this much. Raises Failure."""
    node = views.named(trade)
    status = views.status(trade, now_ms=twin.now_ms())
    if status == views.FINISHED:
        raise Failure("40004", "ACQ.TRADE_HAS_FINISHED", "交易已完结", node=node)
    if trade.is_refunded:
        raise Failure("40004", "ACQ.TRADE_HAS_CLOSE", "交易已经关闭", node=node)
    if status != views.SUCCESS:
        raise Failure("40004", "ACQ.TRADE_STATUS_ERROR", "交易状态不合法", node=node)
    if trade.refunded_fen + amount_fen > trade.total_fen:
        raise Failure("40004", "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额超限", node=node)
    if twin.merchants.is_out_of_money(ALIPAY, call.owner):
        raise Failure("40004", "ACQ.SELLER_BALANCE_NOT_ENOUGH", "卖家余额不足", node=node)


def _refunded(trade: Trade, found: Refund, back_fen: int, *, is_new: bool) -> dict[str, Any]:
    return {
        **views.named(trade),
        **views.buyer(trade),
        "fund_change": "Y" if is_new else "N",
        "refund_fee": yuan(trade.refunded_fen),  # cumulative (channels A.11)
        "send_back_fee": yuan(back_fen),
        "gmt_refund_pay": times.wall_text(found.done_ms),
        "refund_detail_item_list": _details(back_fen),
    }


def _details(back_fen: int) -> list[dict[str, str]]:
    return [{"fund_channel": "ALIPAYACCOUNT", "amount": yuan(back_fen)}]


def _back_fen(twin: Context, trade: Trade, found: Refund) -> int:
    """What the payer got back by this refund."""
    before = [one.amount_fen for one in refunds.of_trade(twin.books, trade.id) if one.id < found.id]
    return refunds.payer_part_fen(trade, before_fen=sum(before), amount_fen=found.amount_fen)
