"""Delivers due notifications."""

from opentill.domain.notification import receiver_of
from opentill.services import notifications
from opentill.services.deployment import Deployment
from opentill.storage import notifications as rows
from opentill.storage.notifications import DueNotification
from opentill.worker.loop import Job

PER_RECEIVER = 8
"""Attempts under way to one host at a time."""
DEFER_MS = 1_000


def notify_job(deployment: Deployment) -> Job[DueNotification]:
    database, clock = deployment.database, deployment.clock

    async def find(now_ms: int, limit: int) -> list[DueNotification]:
        return await rows.due(database, now_ms=now_ms, limit=limit)

    async def next_due_ms() -> int | None:
        return await rows.next_due_ms(database)

    async def work(due: DueNotification) -> None:
        await notifications.deliver(deployment, due)

    async def defer(due: DueNotification) -> None:
        await database.write([rows.defer(due, due_at_ms=clock.now_ms() + DEFER_MS)])

    return Job(
        name="notify",
        wake=rows.WAKE,
        per_group=PER_RECEIVER,
        find=find,
        next_due_ms=next_due_ms,
        key=lambda due: (due.app_id, due.notification_id),
        group=lambda due: receiver_of(due.url),
        work=work,
        defer=defer,
    )
