"""Lets go what was held for receivers that are no longer paused."""

from opentill.services import pauses
from opentill.services.deployment import Deployment
from opentill.storage import pauses as rows
from opentill.storage.pauses import Pause
from opentill.worker.loop import Job

DEFER_MS = 1_000


def resume_job(deployment: Deployment) -> Job[Pause]:
    """Several workers may let go of the same at once: every step says what it expects."""
    database, clock = deployment.database, deployment.clock

    async def find(now_ms: int, limit: int) -> list[Pause]:
        return await rows.ended(database, now_ms=now_ms, limit=limit)

    async def next_due_ms() -> int | None:
        return await rows.next_due_ms(database)

    async def work(ended: Pause) -> None:
        await pauses.let_go(deployment, ended)

    async def defer(ended: Pause) -> None:
        await database.write([rows.look_again(ended, due_at_ms=clock.now_ms() + DEFER_MS)])

    return Job(
        name="resume",
        wake=rows.WAKE,
        per_group=1,
        find=find,
        next_due_ms=next_due_ms,
        key=lambda ended: (ended.app_id, ended.pause_id),
        group=lambda ended: (ended.app_id, ended.receiver),
        work=work,
        defer=defer,
    )
