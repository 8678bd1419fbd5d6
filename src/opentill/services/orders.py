"""Orders: taking a number, and the one door through which a wallet's word changes an order (design 4, 5)."""

from collections.abc import Mapping

import msgspec

from opentill.base import numbers
from opentill.base.errors import GatewayError
from opentill.base.logs import logger
from opentill.channels.base import Answer, Outcome, Payment, Trade
from opentill.domain.order import Order, OrderState, next_poll_ms
from opentill.protocol.words import CHANNEL_TITLES
from opentill.services.access import OpenAccount
from opentill.services.deployment import Deployment
from opentill.services.notifications import owe_notification
from opentill.storage import history, stats
from opentill.storage import orders as rows
from opentill.storage.database import Step, StepFailed
from opentill.storage.history import Event
from opentill.storage.notifications import WAKE as NOTIFY_WAKE

POLL_WAKE = "poll"
"""Woken when an order should be asked about earlier than planned."""

MAX_RACES = 8
"""Times a decision is made anew because the order moved meanwhile; each race needs another writer that won."""
MAX_NUMBER_DRAWS = 5

CREATE_LEASE_MS = 30_000
"""How long a CREATED order belongs to the request that made it; then the worker asks. Two create calls fit in it."""

LATE = "LATE"
_log = logger("orders")


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """Where an answer comes from: which wallet account, about which trade, in reply to what."""

    source: str
    channel: int
    account_id: int
    trade_no: str


async def find_order(
    deployment: Deployment, app_id: int, *, order_no: str = "", local_order_no: str = ""
) -> Order | None:
    """By our number, else by the integrator's (the latest under it)."""
    if order_no:
        return await rows.by_order_no(deployment.database, app_id, order_no)
    return await rows.by_local_order_no(deployment.database, app_id, local_order_no)


async def timeline(deployment: Deployment, app_id: int, order_no: str) -> list[Event]:
    """Everything that happened to an order, oldest first."""
    return await history.events_of_order(deployment.database, app_id, order_no)


async def take_number(deployment: Deployment, order: Order, *, request_sign: str) -> Order:
    """Record a new order, so that its number belongs to this request alone.

    The order is CREATED: no channel has been asked and no money can move. Returns it with the number it got.
    Raises: DUPLICATE_ORDER (the app used this number before, for whatever channel).
    """
    poll_at_ms = order.created_at_ms + CREATE_LEASE_MS
    for _ in range(MAX_NUMBER_DRAWS):
        order_no = numbers.new_order_no(numbers.PAYMENT, app_id=order.app_id, now_ms=order.created_at_ms)
        # protocol 4.3: without a number of the integrator's own the order's number stands in for it.
        numbered = msgspec.structs.replace(
            order, order_no=order_no, local_order_no=order.local_order_no or order_no, poll_at_ms=poll_at_ms
        )
        unit = [
            rows.insert(numbered, poll_at_ms=poll_at_ms, request_sign=request_sign),
            _event(numbered, order.created_at_ms, "CREATED", {"amount_fen": str(order.amount_fen), "way": order.way}),
        ]
        try:
            await deployment.database.write(unit)
        except StepFailed as failed:
            if failed.index != 0:
                raise
            if await find_order(deployment, order.app_id, local_order_no=numbered.local_order_no) is not None:
                raise GatewayError("DUPLICATE_ORDER", local_order_no=numbered.local_order_no) from failed
            continue  # another order got the same random number in the same millisecond
        return numbered
    raise GatewayError("BUSY", note="no free order number drawn")


async def open_qr(deployment: Deployment, order: Order, account: OpenAccount) -> Order:
    """Ask the wallet for the QR code of a CREATED order and record what it said.

    Raises: CHANNEL_REFUSED, CHANNEL_TIMEOUT (the outcome is unknown; the worker finds out).
    """
    channel = deployment.channels[order.channel]
    trade = trade_of(deployment, order)
    answer = await channel.create_qr(account.opened, trade)
    _count_call(deployment, channel.name, "create", answer)
    if answer.outcome is Outcome.UNKNOWN:
        # protocol 4.1: the same create once more; harmless, nobody has seen a QR code yet.
        answer = await channel.create_qr(account.opened, trade)
        _count_call(deployment, channel.name, "create", answer)
    order = await record_outcome(deployment, order, answer, said=_said(order, "create"))
    if answer.outcome is Outcome.ACCEPTED and (order.is_open or order.state is OrderState.PAID):
        return msgspec.structs.replace(order, qr_text=answer.qr_text)
    if answer.outcome is Outcome.REFUSED:
        raise GatewayError(
            "CHANNEL_REFUSED", channel=CHANNEL_TITLES[order.channel], reason=answer.message or answer.code
        )
    raise GatewayError("CHANNEL_TIMEOUT", channel=CHANNEL_TITLES[order.channel], note=answer.code)


