"""Asks the wallets about open orders: a lost callback is found out, an overdue order is closed there and then here."""

from opentill.domain.order import Order, OrderState, PaymentWay, next_poll_ms
from opentill.services import closing, orders
from opentill.services.deployment import Deployment
from opentill.services.payments import WATCH_MS
from opentill.storage import orders as rows
from opentill.storage.database import StepFailed
from opentill.storage.orders import DuePoll
from opentill.worker.loop import Job

PER_ACCOUNT = 16
"""Questions under way for one app at a time."""
LEASE_MS = 60_000
"""Longer than a question and a close can take."""
DEFER_MS = 1_000


def poll_job(deployment: Deployment) -> Job[DuePoll]:
    database, clock = deployment.database, deployment.clock

    async def find(now_ms: int, limit: int) -> list[DuePoll]:
        return await rows.due_polls(database, now_ms=now_ms, limit=limit)

    async def next_due_ms() -> int | None:
        return await rows.next_poll_ms(database)

    async def work(due: DuePoll) -> None:
        await poll_order(deployment, due)

    async def defer(due: DuePoll) -> None:
        at_ms = clock.now_ms() + DEFER_MS
        await database.write(
            [rows.plan_poll(due.app_id, due.order_no, lease_until_ms=due.poll_at_ms, poll_at_ms=at_ms)]
        )

    return Job(
        name="poll",
        wake=orders.POLL_WAKE,
        per_group=PER_ACCOUNT,
        find=find,
        next_due_ms=next_due_ms,
        key=lambda due: (due.app_id, due.order_no),
        group=lambda due: due.app_id,
        work=work,
        defer=defer,
    )


async def poll_order(deployment: Deployment, due: DuePoll) -> None:
    """Ask once about one due order; another worker may have it already."""
    now_ms = deployment.clock.now_ms()
    lease_until_ms = now_ms + LEASE_MS
    try:
        claimed = await deployment.database.write([rows.claim_poll(due, lease_until_ms=lease_until_ms, now_ms=now_ms)])
    except StepFailed:
        return
    order = rows.from_row(claimed[0][0])
    is_known = True
    if order.is_open:
        order = await orders.ask_wallet(deployment, order, source="poll")
        if order.is_open and _is_to_be_closed(order, now_ms):
            order = await closing.expire(deployment, order)
    elif order.is_watched:
        is_known = await closing.watch(deployment, order)
    poll_at_ms = 0
    if order.state is OrderState.PAID and order.way is PaymentWay.BARCODE:
        poll_at_ms = await closing.confirm(deployment, order)
    now_ms = deployment.clock.now_ms()
    if order.is_open or not is_known:
        poll_at_ms = next_poll_ms(order, polls=order.polls, now_ms=now_ms)
    elif order.is_watched_at(now_ms):
        poll_at_ms = now_ms + WATCH_MS
    await deployment.database.write(
        [rows.plan_poll(order.app_id, order.order_no, lease_until_ms=lease_until_ms, poll_at_ms=poll_at_ms)]
    )


def _is_to_be_closed(order: Order, now_ms: int) -> bool:
    """Overdue, or a QR code nobody ever got: the answer to its creation was lost (protocol 4.1)."""
    return now_ms >= order.expires_at_ms or (order.way is PaymentWay.SCAN and not order.qr_text)
