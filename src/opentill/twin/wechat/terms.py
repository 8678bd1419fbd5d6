"""The fields that describe a payment, checked as WeChat Pay does (channels B.4)."""

import hashlib
import re
from typing import Any

import msgspec

from opentill.twin import times
from opentill.twin.trades import Terms
from opentill.twin.wechat.wire import Call, Failure

CODE_LIFE_MS = 2 * times.HOUR_MS
_DEFAULT_LIFE_MS = 7 * times.DAY_MS
_SHORTEST_LIFE_MS = times.MINUTE_MS
_LONGEST_LIFE_MS = 90 * times.DAY_MS
_MAX_TOTAL_FEN = 100_000_000_000
_OUT_TRADE_NO = re.compile(r"[0-9A-Za-z_\-*|]{6,32}", re.ASCII)
_NOTIFY_URL = re.compile(r"https?://[^/?#\s]+[^?#\s]*")
_TEXTS = {"attach": 128, "goods_tag": 32}
_OBJECTS = ("amount", "detail", "payer", "scene_info", "settle_info")
# The first order fixes the expiry; a repeat may name another one (channels B.4).
_NOT_COMPARED = frozenset({"time_expire"})


def invalid(field: str, issue: str) -> Failure:
    detail = {"field": f"/{field}", "location": "body", "issue": issue}
    return Failure(400, "PARAM_ERROR", f"参数错误：{field} {issue}", detail=detail)


def read_terms(call: Call, *, product: str, now_ms: int) -> tuple[str, Terms]:
    """The order number and the terms. Raises Failure."""
    body = call.body
    check_text(body)
    for name in _OBJECTS:
        if not isinstance(body.get(name, {}), dict):
            raise invalid(name, "对象")
    partner = _parties(call)
    out_trade_no = body.get("out_trade_no")
    if not isinstance(out_trade_no, str) or _OUT_TRADE_NO.fullmatch(out_trade_no) is None:
        raise invalid("out_trade_no", "6 到 32 位数字、字母或 _-*|")
    _check_texts(body, needs_notify_url=product != "codepay")  # channels B.8: codepay has no notify
    total_fen = _total(body)
    _check_detail(body)
    return out_trade_no, Terms(
        app_id=call.account.merchant.appid,
        product=product,
        total_fen=total_fen,
        subject=body["description"],
        notify_url=body.get("notify_url", ""),
        expires_ms=_expires_ms(body, now_ms),
        fingerprint=_fingerprint(body),
        request=body,
        attach=body.get("attach") or "",
        signed_by=call.signed_by,
        partner=partner,
    )


def check_signer(call: Call, values: dict[str, Any]) -> None:
    """The merchant who signs must be the one the request speaks of (channels B.2). Raises Failure."""
    if values.get("sp_mchid" if call.is_partner else "mchid") != call.mchid:
        raise Failure(400, "PARAM_ERROR", "商户号与签名的商户号不一致")
    if call.is_partner and call.sub_mchid not in call.account.sub_merchants:
        raise Failure(403, "NO_AUTH", "特约商户号与服务商号无绑定关系")


def check_text(value: object) -> None:
    """No nulls, no character outside the basic multilingual plane (channels B.1, 0.3). Raises Failure."""
    if value is None:
        raise Failure(400, "PARAM_ERROR", "请求参数中不能有 null")
    if isinstance(value, str) and value and max(value) > "\uffff":
        raise Failure(400, "PARAM_ERROR", "请求参数中有不支持的字符")
    if isinstance(value, dict):
        for part in value.values():
            check_text(part)
    elif isinstance(value, list):
        for part in value:
            check_text(part)


def _parties(call: Call) -> dict[str, str]:
    """The names of a partner and whom it serves; empty for a merchant of its own. Raises Failure."""
    body, merchant = call.body, call.account.merchant
    check_signer(call, body)
    names = ("sp_appid", "sp_mchid", "sub_mchid", "sub_appid") if call.is_partner else ()
    if body.get("sp_appid" if call.is_partner else "appid") != merchant.appid:
        raise Failure(400, "APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配")
    sub_appid = body.get("sub_appid")
    if call.is_partner and sub_appid is not None and sub_appid != call.account.sub_merchants[call.sub_mchid]:
        raise Failure(400, "APPID_MCHID_NOT_MATCH", "sub_appid和sub_mchid不匹配")
    return {name: str(body[name]) for name in names if name in body}


def _check_texts(body: dict[str, Any], *, needs_notify_url: bool) -> None:
    description = body.get("description")
    if not isinstance(description, str) or not 0 < len(description) <= 127:
        raise invalid("description", "1 到 127 个字符")
    notify_url = body.get("notify_url")
    is_absent = notify_url is None and not needs_notify_url
    if not is_absent and not _is_notify_url(notify_url):
        raise invalid("notify_url", "完整的 URL，最长 255，不带参数")
    for name, length in _TEXTS.items():
        value = body.get(name, "")
        if not isinstance(value, str) or len(value) > length:
            raise invalid(name, f"最长 {length}")


def _is_notify_url(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 255 and _NOTIFY_URL.fullmatch(value) is not None


def _total(body: dict[str, Any]) -> int:
    amount = body.get("amount", {})
    total = amount.get("total")
    if not isinstance(total, int) or isinstance(total, bool) or not 0 < total <= _MAX_TOTAL_FEN:
        raise invalid("amount/total", "正整数，单位分")
    if amount.get("currency", "CNY") != "CNY":
        raise invalid("amount/currency", "CNY")
    return total


def _check_detail(body: dict[str, Any]) -> None:
    detail = body.get("detail", {})
    goods = detail.get("goods_detail", [])
    if not isinstance(goods, list):
        raise invalid("detail/goods_detail", "数组")
    for item in goods:
        if not isinstance(item, dict) or not isinstance(item.get("merchant_goods_id"), str):
            raise invalid("detail/goods_detail/merchant_goods_id", "必填")
        for name in ("quantity", "unit_price"):
            if not isinstance(item.get(name), int):
                raise invalid(f"detail/goods_detail/{name}", "整数")
        if not 0 < len(item["merchant_goods_id"]) <= 32 or len(str(item.get("goods_name", ""))) > 256:
            raise invalid("detail/goods_detail", "超长")
    scene = body.get("scene_info")
    if scene is not None and not scene.get("payer_client_ip") and "auth_code" not in body.get("payer", {}):
        raise invalid("scene_info/payer_client_ip", "必填")


def _expires_ms(body: dict[str, Any], now_ms: int) -> int:
    text = body.get("time_expire")
    if text is None:
        return now_ms + _DEFAULT_LIFE_MS
    end_ms = times.rfc3339_ms(text) if isinstance(text, str) else None
    if end_ms is None:
        raise invalid("time_expire", "RFC 3339")
    if end_ms <= now_ms:
        raise Failure(400, "PARAM_ERROR", "订单已过期，time_expire 早于当前时间")
    return min(max(end_ms, now_ms + _SHORTEST_LIFE_MS), now_ms + _LONGEST_LIFE_MS)


def _fingerprint(body: dict[str, Any]) -> str:
    compared = {name: value for name, value in body.items() if name not in _NOT_COMPARED}
    if "auth_code" in body.get("payer", {}):
        compared.pop("payer")
    return hashlib.sha256(msgspec.json.encode(compared, order="sorted")).hexdigest()
