"""Ending an order that is not paid: at the wallet first, then here (design 5; protocol 4.2, 4.7)."""

from opentill.base.errors import GatewayError
from opentill.channels.base import Answer, Outcome
from opentill.domain.order import Order, OrderState, PaymentWay, next_poll_ms
from opentill.protocol.words import CHANNEL_TITLES
from opentill.services import orders, undoing
from opentill.services.access import OpenAccount
from opentill.services.deployment import Deployment
from opentill.services.payments import WATCH_MS
from opentill.services.undoing import UNDO_ASKED
from opentill.storage import history
from opentill.storage import orders as rows
from opentill.storage.database import StepFailed
from opentill.storage.trades import OpenTrade

BY_REQUEST = "reverse"
BY_US = "expiry"
BY_WATCH = "watch"


async def reverse(deployment: Deployment, order: Order) -> Order:
    """Reverse on request: the wallet is asked first. Reversing what ended unpaid succeeds again.

    Raises: REVERSE_PAID, REVERSE_REFUNDED, REVERSE_FAILED, CHANNEL_TIMEOUT (nothing is concluded), BUSY (nobody was
    asked).
    """
    if order.is_open:
        async with orders.placed(deployment, order):
            order = await orders.ask_wallet(deployment, order, source=BY_REQUEST)
            if order.is_open:
                order = await _end_at_wallet(deployment, order, source=BY_REQUEST)
    if order.state is OrderState.PAID or _is_held(order):
        is_refunded = order.received_fen and order.refunded_fen >= order.received_fen
        raise GatewayError("REVERSE_REFUNDED" if is_refunded else "REVERSE_PAID")
    if order.state is OrderState.FAILED:
        raise GatewayError("REVERSE_FAILED")
    if order.is_open:
        raise GatewayError("CHANNEL_TIMEOUT", channel=CHANNEL_TITLES.get(order.channel, ""))
    return order


async def expire(deployment: Deployment, order: Order) -> Order:
    """End an open order whose time is over. Still open afterwards: the wallet did not say; ask again later."""
    return await _end_at_wallet(deployment, order, source=BY_US)


async def watch(deployment: Deployment, order: Order) -> bool:
    """An ended order to which more money can come: it is found out, and a trade that is still open is ended.

    False: a wallet has not said how it stands; ask again.
    """
    is_known = True
    for trade in await orders.trades_of(deployment, order):
        if trade.is_closed or (order.state is OrderState.PAID and trade.trade_no == order.trade_no):
            continue
        account = await deployment.parties.account(trade.account_id)
        if account is None:
            continue
        channel = deployment.channels[trade.channel]
        answer = await channel.query(account.opened, trade.trade_no)
        orders.count_call(deployment, trade.channel, "query", answer)
        if answer.outcome is Outcome.ACCEPTED:
            ended = await _end_trade(deployment, order, trade, account, source=BY_WATCH)
            if ended is None:
                return False
            answer = ended
        if answer.payment is not None:
            order = await orders.record_outcome(deployment, order, answer, said=orders.said_of_trade(trade, BY_WATCH))
        elif answer.outcome in (Outcome.UNKNOWN, Outcome.ACCEPTED) or answer.was_refunded:
            is_known = False
    return is_known


async def confirm(deployment: Deployment, order: Order) -> int:
    """A paid charge that was being undone when its payment became known: the wallet tells whether the money stayed.

    Returns when to ask again, 0: never, nobody undid it or what became of it is certain.
    """
    asked_at_ms = await undoing.asked_at_ms(deployment, order)
    account = await deployment.parties.account(order.account_id)
    if not asked_at_ms or account is None or order.refunded_fen >= order.received_fen:
        return 0
    answer = await deployment.channels[order.channel].query(account.opened, order.trade_no)
    orders.count_call(deployment, order.channel, "query", answer)
    if answer.payment is not None:
        order = await orders.record_outcome(deployment, order, answer, said=orders.said_of(order, BY_WATCH))
    now_ms = deployment.clock.now_ms()
    # A request that long ago has arrived, or never will. What is set aside for a refund may be gone: that fails then.
    is_known = answer.was_refunded or now_ms - asked_at_ms >= WATCH_MS
    if answer.payment is not None and is_known and not order.refunding_fen:
        return 0
    return max(next_poll_ms(order, polls=order.polls, now_ms=now_ms), now_ms + WATCH_MS)


