"""Alipay's silent authorisation: who opened a page in its browser (channels B.13)."""

from urllib.parse import urlencode

from opentill.channels.alipay_account import AlipayAccount
from opentill.channels.alipay_wire import OK, call
from opentill.channels.base import Identity, Wire
from opentill.channels.values import text_of


def authorize_url(wire: Wire, account: AlipayAccount, redirect_uri: str, state: str) -> str:
    """`auth_base` asks the payer nothing and tells no more than an id."""
    query = {"app_id": account.app_id, "scope": "auth_base", "redirect_uri": redirect_uri, "state": state}
    return f"{wire.oauth_base_url}/oauth2/publicAppAuthorize.htm?{urlencode(query)}"


async def payer_of(wire: Wire, account: AlipayAccount, code: str) -> Identity:
    """The user id, or the open id that newer apps are told instead."""
    more = {"grant_type": "authorization_code", "code": code}
    reply = await call(wire, account, "alipay.system.oauth.token", {}, more=more)
    payer = text_of(reply.node, "user_id") or text_of(reply.node, "open_id")
    # This one method answers success without a code.
    if reply.word in ("", OK) and payer:
        return Identity(payer=payer, code=OK)
    return Identity(code=reply.code, message=reply.message)
