"""How faults spoil WeChat Pay's answers and callbacks."""

from typing import Any

from opentill.twin import misbehaving, times
from opentill.twin.faults import Hit
from opentill.twin.merchants import WechatAccount
from opentill.twin.misbehaving import Answer
from opentill.twin.wechat import wire
from opentill.twin.wechat.wire import Failure

SKEW_MS = times.HOUR_MS
_PROBE = "WECHATPAY/SIGNTEST/"  # channels B.3: WeChat Pay sends such signatures to see whether they are refused
_SYSTEM_ERRORS = ("SYSTEM_ERROR", "SYSTEMERROR")  # channels B.11: spelling drifts
_NUMBERS = frozenset({"appid", "mchid", "sp_appid", "sp_mchid", "sub_mchid"})
_AMOUNTS = frozenset({"total", "payer_total", "refund", "payer_refund"})


def failure_instead(hit: Hit, operation: str) -> Failure | None:
    """The failure that a fault puts in place of the answer, whether or not the request was carried out."""
    match hit.fault:
        case "system_error":
            return Failure(500, _SYSTEM_ERRORS[(hit.count - 1) % 2], "系统错误")
        case "http_429":
            code = "FREQUENCY_LIMITED" if operation == "refund" else "RATELIMIT_EXCEEDED"
            return Failure(429, code, "频率超限")
    return None


def page_instead(hit: Hit) -> Answer | None:
    """What a machine in front of the gateway answers."""
    match hit.fault:
        case "html":
            return misbehaving.page(502, "Bad Gateway")
        case "http_500":
            return misbehaving.page(500, "Internal Server Error")
    return None


def spoiled(document: dict[str, Any], hit: Hit | None) -> dict[str, Any]:
    """An answer or the content of a callback that tells of another amount or of another merchant."""
    match hit.fault if hit else "":
        case "wrong_amount" if isinstance(document.get("amount"), dict):
            amount = {name: value + 1 if name in _AMOUNTS else value for name, value in document["amount"].items()}
            return document | {"amount": amount}
        case "wrong_app":
            return {name: _other(value) if name in _NUMBERS else value for name, value in document.items()}
    return document


def signed_headers(
    account: WechatAccount, signed_by: str, body: bytes, *, now_ms: int, hit: Hit | None
) -> dict[str, str]:
    """The headers that sign a body, spoiled by a fault if there is one."""
    fault = hit.fault if hit else ""
    if fault == "unsigned":
        return {}
    if fault == "key_rotated":
        signed_by = account.other_signer(signed_by)
    at_ms = now_ms - SKEW_MS if fault == "clock_skew" else now_ms
    signed = body + b" " if fault == "bad_signature" else body
    headers = wire.signed_headers(account.signer(signed_by), signed_by, signed, now_ms=at_ms)
    if hit is not None and fault == "bad_signature" and hit.count % 2 == 0:
        headers["Wechatpay-Signature"] = _PROBE + headers["Wechatpay-Signature"]
    return headers


def _other(number: str) -> str:
    """Another number of the same shape."""
    return number[:-1] + ("1" if number[-1:] != "1" else "2")
