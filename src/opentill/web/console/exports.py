"""Orders as a file: the same filters as the list's, downloaded as it is made, with a look at how far it is."""

import secrets

from starlette.responses import Response, StreamingResponse

from opentill.domain.order import PaymentWay
from opentill.domain.people import Permission
from opentill.services import exports, search
from opentill.services.deployment import Deployment
from opentill.services.directory import directory
from opentill.services.exports import Export, Words
from opentill.storage import exports as rows
from opentill.storage.database import StepFailed
from opentill.storage.search import OrderStatus
from opentill.web.console.door import ConsolePage, Visit
from opentill.web.console.filters import FIELDS, read_filters, whole_number
from opentill.web.console.formats import second_time
from opentill.web.console.orders import ORDERS

EXPORT = ORDERS + "/export"
EXPORTS = ORDERS + "/exports"
ID_BITS = 48
"""A browser's script can make one up too."""


def pages(_: Deployment) -> list[ConsolePage]:
    export = Permission.ORDERS_EXPORT
    return [
        ConsolePage(EXPORT, _page, export),
        ConsolePage(EXPORT, _download, export, methods=("POST",)),
        ConsolePage(EXPORTS, _progress, export),
    ]


async def _page(visit: Visit) -> Response:
    asked = read_filters(visit.request.query_params, now_ms=visit.now_ms)
    mine = visit.visitor.merchants(Permission.ORDERS_EXPORT)
    return visit.render(
        "console/export.html",
        asked=asked,
        names=await directory(visit.deployment.database, mine),
        export_id=secrets.randbits(ID_BITS) or 1,
        most=exports.MOST_ROWS,
    )


async def _download(visit: Visit) -> Response:
    """Noted in the audit log before the first order leaves. Sent twice, the second is told that it has begun."""
    form, database = visit.form, visit.deployment.database
    asked = read_filters(form, now_ms=visit.now_ms)
    kind = form.get("format", "")
    export_id = whole_number(form.get("export_id", "")) or 0
    if kind not in exports.FORMATS or not export_id:
        return visit.redirect(EXPORT)
    mine = visit.visitor.merchants(Permission.ORDERS_EXPORT)
    export = Export(
        export_id=export_id,
        scope=await search.scope_of(database, mine, app_id=asked.app_id),
        wanted=asked.wanted,
        names=await directory(database, mine),
        words=_words(visit),
    )
    steps = [
        rows.forget_before(visit.now_ms - exports.FORGET_AFTER_MS),
        rows.begin(export_id, visit.visitor.user_id, now_ms=visit.now_ms),
    ]
    filters = {name: value for name, value in asked.fields.items() if name in FIELDS}
    try:
        await visit.change(steps, "order.export", str(export_id), before={}, after={**filters, "format": kind})
    except StepFailed:
        return visit.redirect(ORDERS, visit.t["exports"]["begun"])
    name = f"orders-{second_time(visit.now_ms)[:10]}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Accel-Buffering": "no"}
    content = exports.FORMATS[kind](visit.deployment, export)
    return StreamingResponse(content, media_type=exports.MEDIA_TYPES[kind], headers=headers)


async def _progress(visit: Visit) -> Response:
    export_id = whole_number(visit.request.query_params.get("id", "")) or 0
    found = await rows.of_user(visit.deployment.database, export_id, visit.visitor.user_id)
    return visit.render("console/export_part.html", export=found)


def _words(visit: Visit) -> Words:
    t = visit.t
    return Words(
        columns={name: t["exports"][f"column_{name}"] for name in exports.COLUMNS},
        wallets={number: t["order"][f"wallet_{number}"] for number in (1, 2)},
        ways={way.value: t["order"][f"way_{way.value}"] for way in PaymentWay},
        statuses={status.value: t["order_status"][status.value] for status in OrderStatus},
        cut=t["exports"]["cut"],
    )
