"""Refunds: reserved before anything is sent, one number for life, settled only by what the wallet says (design 5)."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from opentill.base import numbers
from opentill.base.errors import GatewayError
from opentill.base.logs import logger
from opentill.channels.base import RefundAnswer, RefundOutcome, RefundRequest
from opentill.domain.order import Order, OrderState
from opentill.domain.refund import (
    STUCK_AFTER_MS,
    Refund,
    RefundCause,
    RefundState,
    given_back_fen,
    next_ask_ms,
    wallet_share_fen,
)
from opentill.services.access import Caller, OpenAccount
from opentill.services.deployment import Deployment
from opentill.services.notifications import REFUND, owe_notification
from opentill.services.sales import count_refund, counted_last
from opentill.services.words import wallet_words
from opentill.storage import held, history, notifications
from opentill.storage import orders as order_rows
from opentill.storage import refunds as rows
from opentill.storage.database import Step, StepFailed
from opentill.storage.refunds import DueRefund

LEASE_MS = 60_000
"""Longer than one exchange with a wallet takes."""
MAX_RACES = 8
DAY_MS = 86_400_000
CHINA_OFFSET_MS = 8 * 3_600_000
"""Ceilings count days of Asia/Shanghai."""
STUCK = "REFUND_STUCK"
# A refund of the order's own payment moves its reserved amount; the rest only goes back.
_OF_THE_ORDER = frozenset({RefundCause.REQUESTED, RefundCause.LATE})
_NO_ACCOUNT = RefundAnswer(outcome=RefundOutcome.RETRY, code="NO_ACCOUNT")

_log = logger("refunds")


Write = Callable[[Sequence[Step]], Awaitable[object]]


class Reserved(msgspec.Struct, frozen=True):
    """A refund whose money is set aside. `is_ours`: leased to the caller, who sends it now and nobody else does."""

    refund: Refund
    is_ours: bool


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as asked for. `amount_fen` None: all that is left."""

    amount_fen: int | None
    reason: str
    local_refund_no: str
    actor: str = ""
    """Who of our people asked for it; empty: the integrator did."""
    till: str = ""
    """At which till; empty: at none."""


async def find_repeat(deployment: Deployment, caller: Caller, order: Order, wanted: Wanted) -> Refund | None:
    """The refund this request repeats: the same sign, or the same number of the integrator's (protocol 4.6).

    Raises: REFUND_REPEAT_DIFFERS.
    """
    app_id = caller.app.app_id
    found = await rows.by_request_sign(deployment.database, app_id, caller.sign)
    if found is not None and found.asked_fen != wanted.amount_fen:
        raise GatewayError("REFUND_REPEAT_DIFFERS")
    if found is None and wanted.local_refund_no:
        found = await rows.by_local_refund_no(deployment.database, app_id, wanted.local_refund_no)
        if found is not None and wanted.amount_fen not in (None, found.amount_fen):
            raise GatewayError("REFUND_REPEAT_DIFFERS")
    if found is not None and found.order_no != order.order_no:
        raise GatewayError("REFUND_REPEAT_DIFFERS")
    return found


async def reserve(
    deployment: Deployment, caller: Caller, order: Order, wanted: Wanted, *, write: Write | None = None
) -> Reserved:
    """Set the money aside and record the refund; nothing is sent yet.

    One that may be sent now is written down as if it had been, leased to the caller (`send`): after a crash in between
    the wallet is asked about it first. An earlier one that this repeats is not the caller's.
    `write`: does the unit instead of the database, for who has more to say in it (an audit entry); only adds steps.
    Raises: ORDER_NOT_PAID, REFUND_EXCEEDS_PAYMENT, REFUND_IN_PROGRESS, REFUND_REPEAT_DIFFERS, REFUND_CEILING.
    """
    for _ in range(MAX_RACES):
        try:
            refund = await _planned(deployment, caller, order, wanted)
        except GatewayError:
            # What stands in the way may be this very request, which came twice at once.
            repeat = await find_repeat(deployment, caller, order, wanted)
            if repeat is None:
                raise
            return Reserved(repeat, False)
        unit = [
            order_rows.reserve_refund(order, amount_fen=refund.amount_fen),
            rows.insert(refund),
            history.add_event(
                order.app_id,
                order.order_no,
                now_ms=refund.created_at_ms,
                kind="REFUND_CREATED",
                detail={
                    "refund_no": refund.refund_no,
                    "amount_fen": str(refund.amount_fen),
                    "reason": refund.reason,
                    **{name: value for name, value in (("actor", wanted.actor), ("till", wanted.till)) if value},
                },
            ),
            *_ceiling(caller, refund),
        ]
        try:
            await (write or deployment.database.write)(unit)
        except StepFailed as failed:
            if failed.index >= 3:
                raise GatewayError("REFUND_CEILING") from failed
            repeat = await find_repeat(deployment, caller, order, wanted)
            if repeat is not None:
                return Reserved(repeat, False)
            found = await order_rows.by_order_no(deployment.database, order.app_id, order.order_no)
            assert found is not None
            order = found
            continue
        return Reserved(refund, bool(refund.sent_at_ms))
    raise GatewayError("BUSY", note="the order's refunds kept moving")


