"""How faults spoil Alipay's answers and callbacks."""

from collections.abc import Mapping
from typing import Any

import msgspec

from opentill.twin import misbehaving, times
from opentill.twin.alipay.wire import Failure
from opentill.twin.amounts import fen, yuan
from opentill.twin.faults import Hit
from opentill.twin.keys import KeyPair
from opentill.twin.misbehaving import Answer

# channels A.16, method by method.
OPERATIONS = {
    "alipay.trade.precreate": "create",
    "alipay.trade.create": "create",
    "alipay.trade.pay": "pay",
    "alipay.trade.query": "query",
    "alipay.trade.close": "close",
    "alipay.trade.cancel": "cancel",
    "alipay.trade.refund": "refund",
    "alipay.trade.fastpay.refund.query": "refund_query",
    "alipay.data.dataservice.bill.downloadurl.query": "bill",
}
SKEW_MS = times.HOUR_MS
_AMOUNTS = frozenset(
    {"total_amount", "receipt_amount", "buyer_pay_amount", "refund_fee", "send_back_fee", "refund_amount"}
)
_PARTIES = frozenset({"app_id", "auth_app_id", "seller_id"})
_ORDER = frozenset({"out_trade_no", "trade_no"})
_SYSTEM_ERRORS = ("ACQ.SYSTEM_ERROR", "AQC.SYSTEM_ERROR")  # channels 0.1: the second is a real-world typo
_UNKNOWN_ERRORS = ("isp.unknow-error", "aop.unknow-error")


def failure_instead(hit: Hit) -> Failure | None:
    """The failure that a fault puts in place of the answer, whether or not the request was carried out."""
    match hit.fault:
        case "system_error":
            return Failure("40004", _SYSTEM_ERRORS[(hit.count - 1) % 2], "系统异常")
        case "code_20000":
            return Failure("20000", _UNKNOWN_ERRORS[(hit.count - 1) % 2], "系统繁忙")
        case "clock_skew":
            return Failure("40002", "isv.invalid-timestamp", "非法的时间戳参数", is_signed=False)
    return None


def page_instead(hit: Hit) -> Answer | None:
    """What a machine in front of the gateway answers."""
    match hit.fault:
        case "html":
            return misbehaving.page(200, "系统维护中")
        case "http_429":
            return misbehaving.page(429, "Too Many Requests")
        case "http_500":
            return misbehaving.page(500, "Internal Server Error")
    return None


def spoiled(values: Mapping[str, Any], hit: Hit | None) -> dict[str, Any]:
    """An answer or a callback, signed well, that tells of another amount or of another app."""
    match hit.fault if hit else "":
        case "wrong_amount":
            return {name: _more(value) if name in _AMOUNTS else value for name, value in values.items()}
        case "wrong_app":
            # Answers name no app: there the twin answers with somebody else's order.
            names = _PARTIES if "app_id" in values else _ORDER
            return {name: _other(str(value)) if name in names else value for name, value in values.items()}
        case "clock_skew" if "notify_time" in values:
            early_ms = (times.wall_ms(values["notify_time"]) or SKEW_MS) - SKEW_MS
            return {**values, "notify_time": times.wall_text(early_ms)}
    return dict(values)


class WrongKey(msgspec.Struct, frozen=True):
    """Signs, but something else."""

    key: KeyPair

    def sign(self, message: bytes) -> str:
        return self.key.sign(message + b" ")


def _more(value: object) -> object:
    amount_fen = fen(value)
    return value if amount_fen is None else yuan(amount_fen + 1)


def _other(number: str) -> str:
    """Another number of the same shape."""
    return number[:-1] + ("1" if number[-1:] != "1" else "2")
