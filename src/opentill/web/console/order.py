"""One order: what is known of it, everything that happened, and what a person may do to it."""

import secrets

from starlette.responses import Response

from opentill.base import numbers
from opentill.base.errors import GatewayError
from opentill.base.money import fen_from_yuan, yuan_text
from opentill.domain.notification import Notification
from opentill.domain.order import Order, OrderState
from opentill.domain.people import Permission
from opentill.domain.refund import RefundState
from opentill.services import acting, decisions, notifications, orders
from opentill.services.decisions import By, Choice, NotDecided
from opentill.services.deployment import Deployment
from opentill.services.directory import directory
from opentill.storage import held
from opentill.storage import notifications as notification_rows
from opentill.storage import refunds as refund_rows
from opentill.storage.search import status_of
from opentill.web import timeline
from opentill.web.console.door import ConsolePage, NotYours, Visit
from opentill.web.console.orders import ORDERS

TOKEN_BYTES = 16
MAX_SKIP_DIGITS = 9
_CHOICES = {choice.value: choice for choice in Choice}


def pages(_: Deployment) -> list[ConsolePage]:
    read, act, refund = Permission.ORDERS_READ, Permission.ORDERS_ACT, Permission.REFUND
    one = ORDERS + "/{order_no:int}"
    return [
        ConsolePage(one, _show, read),
        ConsolePage(f"{one}/ask", _ask, act, methods=("POST",)),
        ConsolePage(f"{one}/reverse", _reverse, act, methods=("POST",)),
        ConsolePage(f"{one}/refund", _refund_page, refund),
        ConsolePage(f"{one}/refund", _refund, refund, methods=("POST",)),
        ConsolePage(f"{one}/decide", _decide, act, methods=("POST",)),
        ConsolePage(f"{one}/dismiss", _dismiss, act, methods=("POST",)),
        ConsolePage(f"{one}/tell", _tell, act, methods=("POST",)),
    ]


def by(visit: Visit) -> By:
    return By(visit.visitor.login, visit.source_ip)


async def _show(visit: Visit) -> Response:
    return await _draw(visit, await _order(visit, Permission.ORDERS_READ))


async def _draw(visit: Visit, order: Order, *, problem: str = "", status: int = 200) -> Response:
    deployment, key = visit.deployment, (order.app_id, order.order_no)
    told = await notification_rows.of_order(deployment.database, *key)
    payments = await held.payments_of(deployment.database, *key)
    app = await deployment.parties.app_by_id(order.app_id)
    return visit.render(
        "console/order.html",
        status=status,
        problem=problem,
        order=order,
        order_status=_status(order),
        app=app.name if app else "",
        names=await directory(deployment.database, visit.visitor.merchants(Permission.ORDERS_READ)),
        timeline=await timeline.page(deployment.database, *key, skip=_skip(visit)),
        told=told,
        payments=[(payment, decisions.choices(order, payment)) for payment in payments],
        refunds=await refund_rows.of_order(deployment.database, *key),
        may_act=visit.visitor.may(Permission.ORDERS_ACT, order.merchant_id),
        may_refund=visit.visitor.may(Permission.REFUND, order.merchant_id),
        may_resend=visit.visitor.may(Permission.NOTIFICATIONS_RESEND, order.merchant_id),
        left_fen=left_fen(order),
        can_tell=_can_tell(order, told),
        is_undecided=any(payment.is_undecided for payment in payments),
        is_stuck=order.attention == "REFUND_STUCK",
    )


async def _ask(visit: Visit) -> Response:
    order = await _order(visit, Permission.ORDERS_ACT)
    try:
        await acting.ask_now(visit.deployment, order, by=by(visit))
    except GatewayError as error:
        return await _refused(visit, order, error.name)
    return visit.redirect(_path(order), visit.t["order"]["asked"])


async def _reverse(visit: Visit) -> Response:
    order = await _order(visit, Permission.ORDERS_ACT)
    try:
        await acting.reverse(visit.deployment, order, by=by(visit))
    except GatewayError as error:
        return await _refused(visit, order, error.name)
    return visit.redirect(_path(order), visit.t["order"]["reversed"])


async def _refund_page(visit: Visit) -> Response:
    order = await _order(visit, Permission.REFUND)
    if order.state is not OrderState.PAID or left_fen(order) == 0:
        return visit.redirect(_path(order))
    return _draw_refund(visit, order, amount=yuan_text(left_fen(order)), token=secrets.token_hex(TOKEN_BYTES))


