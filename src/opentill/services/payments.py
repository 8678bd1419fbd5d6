"""What money does to an order, as a unit of work: it pays it, or is late, surplus, or wrong and held (design 5)."""

from collections.abc import Mapping

import msgspec

from opentill.base import numbers
from opentill.channels.base import Payment
from opentill.domain.order import Order, OrderState
from opentill.domain.parties import AppRules
from opentill.domain.refund import Refund, RefundCause, RefundState, given_back_fen
from opentill.services import notifications
from opentill.services.deployment import Deployment
from opentill.services.sales import count_refund, counted_last
from opentill.storage import held, history, refunds, stats
from opentill.storage import orders as rows
from opentill.storage.database import Step

LATE = "LATE"
RETURNED = "RETURNED"
"""Alarm: the merchant was told of money that undoing the charge then gave back."""
WATCH_MS = 60_000
"""How often the wallets are asked about an ended order while more money can come."""
ACCEPT, REFUND = "accept", "refund"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """Where an answer comes from: which wallet account, about which trade, in reply to what."""

    source: str
    channel: int
    account_id: int
    trade_no: str
    words: str = ""
    """The wallet's own words about a payment, for the timeline."""


async def plan_payment(
    deployment: Deployment,
    order: Order,
    payment: Payment,
    said: Said,
    *,
    was_refunded: bool,
    now_ms: int,
    is_again: bool = False,
) -> tuple[Order, list[Step]]:
    """The order afterwards and the unit that gets it there; an empty unit: this payment is known already.

    `was_refunded`: undoing a charge found it paid and gave the money back, so it is received and refunded in one.
    `is_again`: a unit made before was refused by what is stored.
    """
    # Of an open order whose money is not held no payment is known, but for one that a person decided about: then the
    # payment's own row refuses the unit, and we come again.
    may_be_known = is_again or not order.is_open or order.attention
    if may_be_known and await rows.is_payment_known(
        deployment.database,
        order.app_id,
        order.order_no,
        channel=said.channel,
        channel_trade_no=payment.channel_trade_no,
    ):
        return await _plan_return(deployment, order, payment, now_ms) if was_refunded else (order, [])
    detail = {
        "source": said.source,
        "channel_trade_no": payment.channel_trade_no,
        "amount_fen": str(payment.amount_fen),
        "received_fen": str(payment.received_fen),
        "said": said.words,
    }
    if payment.amount_fen != order.amount_fen:
        return _plan_held(order, payment, said, role=rows.WRONG_AMOUNT, detail=detail, now_ms=now_ms)
    if order.state is OrderState.PAID:
        flagged, unit = _plan_held(order, payment, said, role=rows.SURPLUS, detail=detail, now_ms=now_ms)
        if (await _rules(deployment, order)).surplus_payment == REFUND:
            refund = surplus_refund(order, payment, said, reason="重复付款，自动退款", now_ms=now_ms)
            unit.append(refunds.insert(refund))
        return flagged, unit
    is_late = not order.is_open
    paid = _paid(order, payment, said, is_late=is_late, now_ms=now_ms)
    unit = [
        rows.move_to_paid(paid, expected=order.state),
        _payment_row(paid, payment, said, role=rows.EFFECTIVE, now_ms=now_ms),
        _event(order, now_ms, "PAID_LATE" if is_late else "PAID", detail),
        stats.count_payment(paid, now_ms=now_ms),
        *_count_goods(paid, now_ms),
    ]
    if was_refunded:
        returned, more = _returned(paid, wallet_fen=paid.amount_fen, now_ms=now_ms)
        return returned, counted_last(unit + more)
    policy = (await _rules(deployment, order)).late_payment if is_late else ACCEPT
    if policy == REFUND:
        unit += [rows.reserve_refund(paid, amount_fen=paid.received_fen), refunds.insert(_late_refund(paid, now_ms))]
        paid = msgspec.structs.replace(paid, refunding_fen=paid.received_fen)
    # Held money waits for a person, who decides whether the merchant may deliver.
    if policy == ACCEPT:
        unit += notifications.owe_notification(paid, now_ms=now_ms)
    return paid, counted_last(unit)


def plan_accepted(order: Order, payment: Payment, said: Said, *, now_ms: int) -> tuple[Order, list[Step]]:
    """A person takes a payment that was held as the order's own. Its row exists and is the caller's to change.

    What was paid takes the place of what was asked for: refunds, figures and the merchant's notification are of real
    money. The order keeps its flag, which is the caller's too.
    """
    ordered = msgspec.structs.replace(order, amount_fen=payment.amount_fen)
    paid = _paid(ordered, payment, said, is_late=not order.is_open, now_ms=now_ms)
    paid = msgspec.structs.replace(paid, attention=order.attention)
    unit = [
        held.correct_amount(order, amount_fen=payment.amount_fen),
        rows.move_to_paid(paid, expected=order.state),
        stats.count_payment(paid, now_ms=now_ms),
        *_count_goods(paid, now_ms),
        *notifications.owe_notification(paid, now_ms=now_ms),
    ]
    return paid, counted_last(unit)


def surplus_refund(order: Order, payment: Payment, said: Said, *, reason: str, now_ms: int) -> Refund:
    """All of a payment that is not the order's own, to be given back to who paid it."""
    refund = _refund(
        order,
        cause=RefundCause.SURPLUS,
        amount_fen=payment.received_fen,
        wallet_fen=payment.amount_fen,
        reason=reason,
        now_ms=now_ms,
    )
    return msgspec.structs.replace(refund, trade_no=said.trade_no, channel=said.channel, account_id=said.account_id)


