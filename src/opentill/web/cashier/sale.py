"""One sale on the till's screen: opened, watched, cancelled, refunded, printed."""

import hashlib
from collections.abc import Mapping
from urllib.parse import quote

import segno
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from opentill.domain.till import SaleStatus
from opentill.protocol import params
from opentill.services import tills
from opentill.services.tills import NewSale, Sale
from opentill.storage import tills as rows
from opentill.web.cashier.door import ROOT, Door, Visit

MAX_BARCODE = 32

_NUMBER = "/sale/{number}"


def routes(door: Door) -> list[BaseRoute]:
    return [
        door.action("/sales", _sell),
        door.page(_NUMBER, _page),
        door.answer(f"{_NUMBER}/live", _live),
        door.action(f"{_NUMBER}/ask", _ask),
        door.action(f"{_NUMBER}/cancel", _cancel),
        door.action(f"{_NUMBER}/dismiss", _dismiss),
        door.action(f"{_NUMBER}/refund", _refund),
    ]


async def _sell(visit: Visit) -> Mapping[str, object]:
    channel = visit.values.get("channel", 0)
    wanted = NewSale(
        number=visit.text("number"),
        amount=visit.text("amount"),
        channel=channel if isinstance(channel, int) else -1,
        subject=visit.text("subject"),
        goods=visit.text("goods"),
        barcode="".join(visit.text("barcode").split())[:MAX_BARCODE],
    )
    order = await tills.sell(visit.deployment, visit.cashier, wanted, source_ip=visit.source_ip)
    return {"go": f"{ROOT}/sale/{order.local_order_no}"}


async def _page(visit: Visit) -> Response:
    sale = await _sale(visit)
    return visit.render("sale", **await _values(visit, sale))


async def _live(visit: Visit) -> Response:
    """The sale if it changed since `seen`. Cheap: a till asks more than once a second (decision 11)."""
    sale = await _sale(visit)
    version = _version(sale)
    if visit.request.query_params.get("seen") == version:
        return JSONResponse({}, headers={"Cache-Control": "no-store"})
    html = visit.draw("sale_body", **await _values(visit, sale))
    told = {"version": version, "status": sale.status.value, "is_settled": sale.is_settled, "html": html}
    return JSONResponse(told, headers={"Cache-Control": "no-store"})


async def _ask(visit: Visit) -> Mapping[str, object]:
    order = await tills.find(visit.deployment, visit.cashier, visit.request.path_params["number"])
    await tills.ask(visit.deployment, order)
    return {}


async def _cancel(visit: Visit) -> Mapping[str, object]:
    order = await tills.find(visit.deployment, visit.cashier, visit.request.path_params["number"])
    await tills.cancel(visit.deployment, visit.cashier, order)
    return {}


async def _dismiss(visit: Visit) -> Mapping[str, object]:
    order = await tills.find(visit.deployment, visit.cashier, visit.request.path_params["number"])
    await tills.dismiss(visit.deployment, order)
    return {"go": f"{ROOT}/?new=1"}


async def _refund(visit: Visit) -> Mapping[str, object]:
    who, deployment = visit.cashier, visit.deployment
    order = await tills.find(deployment, who, visit.request.path_params["number"])
    refund = await tills.refund(
        deployment,
        who,
        order,
        number=visit.text("number"),
        amount=visit.text("amount"),
        reason=visit.text("reason"),
        left=visit.text("left"),
        source_ip=visit.source_ip,
    )
    return {"state": refund.state.value}


async def _sale(visit: Visit) -> Sale:
    order = await tills.find(visit.deployment, visit.cashier, visit.request.path_params["number"])
    return await tills.look(visit.deployment, order)


async def _values(visit: Visit, sale: Sale) -> dict[str, object]:
    deployment, order = visit.deployment, sale.order
    text = sale.link or order.qr_text
    is_shown = sale.status is SaleStatus.WAITING and text
    cashier = await rows.cashier(deployment.database, order.operator_id)
    return {
        "sale": sale,
        # The one its cashier is busy with; any other is only looked at.
        "is_current": not sale.is_dismissed and sale.shift_id == visit.cashier.shift.shift_id,
        "order": order,
        "status": sale.status.value,
        "version": _version(sale),
        "left_ms": order.expires_at_ms - deployment.clock.now_ms(),
        "paid_ago_ms": deployment.clock.now_ms() - order.paid_at_ms if order.paid_at_ms else -1,
        "qr": segno.make(text, error="m", micro=False).svg_inline(border=2, omitsize=True) if is_shown else "",
        # A link the pretend phone opens as a real one does, in a browser.
        "phone_url": (sale.link or f"/twin/phone?qr={quote(text, safe='')}") if deployment.is_sandbox else "",
        "wallets": await _wallet_names(visit, sale),
        "subject": order.subject or deployment.settings.default_subject,
        "cashier_name": cashier.name if cashier else "",
        "store": visit.cashier.device.store,
        "merchant": visit.cashier.device.merchant,
        "max_reason": params.MAX_REASON,
    }


async def _wallet_names(visit: Visit, sale: Sale) -> list[str]:
    """The wallets that can pay the sale, or the one that did."""
    channels = visit.deployment.channels
    if sale.order.channel:
        return [channels[sale.order.channel].name]
    return [channels[each].name for each in await tills.accounts_of(visit.deployment, visit.cashier)]


def _version(sale: Sale) -> str:
    """Another text whenever a cashier would see something else."""
    order = sale.order
    seen = [sale.status, order.received_fen, order.refunding_fen, order.refunded_fen, order.attention, order.is_late]
    seen += [f"{refund.refund_no}{refund.state}" for refund in sale.refunds]
    return hashlib.sha256("|".join(map(str, seen)).encode()).hexdigest()[:16]
