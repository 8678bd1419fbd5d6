"""Brings pending refunds to their end: sends what waits, asks about what was sent. The number never changes."""

from opentill.services import refunds
from opentill.services.deployment import Deployment
from opentill.storage import refunds as rows
from opentill.storage.refunds import DueRefund
from opentill.worker.loop import Job

PER_APP = 8
DEFER_MS = 1_000


def refund_job(deployment: Deployment) -> Job[DueRefund]:
    database, clock = deployment.database, deployment.clock

    async def find(now_ms: int, limit: int) -> list[DueRefund]:
        return await rows.due(database, now_ms=now_ms, limit=limit)

    async def next_due_ms() -> int | None:
        return await rows.next_due_ms(database)

    async def work(due: DueRefund) -> None:
        await refunds.advance(deployment, due)

    async def defer(due: DueRefund) -> None:
        await database.write([rows.defer(due, due_at_ms=clock.now_ms() + DEFER_MS)])

    return Job(
        name="refund",
        wake=rows.WAKE,
        per_group=PER_APP,
        find=find,
        next_due_ms=next_due_ms,
        key=lambda due: (due.app_id, due.refund_no),
        group=lambda due: due.app_id,
        work=work,
        defer=defer,
    )
