"""Telling merchants: the debt is written with the move, signed once, delivered until it is accepted (protocol 6)."""

import msgspec

from opentill.base.logs import logger
from opentill.base.outbound import AddressRefused, NotSent, ReplyLost
from opentill.domain.notification import (
    CONNECT_TIMEOUT_S,
    TOTAL_TIMEOUT_S,
    Notification,
    NotificationState,
    is_accepted,
    next_attempt_ms,
)
from opentill.domain.order import Order
from opentill.protocol.notification import CONTENT_TYPE, notification_body, notification_fields
from opentill.protocol.signing import rsa2_sign
from opentill.services.deployment import Deployment
from opentill.storage import notifications as rows
from opentill.storage.database import Step, StepFailed
from opentill.storage.notifications import Attempt, DueNotification

PAYMENT = "PAYMENT"
REFUND = "REFUND"

# What an attempt's `problem` begins with; pages have words for it, and show the network's own after the colon.
WRONG_ANSWER = "answer"
ADDRESS = "address"
NOT_SENT = "not sent"
NO_REPLY = "no reply"

LEASE_MS = 60_000
"""Longer than an attempt can take, so that two workers never send the same one at once."""
MAX_ANSWER_BYTES = 2_048
"""What is read and kept of a receiver's answer; `success` is 7 bytes."""

_log = logger("notify")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A notification with its attempts, oldest first."""

    notification: Notification
    attempts: list[Attempt]


def owe_notification(order: Order, *, now_ms: int, kind: str = PAYMENT) -> list[Step]:
    """The row that makes sure the merchant is told; empty when there is nobody to tell."""
    if not order.notify_url:
        return []
    fields = notification_fields(order)
    return [rows.insert(order.app_id, order.order_no, kind=kind, url=order.notify_url, fields=fields, now_ms=now_ms)]


async def of_order(deployment: Deployment, app_id: int, order_no: str) -> list[Told]:
    """What was owed about an order and how each attempt went."""
    found = await rows.of_order(deployment.database, app_id, order_no)
    return [
        Told(
            notification=notification,
            attempts=await rows.attempts_of(deployment.database, app_id, notification.notification_id),
        )
        for notification in found
    ]


async def resend(deployment: Deployment, app_id: int, notification_id: int) -> bool:
    """Make a dead notification due again; False when it is not dead."""
    step = rows.revive(app_id, notification_id, now_ms=deployment.clock.now_ms())
    try:
        await deployment.database.write([step], wakes=(rows.WAKE,))
    except StepFailed:
        return False
    return True


async def deliver(deployment: Deployment, due: DueNotification) -> NotificationState | None:
    """One attempt at one due notification. None: another worker has it, or its receiver is paused.

    The attempt is stored with what the receiver said. A crash between sending and storing repeats the attempt after
    the lease: delivered at least once.
    """
    lease_until_ms = deployment.clock.now_ms() + LEASE_MS
    try:
        claimed = await deployment.database.write([rows.claim(due, lease_until_ms=lease_until_ms)])
    except StepFailed:
        return None
    notification = rows.from_row(claimed[0][0])
    if notification.is_held:
        return None
    # Signed once, at the first attempt: every repeat carries the same bytes.
    sign = notification.sign or rsa2_sign(notification.fields, deployment.platform_key)
    attempt = await _attempt(deployment, notification, sign)
    return await _record(deployment, notification, attempt, sign=sign)


async def _attempt(deployment: Deployment, notification: Notification, sign: str) -> Attempt:
    number = notification.attempts + 1
    at_ms = deployment.clock.now_ms()
    try:
        reply = await deployment.outbound.send(
            "POST",
            notification.url,
            headers={"Content-Type": CONTENT_TYPE},
            body=notification_body(notification.fields, sign),
            connect_timeout_s=CONNECT_TIMEOUT_S,
            timeout_s=TOTAL_TIMEOUT_S,
            max_body_bytes=MAX_ANSWER_BYTES,
        )
    except AddressRefused as error:
        return Attempt(attempt=number, at_ms=at_ms, elapsed_ms=0, status=0, body="", problem=f"{ADDRESS}: {error}")
    except NotSent as error:
        return Attempt(attempt=number, at_ms=at_ms, elapsed_ms=0, status=0, body="", problem=f"{NOT_SENT}: {error}")
    except ReplyLost as error:
        elapsed_ms = deployment.clock.now_ms() - at_ms
        return Attempt(
            attempt=number, at_ms=at_ms, elapsed_ms=elapsed_ms, status=0, body="", problem=f"{NO_REPLY}: {error}"
        )
    is_good = is_accepted(reply.status, reply.body) and not reply.is_truncated
    return Attempt(
        attempt=number,
        at_ms=at_ms,
        elapsed_ms=reply.elapsed_ms,
        status=reply.status,
        # NUL cannot be stored as text by PostgreSQL.
        body=reply.body.decode("utf-8", "replace").replace("\0", "\ufffd"),
        problem="" if is_good else WRONG_ANSWER,
    )


async def _record(
    deployment: Deployment, notification: Notification, attempt: Attempt, *, sign: str
) -> NotificationState | None:
    now_ms = deployment.clock.now_ms()
    due_at_ms = 0
    state = NotificationState.DELIVERED
    if attempt.problem:
        next_ms = next_attempt_ms(attempt.attempt, now_ms=now_ms)
        state = NotificationState.DEAD if next_ms is None else NotificationState.DUE
        due_at_ms = next_ms or 0
    unit = [
        rows.end_attempt(notification, state=state, due_at_ms=due_at_ms, sign=sign, now_ms=now_ms),
        rows.insert_attempt(notification, attempt),
    ]
    try:
        await deployment.database.write(unit)
    except StepFailed:
        return None  # the lease ran out and another worker recorded its own attempt
    deployment.metrics.deliveries.labels(state.value).inc()
    if state is NotificationState.DEAD:
        deployment.metrics.alarms.labels("DEAD_NOTIFICATION").inc()
        _log.error("dead", order_no=notification.order_no, app_id=notification.app_id)
    _log.info(
        "attempt",
        order_no=notification.order_no,
        attempt=attempt.attempt,
        status=attempt.status,
        state=state,
        elapsed_ms=attempt.elapsed_ms,
    )
    return state
