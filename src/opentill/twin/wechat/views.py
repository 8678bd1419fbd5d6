"""A trade as WeChat Pay words it: the answer of a query is also the content of a callback (channels B.5, B.8)."""

from typing import Any

from opentill.twin import payers, refunds, times
from opentill.twin.books import Books
from opentill.twin.coupons import BY_MERCHANT, Coupon
from opentill.twin.refunds import Refund, RefundState
from opentill.twin.trades import State, Trade

TRADE_TYPES = {"native": "NATIVE", "jsapi": "JSAPI", "codepay": "MICROPAY"}
_ACCOUNT = "支付用户零钱"
_STATES = {
    State.OPEN: ("NOTPAY", "订单未支付"),
    State.PASSWORD: ("USERPAYING", "用户支付中，需要输入密码"),
    State.PAID: ("SUCCESS", "支付成功"),
    State.CLOSED: ("CLOSED", "订单已关闭"),
    State.REVOKED: ("REVOKED", "订单已撤销"),
    State.FAILED: ("PAYERROR", "支付失败"),
}


def states(trade: Trade) -> tuple[str, str]:
    """`trade_state` and `trade_state_desc`. REFUND is still a paid order (channels B.5)."""
    if trade.state is State.PAID and trade.refunded_fen:
        return "REFUND", "订单发生过退款"
    return _STATES[trade.state]


def queried(trade: Trade) -> dict[str, Any]:
    """The transaction. Unpaid ones lack its number, the payer and what the payer paid."""
    state, words = states(trade)
    amount: dict[str, Any] = {"total": trade.total_fen, "currency": "CNY"}
    answer: dict[str, Any] = parties(trade) | {
        "out_trade_no": trade.out_trade_no,
        "trade_state": state,
        "trade_state_desc": words,
        "amount": amount,
    }
    if trade.terms.attach:
        answer["attach"] = trade.terms.attach
    device_id = trade.terms.request.get("scene_info", {}).get("device_id")
    if device_id:
        answer["scene_info"] = {"device_id": device_id}
    if not trade.paid_ms:
        return answer
    amount |= {"payer_total": trade.payer_fen, "payer_currency": "CNY"}
    if trade.coupons:
        answer["promotion_detail"] = [_promotion(trade, coupon) for coupon in trade.coupons]
    return answer | {
        "transaction_id": trade.trade_no,
        "trade_type": TRADE_TYPES[trade.terms.product],
        "bank_type": "OTHERS",
        "success_time": times.rfc3339(trade.paid_ms),
        "payer": _payer(trade),
    }


def parties(trade: Trade) -> dict[str, str]:
    """Who sells: a merchant, or a partner and the merchant it serves (channels B.4)."""
    return trade.terms.partner or {"appid": trade.terms.app_id, "mchid": trade.merchant}


def refunded(books: Books, trade: Trade, refund: Refund) -> dict[str, Any]:
    """The answer of a refund and of its query (channels B.7)."""
    amount = refund_amounts(books, trade, refund) | {
        "settlement_total": trade.total_fen - trade.merchant_discount_fen,
        "currency": "CNY",
        "refund_fee": 0,
        "from": [],
    }
    amount["settlement_refund"] = amount["payer_refund"]
    amount["discount_refund"] = amount["refund"] - amount["payer_refund"]
    answer: dict[str, Any] = {
        "refund_id": refund.refund_no,
        "out_refund_no": refund.out_refund_no,
        "transaction_id": trade.trade_no,
        "out_trade_no": trade.out_trade_no,
        "channel": "ORIGINAL",
        "user_received_account": _ACCOUNT,
        "create_time": times.rfc3339(refund.created_ms),
        "status": refund.state,
        "funds_account": "AVAILABLE",
        "amount": amount,
        "promotion_detail": [],
    }
    return answer | _success_time(refund)


def refund_news(books: Books, trade: Trade, refund: Refund) -> dict[str, Any]:
    """The content of a refund's callback, which calls the status otherwise than the API does (channels B.8)."""
    names = {name: value for name, value in parties(trade).items() if name.endswith("mchid")}
    return (
        names
        | {
            "transaction_id": trade.trade_no,
            "out_trade_no": trade.out_trade_no,
            "refund_id": refund.refund_no,
            "out_refund_no": refund.out_refund_no,
            "refund_status": refund.state,
            "user_received_account": _ACCOUNT,
            "amount": refund_amounts(books, trade, refund),
        }
        | _success_time(refund)
    )


def refund_amounts(books: Books, trade: Trade, refund: Refund) -> dict[str, Any]:
    before = [one for one in refunds.of_trade(books, trade.id) if one.id < refund.id]
    before_fen = sum(one.amount_fen for one in before if one.state is not RefundState.CLOSED)
    return {
        "total": trade.total_fen,
        "refund": refund.amount_fen,
        "payer_total": trade.payer_fen,
        "payer_refund": refunds.payer_part_fen(trade, before_fen=before_fen, amount_fen=refund.amount_fen),
    }


def _success_time(refund: Refund) -> dict[str, str]:
    return {"success_time": times.rfc3339(refund.done_ms)} if refund.state is RefundState.SUCCESS else {}


def _payer(trade: Trade) -> dict[str, str]:
    partner = trade.terms.partner
    if not partner:
        return {"openid": payers.openid(trade.payer, appid=trade.terms.app_id)}
    openids = {"sp_openid": payers.openid(trade.payer, appid=partner["sp_appid"])}
    if "sub_appid" in partner:
        openids["sub_openid"] = payers.openid(trade.payer, appid=partner["sub_appid"])
    return openids


def _promotion(trade: Trade, coupon: Coupon) -> dict[str, Any]:
    """A single-item coupon. CASH: WeChat Pay bears it and the seller gets the whole; NOCASH: the seller bears it."""
    is_merchants = coupon.funded_by == BY_MERCHANT
    goods = trade.terms.request["detail"]["goods_detail"]
    item = next(item for item in goods if item["merchant_goods_id"] == coupon.goods_num)
    return {
        "coupon_id": f"{coupon.id:016d}",
        "name": coupon.name,
        "scope": "SINGLE",
        "type": "NOCASH" if is_merchants else "CASH",
        "amount": coupon.amount_fen,
        "stock_id": f"{coupon.id:08d}",
        "wechatpay_contribute": 0 if is_merchants else coupon.amount_fen,
        "merchant_contribute": coupon.amount_fen if is_merchants else 0,
        "other_contribute": 0,
        "currency": "CNY",
        "goods_detail": [
            {
                "goods_id": coupon.goods_num,
                "quantity": item["quantity"],
                "unit_price": item["unit_price"],
                "discount_amount": coupon.amount_fen,
            }
        ],
    }
