"""What a person decides about money that no rule could place: accept it, give it back, or leave it as it is (design 5).

A payment of another amount is held until then, whatever the wallet says later. Every decision moves the payment's row
from the role it was found in, so that it is made once; the audit log, the timeline and the order change together.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from opentill.channels.base import Outcome, Payment
from opentill.domain.order import Order, OrderState, PaymentWay
from opentill.domain.refund import RefundState
from opentill.services import audit, notifications, orders
from opentill.services.deployment import Deployment
from opentill.services.payments import LATE, Said, plan_accepted, surplus_refund
from opentill.storage import held, history, refunds
from opentill.storage import notifications as notification_rows
from opentill.storage import orders as rows
from opentill.storage.database import Step, StepFailed
from opentill.storage.held import ReceivedPayment

DECIDED = "DECIDED"
SEEN = "SEEN"
MAX_NOTE = 200
MAX_REASON = 80


class Choice(StrEnum):
    ACCEPT = "accept"
    """The order is paid with it, for what the wallet confirms."""
    REFUND = "refund"
    KEEP = "keep"
    """Settled with the payer in another way; nothing more is sent."""


class By(msgspec.Struct, frozen=True):
    """Who acts, and from where."""

    actor: str
    source_ip: str


class NotDecided(Exception):
    """It can't be done as things are. `reason` is a key of the pages' texts."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


CHANGED = "changed"
"""Somebody else, or the wallet, was faster: look again."""
NOT_CONFIRMED = "not_confirmed"
"""The wallet does not say that this money is there."""
STILL_OPEN = "still_open"
"""Another trade of the order may still be paid."""
PAID_ALREADY = "paid_already"
REFUNDING_ALREADY = "refunding_already"
TOLD_ALREADY = "told_already"


def choices(order: Order, payment: ReceivedPayment) -> tuple[Choice, ...]:
    """What can be decided about a payment now."""
    if not payment.is_undecided:
        return ()
    # Once an order is paid, a further payment can't pay it again.
    accept = () if order.state is OrderState.PAID else (Choice.ACCEPT,)
    return (*accept, Choice.REFUND, Choice.KEEP)


async def decide(
    deployment: Deployment, order: Order, payment: ReceivedPayment, choice: Choice, *, by: By, note: str = ""
) -> None:
    """Decide about one payment. Raises NotDecided."""
    if choice not in choices(order, payment):
        raise NotDecided(PAID_ALREADY if payment.is_undecided else CHANGED)
    if choice is Choice.ACCEPT:
        await _accept(deployment, order, payment, by=by, note=note)
        return
    if order.is_open:
        await _close_other_trades(deployment, order, payment)
    now_ms = deployment.clock.now_ms()
    unit = [held.decide(payment, role=held.KEPT if choice is Choice.KEEP else held.GIVEN_BACK)]
    unit += await _after(deployment, order, payment)
    if order.is_open:
        # Nobody can pay it any more: its trade is paid, only not with what was asked for.
        ended = msgspec.structs.replace(order, state=OrderState.CLOSED, poll_at_ms=0)
        unit.append(rows.move(ended, expected=order.state))
    if choice is Choice.REFUND:
        earlier = await refunds.of_order(deployment.database, order.app_id, order.order_no)
        if any(refund.trade_no == payment.trade_no and refund.state is not RefundState.FAILED for refund in earlier):
            raise NotDecided(REFUNDING_ALREADY)
        confirmed = await _confirmed(deployment, payment)
        reason = note[:MAX_REASON] or "多付款项退回"
        unit.append(refunds.insert(surplus_refund(order, confirmed, _said_of(payment), reason=reason, now_ms=now_ms)))
    await _write(deployment, order, unit, _detail(payment, choice, note), by=by, wakes=(refunds.WAKE,))


async def dismiss(deployment: Deployment, order: Order, *, by: By, note: str = "") -> None:
    """A person has seen what the order was flagged for. Undecided money is not dismissed. Raises NotDecided."""
    if any(payment.is_undecided for payment in await _payments(deployment, order)) or not order.attention:
        raise NotDecided(CHANGED)
    await _write(
        deployment, order, [held.calm(order)], {"attention": order.attention, "note": note}, by=by, kind=SEEN
    )  # fmt: skip


async def tell_after_all(deployment: Deployment, order: Order, *, by: By, note: str = "") -> None:
    """Late money that was held is accepted: now the merchant is told. Raises NotDecided."""
    told = await notification_rows.of_order(deployment.database, order.app_id, order.order_no)
    if order.attention != LATE or order.state is not OrderState.PAID:
        raise NotDecided(CHANGED)
    if order.refunding_fen or order.refunded_fen:
        raise NotDecided(REFUNDING_ALREADY)
    if any(notification.kind == notifications.PAYMENT for notification in told):
        raise NotDecided(TOLD_ALREADY)
    owed = notifications.owe_notification(order, now_ms=deployment.clock.now_ms())
    detail = {"choice": Choice.ACCEPT.value, "attention": LATE, "note": note}
    await _write(deployment, order, [held.calm(order), *owed], detail, by=by, wakes=(notification_rows.WAKE,))


