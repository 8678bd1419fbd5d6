"""The first page: today against yesterday, by hour, wallet, store, cashier and item, and what needs a person."""

from urllib.parse import urlencode

from starlette.responses import Response

from opentill.domain.people import Permission
from opentill.services import dashboard, search
from opentill.services.dashboard import Dashboard, Money
from opentill.services.deployment import Deployment
from opentill.services.directory import directory
from opentill.web.console.door import ConsolePage, Visit
from opentill.web.console.filters import period_ms, whole_number

DASHBOARD = "/dashboard"
PERIODS = ("today", "yesterday", "7d", "30d")


def pages(_: Deployment) -> list[ConsolePage]:
    return [ConsolePage(DASHBOARD, _show, Permission.DASHBOARD, nav="dashboard")]


async def _show(visit: Visit) -> Response:
    query, database = visit.request.query_params, visit.deployment.database
    period = query.get("period", "") if query.get("period") in PERIODS else PERIODS[0]
    mine = visit.visitor.merchants(Permission.DASHBOARD)
    names = await directory(database, mine)
    merchant_id = whole_number(query.get("merchant", "")) or 0
    chosen = mine
    if merchant_id in names.merchants:
        chosen = frozenset({merchant_id})
    else:
        merchant_id = 0
    scope = await search.scope_of(database, chosen)
    from_ms, to_ms = period_ms(period, visit.now_ms)
    found = await dashboard.dashboard(database, scope, from_ms=from_ms, to_ms=to_ms, now_ms=visit.now_ms)
    return visit.render(
        "console/dashboard.html",
        period=period,
        periods=[(each, _url(each, merchant_id)) for each in PERIODS],
        here=_url(period, merchant_id),
        merchant_id=merchant_id,
        names=names,
        found=found,
        net_fen=found.now.received_fen - found.now.refunded_fen,
        changes=_changes(found),
        is_new=not found.ended and not found.now.orders and not found.before.orders and period == PERIODS[0],
        merchant_query=f"&merchant={merchant_id}" if merchant_id else "",
        has_many=len(names.merchants) > 1,
    )


def _changes(found: Dashboard) -> dict[str, int | None]:
    """By how many percent each figure changed; None: there was nothing to compare with."""

    def change(name: str) -> int | None:
        now, before = getattr(found.now, name), getattr(found.before, name)
        return round((now - before) * 100 / before) if before else None

    return {name: change(name) for name in (*Money.__struct_fields__, "average_fen")}


def _url(period: str, merchant_id: int) -> str:
    query = {"period": period} | ({"merchant": str(merchant_id)} if merchant_id else {})
    return f"/console{DASHBOARD}?{urlencode(query)}"