async def keep_reply(deployment: Deployment, order: Order, reply: bytes) -> None:
    """Store the bytes of a first success for an app that wants replays."""
    await deployment.database.write([rows.keep_reply(order.app_id, order.order_no, reply=reply.decode())])


async def stored_reply(deployment: Deployment, order: Order, *, request_sign: str) -> bytes:
    """The first success's bytes for a byte-identical repeat (protocol 4.1). Raises DUPLICATE_ORDER for all else."""
    stored = await rows.stored_reply(deployment.database, order.app_id, order.local_order_no)
    if stored is None or not stored.reply or stored.request_sign != request_sign:
        raise GatewayError("DUPLICATE_ORDER", local_order_no=order.local_order_no)
    return stored.reply.encode()


async def record_outcome(deployment: Deployment, order: Order, answer: Answer, *, said: Said) -> Order:
    """The one door: what a wallet said changes the order, with history, statistics and the debt to notify in one unit.

    Safe to repeat and to race: the move names the state it expects; who loses decides anew on what it finds.
    """
    for _ in range(MAX_RACES):
        now_ms = deployment.clock.now_ms()
        if answer.outcome is Outcome.PAID and answer.payment is not None:
            changed, unit = await _plan_payment(deployment, order, answer.payment, said, now_ms)
        else:
            changed, unit = _plan_word(order, answer, said, now_ms)
        if not unit:
            return order
        try:
            await deployment.database.write(unit, wakes=(NOTIFY_WAKE,) if changed.state is OrderState.PAID else ())
        except StepFailed:
            found = await rows.by_order_no(deployment.database, order.app_id, order.order_no)
            if found is None:
                raise
            order = found
            continue
        _tell(deployment, order, changed)
        return changed
    raise GatewayError("BUSY", note="the order kept moving")


async def close_dead(deployment: Deployment, order: Order) -> Order:
    """The wallet knows no such trade and the QR code is dead: nobody can pay any more (design 5)."""
    now_ms = deployment.clock.now_ms()
    if not (order.is_open and order.is_dead_at(now_ms)):
        return order
    answer = Answer(outcome=Outcome.CLOSED, code="EXPIRED", message="the wallet knows no such trade after its life")
    return await record_outcome(deployment, order, answer, said=_said(order, "expiry"))


async def ask_wallet(deployment: Deployment, order: Order, *, source: str, timeout_s: float | None = None) -> Order:
    """Query the wallet about an order and record what it says."""
    account = await deployment.parties.account(order.account_id)
    if account is None:
        return order
    channel = deployment.channels[order.channel]
    answer = await channel.query(account.opened, order.order_no, timeout_s=timeout_s)
    _count_call(deployment, channel.name, "query", answer)
    order = await record_outcome(deployment, order, answer, said=_said(order, source))
    if answer.outcome is Outcome.NOT_FOUND:
        return await close_dead(deployment, order)
    return order


async def close_at_wallet(deployment: Deployment, order: Order) -> Order:
    """Close an open order at the wallet first, then here. Paid meanwhile: the next question finds the money."""
    account = await deployment.parties.account(order.account_id)
    if account is None or not order.is_open:
        return order
    channel = deployment.channels[order.channel]
    answer = await channel.close(account.opened, order.order_no)
    _count_call(deployment, channel.name, "close", answer)
    if answer.outcome in (Outcome.CLOSED, Outcome.PAID):
        return await record_outcome(deployment, order, answer, said=_said(order, "close"))
    return order


def trade_of(deployment: Deployment, order: Order) -> Trade:
    """The order as its wallet needs it."""
    return Trade(
        trade_no=order.order_no,
        amount_fen=order.amount_fen,
        un_discount_fen=order.un_discount_fen,
        subject=order.subject or deployment.settings.default_subject,
        goods=order.goods,
        operator_id=order.operator_id,
        store_id=str(order.store_id),
        terminal_ip=order.device_create_ip,
        created_at_ms=order.created_at_ms,
        expires_at_ms=order.expires_at_ms,
        callback_url=deployment.callback_url(order.channel, order.account_id),
    )


def _plan_word(order: Order, answer: Answer, said: Said, now_ms: int) -> tuple[Order, list[Step]]:
    """What an answer without money does to an open order. An empty unit: nothing changes."""
    if not order.is_open:
        return order, []
    detail = {"source": said.source, "outcome": answer.outcome.value, "code": answer.code, "message": answer.message}
    poll_at_ms = next_poll_ms(order, polls=order.polls, now_ms=now_ms)
    if answer.outcome is Outcome.ACCEPTED and answer.qr_text and not order.qr_text:
        qr_text = answer.qr_text
        changed = msgspec.structs.replace(order, state=OrderState.WAITING, qr_text=qr_text, poll_at_ms=poll_at_ms)
        keep = rows.keep_qr(order.app_id, order.order_no, expected=order.state, qr_text=qr_text, poll_at_ms=poll_at_ms)
        return changed, [keep, _event(order, now_ms, "WAITING", detail)]
    state = {
        Outcome.ACCEPTED: OrderState.WAITING,
        Outcome.UNKNOWN: OrderState.WAITING,
        Outcome.REFUSED: OrderState.FAILED,
        Outcome.CLOSED: OrderState.CLOSED,
    }.get(answer.outcome, order.state)
    if state is order.state:
        return order, []
    poll_at_ms = poll_at_ms if state is OrderState.WAITING else 0
    changed = msgspec.structs.replace(order, state=state, poll_at_ms=poll_at_ms)
    move = rows.move(order.app_id, order.order_no, expected=order.state, state=state, poll_at_ms=poll_at_ms)
    return changed, [move, _event(order, now_ms, state, detail)]