async def _begin_undoing(deployment: Deployment, order: Order, *, source: str) -> bool:
    """Written down before the wallet is asked to undo a charge. False: the order is paid or failed, or money of another
    amount is held by now.

    Undoing gives back what was paid, so from here on a payment that becomes known may be gone already: see `confirm`.
    """
    now_ms = deployment.clock.now_ms()
    event = history.add_event(order.app_id, order.order_no, now_ms=now_ms, kind=UNDO_ASKED, detail={"source": source})
    try:
        await deployment.database.write([rows.begin_undoing(order.app_id, order.order_no, now_ms=now_ms), event])
    except StepFailed:
        return False
    return True


async def _end_at_wallet(deployment: Deployment, order: Order, *, source: str) -> Order:
    """Each trade of the order is ended at its wallet; the order moves only when all of them are."""
    if _is_held(order):
        return order
    for trade in await orders.trades_of(deployment, order):
        account = await deployment.parties.account(trade.account_id)
        if account is None:
            return order
        answer = await _end_trade(deployment, order, trade, account, source=source)
        if answer is None:
            return await orders.reread(deployment, order)
        if answer.payment is not None:
            return await orders.record_outcome(deployment, order, answer, said=orders.said_of_trade(trade, source))
        if not _is_ended(deployment, order, answer, source=source):
            return order
    return await _end(deployment, order, source=source)


async def _end_trade(
    deployment: Deployment, order: Order, trade: OpenTrade, account: OpenAccount, *, source: str
) -> Answer | None:
    """What the wallet says to closing a QR code or undoing a charge; None: nobody was asked, see `_begin_undoing`."""
    channel = deployment.channels[trade.channel]
    if order.way is not PaymentWay.BARCODE:
        answer = await channel.close(account.opened, trade.trade_no)
        orders.count_call(deployment, trade.channel, "close", answer)
        return answer
    if not await _begin_undoing(deployment, order, source=source):
        return None
    answer = await channel.reverse(account.opened, trade.trade_no)
    orders.count_call(deployment, trade.channel, "reverse", answer)
    return answer


def _is_held(order: Order) -> bool:
    """Money of another amount waits for a person; undoing a charge would give it back unseen (design 5)."""
    return order.is_open and order.attention == rows.WRONG_AMOUNT


def _is_ended(deployment: Deployment, order: Order, answer: Answer, *, source: str) -> bool:
    if answer.outcome is Outcome.CLOSED:
        # Money was given back, but of what payment the wallet did not say: ask again.
        return not answer.was_refunded
    if answer.outcome is not Outcome.NOT_FOUND:
        return False
    # The wallet knows no such trade. A charge then never happened; a QR code may still be scanned until it is dead:
    # on request that counts as reversed and the order is watched (protocol 4.7), else we wait (design 5).
    is_dead = order.is_dead_at(deployment.clock.now_ms())
    return order.way is PaymentWay.BARCODE or source == BY_REQUEST or is_dead


async def _end(deployment: Deployment, order: Order, *, source: str) -> Order:
    """CLOSED when a QR code's time was over; REVERSED on request, and for a charge that we gave up (status 9)."""
    is_charge = order.way is PaymentWay.BARCODE
    ended_as = OrderState.CLOSED if source == BY_US and not is_charge else OrderState.REVERSED
    answer = Answer(outcome=Outcome.CLOSED, code="CLOSED")
    return await orders.record_outcome(deployment, order, answer, said=orders.said_of(order, source), ended_as=ended_as)
