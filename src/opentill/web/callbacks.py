"""`/callbacks/{channel}/{account_id}`: what the wallets tell us, verified over the raw bytes."""

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from opentill.base.logs import logger
from opentill.channels.base import CallbackRefused, CallbackReply
from opentill.services import callbacks
from opentill.services.deployment import Deployment
from opentill.web.bodies import BodyTooLarge, read_body

_log = logger("callbacks")


def routes(deployment: Deployment) -> list[Route]:
    channels = {channel.name: channel for channel in deployment.channels.values()}

    async def receive(request: Request) -> Response:
        channel = channels.get(request.path_params["channel"])
        account = await deployment.parties.account(request.path_params["account_id"])
        if channel is None or account is None or account.account.channel != channel.number:
            return Response(status_code=404)
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            body = await read_body(request, limit=deployment.settings.max_body_bytes)
            message = channel.read_callback(account.opened, headers, body)
            result = await callbacks.receive(deployment, account, message)
        except ClientDisconnect:
            return Response(status_code=400)
        except BodyTooLarge:
            result = callbacks.REFUSED
        except CallbackRefused as refusal:
            result = callbacks.PROBE if refusal.is_probe else callbacks.REFUSED
            _log.warning("refused", channel=channel.name, account_id=account.account.account_id, why=refusal.reason)
            if not refusal.is_probe:
                await channel.prepare(account.opened)
        except Exception:
            # The wallet repeats what is not answered with success: nothing is lost by saying no.
            _log.exception("fault", channel=channel.name)
            result = callbacks.FAILED
        deployment.metrics.callbacks.labels(channel.name, result).inc()
        return _response(channel.callback_reply(is_accepted=result in callbacks.ACCEPTED))

    return [Route("/callbacks/{channel}/{account_id:int}", receive, methods=["POST"])]


def _response(reply: CallbackReply) -> Response:
    headers = {"Content-Type": reply.content_type} if reply.content_type else {}
    return Response(reply.body, status_code=reply.status, headers=headers)
