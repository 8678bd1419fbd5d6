"""`/callbacks/{channel}/{account_id}`: what the wallets tell us, verified over the raw bytes."""

from typing import Any

from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from opentill.base.errors import GatewayError
from opentill.base.logs import logger
from opentill.channels.base import CallbackRefused, CallbackReply, Channel
from opentill.services import callbacks
from opentill.services.access import OpenAccount
from opentill.services.deployment import Deployment
from opentill.web.bodies import BodyTooLarge, read_body

MAX_ACCOUNT_ID = (1 << 63) - 1
"""What both databases can hold; a longer number is nobody's."""

_log = logger("callbacks")


def routes(deployment: Deployment) -> list[Route]:
    channels = {channel.name: channel for channel in deployment.channels.values()}

    async def receive(request: Request) -> Response:
        channel = channels.get(request.path_params["channel"])
        account_id = request.path_params["account_id"]
        if channel is None or account_id > MAX_ACCOUNT_ID:
            return Response(status_code=404)
        afterwards = None
        try:
            account = await deployment.parties.account(account_id)
            if account is None or account.account.channel != channel.number:
                return Response(status_code=404)
            result = await _result(deployment, channel, account, request)
            if result == callbacks.REFUSED:
                # Perhaps the wallet's certificate is new to us; the next delivery finds it. The answer doesn't wait.
                afterwards = BackgroundTask(channel.prepare, account.opened)
        except ClientDisconnect:
            return Response(status_code=400)
        except GatewayError as error:
            _log.warning("not applied", channel=channel.name, why=str(error))
            result = callbacks.FAILED
        except Exception:
            # The wallet repeats what is not answered with success: nothing is lost by saying no.
            _log.exception("fault", channel=channel.name)
            result = callbacks.FAILED
        deployment.metrics.callbacks.labels(channel.name, result).inc()
        return _response(channel.callback_reply(is_accepted=result in callbacks.ACCEPTED), afterwards)

    return [Route("/callbacks/{channel}/{account_id:int}", receive, methods=["POST"])]


async def _result(deployment: Deployment, channel: Channel[Any], account: OpenAccount, request: Request) -> str:
    """What became of the message. Raises what the services and the client's hanging up raise."""
    try:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await read_body(request, limit=deployment.settings.max_body_bytes)
        message = channel.read_callback(account.opened, headers, body)
    except BodyTooLarge:
        return callbacks.REFUSED
    except CallbackRefused as refusal:
        _log.warning("refused", channel=channel.name, account_id=account.account.account_id, why=refusal.reason)
        return callbacks.PROBE if refusal.is_probe else callbacks.REFUSED
    return await callbacks.receive(deployment, account, message)


def _response(reply: CallbackReply, afterwards: BackgroundTask | None) -> Response:
    headers = {"Content-Type": reply.content_type} if reply.content_type else {}
    return Response(reply.body, status_code=reply.status, headers=headers, background=afterwards)
