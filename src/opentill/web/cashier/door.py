"""Who stands at a till: the device's token and the cashier's session, both in cookies that no script can read.

A page is drawn whole, or, for the till's own script, as the part that changes; so one document lives through a whole
shift, and a network cut never leads to the browser's error page.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from opentill.base.errors import GatewayError
from opentill.base.logs import logger
from opentill.services import devices, shifts
from opentill.services.deployment import Deployment
from opentill.services.devices import TillProblem, hash_of
from opentill.services.shifts import SignedIn
from opentill.storage.database import DatabaseOverloaded, DatabaseUnavailable
from opentill.storage.tills import DeviceRow
from opentill.web.bodies import BodyTooLarge, read_body
from opentill.web.cashier import offline
from opentill.web.cashier.formats import FILTERS
from opentill.web.console.door import has_nul
from opentill.web.pages import LANGUAGE_COOKIE, LANGUAGES, Pages, Texts, language_of
from opentill.web.source import source_ip

ROOT = "/cashier"
DEVICE_COOKIE = "opentill_device"
SESSION_COOKIE = "opentill_till"
VISITOR_COOKIE = "opentill_till_visitor"
"""Of a browser that is no till yet: what its forms are tied to."""
PART_HEADER = "x-till-part"
TOKEN_HEADER = "x-till-token"  # noqa: S105 - the name of a header
DEVICE_LIFE_S = 400 * 24 * 3600
"""The longest that browsers keep a cookie; each page begins it anew."""
MAX_BODY_BYTES = 65_536

_NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
# Only a till looks at customers' codes.
_CAMERA = "camera=(self), geolocation=(), microphone=(), payment=()"

_log = logger("tills")


Plain = str | int | float | bool | None
"""What stands in a POST."""


class Elsewhere(Exception):
    """The visitor has to go somewhere else first."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass(frozen=True)
class Visit:
    """One request at a till. `values` is the JSON object of a POST."""

    door: "Door"
    request: Request
    device: DeviceRow | None
    who: SignedIn | None
    secret: str
    """What this visitor's forms are tied to; never shown itself."""
    values: Mapping[str, Plain]

    @property
    def deployment(self) -> Deployment:
        return self.door.deployment

    @property
    def texts(self) -> Texts:
        return self.door.pages.texts[language_of(self.request)]

    @property
    def source_ip(self) -> str:
        return source_ip(self.request, self.deployment.settings.trusted_proxies)

    @property
    def at_device(self) -> DeviceRow:
        """Raises Elsewhere."""
        if self.device is None:
            raise Elsewhere("/pair")
        return self.device

    @property
    def cashier(self) -> SignedIn:
        """Raises Elsewhere."""
        if self.who is None:
            raise Elsewhere("/sign-in" if self.device else "/pair")
        return self.who

    def text(self, name: str) -> str:
        """A value of the POST as text; "" when it is absent or something else."""
        value = self.values.get(name, "")
        return value if isinstance(value, str) else ""

    def render(self, screen: str, **values: object) -> Response:
        """The screen, in its document or alone."""
        is_part = self.request.headers.get(PART_HEADER) == "1"
        response = self.door.pages.render(
            self.request,
            f"till/{screen}.html",
            is_part=is_part,
            screen=screen,
            csrf=csrf_of(self.secret),
            device=self.device,
            who=self.who,
            is_sandbox=self.deployment.is_sandbox,
            now_ms=self.deployment.clock.now_ms(),
            **values,
        )
        response.headers["Permissions-Policy"] = _CAMERA
        return response

    def draw(self, template: str, **values: object) -> str:
        """A piece of a screen, for JSON."""
        response = self.door.pages.render(
            self.request, f"till/{template}.html", who=self.who, is_sandbox=self.deployment.is_sandbox, **values
        )
        return bytes(response.body).decode()

    def say(self, problem: TillProblem | GatewayError) -> str:
        """A refusal in the cashier's language."""
        values = problem.values if isinstance(problem, TillProblem) else {}
        words = self.texts["till_problem"].get(problem.name)
        return words.format(**values) if words is not None else str(getattr(problem, "message", problem.name))


Page = Callable[[Visit], Awaitable[Response]]
Action = Callable[[Visit], Awaitable[Mapping[str, object] | Response]]