async def _accept(deployment: Deployment, order: Order, payment: ReceivedPayment, *, by: By, note: str) -> None:
    confirmed = await _confirmed(deployment, payment)
    accept = held.accept(
        payment,
        amount_fen=confirmed.amount_fen,
        received_fen=confirmed.received_fen,
        discount_fen=confirmed.discount_fen,
    )
    # The others who could have paid are told no by `watch`: an h5 order goes on being watched when it is paid.
    _, unit = plan_accepted(order, confirmed, _said_of(payment), now_ms=deployment.clock.now_ms())
    detail = _detail(payment, Choice.ACCEPT, note) | {
        "ordered_fen": str(order.amount_fen),
        "amount_fen": str(confirmed.amount_fen),
    }
    unit = [accept, *unit, *await _after(deployment, order, payment)]
    await _write(deployment, order, unit, detail, by=by, wakes=(notification_rows.WAKE,))


async def _confirmed(deployment: Deployment, payment: ReceivedPayment) -> Payment:
    """What the wallet says of the payment now: what was told first may have been wrong."""
    account = await deployment.parties.account(payment.account_id)
    if account is None:
        raise NotDecided(NOT_CONFIRMED)
    answer = await deployment.channels[payment.channel].query(account.opened, payment.trade_no)
    orders.count_call(deployment, payment.channel, "query", answer)
    found = answer.payment
    if found is None or answer.was_refunded or found.channel_trade_no != payment.channel_trade_no:
        raise NotDecided(NOT_CONFIRMED)
    return found


async def _close_other_trades(deployment: Deployment, order: Order, payment: ReceivedPayment) -> None:
    """An order of which nothing is expected any more must not be payable. Raises NotDecided."""
    if order.way is not PaymentWay.H5:
        return
    for trade in await orders.trades_of(deployment, order):
        if trade.is_closed or trade.trade_no == payment.trade_no:
            continue
        account = await deployment.parties.account(trade.account_id)
        if account is None:
            raise NotDecided(STILL_OPEN)
        answer = await deployment.channels[trade.channel].close(account.opened, trade.trade_no)
        orders.count_call(deployment, trade.channel, "close", answer)
        if answer.payment is not None:
            await orders.record_outcome(deployment, order, answer, said=orders.said_of_trade(trade, "console"))
            raise NotDecided(CHANGED)
        # A page's trade exists from its creation on: one that a wallet does not know can't be paid.
        if answer.outcome not in (Outcome.CLOSED, Outcome.NOT_FOUND):
            raise NotDecided(STILL_OPEN)


async def _after(deployment: Deployment, order: Order, decided: ReceivedPayment) -> list[Step]:
    """The flag goes, unless further money waits for a decision."""
    left = [
        payment
        for payment in await _payments(deployment, order)
        if payment.is_undecided and payment.channel_trade_no != decided.channel_trade_no
    ]
    return [held.calm(order, attention=left[0].role if left else "")]


async def _payments(deployment: Deployment, order: Order) -> list[ReceivedPayment]:
    return await held.payments_of(deployment.database, order.app_id, order.order_no)


def _said_of(payment: ReceivedPayment) -> Said:
    return Said(source="console", channel=payment.channel, account_id=payment.account_id, trade_no=payment.trade_no)


def _detail(payment: ReceivedPayment, choice: Choice, note: str) -> dict[str, str]:
    return {
        "choice": choice.value,
        "role": payment.role,
        "channel_trade_no": payment.channel_trade_no,
        "amount_fen": str(payment.amount_fen),
        "note": note[:MAX_NOTE],
    }


async def _write(
    deployment: Deployment,
    order: Order,
    unit: Sequence[Step],
    detail: dict[str, str],
    *,
    by: By,
    kind: str = DECIDED,
    wakes: Sequence[str] = (),
) -> None:
    now_ms = deployment.clock.now_ms()
    event = history.add_event(
        order.app_id, order.order_no, now_ms=now_ms, kind=kind, detail={**detail, "actor": by.actor}
    )
    try:
        await audit.change(
            deployment.database,
            [*unit, event],
            actor=by.actor,
            source_ip=by.source_ip,
            action=f"order.{kind.lower()}",
            subject=order.order_no,
            before={"attention": order.attention, "state": order.state.value},
            after=detail,
            now_ms=now_ms,
            wakes=wakes,
        )
    except StepFailed as failed:
        raise NotDecided(CHANGED) from failed