async def send(deployment: Deployment, order: Order, refund: Refund) -> Refund:
    """Send a refund that was just reserved and is the caller's, and record what the wallet says."""
    account = await deployment.parties.account(refund.account_id)
    if account is None:  # since just now
        return await record_answer(deployment, refund, _NO_ACCOUNT)
    answer = await _sent(deployment, account, refund, _request(deployment, refund, total_fen=order.amount_fen))
    return await record_answer(deployment, refund, answer)


async def advance(deployment: Deployment, due: DueRefund) -> Refund | None:
    """One exchange with the wallet about one pending refund. None: another worker has it, or it has ended."""
    now_ms = deployment.clock.now_ms()
    try:
        claimed = await deployment.database.write([rows.claim(due, lease_until_ms=now_ms + LEASE_MS)])
    except StepFailed:
        return None
    refund = rows.from_row(claimed[0][0])
    refund, answer = await _exchange(deployment, refund)
    return await record_answer(deployment, refund, answer)


async def record_answer(deployment: Deployment, refund: Refund, answer: RefundAnswer) -> Refund:
    """What the wallet said about a refund. Only its certain words end it; all else is asked again later."""
    now_ms = deployment.clock.now_ms()
    if answer.outcome not in (RefundOutcome.SUCCEEDED, RefundOutcome.REFUSED):
        return await _plan_next(deployment, refund, answer, now_ms)
    ended = msgspec.structs.replace(
        refund,
        state=RefundState.SUCCEEDED if answer.outcome is RefundOutcome.SUCCEEDED else RefundState.FAILED,
        channel_refund_no=answer.channel_refund_no or refund.channel_refund_no,
        problem="" if answer.outcome is RefundOutcome.SUCCEEDED else f"{answer.code} {answer.message}".strip(),
        ended_at_ms=answer.refunded_at_ms or now_ms,
        due_at_ms=0,
    )
    for _ in range(MAX_RACES):
        order = await order_rows.by_order_no(deployment.database, refund.app_id, refund.order_no)
        assert order is not None
        try:
            unit = await _end_unit(deployment, order, ended, answer, now_ms)
            await deployment.database.write(unit, wakes=(notifications.WAKE,))
        except StepFailed as failed:
            if failed.index == 0:  # it ended before: a callback and a question bring the same news
                found = await rows.by_refund_no(deployment.database, refund.app_id, refund.refund_no)
                return found or refund
            continue  # another refund of the order was settled in between: its sums changed
        _log.info("ended", refund_no=ended.refund_no, order_no=ended.order_no, state=ended.state)
        return ended
    # It has been sent, so it can't be said that nothing was done: it stays pending and is asked about again.
    _log.warning("kept moving", refund_no=refund.refund_no, order_no=refund.order_no)
    return refund


