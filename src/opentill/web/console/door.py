"""The console's one door: who comes, with what rights, from where; nothing is shown that was not declared."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from opentill.domain.people import EVERY_MERCHANT, Permission, Visitor
from opentill.services import audit
from opentill.services.administration import Administration
from opentill.services.deployment import Deployment
from opentill.services.not_possible import NotPossible
from opentill.services.sessions import SignedIn
from opentill.storage.database import Row, Step
from opentill.web.console.cookies import Cookies
from opentill.web.pages import Pages, Texts, language_of

PREFIX = "/console"
SIGN_IN = "/sign-in"
CSRF_FIELD = "csrf_token"
CSRF_HEADER = "x-csrf-token"
NOBODY = Visitor(0, "", "", ())


class NotYours(Exception):
    """What was asked for is another merchant's: for this visitor it does not exist."""


@dataclass(frozen=True)
class ConsolePage:
    """One route below /console. `permission`: needed at one merchant at least; None: any signed-in person.

    `everywhere`: at every merchant, for what belongs to none alone. `nav`: its name in the navigation; the label is
    `t[nav].nav`. `is_open`: for who is not signed in, too. `before_password`: also for who still has to choose one.
    """

    path: str
    endpoint: "Callable[[Visit], Awaitable[Response]]"
    permission: Permission | None
    methods: tuple[str, ...] = ("GET",)
    nav: str = ""
    is_open: bool = False
    before_password: bool = False
    everywhere: bool = False

    def is_for(self, visitor: Visitor) -> bool:
        """Whether somebody who is signed in may come here at all."""
        if self.permission is None:
            return True
        return visitor.may(self.permission, EVERY_MERCHANT if self.everywhere else None)


@dataclass(frozen=True)
class NavItem:
    """An entry of the navigation."""

    name: str
    path: str
    page: ConsolePage


@dataclass(frozen=True)
class NavGroup:
    """Entries that belong together; the label is `t.console["nav_" + name]`."""

    name: str
    items: Sequence[NavItem]


@dataclass(frozen=True)
class House:
    """What all visits of one deployment share."""

    deployment: Deployment
    pages: Pages
    cookies: Cookies
    nav: Sequence[NavGroup]


@dataclass
class Visit:
    """One request of one visitor, who may be here at all; the page has to ask for rights at single merchants."""

    request: Request
    house: House
    signed_in: SignedIn | None
    source_ip: str
    now_ms: int
    guest: str
    fields: Sequence[tuple[str, str]] = ()
    form: dict[str, str] = field(init=False)
    """The fields of a POST whose CSRF token was right; of several of one name the last."""

    def __post_init__(self) -> None:
        self.form = dict(self.fields)

    @property
    def deployment(self) -> Deployment:
        return self.house.deployment

    @property
    def visitor(self) -> Visitor:
        return self.signed_in.visitor if self.signed_in else NOBODY

    @property
    def t(self) -> Texts:
        """All texts in the visitor's language."""
        return self.house.pages.texts[language_of(self.request)]

    @property
    def is_htmx(self) -> bool:
        """Whether a part of a page is asked for by a script, not a page by the browser."""
        return self.request.headers.get("hx-request") == "true"

    def form_list(self, name: str) -> list[str]:
        """All values of a field, in order."""
        return [value for each, value in self.fields if each == name]

    def require(self, permission: Permission, merchant_id: int) -> None:
        """Raises NotYours, which becomes a 404: other merchants' things do not exist here."""
        if not self.visitor.may(permission, merchant_id):
            raise NotYours

    def render(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """A page of the console, or a part of one."""
        flash = self.house.cookies.flash(self.request, self.owner)
        token = self.house.cookies.csrf_token(self.owner)
        response = self.house.pages.render(
            self.request,
            template,
            visitor=self.visitor,
            is_signed_in=self.signed_in is not None,
            may=self.visitor.may,
            Permission=Permission,
            nav=self.nav(),
            console_path=self.request.url.path.removeprefix(PREFIX),
            csrf_token=token,
            csrf_field=lambda: Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, token),
            flash=flash,
            is_htmx=self.is_htmx,
            is_sandbox=self.deployment.is_sandbox,
            now_ms=self.now_ms,
            **values,
        )
        response.status_code = status
        if flash:
            self.house.cookies.drop_flash(response)
        if self.signed_in is None:
            self.house.cookies.set_guest(response, self.guest)
        return response

    def redirect(self, path: str, flash: str = "") -> Response:
        """To a path below /console, with a message for the page there. A script's request moves the whole page."""
        response: Response = RedirectResponse(PREFIX + path, 303)
        if self.is_htmx:
            # As the redirect quotes it: a header has neither Chinese nor ends of lines.
            response = Response(status_code=204, headers={"HX-Redirect": response.headers["Location"]})
        if flash:
            self.house.cookies.set_flash(response, self.owner, flash)
        return response

    def administration(self) -> Administration:
        """Changes of parties in the visitor's name."""
        return Administration(
            self.deployment.database,
            self.deployment.sealer,
            self.deployment.channels,
            self.deployment.clock,
            actor=self.visitor.login,
            source_ip=self.source_ip,
        )

    async def change(
        self, steps: Sequence[Step], action: str, subject: str, *, before: Mapping[str, str], after: Mapping[str, str]
    ) -> list[list[Row]]:
        """Any other change in the visitor's name. Raises like `audit.change`."""
        return await audit.change(
            self.deployment.database,
            steps,
            actor=self.visitor.login,
            source_ip=self.source_ip,
            action=action,
            subject=subject,
            before=before,
            after=after,
            now_ms=self.now_ms,
        )

    @property
    def owner(self) -> str:
        """Whom forms and messages belong to: this session, or this browser that has none yet."""
        return owner_of(self.signed_in, self.guest)

    def nav(self) -> list[NavGroup]:
        """What this visitor may open, group by group; a group without any is left out."""
        groups = []
        for group in self.house.nav if self.signed_in else ():
            items = [item for item in group.items if item.page.is_for(self.visitor)]
            if items:
                groups.append(NavGroup(group.name, items))
        return groups


def worded(visit: Visit, error: NotPossible) -> str:
    """Why something can't be done, in the visitor's language."""
    return visit.t["not_possible"][error.reason].format(**error.values)


def owner_of(signed_in: SignedIn | None, guest: str) -> str:
    return owner_of_session(signed_in.session.token_hash) if signed_in else f"guest:{guest}"


def owner_of_session(token_hash: str) -> str:
    return f"session:{token_hash}"


def read_fields(body: bytes, *, max_fields: int) -> list[tuple[str, str]]:
    """The fields of an urlencoded form. Raises ValueError."""
    text = body.decode("ascii")
    if has_nul(text):
        raise ValueError("NUL is no character of a text")
    return parse_qsl(text, keep_blank_values=True, strict_parsing=bool(body), max_num_fields=max_fields)


def has_nul(text: str) -> bool:
    """Whether something urlencoded holds a NUL, which no browser sends and PostgreSQL does not take for text."""
    return "%00" in text or "\0" in text


def sign_in_path(request: Request) -> str:
    """Where to sign in, and to come back here from."""
    if request.method != "GET":
        return PREFIX + SIGN_IN
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{PREFIX}{SIGN_IN}?next={quote(here, safe='')}"
