"""A trade as Alipay words it, in answers and in callbacks."""

from typing import Any

from opentill.twin import payers, times
from opentill.twin.amounts import yuan
from opentill.twin.trades import State, Trade

WAITING = "WAIT_BUYER_PAY"
SUCCESS = "TRADE_SUCCESS"
FINISHED = "TRADE_FINISHED"
CLOSED = "TRADE_CLOSED"
# channels A.8: paid and no longer refundable. Face-to-face payments can be refunded for a year.
REFUNDABLE_MS = 365 * times.DAY_MS


def status(trade: Trade, *, now_ms: int) -> str:
    """`trade_status` (channels A.8): a full refund ends in TRADE_CLOSED as well."""
    if trade.state in (State.OPEN, State.PASSWORD):
        return WAITING
    if trade.state is not State.PAID or trade.is_refunded:
        return CLOSED
    return SUCCESS if now_ms < trade.paid_ms + REFUNDABLE_MS else FINISHED


def queried(trade: Trade, *, now_ms: int) -> dict[str, Any]:
    """The answer of a query."""
    answer: dict[str, Any] = {
        "trade_no": trade.trade_no,
        "out_trade_no": trade.out_trade_no,
        **buyer(trade),
        "trade_status": status(trade, now_ms=now_ms),
        "total_amount": yuan(trade.total_fen),
        **paid_amounts(trade),
    }
    if trade.paid_ms:
        answer["send_pay_date"] = times.wall_text(trade.paid_ms)
        answer["fund_bill_list"] = fund_bill(trade)
    answer |= {name: trade.terms.request[name] for name in ("store_id", "terminal_id") if trade.terms.request.get(name)}
    if trade.terms.attach:
        answer["passback_params"] = trade.terms.attach
    return answer


def buyer(trade: Trade) -> dict[str, str]:
    if not trade.payer:
        return {}
    user = payers.alipay_user(trade.payer, app_id=trade.terms.app_id)
    return {"buyer_user_id": user.user_id, "buyer_open_id": user.open_id, "buyer_logon_id": user.logon_id}


def paid_amounts(trade: Trade) -> dict[str, str]:
    """What the buyer paid and the seller receives; zeros as long as nothing is paid.

    A coupon of the merchant's own (`mdiscount_amount`) lowers both.
    """
    paid_fen = trade.payer_fen if trade.paid_ms else 0
    discount_fen = trade.discount_fen if trade.paid_ms else 0
    amounts = {
        "receipt_amount": yuan(paid_fen),
        "buyer_pay_amount": yuan(paid_fen),
        "invoice_amount": yuan(paid_fen),
        "point_amount": yuan(0),
    }
    if discount_fen:
        amounts |= {"discount_amount": yuan(0), "mdiscount_amount": yuan(discount_fen)}
    return amounts


def fund_bill(trade: Trade) -> list[dict[str, str]]:
    """What the money came from."""
    parts = [{"fund_channel": "ALIPAYACCOUNT", "amount": yuan(trade.payer_fen)}]
    if trade.discount_fen:
        parts.append({"fund_channel": "MDISCOUNT", "amount": yuan(trade.discount_fen)})
    return parts
