"""Orders: the one door through which a wallet's word changes an order, and the questions that bring it (design 4)."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec

from opentill.base.errors import GatewayError
from opentill.base.logs import logger
from opentill.channels.base import Answer, Outcome, Trade
from opentill.domain.order import Order, OrderState, PaymentWay, next_poll_ms
from opentill.services import undoing
from opentill.services.deployment import Deployment
from opentill.services.notifications import owe_notification
from opentill.services.payments import WATCH_MS, Said, plan_payment
from opentill.services.words import wallet_words
from opentill.storage import history, notifications, refunds
from opentill.storage import orders as rows
from opentill.storage import trades as trade_rows
from opentill.storage.database import Step, StepFailed
from opentill.storage.history import Event
from opentill.storage.trades import OpenTrade

POLL_WAKE = "poll"
"""Woken when an order should be asked about earlier than planned."""

MAX_RACES = 8
"""Times a decision is made anew because the order moved meanwhile; each race needs another writer that won."""

_log = logger("orders")


async def find_order(
    deployment: Deployment, app_id: int, *, order_no: str = "", local_order_no: str = ""
) -> Order | None:
    """By our number, else by the integrator's (the latest under it)."""
    if order_no:
        return await rows.by_order_no(deployment.database, app_id, order_no)
    return await rows.by_local_order_no(deployment.database, app_id, local_order_no)


async def reread(deployment: Deployment, order: Order) -> Order:
    """The order as it is stored now."""
    found = await rows.by_order_no(deployment.database, order.app_id, order.order_no)
    assert found is not None, "orders are never deleted while they are worked on"
    return found


async def timeline(deployment: Deployment, app_id: int, order_no: str) -> list[Event]:
    """Everything that happened to an order, oldest first."""
    return await history.events_of_order(deployment.database, app_id, order_no)


async def trades_of(deployment: Deployment, order: Order) -> list[OpenTrade]:
    """The wallet trades through which money for this order can come. An h5 link has one for each who opened it."""
    if order.way is not PaymentWay.H5:
        return [OpenTrade(channel=order.channel, account_id=order.account_id, trade_no=order.order_no)]
    return await trade_rows.of_order(deployment.database, order.app_id, order.order_no)


@asynccontextmanager
async def placed(deployment: Deployment, order: Order) -> AsyncIterator[None]:
    """A place at each wallet that may have money for the order, for who calls it on somebody's behalf. Raises BUSY."""
    channels = {trade.channel for trade in await trades_of(deployment, order)}
    with deployment.wallet_places.taken(*channels):
        yield


async def keep_reply(deployment: Deployment, order: Order, reply: bytes) -> None:
    """Store the bytes of a first success for an app that wants replays."""
    await deployment.database.write([rows.keep_reply(order.app_id, order.order_no, reply=reply.decode())])


async def stored_reply(deployment: Deployment, order: Order) -> bytes:
    """The first success's bytes for a byte-identical repeat (protocol 4.1). Raises DUPLICATE_ORDER for all else."""
    reply = await rows.stored_reply(
        deployment.database, order.app_id, order.local_order_no, request_sign=order.request_sign
    )
    if not reply:
        raise GatewayError("DUPLICATE_ORDER", local_order_no=order.local_order_no)
    return reply.encode()


async def record_outcome(
    deployment: Deployment,
    order: Order,
    answer: Answer,
    *,
    said: Said,
    ended_as: OrderState = OrderState.CLOSED,
) -> Order:
    """The one door: what a wallet said changes the order, with history, statistics and the debt to notify in one unit.

    Safe to repeat and to race: the move names the state it expects; who loses decides anew on what it finds.
    `ended_as`: the state an unpaid order ends in when the wallet says closed.
    Raises: STORAGE_UNAVAILABLE (others kept changing the order; nothing of this answer is recorded).
    """
    if answer.payment is not None:
        answer = await undoing.understood(deployment, order, answer)
        said = msgspec.structs.replace(said, words=wallet_words(answer.said))
    for races in range(MAX_RACES):
        now_ms = deployment.clock.now_ms()
        if answer.payment is not None:
            changed, unit = await plan_payment(
                deployment,
                order,
                answer.payment,
                said,
                was_refunded=answer.was_refunded,
                now_ms=now_ms,
                is_again=races > 0,
            )
        else:
            changed, unit = _plan_word(order, answer, said, ended_as=ended_as, now_ms=now_ms)
            if unit:
                unit += await _owed_for_ending(deployment, changed, now_ms=now_ms)
        if not unit:
            if answer.payment is None or not order.is_open:
                return order
            # Known already: somebody recorded it after `order` was read. What is open here may be paid there.
            stored = await reread(deployment, order)
            if stored == order:
                return order
            order = stored
            continue
        wakes = () if changed.is_open else (notifications.WAKE, refunds.WAKE)
        try:
            await deployment.database.write(unit, wakes=wakes)
        except StepFailed:
            order = await reread(deployment, order)
            continue
        _tell(deployment, order, changed)
        return changed
    # The wallet has been called, so it can't be said that nothing was done.
    raise GatewayError("STORAGE_UNAVAILABLE", note="the order kept moving")


