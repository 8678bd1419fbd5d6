"""Throws away what has served its time: signature bindings no replay can use (protocol 8.1), old refused calls,
and what nobody is signed in by any more."""

from opentill.services.deployment import Deployment
from opentill.storage import people, refusals, signs
from opentill.storage.database import Step
from opentill.worker.loop import Job

EVERY_MS = 10 * 60_000
DAY_MS = 86_400_000

_WAKE = "housekeeping"
_SIGNS = "sign_bindings"
_REFUSALS = "refused_calls"
_PEOPLE = "people"


def housekeeping_job(deployment: Deployment) -> Job[str]:
    """Every process that works does it; doing it twice does no harm."""
    database, clock = deployment.database, deployment.clock
    due_ms = dict.fromkeys((_SIGNS, _REFUSALS, _PEOPLE), clock.now_ms())
    kept_ms = deployment.settings.refused_calls_days * DAY_MS

    def steps(name: str) -> list[Step]:
        now_ms = clock.now_ms()
        if name == _SIGNS:
            return [signs.forget_expired(now_ms=now_ms)]
        if name == _PEOPLE:
            return people.forget_old(now_ms=now_ms)
        return [refusals.forget_before(at_ms=now_ms - kept_ms)]

    async def find(now_ms: int, limit: int) -> list[str]:
        return [name for name, at_ms in due_ms.items() if at_ms <= now_ms][:limit]

    async def next_due_ms() -> int | None:
        return min(due_ms.values())

    async def work(name: str) -> None:
        await defer(name)
        await database.write(steps(name))

    async def defer(name: str) -> None:
        due_ms[name] = clock.now_ms() + EVERY_MS

    return Job(
        name="housekeeping",
        wake=_WAKE,
        per_group=1,
        find=find,
        next_due_ms=next_due_ms,
        key=lambda name: name,
        group=lambda name: name,
        work=work,
        defer=defer,
    )