async def _plan_return(deployment: Deployment, order: Order, payment: Payment, now_ms: int) -> tuple[Order, list[Step]]:
    """A payment that was recorded before the wallet undid its charge: what is left of it has gone back."""
    left_fen = order.received_fen - order.refunded_fen - order.refunding_fen
    is_of_order = order.state is OrderState.PAID and order.channel_trade_no == payment.channel_trade_no
    if not is_of_order or left_fen == 0:
        return order, []
    earlier = await refunds.of_order(deployment.database, order.app_id, order.order_no)
    returned, unit = _returned(order, wallet_fen=order.amount_fen - given_back_fen(earlier), now_ms=now_ms)
    unit.append(rows.flag(order.app_id, order.order_no, attention=RETURNED))
    if (await _rules(deployment, order)).notify_refunds:
        unit += notifications.owe_notification(returned, now_ms=now_ms, kind=notifications.REFUND)
    return msgspec.structs.replace(returned, attention=RETURNED), counted_last(unit)


def _returned(order: Order, *, wallet_fen: int, now_ms: int) -> tuple[Order, list[Step]]:
    """The wallet has given back what was left of a payment: a settled refund, nothing to send."""
    refund = msgspec.structs.replace(
        _refund(
            order,
            cause=RefundCause.REVERSED,
            amount_fen=order.received_fen - order.refunded_fen - order.refunding_fen,
            wallet_fen=wallet_fen,
            reason="撤销时由钱包退回",
            now_ms=now_ms,
        ),
        state=RefundState.SUCCEEDED,
        ended_at_ms=now_ms,
        due_at_ms=0,
    )
    unit = [
        rows.reserve_refund(order, amount_fen=refund.amount_fen),
        rows.settle_refund(order, amount_fen=refund.amount_fen, refunded_at_ms=now_ms),
        refunds.insert(refund),
        _event(order, now_ms, "REFUND_SUCCEEDED", {"refund_no": refund.refund_no, "cause": refund.cause.value}),
        *count_refund(order, amount_fen=refund.amount_fen, now_ms=now_ms),
    ]
    refunded_fen = order.refunded_fen + refund.amount_fen
    return msgspec.structs.replace(order, refunded_fen=refunded_fen, refunded_at_ms=now_ms), unit


def _paid(order: Order, payment: Payment, said: Said, *, is_late: bool, now_ms: int) -> Order:
    paid = msgspec.structs.replace(
        order,
        state=OrderState.PAID,
        channel=said.channel,
        account_id=said.account_id,
        trade_no=said.trade_no,
        channel_trade_no=payment.channel_trade_no,
        received_fen=payment.received_fen,
        discount_fen=payment.discount_fen,
        paid_at_ms=payment.paid_at_ms or now_ms,
        is_late=is_late,
        attention=LATE if is_late else order.attention,
    )
    return msgspec.structs.replace(paid, poll_at_ms=now_ms + WATCH_MS if paid.is_watched_at(now_ms) else 0)


def _plan_held(
    order: Order, payment: Payment, said: Said, *, role: str, detail: Mapping[str, str], now_ms: int
) -> tuple[Order, list[Step]]:
    """Money that is not this order's payment: recorded and shown to a person, the order stays as it is."""
    return msgspec.structs.replace(order, attention=role), [
        _payment_row(order, payment, said, role=role, now_ms=now_ms),
        rows.flag(order.app_id, order.order_no, attention=role),
        _event(order, now_ms, role, detail),
    ]


def _payment_row(order: Order, payment: Payment, said: Said, *, role: str, now_ms: int) -> Step:
    return rows.insert_payment(
        msgspec.structs.replace(order, channel=said.channel, account_id=said.account_id),
        trade_no=said.trade_no,
        channel_trade_no=payment.channel_trade_no,
        role=role,
        amount_fen=payment.amount_fen,
        received_fen=payment.received_fen,
        discount_fen=payment.discount_fen,
        line_discounts=msgspec.json.encode(payment.line_discounts).decode(),
        paid_at_ms=payment.paid_at_ms or now_ms,
        now_ms=now_ms,
    )


def _count_goods(order: Order, now_ms: int) -> list[Step]:
    return [
        stats.count_goods(order, line, quantity_milli=line.quantity_milli, amount_fen=line.total_fen, now_ms=now_ms)
        for line in order.goods
    ]


def _late_refund(order: Order, now_ms: int) -> Refund:
    return _refund(
        order,
        cause=RefundCause.LATE,
        amount_fen=order.received_fen,
        wallet_fen=order.amount_fen,
        reason="订单已关闭，自动退款",
        now_ms=now_ms,
    )


def _refund(order: Order, *, cause: RefundCause, amount_fen: int, wallet_fen: int, reason: str, now_ms: int) -> Refund:
    """A refund by policy, due at once."""
    return Refund(
        app_id=order.app_id,
        refund_no=numbers.new_order_no(numbers.REFUND, app_id=order.app_id, now_ms=now_ms),
        order_no=order.order_no,
        local_refund_no="",
        request_sign="",
        operator_id=order.operator_id,
        trade_no=order.trade_no,
        channel=order.channel,
        account_id=order.account_id,
        cause=cause,
        amount_fen=amount_fen,
        wallet_fen=wallet_fen,
        reason=reason,
        state=RefundState.PENDING,
        created_at_ms=now_ms,
        due_at_ms=now_ms,
    )


def _event(order: Order, now_ms: int, kind: str, detail: Mapping[str, str]) -> Step:
    return history.add_event(order.app_id, order.order_no, now_ms=now_ms, kind=kind, detail=detail)


async def _rules(deployment: Deployment, order: Order) -> AppRules:
    app = await deployment.parties.app_by_id(order.app_id)
    assert app is not None, "an order's app is never deleted"
    return app.rules
