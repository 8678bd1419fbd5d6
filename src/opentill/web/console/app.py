"""Puts the console together: every area's pages behind the one door, mounted at /console."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from opentill.services.deployment import Deployment
from opentill.web.console import (
    accounts,
    api,
    apps,
    audit_pages,
    dashboard,
    devices,
    exports,
    home,
    integration,
    merchants,
    notifications,
    order,
    orders,
    profile,
    signin,
    users,
)
from opentill.web.console.cookies import Cookies
from opentill.web.console.door import PREFIX, ConsolePage, House, NavGroup, NavItem
from opentill.web.console.formats import FILTERS
from opentill.web.console.guard import Guard, with_headers
from opentill.web.pages import Pages

# The order in which people see them; a page that is not named here has no entry.
NAV = (
    ("payments", ("dashboard", "orders", "notifications", "exports")),
    ("integration", ("apps", "integration", "debugger")),
    ("business", ("merchants", "accounts", "devices")),
    ("people", ("users", "audit")),
)

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def all_pages(deployment: Deployment) -> list[ConsolePage]:
    """Every page of the console. A new area adds its own here."""
    return [
        *home.pages(deployment),
        *signin.pages(deployment),
        *profile.pages(deployment),
        *users.pages(deployment),
        *audit_pages.pages(deployment),
        *devices.pages(deployment),
        *apps.pages(deployment),
        *merchants.pages(deployment),
        *accounts.pages(deployment),
        *integration.pages(deployment),
        *dashboard.pages(deployment),
        *orders.pages(deployment),
        *exports.pages(deployment),
        *order.pages(deployment),
        *notifications.pages(deployment),
    ]


def routes(deployment: Deployment) -> list[BaseRoute]:
    """The console, for sandbox and serve alike."""
    pages = all_pages(deployment)
    house = House(deployment, Pages(FILTERS), Cookies(deployment), nav_of(pages))
    guard = Guard(house)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return await guard.problem(request, error.status_code, headers=error.headers)

    async def failed(request: Request, _: Exception) -> Response:
        """The server logs what it was; here it is only told that it happened."""
        return await guard.problem(request, 500)

    app = Starlette(
        routes=[
            *api.routes(deployment, guard.signed_in),
            *(
                Route(page.path, guard.endpoint(page), methods=list(page.methods), name=f"{page.path} {page.methods}")
                for page in pages
            ),
        ],
        exception_handlers={HTTPException: refused, Exception: failed},
    )
    app.router.redirect_slashes = False

    async def bare(request: Request) -> Response:
        """The prefix alone, which the mounted app never sees."""
        if request.method in ("GET", "HEAD"):
            return RedirectResponse(PREFIX + "/", 303)
        return await guard.problem(request, 405, headers={"Allow": "GET, HEAD"})

    return [Route(PREFIX, bare, methods=METHODS), Mount(PREFIX, app=with_headers(app))]


def nav_of(pages: Sequence[ConsolePage]) -> list[NavGroup]:
    by_name = {page.nav: NavItem(page.nav, page.path, page) for page in pages if page.nav}
    unknown = by_name.keys() - {name for _, names in NAV for name in names}
    assert not unknown, f"not in NAV: {unknown}"
    return [NavGroup(group, [by_name[name] for name in names if name in by_name]) for group, names in NAV]
