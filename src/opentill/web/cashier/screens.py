"""The till's screens around a sale: pairing, signing in, the day's orders, the shift."""

from collections.abc import Mapping

from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute

from opentill.domain.till import SaleStatus
from opentill.services import devices, shifts, statistics, till_days, tills
from opentill.services.devices import Actor, TillProblem
from opentill.services.statistics import UnusableQuestion
from opentill.storage import tills as rows
from opentill.web.cashier import offline
from opentill.web.cashier.door import (
    DEVICE_COOKIE,
    DEVICE_LIFE_S,
    ROOT,
    SESSION_COOKIE,
    VISITOR_COOKIE,
    Door,
    Visit,
)

MAX_ID = 2**63 - 1
"""The greatest number both databases keep."""
MAX_PIN = 16
"""Longer than any PIN, so that too many digits are wrong rather than cut."""


def routes(door: Door) -> list[BaseRoute]:
    found: list[BaseRoute] = [
        door.page("/", _home),
        door.page("/pair", _pair_page),
        door.action("/pair", _pair),
        door.page("/sign-in", _sign_in_page),
        door.action("/sign-in", _sign_in),
        door.action("/lock", _lock),
        door.answer("/pulse", _pulse),
        door.script("/worker.js", offline.worker),
        door.page("/orders", _orders),
        door.page("/shift", _shift),
        door.action("/shift", _hand_over),
        door.page("/shift/{shift_id:int}", _report),
    ]
    if door.deployment.is_sandbox:
        found.append(door.action("/pair/sandbox", _pair_sandbox))
    return found


async def _home(visit: Visit) -> Response:
    """A free till, or the sale that its cashier has not put aside: a reload loses nothing."""
    who = visit.cashier
    number = await tills.current(visit.deployment, who)
    if number is not None and visit.request.query_params.get("new") != "1":
        return RedirectResponse(f"{ROOT}/sale/{number}", 303)
    accounts = await tills.accounts_of(visit.deployment, who)
    return visit.render(
        "amount",
        wallets=[visit.deployment.channels[each].name for each in accounts],
        numbers={visit.deployment.channels[each].name: each for each in accounts},
        has_one_code=await tills.has_one_code(visit.deployment, who),
    )


async def _pair_page(visit: Visit) -> Response:
    return visit.render("pair")


async def _pair(visit: Visit) -> Response:
    token = await devices.pair(visit.deployment, visit.text("code"), source_ip=visit.source_ip)
    return _paired(visit, token)


async def _pair_sandbox(visit: Visit) -> Response:
    """In the sandbox any browser may be a till of the test store, without a console; a PIN is still asked for."""
    deployment = visit.deployment
    cashier = next((each for each in await rows.cashiers(deployment.database) if each.pin_hash), None)
    if cashier is None:
        raise TillProblem("pairing")
    actor = Actor("sandbox", visit.source_ip)
    device_id = await devices.add(
        deployment,
        merchant_id=cashier.merchant_id,
        store_id=cashier.store_id,
        name=visit.texts["till"]["sandbox_device"],
        actor=actor,
    )
    offered = await devices.offer_code(deployment, device_id, actor=actor)
    return _paired(visit, await devices.pair(deployment, offered.code, source_ip=visit.source_ip))


def _paired(visit: Visit, token: str) -> Response:
    response = JSONResponse({"go": f"{ROOT}/sign-in"}, headers={"Cache-Control": "no-store"})
    visit.door.set_cookie(response, DEVICE_COOKIE, token, life_s=DEVICE_LIFE_S)
    response.delete_cookie(VISITOR_COOKIE, path=ROOT)
    return response


async def _sign_in_page(visit: Visit) -> Response:
    device = visit.at_device
    if visit.who is not None:
        return RedirectResponse(f"{ROOT}/", 303)
    database = visit.deployment.database
    return visit.render(
        "signin",
        cashiers=await rows.cashiers_of_store(database, device.store_id),
        open_shifts=await rows.open_shifts(database, device.device_id),
    )


async def _sign_in(visit: Visit) -> Response:
    token = await shifts.sign_in(
        visit.deployment, visit.at_device, visit.text("operator_id"), visit.text("pin")[:MAX_PIN]
    )
    response = JSONResponse({"go": f"{ROOT}/"}, headers={"Cache-Control": "no-store"})
    visit.door.set_cookie(response, SESSION_COOKIE, token)
    return response


async def _lock(visit: Visit) -> Mapping[str, object]:
    await shifts.lock(visit.deployment, visit.cashier)
    return {"go": f"{ROOT}/sign-in"}


async def _pulse(visit: Visit) -> Mapping[str, object]:
    """What a till asks now and then: is the gateway there, and am I still signed in?"""
    return {"shift": visit.cashier.shift.shift_id}


async def _orders(visit: Visit) -> Response:
    query = visit.request.query_params
    try:
        day = statistics.read_day(query.get("day", ""))
    except UnusableQuestion:
        day = None
    state = query.get("state", till_days.ALL)
    question = query.get("q", "")
    found = await till_days.day_of(
        visit.deployment, visit.cashier, day=day, state=state, question=question, before=query.get("before", "")
    )
    names = await rows.names_of(visit.deployment.database, {each.order.operator_id for each in found.sales})
    return visit.render(
        "orders",
        found=found,
        names=names,
        state=state if state in till_days.STATES else till_days.ALL,
        states=till_days.STATES,
        question=question,
        today=till_days.today(visit.deployment.clock.now_ms()),
        is_checking=any(each.status is SaleStatus.CHECKING for each in found.sales),
    )


async def _shift(visit: Visit) -> Response:
    totals = await shifts.totals(visit.deployment, visit.cashier.shift)
    return visit.render("shift", totals=totals, seal=shifts.seal_of(totals), shift=visit.cashier.shift, cashier="")


async def _hand_over(visit: Visit) -> Mapping[str, object]:
    shift_id = await shifts.hand_over(visit.deployment, visit.cashier, seen=visit.text("seal"))
    return {"go": f"{ROOT}/shift/{shift_id}"}


async def _report(visit: Visit) -> Response:
    """What was handed over, for the device where it happened: nobody is signed in there any more."""
    shift_id = visit.request.path_params["shift_id"]
    shift = await shifts.report(visit.deployment, visit.at_device, shift_id) if shift_id <= MAX_ID else None
    if shift is None:
        raise TillProblem("missing")
    cashier = await rows.cashier(visit.deployment.database, shift.operator_id)
    totals = await shifts.totals(visit.deployment, shift)
    return visit.render("shift", totals=totals, seal="", shift=shift, cashier=cashier.name if cashier else "")