async def _planned(deployment: Deployment, caller: Caller, order: Order, wanted: Wanted) -> Refund:
    """The refund to reserve, from the order as it was read; the reservation fails if that is old by then."""
    if order.state is not OrderState.PAID:
        raise GatewayError("ORDER_NOT_PAID")
    earlier = await rows.of_order(deployment.database, order.app_id, order.order_no)
    is_pending = any(refund.state is RefundState.PENDING and refund.cause in _OF_THE_ORDER for refund in earlier)
    if is_pending and not wanted.local_refund_no and not caller.app.rules.is_strict:
        raise GatewayError("REFUND_IN_PROGRESS")  # clients read anything but 5 as failed and try again
    left_fen = order.received_fen - order.refunded_fen - order.refunding_fen
    amount_fen = left_fen if wanted.amount_fen is None else wanted.amount_fen
    if amount_fen > left_fen or amount_fen == 0:
        raise GatewayError("REFUND_EXCEEDS_PAYMENT", left=left_fen)
    now_ms = deployment.clock.now_ms()
    due_at_ms = _first_due_ms(deployment, order, earlier, now_ms)
    is_sent_now = due_at_ms <= now_ms and await deployment.parties.account(order.account_id) is not None
    return Refund(
        app_id=order.app_id,
        refund_no=numbers.new_order_no(numbers.REFUND, app_id=order.app_id, now_ms=now_ms),
        order_no=order.order_no,
        local_refund_no=wanted.local_refund_no,
        request_sign=caller.sign,
        operator_id=caller.operator.operator_id,
        trade_no=order.trade_no,
        channel=order.channel,
        account_id=order.account_id,
        cause=RefundCause.REQUESTED,
        asked_fen=wanted.amount_fen,
        amount_fen=amount_fen,
        wallet_fen=wallet_share_fen(
            amount_fen,
            total_fen=order.amount_fen,
            received_fen=order.received_fen,
            refundable_fen=left_fen,
            wallet_left_fen=order.amount_fen - given_back_fen(earlier),
        ),
        reason=wanted.reason,
        state=RefundState.PENDING,
        created_at_ms=now_ms,
        sent_at_ms=now_ms if is_sent_now else 0,
        due_at_ms=now_ms + LEASE_MS if is_sent_now else due_at_ms,
        asks=1 if is_sent_now else 0,
    )


def _first_due_ms(deployment: Deployment, order: Order, earlier: list[Refund], now_ms: int) -> int:
    """Now, or when the wallet allows the next refund of one order (WeChat: a minute apart, channels B.7)."""
    gap_ms = deployment.channels[order.channel].refund_gap_ms
    latest_ms = max((max(refund.sent_at_ms, refund.due_at_ms) for refund in earlier), default=0)
    return max(now_ms, latest_ms + gap_ms) if gap_ms and latest_ms else now_ms


def _ceiling(caller: Caller, refund: Refund) -> list[Step]:
    ceiling_fen = caller.app.rules.refund_ceiling_fen
    if not ceiling_fen:
        return []
    if refund.amount_fen > ceiling_fen:
        raise GatewayError("REFUND_CEILING")
    local_ms = refund.created_at_ms + CHINA_OFFSET_MS
    day_ms = local_ms - local_ms % DAY_MS - CHINA_OFFSET_MS
    return [rows.count_day(refund.app_id, day_ms=day_ms, amount_fen=refund.amount_fen, ceiling_fen=ceiling_fen)]


async def _exchange(deployment: Deployment, refund: Refund) -> tuple[Refund, RefundAnswer]:
    """Ask about a refund that may have been sent; send it when the wallet certainly has not got it."""
    account = await deployment.parties.account(refund.account_id)
    if account is None:
        return refund, _NO_ACCOUNT
    request = _request(deployment, refund, total_fen=await _total_fen(deployment, refund))
    if refund.sent_at_ms:
        channel = deployment.channels[refund.channel]
        answer = await channel.query_refund(account.opened, request)
        _count(deployment, channel.name, "refund_query", answer)
        if answer.outcome is not RefundOutcome.NOT_FOUND:
            return refund, answer
    # Written down before it leaves: after a crash it is asked about first. The number never changes (channels 0.1).
    refund = msgspec.structs.replace(refund, sent_at_ms=deployment.clock.now_ms())
    await deployment.database.write([rows.mark_sent(refund)])
    return refund, await _sent(deployment, account, refund, request)


async def _sent(deployment: Deployment, account: OpenAccount, refund: Refund, request: RefundRequest) -> RefundAnswer:
    channel = deployment.channels[refund.channel]
    answer = await channel.refund(account.opened, request)
    _count(deployment, channel.name, "refund", answer)
    return answer


