"""The fields of `biz_content` that describe a payment, checked as Alipay does (channels A.7)."""

import hashlib
import re

import msgspec

from opentill.twin import times
from opentill.twin.alipay.wire import Call, Failure
from opentill.twin.amounts import fen
from opentill.twin.trades import Terms

CODE_LIFE_MS = 2 * times.HOUR_MS
_DEFAULT_LIFE = "3h"
_MAX_TOTAL_FEN = 10_000_000_000
_OUT_TRADE_NO = re.compile(r"[0-9A-Za-z_]{1,64}", re.ASCII)
_SUBJECT = re.compile(r"[^/=&]{1,256}")
# Times are counted from each call and are no part of what is agreed.
_NOT_COMPARED = ("timeout_express", "qr_code_timeout_express", "time_expire", "auth_code")
_LENGTHS = {
    "body": 128,
    "seller_id": 28,
    "operator_id": 28,
    "store_id": 32,
    "terminal_id": 32,
    "passback_params": 512,
}


def invalid(words: str) -> Failure:
    return Failure("40004", "ACQ.INVALID_PARAMETER", f"参数无效：{words}")


def read_terms(call: Call, *, product: str, now_ms: int) -> tuple[str, Terms]:
    """The order number and the terms. Raises Failure."""
    out_trade_no = call.text("out_trade_no")
    if _OUT_TRADE_NO.fullmatch(out_trade_no) is None:
        raise invalid("out_trade_no")
    total_fen = fen(call.biz.get("total_amount"))
    if total_fen is None or not 0 < total_fen <= _MAX_TOTAL_FEN:
        raise invalid("total_amount")
    if _SUBJECT.fullmatch(call.text("subject")) is None:
        raise invalid("subject")
    for name, length in _LENGTHS.items():
        if len(call.text(name)) > length:
            raise invalid(name)
    _check_discounts(call, total_fen)
    _check_goods(call)
    if call.biz.get("enable_pay_channels") and call.biz.get("disable_pay_channels"):
        raise invalid("enable_pay_channels, disable_pay_channels")
    if call.text("seller_id") not in ("", call.seller.seller_id):
        raise Failure("40004", "ACQ.INVALID_RECEIVE_ACCOUNT", "收款账户不支持")
    notify_url = call.params.get("notify_url", "")
    if len(notify_url) > 256:
        raise Failure("40002", "isv.invalid-parameter", "参数无效：notify_url")
    return out_trade_no, Terms(
        app_id=call.app_id,
        product=product,
        total_fen=total_fen,
        subject=call.text("subject"),
        notify_url=notify_url,
        expires_ms=_expires_ms(call, now_ms),
        fingerprint=_fingerprint(call),
        request=call.biz,
        attach=call.text("passback_params"),
    )


def code_expires_ms(call: Call, terms: Terms, *, now_ms: int) -> int:
    """When the QR code stops working: after two hours at the latest (channels A.7)."""
    wanted = call.text("qr_code_timeout_express")
    end_ms = times.relative_end_ms(wanted, from_ms=now_ms) if wanted else terms.expires_ms
    if end_ms is None:
        raise invalid("qr_code_timeout_express")
    return min(end_ms, terms.expires_ms, now_ms + CODE_LIFE_MS)


def _check_discounts(call: Call, total_fen: int) -> None:
    parts = [call.biz.get("discountable_amount"), call.biz.get("undiscountable_amount")]
    amounts = [fen(part) for part in parts if part is not None]
    if None in amounts or (len(amounts) == 2 and sum(amount or 0 for amount in amounts) != total_fen):
        raise Failure("40004", "ACQ.TOTAL_FEE_EXCEED", "订单总金额与可打折金额、不可打折金额不符")


def _check_goods(call: Call) -> None:
    goods = call.biz.get("goods_detail")
    if goods is None:
        return
    if not isinstance(goods, list) or not all(isinstance(item, dict) for item in goods):
        raise invalid("goods_detail")
    for item in goods:
        if not all(item.get(name) for name in ("goods_id", "goods_name", "quantity")) or fen(item.get("price")) is None:
            raise invalid("goods_detail")


def _expires_ms(call: Call, now_ms: int) -> int:
    absolute = call.text("time_expire")
    if absolute:
        end_ms = times.wall_ms(absolute)
    else:
        end_ms = times.relative_end_ms(call.text("timeout_express") or _DEFAULT_LIFE, from_ms=now_ms)
    if end_ms is None:
        raise invalid("timeout_express, time_expire")
    if end_ms <= now_ms:
        raise Failure("40004", "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR", "当前时间已超过允许支付的时间")
    return end_ms


def _fingerprint(call: Call) -> str:
    compared = {name: value for name, value in call.biz.items() if name not in _NOT_COMPARED}
    return hashlib.sha256(msgspec.json.encode(compared, order="sorted")).hexdigest()
