"""What WeChat Pay is told: paths, who receives, and the fields of an order (channels B.4, B.9, B.10)."""

from typing import Any
from urllib.parse import quote

from opentill.channels.base import Trade
from opentill.channels.values import plain_text, rfc3339, sendable_goods
from opentill.channels.wechat_account import WechatAccount

_MAX_DESCRIPTION = 127
_MAX_DEVICE_ID = 32
_MAX_STORE_ID = 32
_MAX_CLIENT_IP = 45


def base_path(account: WechatAccount) -> str:
    return "/v3/pay/partner/transactions" if account.is_partner else "/v3/pay/transactions"


def trade_path(account: WechatAccount, trade_no: str) -> str:
    return f"{base_path(account)}/out-trade-no/{quote(trade_no, safe='')}"


def payee(account: WechatAccount, appid: str, sub_appid: str) -> dict[str, str]:
    """Who asks and who receives (channels B.4)."""
    if not account.is_partner:
        return {"appid": appid, "mchid": account.mchid}
    payee = {"sp_appid": appid, **merchant(account)}
    return {**payee, "sub_appid": sub_appid} if sub_appid else payee


def merchant(account: WechatAccount) -> dict[str, str]:
    if not account.is_partner:
        return {"mchid": account.mchid}
    return {"sp_mchid": account.mchid, **sub_merchant(account)}


def sub_merchant(account: WechatAccount) -> dict[str, str]:
    return {"sub_mchid": account.sub_mchid} if account.is_partner else {}


def openid_name(account: WechatAccount, *, is_sub: bool) -> str:
    if not account.is_partner:
        return "openid"
    return "sub_openid" if is_sub else "sp_openid"


def order_of(trade: Trade) -> dict[str, Any]:
    """What native and jsapi have in common (channels B.4). The same trade always gives the same fields."""
    return {
        **goods_and_amount(trade),
        "time_expire": rfc3339(trade.expires_at_ms),
        "notify_url": trade.callback_url,
        **_scene(trade),
    }


def goods_and_amount(trade: Trade) -> dict[str, Any]:
    # protocol 4.1: un_discount_amount has no field here
    order: dict[str, Any] = {
        "description": plain_text(trade.subject, _MAX_DESCRIPTION) or trade.trade_no,
        "out_trade_no": trade.trade_no,
        "amount": {"total": trade.amount_fen, "currency": "CNY"},
    }
    goods = [
        {"merchant_goods_id": number, "goods_name": name, "quantity": quantity, "unit_price": price_fen}
        for number, name, quantity, price_fen in sendable_goods(trade.goods)
    ]
    if goods:
        order["detail"] = {"goods_detail": goods}
    return order


def _scene(trade: Trade) -> dict[str, Any]:
    """channels B.4: payer_client_ip is required inside, so without it there is no scene at all."""
    if not trade.terminal_ip or len(trade.terminal_ip) > _MAX_CLIENT_IP:
        return {}
    scene: dict[str, Any] = {"payer_client_ip": trade.terminal_ip, **_device(trade)}
    if store_id := _store_id(trade):
        scene["store_info"] = {"id": store_id}
    return {"scene_info": scene}


def codepay_scene(trade: Trade) -> dict[str, Any]:
    """channels B.10: other names; `id` there is a number that WeChat gave, `out_id` the merchant's own."""
    scene: dict[str, Any] = _device(trade)
    if trade.terminal_ip and len(trade.terminal_ip) <= _MAX_CLIENT_IP:
        scene["device_ip"] = trade.terminal_ip
    if store_id := _store_id(trade):
        scene["store_info"] = {"out_id": store_id}
    return {"scene_info": scene} if scene else {}


def _device(trade: Trade) -> dict[str, str]:
    is_usable = 0 < len(trade.operator_id) <= _MAX_DEVICE_ID
    return {"device_id": trade.operator_id} if is_usable else {}


def _store_id(trade: Trade) -> str:
    return trade.store_id if len(trade.store_id) <= _MAX_STORE_ID else ""
