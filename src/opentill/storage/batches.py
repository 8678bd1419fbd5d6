"""Units of the same shape that wait at the same time, done in one transaction (design 7, Unit of work).

On PostgreSQL a unit of two steps is four round trips. Under load many requests take a number or keep a QR code at the
same moment: their rows go as arrays through the same four trips.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from opentill.storage.engine import ConstraintBroken, DatabaseOverloaded, StatementRefused, Step, StepFailed

MAX_WAITING_UNITS = 4096
MAX_BATCH = 256
LANES = 2  # batches of one shape under way: one that waits for a lock must not stop the others

Unit = Sequence[Step]
Shape = tuple[str, ...]


class _Asked(NamedTuple):
    unit: Unit
    future: asyncio.Future[None]


class Batches:
    """Collects units and gives them to `run`, which does all steps of one unit in a transaction or raises."""

    def __init__(self, run: Callable[[Unit], Awaitable[object]]) -> None:
        self._run = run
        self._waiting: dict[Shape, list[_Asked]] = {}
        self._lanes: Counter[Shape] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def write(self, unit: Unit) -> None:
        """Do a unit whose steps all have `many`, perhaps together with others. Raises like `Database.write`."""
        shape = tuple([step.many for step in unit])
        waiting = self._waiting.setdefault(shape, [])
        if len(waiting) >= MAX_WAITING_UNITS:
            raise DatabaseOverloaded(f"{MAX_WAITING_UNITS} units are waiting")
        asked = _Asked(unit, asyncio.get_running_loop().create_future())
        waiting.append(asked)
        if self._lanes[shape] < LANES:
            self._lanes[shape] += 1
            # It begins after this turn of the loop: what others ask for meanwhile comes along.
            task = asyncio.create_task(self._work(shape))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await asked.future

    async def close(self) -> None:
        """Return when nothing is under way any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _work(self, shape: Shape) -> None:
        waiting = self._waiting[shape]
        try:
            while waiting:
                batch = waiting[:MAX_BATCH]
                del waiting[:MAX_BATCH]
                # The same order everywhere, so that two batches do not wait for each other's rows.
                await self._do(sorted(batch, key=_place))
        finally:
            self._lanes[shape] -= 1

    async def _do(self, batch: Sequence[_Asked]) -> None:
        try:
            await self._run(batch[0].unit if len(batch) == 1 else _together([asked.unit for asked in batch]))
        except (StepFailed, ConstraintBroken, StatementRefused) as error:
            if len(batch) == 1:
                _answer(batch, error)
                return
            # Nothing was done, and one of them is the reason: halving finds it.
            half = len(batch) // 2
            await self._do(batch[:half])
            await self._do(batch[half:])
        except Exception as error:
            _answer(batch, error)
        else:
            _answer(batch, None)


def _place(asked: _Asked) -> tuple[object, ...]:
    """App and number."""
    return asked.unit[0].args[:2]


def _together(units: Sequence[Unit]) -> Unit:
    """One unit that does the same as all `units`: per step, an array of each argument."""
    together = []
    for steps in zip(*units, strict=True):
        columns = tuple(zip(*[step.args for step in steps], strict=True))
        together.append(Step(steps[0].many, columns, rows=len(steps)))
    return together


def _answer(batch: Sequence[_Asked], error: Exception | None) -> None:
    for asked in batch:
        if asked.future.done():  # cancelled
            continue
        if error is None:
            asked.future.set_result(None)
        else:
            asked.future.set_exception(error)
