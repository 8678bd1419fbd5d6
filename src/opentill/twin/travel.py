"""Travel in time: forward only, from one due moment to the next, so that everything happens when it is due."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol

from opentill.twin import refunds
from opentill.twin.context import Context
from opentill.twin.wechat import refunds as wechat_refunds

MAX_ADVANCE_S = 10 * 365 * 86_400
MAX_STOPS = 1000
MAX_ROUNDS = 100
_SHIFT = "shift_ms"


class Neighbour(Protocol):
    """Somebody else who lives by the same clock, e.g. the gateway's worker."""

    async def quiet(self) -> None:
        """Return when nothing is due or under way."""
        ...

    async def next_due_ms(self) -> int | None:
        """When something will be due; None: nothing waits."""
        ...


class Travel:
    """Moves the clock, for the wallets and their neighbours."""

    def __init__(self, twin: Context) -> None:
        self._twin = twin
        self.neighbours: list[Neighbour] = []

    async def forward(self, by_ms: int) -> None:
        """Move the clock, stopping wherever something is due; return when all is quiet."""
        clock = self._twin.clock
        goal_ms = clock.now_ms() + by_ms
        for _ in range(MAX_STOPS):
            await self.quiet()
            stop_ms = min(await self._next_due_ms() or goal_ms, goal_ms)
            if clock.now_ms() >= goal_ms:
                break
            self._advance(max(stop_ms - clock.now_ms(), 1))
        else:
            self._advance(max(goal_ms - clock.now_ms(), 0))
            await self.quiet()

    async def quiet(self) -> None:
        """Return when neither the wallets nor the others have anything to do; one gives the other work."""
        for _ in range(MAX_ROUNDS):
            wechat_refunds.settle(self._twin)
            since = self._twin.callbacks.last_id()
            await self._twin.callbacks.quiet()
            if not self.neighbours:
                return
            for neighbour in self.neighbours:
                await neighbour.quiet()
            if self._twin.callbacks.last_id() == since and not self._twin.callbacks.is_busy:
                return

    def _advance(self, by_ms: int) -> None:
        self._twin.clock.advance(by_ms)
        self._twin.books.set_setting(_SHIFT, str(self._twin.clock.shift_ms))

    async def _next_due_ms(self) -> int | None:
        due = [self._twin.callbacks.next_due_ms(), refunds.next_due_ms(self._twin.books)]
        due += [await neighbour.next_due_ms() for neighbour in self.neighbours]
        return min((at_ms for at_ms in due if at_ms is not None), default=None)


def stored_shift_ms(data_file: Path) -> int:
    """How far the clock had been moved when these books were last used; 0 for books that do not exist yet."""
    if not data_file.exists():
        return 0
    with closing(sqlite3.connect(f"{data_file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            row = connection.execute("SELECT value FROM settings WHERE name = ?", (_SHIFT,)).fetchone()
        except sqlite3.OperationalError:
            return 0  # an empty file: a start that was interrupted
    return 0 if row is None else int(row[0])
