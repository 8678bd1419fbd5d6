"""Units of the same shape that wait at the same time, done in one transaction (design 7, Unit of work).

On PostgreSQL a unit of two steps is four round trips. Under load many requests take a number or keep a QR code at the
same moment: their rows go as arrays through the same four trips.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from opentill.storage.engine import ConstraintBroken, DatabaseOverloaded, Row, StatementRefused, Step, StepFailed

MAX_WAITING_UNITS = 4096
MAX_BATCH = 256
LANES = 2  # batches of one shape under way: one that waits for a lock must not stop the others

Unit = Sequence[Step]
Rows = list[list[Row]]
Shape = tuple[str, ...]


class _Asked(NamedTuple):
    unit: Unit
    future: asyncio.Future[Rows]


class Batches:
    """Collects units and gives them to `run`, which does all steps of one unit in a transaction or raises."""

    def __init__(self, run: Callable[[Unit], Awaitable[Rows]]) -> None:
        self._run = run
        self._waiting: dict[Shape, list[_Asked]] = {}
        self._lanes: Counter[Shape] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def write(self, unit: Unit) -> Rows:
        """Do a unit whose steps all have `many`, perhaps together with others. Raises like `Database.write`."""
        shape = tuple([many for many, _ in itertools.groupby(unit, key=_many)])
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
        return await asked.future

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
                await self._do(batch)
        finally:
            self._lanes[shape] -= 1

    async def _do(self, batch: Sequence[_Asked]) -> None:
        try:
            if len(batch) == 1:
                _answer(batch[0], await self._run(batch[0].unit))
            elif "RETURNING" in batch[0].unit[0].many:
                _hand_out(batch, await self._run([_all([asked.unit[0] for asked in batch], rows=None)]))
            else:
                await self._run(_together([asked.unit for asked in batch]))
                for asked in batch:
                    _answer(asked, [[] for _ in asked.unit])
        except (StepFailed, ConstraintBroken, StatementRefused) as error:
            if len(batch) == 1:
                _refuse(batch[0], error)
                return
            # Nothing was done, and one of them is the reason: halving finds it.
            half = len(batch) // 2
            await self._do(batch[:half])
            await self._do(batch[half:])
        except Exception as error:
            for asked in batch:
                _refuse(asked, error)


def _many(step: Step) -> str:
    return step.many


def _place(step: Step) -> tuple[object, ...]:
    """App and number."""
    return step.args[:2]


def _together(units: Sequence[Unit]) -> Unit:
    """One unit that does the same as all `units`: per statement, an array of each argument.

    Steps with the same statement are one, also within a unit: there may be more of them in one unit than in another.
    """
    return [
        _all(steps, rows=None if steps[0].rows is None else len(steps))
        for groups in zip(*[_grouped(unit) for unit in units], strict=True)
        if (steps := list(itertools.chain.from_iterable(groups)))
    ]


def _all(steps: Sequence[Step], *, rows: int | None) -> Step:
    # The same order everywhere, so that two batches do not wait for each other's rows.
    args = [step.args for step in sorted(steps, key=_place)]
    return Step(steps[0].many, tuple(zip(*args, strict=True)), rows=rows)


def _grouped(unit: Unit) -> list[list[Step]]:
    return [list(steps) for _, steps in itertools.groupby(unit, key=_many)]


def _hand_out(batch: Sequence[_Asked], rows: Rows) -> None:
    """To each unit its row. Those without one failed alone: a unit of one step leaves nothing to undo."""
    found = {tuple(dict(row).values())[:2]: row for row in rows[0]}
    for asked in batch:
        row = found.pop(asked.unit[0].args[:2], None)
        if row is None:
            _refuse(asked, StepFailed(0, asked.unit[0], 0))
        else:
            _answer(asked, [[row]])


def _answer(asked: _Asked, rows: Rows) -> None:
    if not asked.future.done():  # cancelled
        asked.future.set_result(rows)


def _refuse(asked: _Asked, error: Exception) -> None:
    if not asked.future.done():
        asked.future.set_exception(error)
