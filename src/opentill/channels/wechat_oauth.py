"""WeChat's silent authorisation: who opened a page in its browser (channels B.13).

Hosts of their own, which sign nothing: TLS alone vouches for them. What they say opens a trade that only its payer can
pay, so no money depends on it.
"""

import re
from urllib.parse import urlencode

from opentill.base.outbound import NotSent, ReplyLost
from opentill.channels.base import NOT_SENT, REPLY_LOST, UNREADABLE, Identity, Wire
from opentill.channels.values import message_text, number_of, read_object, text_of
from opentill.channels.wechat_account import WechatAccount

_OPENID = re.compile(r"[0-9A-Za-z_\-]{1,128}", re.ASCII)


def authorize_url(wire: Wire, account: WechatAccount, redirect_uri: str, state: str) -> str | None:
    """`snsapi_base` asks the payer nothing. None: without an app secret the way back leads nowhere."""
    if not account.app_secret:
        return None
    # WeChat wants the parameters in this order.
    query = {
        "appid": account.appid,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": "snsapi_base",
        "state": state,
    }
    return f"{wire.oauth_base_url}/connect/oauth2/authorize?{urlencode(query)}#wechat_redirect"


async def payer_of(wire: Wire, account: WechatAccount, code: str) -> Identity:
    """The openid under the account's app. A failure's own text is left out: it may quote the URL, and so the secret."""
    query = {
        "appid": account.appid,
        "secret": account.app_secret,
        "code": code,
        "grant_type": "authorization_code",
    }
    url = f"{wire.api_base_url}/sns/oauth2/access_token?{urlencode(query)}"
    try:
        response = await wire.outbound.send("GET", url, timeout_s=wire.timeout_s)
    except NotSent:
        return Identity(code=NOT_SENT)
    except ReplyLost:
        return Identity(code=REPLY_LOST)
    if response.status != 200:
        return Identity(code=f"HTTP_{response.status}")
    node = None if response.is_truncated else read_object(response.body)
    if node is None:
        return Identity(code=UNREADABLE)
    openid = text_of(node, "openid")
    if _OPENID.fullmatch(openid):
        return Identity(payer=openid, code="OK")
    return Identity(code=str(number_of(node, "errcode") or UNREADABLE), message=message_text(text_of(node, "errmsg")))
