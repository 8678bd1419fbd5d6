"""Checks before a page is drawn: session, right, form token; and the pages that say no."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opentill.base.logs import logger
from opentill.services import sessions
from opentill.services.not_possible import NotPossible
from opentill.services.sessions import SignedIn
from opentill.storage.database import DatabaseOverloaded, DatabaseUnavailable
from opentill.web.bodies import BodyTooLarge, read_body
from opentill.web.console.door import (
    CSRF_FIELD,
    CSRF_HEADER,
    PREFIX,
    ConsolePage,
    House,
    NotYours,
    Visit,
    has_nul,
    owner_of,
    read_fields,
    sign_in_path,
    worded,
)
from opentill.web.pages import SECURITY_HEADERS, remember_language
from opentill.web.source import source_ip

MAX_BODY_BYTES = 262_144
MAX_FIELDS = 2_000
PASSWORD_PATH = "/profile/password"  # noqa: S105 - a path
PROBLEMS = (400, 403, 404, 405, 409, 413, 500, 503)
"""Statuses with a text of their own; the rest is told like 400."""

_log = logger("console")


class Guard:
    """Stands before every page of one deployment."""

    def __init__(self, house: House) -> None:
        self._house = house

    def endpoint(self, page: ConsolePage) -> Callable[[Request], Awaitable[Response]]:
        """The page for who may see it; everybody else is sent to sign in or told no."""

        async def answer(request: Request) -> Response:
            if has_nul(request.url.query) or has_nul(request.scope["path"]):
                return await self.problem(request, 400)
            try:
                response = await self._answer(page, request)
                if 300 <= response.status_code < 400:
                    remember_language(request, response)
                return response
            except NotYours:
                return await self.problem(request, 404)
            except NotPossible as error:
                visit = await self._visit(request, await self.signed_in(request))
                return self._draw_problem(visit, 409, text=worded(visit, error))
            except BodyTooLarge:
                return await self.problem(request, 413)
            except (DatabaseUnavailable, DatabaseOverloaded):
                return self._draw_problem(await self._visit(request, None), 503)

        return answer

    async def signed_in(self, request: Request) -> SignedIn | None:
        """Whose session the request belongs to."""
        deployment = self._house.deployment
        return await sessions.signed_in(
            deployment.database,
            self._house.cookies.session_token(request),
            settings=deployment.settings,
            now_ms=deployment.clock.now_ms(),
        )

    async def problem(self, request: Request, status: int, *, headers: Mapping[str, str] | None = None) -> Response:
        """The page that says why not."""
        try:
            signed_in = await self.signed_in(request)
        except (DatabaseUnavailable, DatabaseOverloaded):
            signed_in = None
        response = self._draw_problem(await self._visit(request, signed_in), status)
        response.headers.update(headers or {})
        return response

    async def _answer(self, page: ConsolePage, request: Request) -> Response:
        signed_in = await self.signed_in(request)
        if signed_in is None and not page.is_open:
            return _to_sign_in(request)
        visit = await self._visit(request, signed_in)
        if not page.is_for(visit.visitor):
            return self._draw_problem(visit, 403)
        if signed_in and signed_in.has_initial_password and not (page.before_password or page.is_open):
            return visit.redirect(PASSWORD_PATH)
        if request.method not in ("GET", "HEAD"):
            try:
                visit = await self._visit(request, signed_in, body=await read_body(request, limit=MAX_BODY_BYTES))
            except (ValueError, ClientDisconnect):
                return self._draw_problem(visit, 400)
            if not self._is_own_form(visit, is_open=page.is_open):
                return self._draw_problem(visit, 403, name="form")
        return await page.endpoint(visit)

    async def _visit(self, request: Request, signed_in: SignedIn | None, *, body: bytes = b"") -> Visit:
        """Raises ValueError for a body that is no form."""
        deployment = self._house.deployment
        return Visit(
            request=request,
            house=self._house,
            signed_in=signed_in,
            source_ip=source_ip(request, deployment.settings.trusted_proxies),
            now_ms=deployment.clock.now_ms(),
            guest=self._house.cookies.guest(request),
            fields=read_fields(body, max_fields=MAX_FIELDS),
        )

    def _is_own_form(self, visit: Visit, *, is_open: bool) -> bool:
        """Whether the form was drawn by us for this session, and the browser does not say otherwise.

        `is_open`: or for this browser before it had one, as when somebody has signed in beside an open sign-in page.
        """
        headers = visit.request.headers
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        token = visit.form.get(CSRF_FIELD) or headers.get(CSRF_HEADER, "")
        owners = {owner_of(visit.signed_in, visit.guest), *([owner_of(None, visit.guest)] if is_open else [])}
        return any(self._house.cookies.accepts_csrf(owner, token) for owner in owners)

    def _draw_problem(self, visit: Visit, status: int, name: str = "", text: str = "") -> Response:
        """`text`: what is said instead of the words that belong to the name."""
        name = name or str(status if status in PROBLEMS else 400)
        template = "console/problem_part.html" if visit.is_htmx else "console/problem.html"
        response = visit.render(template, status=status, problem=name, text=text)
        if visit.is_htmx:
            # Whatever part of the page was asked for: this belongs where messages are.
            response.headers["HX-Retarget"] = "#messages"
            response.headers["HX-Reswap"] = "innerHTML"
        return response


def with_headers(app: ASGIApp) -> ASGIApp:
    """Every answer gets the security headers that it does not set itself."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await app(scope, receive, send_with_headers)

    return wrapped


def _to_sign_in(request: Request) -> Response:
    if request.headers.get("hx-request") == "true":
        return Response(status_code=204, headers={"HX-Redirect": PREFIX + "/"})
    return RedirectResponse(sign_in_path(request), 303)
