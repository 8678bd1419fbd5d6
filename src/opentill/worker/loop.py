"""Runs jobs: look what is due, start it with bounded concurrency, sleep until the next due time or a wake-up."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from opentill.base.clock import Clock
from opentill.base.logs import logger
from opentill.storage.database import Database, DatabaseOverloaded, DatabaseUnavailable

PAGE = 500
"""Due items looked at in one go."""
MAX_IN_FLIGHT = 256
LONGEST_SLEEP_MS = 5_000
"""Wake-ups save waiting, but work that another process made must be found without them."""
AFTER_FAULT_MS = 1_000
LOOK_AGAIN_S = 0.01
"""How often it is seen whether all is quiet, seconds of real time."""

_log = logger("worker")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Job(Generic[T]):
    """One kind of work. `find(now_ms, limit)` lists due items, oldest first; `work` claims and does one.

    At most `per_group` items of one group run at a time, so that a slow receiver delays only its own. `defer` puts an
    item off a little: one group's backlog must not hide the others' items.
    """

    name: str
    wake: str
    per_group: int
    find: Callable[[int, int], Awaitable[list[T]]]
    next_due_ms: Callable[[], Awaitable[int | None]]
    key: Callable[[T], object]
    group: Callable[[T], object]
    work: Callable[[T], Awaitable[object]]
    defer: Callable[[T], Awaitable[object]]


class JobRunner(Generic[T]):
    """Runs one job until it is stopped."""

    def __init__(self, job: Job[T], database: Database, clock: Clock) -> None:
        self._job = job
        self._clock = clock
        self._wake = database.wake_event(job.wake)
        self._in_flight: dict[object, asyncio.Task[None]] = {}
        self._groups: Counter[object] = Counter()
        self._is_awaited = False
        self._is_stopping = False

    @property
    def is_idle(self) -> bool:
        return not self._in_flight

    async def next_due_ms(self) -> int | None:
        return await self._job.next_due_ms()

    async def is_quiet(self) -> bool:
        """Nothing is worked on and nothing is due."""
        next_due_ms = await self._job.next_due_ms()
        return self.is_idle and (next_due_ms is None or next_due_ms > self._clock.now_ms())

    async def run(self) -> None:
        """A fault is logged and the job goes on: one poisoned item must not stop the others."""
        while not self._is_stopping:
            try:
                self._wake.clear()
                until_ms = await self._pass()
            except (DatabaseUnavailable, DatabaseOverloaded) as error:
                _log.warning("database unavailable", job=self._job.name, problem=str(error))
                until_ms = self._clock.now_ms() + AFTER_FAULT_MS
            except Exception:
                _log.exception("fault", job=self._job.name)
                until_ms = self._clock.now_ms() + AFTER_FAULT_MS
            if not self._is_stopping:
                await self._clock.wait_until(until_ms, self._wake)
        await asyncio.gather(*self._in_flight.values())

    def stop(self) -> None:
        """Begin nothing more; `run` returns when what was begun has ended."""
        self._is_stopping = True
        self._wake.set()

    async def _pass(self) -> int:
        """Start what is due and has a free place. Returns when to look again, milliseconds."""
        now_ms = self._clock.now_ms()
        items = await self._job.find(now_ms, PAGE)
        skipped = [item for item in items if not self._start(item)]
        is_page_full = len(items) == PAGE
        if is_page_full and skipped and len(self._in_flight) < MAX_IN_FLIGHT:
            for item in skipped:
                await self._job.defer(item)
            return now_ms
        if is_page_full and not skipped:
            return now_ms
        next_due_ms = await self._job.next_due_ms()
        # What is due and not yet claimed is in flight, or has no place: the end of a running item wakes us, and the
        # time is the net below it.
        self._is_awaited = bool(self._in_flight) and next_due_ms is not None and next_due_ms <= now_ms
        latest_ms = now_ms + (AFTER_FAULT_MS if self._is_awaited else LONGEST_SLEEP_MS)
        return latest_ms if self._is_awaited or next_due_ms is None else min(next_due_ms, latest_ms)

    def _start(self, item: T) -> bool:
        """False: no free place now. An item in flight counts as started."""
        key, group = self._job.key(item), self._job.group(item)
        if key in self._in_flight:
            return True
        if len(self._in_flight) >= MAX_IN_FLIGHT or self._groups[group] >= self._job.per_group:
            return False
        self._groups[group] += 1
        self._in_flight[key] = asyncio.create_task(self._work(item, key, group))
        return True

    async def _work(self, item: T, key: object, group: object) -> None:
        try:
            await self._job.work(item)
        except (DatabaseUnavailable, DatabaseOverloaded) as error:
            _log.warning("database unavailable", job=self._job.name, problem=str(error))
        except Exception:
            _log.exception("fault", job=self._job.name)
        finally:
            del self._in_flight[key]
            self._groups[group] -= 1
            if not self._groups[group]:
                del self._groups[group]
            if self._is_awaited:
                self._wake.set()


class Worker:
    """All jobs of a process."""

    def __init__(self, jobs: Sequence[Job[Any]], database: Database, clock: Clock) -> None:
        self._runners = [JobRunner(job, database, clock) for job in jobs]
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being worked on right now."""
        return all(runner.is_idle for runner in self._runners)

    async def quiet(self) -> None:
        """Return when nothing is worked on and nothing is due, for who moves a sandbox's clock."""
        for runner in self._runners:
            # No event to wait for: what is due may be another process's to do.
            while not await runner.is_quiet():  # noqa: ASYNC110
                await asyncio.sleep(LOOK_AGAIN_S)

    async def next_due_ms(self) -> int | None:
        """When something will be due, milliseconds; None: nothing waits."""
        due = [await runner.next_due_ms() for runner in self._runners]
        return min((at_ms for at_ms in due if at_ms is not None), default=None)

    def start(self) -> None:
        self._tasks = [asyncio.create_task(runner.run()) for runner in self._runners]

    async def stop(self) -> None:
        """Finish what was begun, begin nothing more."""
        for runner in self._runners:
            runner.stop()
        await asyncio.gather(*self._tasks)
