"""The answer to a connection that is one too many: nothing was done, and the connection is not kept."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from opentill.base.errors import GatewayError
from opentill.protocol import reply
from opentill.web.gateway import PATH


async def busy(scope: Scope, receive: Receive, send: Send) -> None:
    """The protocol's busy error for its endpoint; HTTP 503 for every other address.

    The request is read, not kept: closing a connection on which something is unread would lose the answer.
    """
    request = Request(scope, receive)
    is_more = True
    while is_more:
        message = await request.receive()
        is_more = message["type"] == "http.request" and message.get("more_body", False)
    response = Response(
        reply.failure(GatewayError("BUSY")),
        status_code=200 if scope["path"] == PATH else 503,
        headers={"Content-Type": reply.CONTENT_TYPE, "Cache-Control": "no-store", "Connection": "close"},
    )
    await response(scope, receive, send)
