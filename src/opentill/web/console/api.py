"""`/console/api/`: the console's figures as JSON, for programs of the deployment's owner and for who is signed in."""

import hmac
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opentill.domain.people import EVERY_MERCHANT, Permission
from opentill.services import statistics
from opentill.services.deployment import Deployment
from opentill.services.sessions import SignedIn
from opentill.services.statistics import UnusableQuestion
from opentill.storage.database import DatabaseOverloaded, DatabaseUnavailable

STATS_PATH = "/api/stats"
MAX_MERCHANT_DIGITS = 15


def routes(deployment: Deployment, signed_in: Callable[[Request], Awaitable[SignedIn | None]]) -> list[Route]:
    """Below /console."""

    async def stats(request: Request) -> Response:
        query = request.query_params
        try:
            merchant_id = _merchant_id(query.get("merchant", ""))
            if not _has_token(deployment, request):
                session = await signed_in(request)
                if session is None:
                    return _refusal(401, "a bearer token is needed", headers={"WWW-Authenticate": "Bearer"})
                if not session.visitor.may(Permission.DASHBOARD, merchant_id or EVERY_MERCHANT):
                    return _refusal(403, "name a merchant whose figures you may see")
            found = await statistics.report(
                deployment.database,
                by=query.get("by", "day"),
                from_day=statistics.read_day(query.get("from", "")),
                to_day=statistics.read_day(query.get("to", "")),
                merchant_id=merchant_id,
                now_ms=deployment.clock.now_ms(),
            )
        except UnusableQuestion as error:
            return _refusal(400, str(error))
        except (DatabaseUnavailable, DatabaseOverloaded):
            return _refusal(503, "the database does not answer")
        return _json(200, found)

    return [Route(STATS_PATH, stats, methods=["GET"])]


def _token(deployment: Deployment) -> str:
    return deployment.settings.console_token.get_secret_value()


def _has_token(deployment: Deployment, request: Request) -> bool:
    token = _token(deployment)
    if not token:
        return deployment.is_sandbox
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def _merchant_id(text: str) -> int:
    if text and not (text.isascii() and text.isdigit() and len(text) <= MAX_MERCHANT_DIGITS):
        raise UnusableQuestion("merchant is the number of a merchant")
    return int(text or 0)


def _refusal(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return _json(status, {"error": {"message": message}}, headers)


def _json(status: int, document: object, headers: dict[str, str] | None = None) -> Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})}
    return Response(msgspec.json.encode(document), status, headers, media_type="application/json")