class Door:
    """Turns requests into visits, for all routes of one deployment's tills."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.pages = Pages(FILTERS)

    def page(self, path: str, page: Page) -> Route:
        """A GET for people."""

        async def endpoint(request: Request) -> Response:
            try:
                visit = await self._visit(request)
                _check_address(request)
                response = await page(visit)
            except Elsewhere as elsewhere:
                return _in_language(request, RedirectResponse(ROOT + elsewhere.path, 303, _NO_STORE))
            except TillProblem as problem:
                response = (await self._visit(request)).render("missing", problem=problem.name)
                response.status_code = 404
                return response
            except (DatabaseUnavailable, DatabaseOverloaded, GatewayError):
                return offline.waiting_page(self.pages, request)
            self._keep_cookies(visit, response)
            return _in_language(request, response)

        return Route(ROOT + path, endpoint, methods=["GET"])

    def script(self, path: str, script: Callable[[Pages, Request], Response]) -> Route:
        """A GET for browsers, whoever asks."""

        async def endpoint(request: Request) -> Response:
            return script(self.pages, request)

        return Route(ROOT + path, endpoint, methods=["GET"])

    def answer(self, path: str, page: Action) -> Route:
        """A GET for the till's script, as JSON."""
        return Route(ROOT + path, self._answering(page, is_change=False), methods=["GET"])

    def action(self, path: str, action: Action) -> Route:
        """A POST of the till's script: JSON in, JSON out, and nothing without the visitor's token."""
        return Route(ROOT + path, self._answering(action, is_change=True), methods=["POST"])

    def _answering(self, action: Action, *, is_change: bool) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                values = await _read_values(request) if is_change else {}
                visit = await self._visit(request, values)
                if is_change and not _is_own(visit):
                    return _json({"problem": visit.texts["till_problem"]["stale"], "name": "stale"}, 403)
                try:
                    _check_address(request)
                    answer = await action(visit)
                except (TillProblem, GatewayError) as problem:
                    _log.info("refused", why=problem.name, path=request.url.path)
                    return _json({"problem": visit.say(problem), "name": problem.name}, 422)
                return answer if isinstance(answer, Response) else _json(answer)
            except Elsewhere as elsewhere:
                return _json({"go": ROOT + elsewhere.path}, 401)
            except (BodyTooLarge, msgspec.DecodeError, ClientDisconnect):
                return _json({}, 400)
            except (DatabaseUnavailable, DatabaseOverloaded):
                return _json({}, 503)

        return endpoint

    async def _visit(self, request: Request, values: Mapping[str, Plain] | None = None) -> Visit:
        token, session = request.cookies.get(DEVICE_COOKIE, ""), request.cookies.get(SESSION_COOKIE, "")
        device = await devices.device_of(self.deployment, token)
        who = await shifts.signed_in(self.deployment, device, session) if device else None
        # A stranger's cookie is only believed while it is nothing else: it is replaced by what a pairing gives.
        secret = (session if who else token) if device else request.cookies.get(VISITOR_COOKIE, "")
        return Visit(self, request, device, who, secret or secrets.token_urlsafe(32), values or {})

    def set_cookie(self, response: Response, name: str, value: str, *, life_s: int | None = None) -> None:
        response.set_cookie(
            name,
            value,
            max_age=life_s,
            path=ROOT,
            secure=self.deployment.public_base_url.startswith("https://"),
            httponly=True,
            samesite="strict",
        )

    def _keep_cookies(self, visit: Visit, response: Response) -> None:
        if visit.device is not None:
            token = visit.request.cookies[DEVICE_COOKIE]
            self.set_cookie(response, DEVICE_COOKIE, token, life_s=DEVICE_LIFE_S)
        elif visit.request.cookies.get(VISITOR_COOKIE) != visit.secret:
            self.set_cookie(response, VISITOR_COOKIE, visit.secret)


def csrf_of(secret: str) -> str:
    """What a form carries: only who reads our pages can know it."""
    return hash_of(f"csrf {secret}")


def _in_language(request: Request, response: Response) -> Response:
    """A language asked for is remembered on the way to another page, too."""
    if request.query_params.get("lang") in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, language_of(request), max_age=DEVICE_LIFE_S, samesite="lax")
    return response


def _is_own(visit: Visit) -> bool:
    given = visit.request.headers.get(TOKEN_HEADER, "")
    return hmac.compare_digest(given.encode(), csrf_of(visit.secret).encode())


def _check_address(request: Request) -> None:
    """Raises TillProblem(missing): there is nothing at an address with a NUL, and PostgreSQL must not be asked."""
    if has_nul(request.scope["path"]) or has_nul(request.url.query):
        raise TillProblem("missing")


async def _read_values(request: Request) -> dict[str, Plain]:
    """The JSON object of a POST, which holds nothing nested. Raises BodyTooLarge, msgspec.DecodeError."""
    values = msgspec.json.decode(await read_body(request, limit=MAX_BODY_BYTES) or b"{}", type=dict[str, Plain])
    if any(isinstance(value, str) and "\0" in value for value in values.values()):
        raise msgspec.DecodeError("NUL is no character of a text")
    return values


def _json(document: Mapping[str, object], status: int = 200) -> Response:
    return JSONResponse(dict(document), status, _NO_STORE)
