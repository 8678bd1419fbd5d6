"""A trade as WeChat Pay words it: the answer of a query is also the content of a callback (channels B.5, B.8)."""

from typing import Any

from opentill.twin import payers, times
from opentill.twin.trades import State, Trade

TRADE_TYPES = {"native": "NATIVE", "jsapi": "JSAPI", "codepay": "MICROPAY"}
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
    device_id = (trade.terms.request.get("scene_info") or {}).get("device_id")
    if device_id:
        answer["scene_info"] = {"device_id": device_id}
    if not trade.paid_ms:
        return answer
    amount |= {"payer_total": trade.payer_fen, "payer_currency": "CNY"}
    return answer | {
        "transaction_id": trade.trade_no,
        "trade_type": TRADE_TYPES[trade.terms.product],
        "bank_type": "OTHERS",
        "success_time": times.rfc3339(trade.paid_ms),
        "payer": {"openid": payers.openid(trade.payer, appid=trade.terms.app_id)},
    }


def parties(trade: Trade) -> dict[str, str]:
    """Who sells: a merchant, or a partner and the merchant it serves (channels B.4)."""
    return trade.terms.partner or {"appid": trade.terms.app_id, "mchid": trade.merchant}
