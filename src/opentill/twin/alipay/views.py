"""A trade as Alipay words it, in answers and in callbacks."""

from collections.abc import Sequence
from typing import Any

import msgspec

from opentill.twin import payers, times
from opentill.twin.amounts import yuan
from opentill.twin.coupons import BY_MERCHANT
from opentill.twin.trades import State, Trade

WAITING = "WAIT_BUYER_PAY"
SUCCESS = "TRADE_SUCCESS"
FINISHED = "TRADE_FINISHED"
CLOSED = "TRADE_CLOSED"
# channels A.8: paid and no longer refundable. Face-to-face payments can be refunded for a year.
REFUNDABLE_MS = 365 * times.DAY_MS
_GOODS = "discount_goods_detail"


def status(trade: Trade, *, now_ms: int) -> str:
    """`trade_status` (channels A.8): a full refund ends in TRADE_CLOSED as well."""
    if trade.state in (State.OPEN, State.PASSWORD):
        return WAITING
    if trade.state is not State.PAID or trade.is_refunded:
        return CLOSED
    return SUCCESS if now_ms < trade.paid_ms + REFUNDABLE_MS else FINISHED


def queried(trade: Trade, *, now_ms: int, options: Sequence[str] = ()) -> dict[str, Any]:
    """The answer of a query. `options` name what is told only on request."""
    answer: dict[str, Any] = {
        **named(trade),
        **buyer(trade),
        "trade_status": status(trade, now_ms=now_ms),
        "total_amount": yuan(trade.total_fen),
        **paid_amounts(trade),
    }
    if trade.paid_ms:
        answer["send_pay_date"] = times.wall_text(trade.paid_ms)
        answer["fund_bill_list"] = fund_bill(trade)
    if trade.coupons:
        answer["voucher_detail_list"] = vouchers(trade)
        if _GOODS in options:
            answer[_GOODS] = discounted_goods(trade)
    answer |= {name: trade.terms.request[name] for name in ("store_id", "terminal_id") if trade.terms.request.get(name)}
    if trade.terms.attach:
        answer["passback_params"] = trade.terms.attach
    return answer


def charged(trade: Trade) -> dict[str, Any]:
    """The answer of a payment by code that succeeded (channels A.13)."""
    answer: dict[str, Any] = {
        **named(trade),
        **buyer(trade),
        "total_amount": yuan(trade.total_fen),
        **paid_amounts(trade),
        "gmt_payment": times.wall_text(trade.paid_ms),
        "fund_bill_list": fund_bill(trade),
    }
    if trade.coupons:
        answer |= {"voucher_detail_list": vouchers(trade), _GOODS: discounted_goods(trade)}
    return answer


def named(trade: Trade) -> dict[str, str]:
    return {"trade_no": trade.trade_no, "out_trade_no": trade.out_trade_no}


def buyer(trade: Trade) -> dict[str, str]:
    if not trade.payer:
        return {}
    user = payers.alipay_user(trade.payer, app_id=trade.terms.app_id)
    return {"buyer_user_id": user.user_id, "buyer_open_id": user.open_id, "buyer_logon_id": user.logon_id}


def paid_amounts(trade: Trade) -> dict[str, str]:
    """What the buyer paid and the seller receives; zeros as long as nothing is paid.

    The seller bears its own coupons (`mdiscount_amount`), Alipay bears the others (`discount_amount`).
    """
    is_paid = bool(trade.paid_ms)
    paid_fen = trade.payer_fen if is_paid else 0
    received_fen = trade.total_fen - trade.merchant_discount_fen if is_paid else 0
    amounts = {
        "receipt_amount": yuan(received_fen),
        "buyer_pay_amount": yuan(paid_fen),
        "invoice_amount": yuan(paid_fen),
        "point_amount": yuan(0),
    }
    if trade.coupons:
        amounts["discount_amount"] = yuan(trade.discount_fen - trade.merchant_discount_fen)
        amounts["mdiscount_amount"] = yuan(trade.merchant_discount_fen)
    return amounts


def fund_bill(trade: Trade) -> list[dict[str, str]]:
    """What the money came from."""
    by_wallet_fen = trade.discount_fen - trade.merchant_discount_fen
    parts = {
        "ALIPAYACCOUNT": trade.payer_fen,
        "DISCOUNT": by_wallet_fen,
        "MDISCOUNT": trade.merchant_discount_fen,
    }
    return [{"fund_channel": channel, "amount": yuan(part_fen)} for channel, part_fen in parts.items() if part_fen]


def vouchers(trade: Trade) -> list[dict[str, str]]:
    """The coupons that were used, and who bears them."""
    return [
        {
            "id": f"{trade.trade_no[:8]}{coupon.id:020d}",
            "name": coupon.name,
            "type": "ALIPAY_FIX_VOUCHER",
            "amount": yuan(coupon.amount_fen),
            "merchant_contribute": yuan(coupon.amount_fen if coupon.funded_by == BY_MERCHANT else 0),
            "other_contribute": yuan(0 if coupon.funded_by == BY_MERCHANT else coupon.amount_fen),
        }
        for coupon in trade.coupons
    ]


def discounted_goods(trade: Trade) -> str:
    """Which items the coupons were for: a list as a text, as Alipay sends it."""
    goods = [
        {"goods_id": coupon.goods_num, "goods_name": coupon.name, "discount_amount": yuan(coupon.amount_fen)}
        for coupon in trade.coupons
    ]
    return msgspec.json.encode(goods).decode()
