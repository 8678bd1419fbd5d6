"""Tills: the devices of each store and how they are paired, the cashiers' PINs and who may refund."""

import segno
from starlette.responses import Response

from opentill.domain.people import Permission
from opentill.services import devices, shifts
from opentill.services.deployment import Deployment
from opentill.services.devices import Actor, PairingCode, TillProblem
from opentill.storage import parties
from opentill.storage import tills as rows
from opentill.storage.tills import CashierRow, DeviceRow
from opentill.web.console.door import ConsolePage, NotYours, Visit

PATH = "/devices"
TILL_PATH = "/cashier/pair"
MAX_DIGITS = 15
MAX_OPERATOR_ID = 64


def pages(_: Deployment) -> list[ConsolePage]:
    manage = Permission.MERCHANTS_MANAGE
    one, cashier = f"{PATH}/{{device_id:int}}", f"{PATH}/cashiers/{{operator_id}}"
    return [
        ConsolePage(PATH, _list, manage, nav="devices"),
        ConsolePage(PATH, _add, manage, methods=("POST",)),
        ConsolePage(f"{one}/code", _offer, manage, methods=("POST",)),
        ConsolePage(f"{one}/name", _rename, manage, methods=("POST",)),
        ConsolePage(f"{one}/state", _switch, manage, methods=("POST",)),
        ConsolePage(f"{cashier}/pin", _set_pin, manage, methods=("POST",)),
        ConsolePage(f"{cashier}/refunds", _set_refunds, manage, methods=("POST",)),
    ]


async def _list(visit: Visit) -> Response:
    return await _draw(visit)


async def _add(visit: Visit) -> Response:
    store = next((each for each in await _stores(visit) if str(each.row_id) == visit.form.get("store_id")), None)
    if store is None:
        raise NotYours
    try:
        device_id = await devices.add(
            visit.deployment,
            merchant_id=store.merchant_id,
            store_id=store.row_id,
            name=visit.form.get("name", ""),
            actor=_actor(visit),
        )
        offered = await devices.offer_code(visit.deployment, device_id, actor=_actor(visit))
    except TillProblem as problem:
        return await _draw(visit, problem=problem)
    return await _draw(visit, offered=offered)


async def _offer(visit: Visit) -> Response:
    device = await _device(visit)
    try:
        offered = await devices.offer_code(visit.deployment, device.device_id, actor=_actor(visit))
    except TillProblem as problem:
        return await _draw(visit, problem=problem)
    return await _draw(visit, offered=offered)


async def _rename(visit: Visit) -> Response:
    device = await _device(visit)
    try:
        await devices.rename(visit.deployment, device.device_id, visit.form.get("name", ""), actor=_actor(visit))
    except TillProblem as problem:
        return await _draw(visit, problem=problem)
    return visit.redirect(PATH, visit.t["devices"]["saved"])


async def _switch(visit: Visit) -> Response:
    device, is_disabled = await _device(visit), visit.form.get("state") == "disabled"
    await devices.set_disabled(visit.deployment, device.device_id, is_disabled=is_disabled, actor=_actor(visit))
    return visit.redirect(PATH, visit.t["devices"]["was_disabled" if is_disabled else "was_enabled"])


async def _set_pin(visit: Visit) -> Response:
    cashier, pin = await _cashier(visit), visit.form.get("pin", "")
    try:
        await shifts.set_pin(visit.deployment, cashier.operator_id, pin, actor=_actor(visit))
    except TillProblem as problem:
        return await _draw(visit, problem=problem)
    return visit.redirect(PATH, visit.t["devices"]["pin_saved" if pin else "pin_removed"])


async def _set_refunds(visit: Visit) -> Response:
    cashier, may_refund = await _cashier(visit), visit.form.get("may_refund") == "yes"
    await shifts.set_may_refund(visit.deployment, cashier.operator_id, may_refund=may_refund, actor=_actor(visit))
    return visit.redirect(PATH, visit.t["devices"]["saved"])


async def _draw(visit: Visit, *, offered: PairingCode | None = None, problem: TillProblem | None = None) -> Response:
    """`offered` is shown here, once."""
    database = visit.deployment.database
    names = {each.row_id: each.name for each in await parties.merchants(database)}
    stores = await _stores(visit)
    mine = visit.visitor.merchants(Permission.MERCHANTS_MANAGE)
    link = f"{visit.deployment.public_base_url}{TILL_PATH}#{offered.spoken}" if offered else ""
    words = visit.t["till_problem"]
    return visit.render(
        "console/devices.html",
        status=422 if problem else 200,
        devices=await rows.devices(database, merchant_ids=mine),
        cashiers=await rows.cashiers(database, merchant_ids=mine),
        stores=stores,
        store_names={each.row_id: each.name for each in stores},
        merchant_names=names,
        has_merchants=len({each.merchant_id for each in stores}) > 1,
        offered=offered,
        link=link,
        qr=segno.make(link, error="m", micro=False).svg_inline(border=2, omitsize=True) if link else "",
        problem=words[problem.name].format(**problem.values) if problem else "",
    )


async def _stores(visit: Visit) -> list[parties.NamedRow]:
    """The stores of merchants whose tills this visitor may change."""
    mine = visit.visitor.merchants(Permission.MERCHANTS_MANAGE)
    found = await parties.stores(visit.deployment.database)
    return [each for each in found if mine is None or each.merchant_id in mine]


async def _device(visit: Visit) -> DeviceRow:
    """The device that the address names. Raises NotYours."""
    device_id = visit.request.path_params["device_id"]
    found = await rows.device(visit.deployment.database, device_id) if device_id < 10**MAX_DIGITS else None
    if found is None:
        raise NotYours
    visit.require(Permission.MERCHANTS_MANAGE, found.merchant_id)
    return found


async def _cashier(visit: Visit) -> CashierRow:
    """The cashier that the address names. Raises NotYours."""
    operator_id = visit.request.path_params["operator_id"][:MAX_OPERATOR_ID]
    found = await rows.cashier(visit.deployment.database, operator_id)
    if found is None:
        raise NotYours
    visit.require(Permission.MERCHANTS_MANAGE, found.merchant_id)
    return found


def _actor(visit: Visit) -> Actor:
    return Actor(visit.visitor.login, visit.source_ip)