def _request(deployment: Deployment, refund: Refund, *, total_fen: int) -> RefundRequest:
    return RefundRequest(
        trade_no=refund.trade_no,
        refund_no=refund.refund_no,
        refund_fen=refund.wallet_fen,
        amount_fen=total_fen,
        reason=refund.reason,
        callback_url=deployment.callback_url(refund.channel, refund.account_id),
    )


async def _total_fen(deployment: Deployment, refund: Refund) -> int:
    """The total of the trade that is refunded: the order's, or the surplus payment's."""
    order = await order_rows.by_order_no(deployment.database, refund.app_id, refund.order_no)
    assert order is not None
    return refund.wallet_fen if refund.cause is RefundCause.SURPLUS else order.amount_fen


async def _plan_next(deployment: Deployment, refund: Refund, answer: RefundAnswer, now_ms: int) -> Refund:
    problem = "" if answer.outcome is RefundOutcome.PENDING else f"{answer.code} {answer.message}".strip()
    due_at_ms = next_ask_ms(refund.asks, now_ms=now_ms)
    unit = [rows.plan(refund, due_at_ms=due_at_ms, problem=problem)]
    if answer.outcome is RefundOutcome.NEEDS_PERSON or now_ms - refund.created_at_ms > STUCK_AFTER_MS:
        unit.append(order_rows.flag(refund.app_id, refund.order_no, attention=STUCK))
        deployment.metrics.alarms.labels(STUCK).inc()
        _log.error("stuck", refund_no=refund.refund_no, problem=problem)
    await deployment.database.write(unit)
    return msgspec.structs.replace(refund, problem=problem, due_at_ms=due_at_ms)


async def _end_unit(
    deployment: Deployment, order: Order, ended: Refund, answer: RefundAnswer, now_ms: int
) -> list[Step]:
    detail = {
        "refund_no": ended.refund_no,
        "code": answer.code,
        "message": answer.message,
        "cause": ended.cause.value,
        "said": wallet_words(answer.said),
    }
    kind = f"REFUND_{ended.state.value}"
    unit = [rows.end(ended), _event(ended, now_ms, kind, detail)]
    app_id, order_no, amount_fen = ended.app_id, ended.order_no, ended.amount_fen
    if ended.state is RefundState.FAILED:
        return [*unit, *_gone_wrong(ended)]
    # Another refund of the order that is stuck says so again when it is asked about next.
    unit.append(held.calm_if(app_id, order_no, attention=STUCK))
    if ended.cause not in _OF_THE_ORDER:
        return unit
    after = msgspec.structs.replace(
        order,
        refunding_fen=order.refunding_fen - amount_fen,
        refunded_fen=order.refunded_fen + amount_fen,
        refunded_at_ms=ended.ended_at_ms,
    )
    app = await deployment.parties.app_by_id(app_id)
    assert app is not None
    settled = [
        *unit,
        order_rows.settle_refund(order, amount_fen=amount_fen, refunded_at_ms=ended.ended_at_ms),
        *count_refund(order, amount_fen=amount_fen, now_ms=now_ms),
        *(owe_notification(after, now_ms=now_ms, kind=REFUND) if app.rules.notify_refunds else []),
    ]
    return counted_last(settled)


def _gone_wrong(failed: Refund) -> list[Step]:
    """A refund that certainly does not happen. What nobody outside asked for needs a person again."""
    app_id, order_no = failed.app_id, failed.order_no
    if failed.cause is RefundCause.SURPLUS:
        again = held.reopen(app_id, order_no, trade_no=failed.trade_no)
        return [again, order_rows.flag(app_id, order_no, attention=failed.cause.value)]
    steps = [
        order_rows.release_refund(app_id, order_no, amount_fen=failed.amount_fen),
        held.calm_if(app_id, order_no, attention=STUCK),
    ]
    if failed.cause is RefundCause.LATE:
        steps.append(order_rows.flag(app_id, order_no, attention=failed.cause.value))
    return steps


def _event(refund: Refund, now_ms: int, kind: str, detail: dict[str, str]) -> Step:
    return history.add_event(refund.app_id, refund.order_no, now_ms=now_ms, kind=kind, detail=detail)


def _count(deployment: Deployment, channel: str, operation: str, answer: RefundAnswer) -> None:
    deployment.metrics.wallet_calls.labels(channel, operation, answer.outcome.value).inc()
