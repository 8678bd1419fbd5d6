"""The list of orders: a number or filters in the URL, newest first, page by page."""

from urllib.parse import urlencode

from starlette.responses import Response

from opentill.base.numbers import LENGTH
from opentill.domain.order import PaymentWay
from opentill.domain.people import Permission
from opentill.services import search
from opentill.services.deployment import Deployment
from opentill.services.directory import directory
from opentill.services.search import Page
from opentill.web.console.door import ConsolePage, Visit
from opentill.web.console.filters import PERIODS, STATES, Asked, read_filters

ORDERS = "/orders"


def pages(_: Deployment) -> list[ConsolePage]:
    return [ConsolePage(ORDERS, _list, Permission.ORDERS_READ, nav="orders")]


async def _list(visit: Visit) -> Response:
    query, database = visit.request.query_params, visit.deployment.database
    asked = read_filters(query, now_ms=visit.now_ms)
    mine = visit.visitor.merchants(Permission.ORDERS_READ)
    before = _cursor(query.get("before", ""))
    if asked.number:
        scope = await search.scope_of(database, mine)
        page = Page(await search.by_number(database, scope, asked.number), "", False)
        if len(page.orders) == 1 and not visit.is_htmx:
            return visit.redirect(f"{ORDERS}/{page.orders[0].order_no}")
    else:
        scope = await search.scope_of(database, mine, app_id=asked.app_id)
        page = await search.page(database, scope, asked.wanted, before=before)
    return visit.render(
        "console/orders.html",
        asked=asked,
        page=page,
        is_first=not before,
        names=await directory(database, mine),
        periods=PERIODS,
        states=list(STATES),
        ways=[way.value for way in PaymentWay],
        next_url=_url(asked, before=page.before) if page.before else "",
        first_url=_url(asked),
        export_url=_url(asked, path="/orders/export"),
        is_empty_install=not scope.app_ids,
    )


def _cursor(text: str) -> str:
    """A number to go on from. Anything else: from the newest on."""
    return text if len(text) in (LENGTH, LENGTH - 1) and text.isascii() and text.isdigit() else ""


def _url(asked: Asked, *, path: str = ORDERS, **more: str) -> str:
    query = urlencode({**asked.fields, **more})
    return f"/console{path}{f'?{query}' if query else ''}"
