"""For pages opened inside WeChat (channels B.9, B.13): who opened it, and an order for that person."""

from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from opentill.twin import grants, payers, trades
from opentill.twin.context import Context
from opentill.twin.grants import BadGrant
from opentill.twin.keys import PublicKey
from opentill.twin.merchants import WECHAT, WechatAccount
from opentill.twin.trades import Code
from opentill.twin.wechat import operations
from opentill.twin.wechat import terms as reading
from opentill.twin.wechat.wire import Call

_TOKEN_LIFE_S = 7200


def authorize(twin: Context, request: Request) -> Response:
    """`snsapi_base` asks the user nothing: back to the page with a code that tells who it is."""
    query = request.query_params
    account = _account_of_app(twin, query.get("appid", ""))
    target = query.get("redirect_uri", "")
    is_known = query.get("response_type") == "code" and query.get("scope") in ("snsapi_base", "snsapi_userinfo")
    if account is None or not is_known or not target.startswith("http"):
        return PlainTextResponse("链接无法访问：appid、scope 或 redirect_uri 参数错误", 400)
    appid = account.merchant.appid
    code = grants.give(twin.books, wallet=WECHAT, app_id=appid, payer=payers.holding(request), now_ms=twin.now_ms())
    page, mark, fragment = target.partition("#")
    joint = "&" if "?" in page else "?"
    found = page + joint + urlencode({"code": code, "state": query.get("state", "")}) + mark + fragment
    return RedirectResponse(found, 302)


def access_token(twin: Context, request: Request) -> Response:
    """`sns/oauth2/access_token`: the openid behind a code. Failures are JSON with status 200, as all of this host."""
    query = request.query_params
    account = _account_of_app(twin, query.get("appid", ""))
    if account is None:
        return _told({"errcode": 40013, "errmsg": "invalid appid"})
    if query.get("secret") != account.merchant.app_secret:
        return _told({"errcode": 40125, "errmsg": "invalid appsecret"})
    if query.get("grant_type") != "authorization_code":
        return _told({"errcode": 40002, "errmsg": "invalid grant_type"})
    appid = account.merchant.appid
    try:
        payer = grants.take(twin.books, wallet=WECHAT, app_id=appid, code=query.get("code", ""), now_ms=twin.now_ms())
    except BadGrant as error:
        used = {"errcode": 40163, "errmsg": "code been used"}
        return _told(used if error.is_used else {"errcode": 40029, "errmsg": "invalid code"})
    openid = payers.openid(payer, appid=appid)
    payers.remember(twin.books, wallet=WECHAT, identifiers=(openid,), payer=payer)
    return _told(
        {
            "access_token": trades.new_number("", 40),
            "expires_in": _TOKEN_LIFE_S,
            "refresh_token": trades.new_number("", 40),
            "openid": openid,
            "scope": "snsapi_base",
        }
    )


def jsapi(twin: Context, call: Call) -> dict[str, Any]:
    """An order for one openid, which alone can pay it."""
    out_trade_no, terms = reading.read_terms(call, product="jsapi", now_ms=twin.now_ms())
    openids = call.body.get("payer", {})
    names = ("openid", "sp_openid", "sub_openid")
    openid = next((openids[name] for name in names if openids.get(name)), None)
    if not isinstance(openid, str):
        raise reading.invalid("payer/openid", "必填")
    payer = payers.known(twin.books, wallet=WECHAT, identifier=openid)
    if payer is None:
        raise reading.invalid("payer/openid", "无效的openid")
    trade = trades.bind(twin.books, operations.ordered(twin, call, out_trade_no, terms), payer)
    prepay_id = "wx" + trades.new_number(trades.day_text(twin.now_ms()), 26)
    operations.add_code(twin, trade, prepay_id)
    return {"prepay_id": prepay_id}


def code_of_bridge(twin: Context, values: dict[str, str]) -> Code | None:
    """What `getBrandWCPayRequest` was called with, as the code it leads to; None when `paySign` is wrong.

    Signed are four lines: appId, timeStamp, nonceStr, package (channels B.9).
    """
    prepay_id = values.get("package", "").removeprefix("prepay_id=")
    code = trades.code_of(twin.books, prepay_id)
    if code is None or values.get("signType") != "RSA":
        return None
    account = twin.merchants.wechat.named(code.merchant)
    lines = "".join(f"{values.get(name, '')}\n" for name in ("appId", "timeStamp", "nonceStr", "package"))
    key = PublicKey(account.merchant.merchant_public_key_pem)
    return code if key.verifies(lines.encode(), values.get("paySign", "")) else None


def _account_of_app(twin: Context, appid: str) -> WechatAccount | None:
    accounts = twin.merchants.wechat.all()
    return next((account for account in accounts if account.merchant.appid == appid), None)


def _told(document: dict[str, Any]) -> Response:
    # This host calls its JSON plain text.
    return Response(msgspec.json.encode(document), media_type="text/plain")
