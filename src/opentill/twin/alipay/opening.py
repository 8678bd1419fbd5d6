"""For pages opened inside Alipay (channels B.13): who opened it, and a trade for that buyer."""

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from opentill.twin import grants, payers, trades
from opentill.twin.alipay import operations
from opentill.twin.alipay import terms as reading
from opentill.twin.alipay.wire import Call, Failure
from opentill.twin.context import Context
from opentill.twin.grants import BadGrant
from opentill.twin.merchants import ALIPAY
from opentill.twin.trades import Code

_TOKEN_LIFE_S = 1_296_000


def authorize(twin: Context, request: Request) -> Response:
    """`auth_base` asks the user nothing: back to the page with a code that tells who it is."""
    query = request.query_params
    account = twin.merchants.alipay.get(query.get("app_id", ""))
    target = query.get("redirect_uri", "")
    if account is None or query.get("scope") not in ("auth_base", "auth_user") or not target.startswith("http"):
        return PlainTextResponse("系统异常：应用、scope 或 redirect_uri 错误", 400)
    app_id = account.merchant.app_id
    code = grants.give(twin.books, wallet=ALIPAY, app_id=app_id, payer=payers.holding(request), now_ms=twin.now_ms())
    values = {"app_id": app_id, "scope": query["scope"], "auth_code": code, "state": query.get("state", "")}
    joint = "&" if "?" in target else "?"
    return RedirectResponse(target + joint + urlencode({name: value for name, value in values.items() if value}), 302)


def oauth_token(twin: Context, call: Call) -> dict[str, Any]:
    """`alipay.system.oauth.token`: its fields are common parameters, not `biz_content`."""
    if call.params.get("grant_type") != "authorization_code":
        raise Failure("40002", "isv.grant-type-invalid", "授权类型无效")
    try:
        payer = grants.take(
            twin.books, wallet=ALIPAY, app_id=call.app_id, code=call.params.get("code", ""), now_ms=twin.now_ms()
        )
    except BadGrant:
        raise Failure("40002", "isv.code-invalid", "授权码code无效") from None
    user = payers.alipay_user(payer, app_id=call.app_id)
    payers.remember(twin.books, wallet=ALIPAY, identifiers=(user.user_id, user.open_id), payer=payer)
    return {
        "user_id": user.user_id,
        "open_id": user.open_id,
        "access_token": trades.new_number("authbseB", 24),
        "expires_in": _TOKEN_LIFE_S,
        "refresh_token": trades.new_number("authbseB", 24),
        "re_expires_in": 2 * _TOKEN_LIFE_S,
    }


def create(twin: Context, call: Call) -> dict[str, Any]:
    """`alipay.trade.create`: the trade exists at once, and belongs to one buyer."""
    now_ms = twin.now_ms()
    out_trade_no, terms = reading.read_terms(call, product="create", now_ms=now_ms)
    identifier = call.text("buyer_id") or call.text("buyer_open_id") or call.text("op_buyer_open_id")
    if not identifier:
        raise reading.invalid("buyer_id, buyer_open_id")
    payer = payers.known(twin.books, wallet=ALIPAY, identifier=identifier)
    if payer is None:
        raise Failure("40004", "ACQ.BUYER_NOT_EXIST", "买家不存在")
    trade = operations.trade_named(twin, call.owner, out_trade_no)
    operations.check_repeat(trade, terms)
    if trade is None:
        trade = operations.add_trade(twin, owner=call.owner, out_trade_no=out_trade_no, terms=terms)
        trade = trades.bind(twin.books, trade, payer)
        # The bridge opens the cashier by the trade's number, as a scan does by the code.
        trades.add_code(
            twin.books,
            Code(
                code=trade.trade_no,
                wallet=ALIPAY,
                merchant=call.owner,
                out_trade_no=out_trade_no,
                expires_ms=terms.expires_ms,
                is_replaced=False,
                terms=terms,
            ),
        )
    return {"out_trade_no": out_trade_no, "trade_no": trade.trade_no}
