"""Puts the routes together."""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.applications import Starlette
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from opentill.base.numbers import LENGTH as ORDER_NO_LENGTH
from opentill.commands.registry import Command
from opentill.protocol.signing import public_key_text
from opentill.services.deployment import Deployment
from opentill.storage.database import DatabaseOverloaded, DatabaseUnavailable
from opentill.web import callbacks, links
from opentill.web.gateway import PATH, Gateway
from opentill.web.source import is_in, source_ip


class _Number(IntegerConvertor):
    """No longer than an order number. Python reads no number of thousands of digits, and Starlette's own would try."""

    regex = f"[0-9]{{1,{ORDER_NO_LENGTH}}}"


register_url_convertor("int", _Number())


def build_app(
    deployment: Deployment, commands: Mapping[str, Command], *, more_routes: Sequence[BaseRoute] = ()
) -> ASGIApp:
    """The gateway's web application; `more_routes` are pages and, in the sandbox, the twin."""
    gateway = Gateway(deployment, commands)
    routes: list[BaseRoute] = [
        *gateway.routes(),
        *callbacks.routes(deployment),
        *links.routes(deployment),
        Route("/public-key", _public_key(deployment)),
        Route("/healthz", _health(deployment)),
        Route("/metrics", _metrics(deployment)),
        *more_routes,
    ]
    pages = Starlette(routes=routes)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # The merchants' API goes past Starlette's layers: they catch and route, which the gateway does itself.
        is_call = scope["type"] == "http" and scope["path"] == PATH
        await (gateway if is_call else pages)(scope, receive, send)

    return app


Endpoint = Callable[[Request], Awaitable[Response]]


def _public_key(deployment: Deployment) -> Endpoint:
    """The platform's public key: base64 DER and nothing else (protocol 3)."""
    text = public_key_text(deployment.platform_key.public_key())
    headers = {"X-Key-Fingerprint": fingerprint(text)}

    async def endpoint(_: Request) -> Response:
        return PlainTextResponse(text, headers=headers)

    return endpoint


def fingerprint(public_key: str) -> str:
    """SHA-256 of the key's DER, e.g. `SHA256:2f4c…` in hex."""
    return "SHA256:" + hashlib.sha256(base64.b64decode(public_key)).hexdigest()


def _health(deployment: Deployment) -> Endpoint:
    """200 when requests can be answered: the database answers."""

    async def endpoint(_: Request) -> Response:
        try:
            await deployment.database.read("SELECT 1 AS answer")
        except (DatabaseUnavailable, DatabaseOverloaded):
            return PlainTextResponse("database unavailable", status_code=503)
        return PlainTextResponse("ok")

    return endpoint


def _metrics(deployment: Deployment) -> Endpoint:
    """Metrics for the networks that may read them."""

    async def endpoint(request: Request) -> Response:
        settings = deployment.settings
        if not is_in(source_ip(request, settings.trusted_proxies), settings.metrics_networks):
            return PlainTextResponse("not allowed from this address", status_code=403)
        return Response(deployment.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return endpoint