async def ask_wallet(deployment: Deployment, order: Order, *, source: str, timeout_s: float | None = None) -> Order:
    """Query the wallet about every trade of an order and record what it says."""
    for trade in await trades_of(deployment, order):
        account = await deployment.parties.account(trade.account_id)
        if account is None:
            continue
        channel = deployment.channels[trade.channel]
        answer = await channel.query(account.opened, trade.trade_no, timeout_s=timeout_s)
        count_call(deployment, trade.channel, "query", answer)
        # One trade of several that ended says nothing about the others; only its money counts.
        if order.way is PaymentWay.H5 and answer.outcome is not Outcome.PAID:
            continue
        order = await record_outcome(deployment, order, answer, said=said_of_trade(trade, source))
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


def said_of(order: Order, source: str) -> Said:
    """An answer about the order's own trade."""
    return Said(source=source, channel=order.channel, account_id=order.account_id, trade_no=order.order_no)


def said_of_trade(trade: OpenTrade, source: str) -> Said:
    return Said(source=source, channel=trade.channel, account_id=trade.account_id, trade_no=trade.trade_no)


def said_again(answer: Answer) -> Answer:
    """The answer to a create that repeats one of unknown outcome.

    Refused, or never sent, is the repeat alone: the first may have opened the trade. That stays unknown.
    """
    return msgspec.structs.replace(answer, outcome=Outcome.UNKNOWN) if answer.outcome is Outcome.REFUSED else answer


def count_call(deployment: Deployment, channel: int, operation: str, answer: Answer) -> None:
    name = deployment.channels[channel].name
    deployment.metrics.wallet_calls.labels(name, operation, answer.outcome.value).inc()


def _plan_word(
    order: Order, answer: Answer, said: Said, *, ended_as: OrderState, now_ms: int
) -> tuple[Order, list[Step]]:
    """What an answer without money does to an open order. An empty unit: nothing changes."""
    if not order.is_open:
        return order, []
    detail = {
        "source": said.source,
        "outcome": answer.outcome.value,
        "code": answer.code,
        "message": answer.message,
        "said": wallet_words(answer.said),
    }
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
        Outcome.CLOSED: ended_as,
    }.get(answer.outcome, order.state)
    if state is order.state:
        return order, []
    changed = msgspec.structs.replace(
        order,
        state=state,
        poll_at_ms=_poll_after(order, state, poll_at_ms=poll_at_ms, now_ms=now_ms),
        # protocol 4.8: 9 is a charge of unknown outcome that we gave up by ourselves.
        is_reversed_by_us=state is OrderState.REVERSED and said.source == "expiry",
    )
    return changed, [rows.move(changed, expected=order.state), _event(order, now_ms, state.value, detail)]


async def _owed_for_ending(deployment: Deployment, order: Order, *, now_ms: int) -> list[Step]:
    """Some apps want to hear that an order was cancelled or failed (protocol 6: opt-in)."""
    if order.is_open or not order.notify_url:
        return []
    app = await deployment.parties.app_by_id(order.app_id)
    assert app is not None, "an order's app is never deleted"
    is_wanted = app.rules.notify_failures if order.state is OrderState.FAILED else app.rules.notify_cancels
    return owe_notification(order, now_ms=now_ms, kind=order.state.value) if is_wanted else []


def _poll_after(order: Order, state: OrderState, *, poll_at_ms: int, now_ms: int) -> int:
    if state is OrderState.WAITING:
        return poll_at_ms
    is_watched = msgspec.structs.replace(order, state=state).is_watched_at(now_ms)
    return now_ms + WATCH_MS if is_watched else 0


def _event(order: Order, now_ms: int, kind: str, detail: Mapping[str, str]) -> Step:
    return history.add_event(order.app_id, order.order_no, now_ms=now_ms, kind=kind, detail=detail)


def _tell(deployment: Deployment, before: Order, after: Order) -> None:
    """Log and count a change that is committed."""
    if after.state is not before.state:
        deployment.metrics.moves.labels(after.state.value).inc()
        # That an order waits is what its request's own line says.
        if after.state is not OrderState.WAITING:
            _log.info("moved", order_no=after.order_no, app_id=after.app_id, before=before.state, after=after.state)
    if after.attention and after.attention != before.attention:
        deployment.metrics.alarms.labels(after.attention).inc()
        _log.error("attention", order_no=after.order_no, app_id=after.app_id, why=after.attention)