async def _refund(visit: Visit) -> Response:
    """Twice: the first time it is shown what will happen, the second time it happens. The token makes it once."""
    order, form = await _order(visit, Permission.REFUND), visit.form
    amount, token = form.get("amount", "").strip(), form.get("token", "")[: 2 * TOKEN_BYTES]
    amount_fen = _amount_fen(amount)
    if not 0 < amount_fen <= order.received_fen or not token:
        return _draw_refund(visit, order, amount=amount, token=token, problem="amount", status=422)
    if form.get("confirmed") != "1":
        if amount_fen > left_fen(order):
            return _draw_refund(visit, order, amount=amount, token=token, problem="REFUND_EXCEEDS_PAYMENT", status=422)
        return _draw_refund(visit, order, amount=amount, token=token, confirm_fen=amount_fen)
    try:
        refund = await acting.refund(
            visit.deployment,
            order,
            amount_fen=amount_fen,
            reason=form.get("reason", "").strip(),
            token=token,
            by=by(visit),
        )
    except GatewayError as error:
        return _draw_refund(visit, order, amount=amount, token=token, problem=error.name, status=409)
    word = {RefundState.SUCCEEDED: "refunded", RefundState.PENDING: "refunding", RefundState.FAILED: "refund_failed"}
    return visit.redirect(_path(order), visit.t["order"][word[refund.state]])


def _draw_refund(
    visit: Visit, order: Order, *, amount: str, token: str, problem: str = "", confirm_fen: int = 0, status: int = 200
) -> Response:
    return visit.render(
        "console/refund.html",
        status=status,
        order=order,
        left_fen=left_fen(order),
        amount=amount,
        reason=visit.form.get("reason", "").strip()[: acting.MAX_REASON],
        token=token,
        problem=problem,
        confirm_fen=confirm_fen,
    )


async def _decide(visit: Visit) -> Response:
    order, form = await _order(visit, Permission.ORDERS_ACT), visit.form
    payments = await held.payments_of(visit.deployment.database, order.app_id, order.order_no)
    chosen = [payment for payment in payments if payment.channel_trade_no == form.get("payment")]
    choice = _CHOICES.get(form.get("choice", ""))
    if not chosen or choice is None:
        return await _refused(visit, order, decisions.CHANGED)
    if choice is Choice.REFUND:
        visit.require(Permission.REFUND, order.merchant_id)
    note = form.get("note", "").strip()
    try:
        await decisions.decide(visit.deployment, order, chosen[0], choice, by=by(visit), note=note)
    except NotDecided as refusal:
        return await _refused(visit, order, refusal.reason)
    return visit.redirect(_path(order), visit.t["order"][f"decided_{choice.value}"])


async def _dismiss(visit: Visit) -> Response:
    order = await _order(visit, Permission.ORDERS_ACT)
    try:
        await decisions.dismiss(visit.deployment, order, by=by(visit), note=visit.form.get("note", "").strip())
    except NotDecided as refusal:
        return await _refused(visit, order, refusal.reason)
    return visit.redirect(_path(order), visit.t["order"]["dismissed"])


async def _tell(visit: Visit) -> Response:
    order = await _order(visit, Permission.ORDERS_ACT)
    try:
        await decisions.tell_after_all(visit.deployment, order, by=by(visit), note=visit.form.get("note", "").strip())
    except NotDecided as refusal:
        return await _refused(visit, order, refusal.reason)
    return visit.redirect(_path(order), visit.t["order"]["told"])


async def _refused(visit: Visit, order: Order, reason: str) -> Response:
    return await _draw(visit, await orders.reread(visit.deployment, order), problem=reason, status=409)


async def _order(visit: Visit, permission: Permission) -> Order:
    """The order that the address names. Raises NotYours."""
    order_no = str(visit.request.path_params["order_no"])
    app_id = numbers.app_id_of(order_no) if numbers.is_order_no(order_no) else None
    order = await orders.find_order(visit.deployment, app_id, order_no=order_no) if app_id is not None else None
    if order is None:
        raise NotYours
    visit.require(permission, order.merchant_id)
    return order


def left_fen(order: Order) -> int:
    """What can still be refunded."""
    return order.received_fen - order.refunded_fen - order.refunding_fen


def _status(order: Order) -> str:
    return status_of(
        order.state,
        received_fen=order.received_fen,
        refunding_fen=order.refunding_fen,
        refunded_fen=order.refunded_fen,
    ).value


def _can_tell(order: Order, told: list[Notification]) -> bool:
    """Whether late money is held and the merchant does not know of it."""
    is_known = any(each.kind == notifications.PAYMENT for each in told)
    is_untouched = not (order.refunding_fen or order.refunded_fen)
    return order.attention == "LATE" and bool(order.notify_url) and is_untouched and not is_known


def _skip(visit: Visit) -> int | None:
    """How many entries of the timeline the address leaves out; None: it does not say, or not with sense."""
    text = visit.request.query_params.get("entries", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_SKIP_DIGITS else None


def _amount_fen(text: str) -> int:
    """0 for what is no amount."""
    try:
        return fen_from_yuan(text.lstrip("¥￥").replace(",", ""))
    except ValueError:
        return 0


def _path(order: Order) -> str:
    return f"{ORDERS}/{order.order_no}"