async def _plan_payment(
    deployment: Deployment, order: Order, payment: Payment, said: Said, now_ms: int
) -> tuple[Order, list[Step]]:
    """What money does: it makes the order PAID, or it is surplus, or its amount is wrong and it is held."""
    if await rows.is_payment_known(
        deployment.database,
        order.app_id,
        order.order_no,
        channel=said.channel,
        channel_trade_no=payment.channel_trade_no,
    ):
        return order, []
    detail = {
        "source": said.source,
        "channel_trade_no": payment.channel_trade_no,
        "amount_fen": str(payment.amount_fen),
        "received_fen": str(payment.received_fen),
    }
    if payment.amount_fen != order.amount_fen:
        return _plan_held(order, payment, said, now_ms, role=rows.WRONG_AMOUNT, detail=detail)
    if order.state is OrderState.PAID:
        return _plan_held(order, payment, said, now_ms, role=rows.SURPLUS, detail=detail)
    is_late = not order.is_open
    changed = msgspec.structs.replace(
        order,
        state=OrderState.PAID,
        channel=said.channel,
        account_id=said.account_id,
        channel_trade_no=payment.channel_trade_no,
        received_fen=payment.received_fen,
        discount_fen=payment.discount_fen,
        paid_at_ms=payment.paid_at_ms or now_ms,
        is_late=is_late,
        attention=LATE if is_late else order.attention,
        poll_at_ms=0,
    )
    unit = [
        rows.move_to_paid(changed, expected=order.state),
        _payment_row(changed, payment, said, now_ms, role=rows.EFFECTIVE),
        _event(order, now_ms, "PAID_LATE" if is_late else "PAID", detail),
        stats.count_payment(changed, now_ms=now_ms),
        *_count_goods(changed, now_ms),
        *owe_notification(changed, now_ms=now_ms),
    ]
    return changed, unit


def _plan_held(
    order: Order, payment: Payment, said: Said, now_ms: int, *, role: str, detail: Mapping[str, str]
) -> tuple[Order, list[Step]]:
    """Money that is not this order's payment: recorded and shown to a person, the order stays as it is."""
    return msgspec.structs.replace(order, attention=role), [
        _payment_row(order, payment, said, now_ms, role=role),
        rows.flag(order.app_id, order.order_no, attention=role),
        _event(order, now_ms, role, detail),
    ]


def _payment_row(order: Order, payment: Payment, said: Said, now_ms: int, *, role: str) -> Step:
    lines = msgspec.json.encode(payment.line_discounts).decode()
    paid_by = msgspec.structs.replace(order, channel=said.channel, account_id=said.account_id)
    return rows.insert_payment(
        paid_by,
        trade_no=said.trade_no,
        channel_trade_no=payment.channel_trade_no,
        role=role,
        amount_fen=payment.amount_fen,
        received_fen=payment.received_fen,
        discount_fen=payment.discount_fen,
        line_discounts=lines,
        paid_at_ms=payment.paid_at_ms or now_ms,
        now_ms=now_ms,
    )


def _count_goods(order: Order, now_ms: int) -> list[Step]:
    return [
        stats.count_goods(
            order, line, quantity_milli=int(line.quantity * 1000), amount_fen=line.total_fen, now_ms=now_ms
        )
        for line in order.goods
    ]


def _event(order: Order, now_ms: int, kind: str, detail: Mapping[str, str]) -> Step:
    return history.add_event(order.app_id, order.order_no, now_ms=now_ms, kind=kind, detail=detail)


def _said(order: Order, source: str) -> Said:
    return Said(source=source, channel=order.channel, account_id=order.account_id, trade_no=order.order_no)


def _tell(deployment: Deployment, before: Order, after: Order) -> None:
    """Log and count a change that is committed."""
    if after.state is not before.state:
        deployment.metrics.moves.labels(after.state.value).inc()
        _log.info("moved", order_no=after.order_no, app_id=after.app_id, before=before.state, after=after.state)
    if after.attention and after.attention != before.attention:
        deployment.metrics.alarms.labels(after.attention).inc()
        _log.error("attention", order_no=after.order_no, app_id=after.app_id, why=after.attention)


def _count_call(deployment: Deployment, channel: str, operation: str, answer: Answer) -> None:
    deployment.metrics.wallet_calls.labels(channel, operation, answer.outcome.value).inc()
