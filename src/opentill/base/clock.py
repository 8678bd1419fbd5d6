"""Time as a parameter: every wait, expiry, lease and schedule reads a clock it was given (design 7, Clock)."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol


def real_now_ms() -> int:
    """Milliseconds since 1970-01-01 UTC by the machine's clock."""
    return time.time_ns() // 1_000_000


class Clock(Protocol):
    """Reads and awaits time. `now_ms` never goes back."""

    @property
    def shift_ms(self) -> int:
        """How far this clock was moved ahead of real time, milliseconds; 0 outside a sandbox."""
        ...

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        ...

    async def wait_until(self, at_ms: int, wake: asyncio.Event | None = None) -> None:
        """Return once `now_ms() >= at_ms`, or as soon as `wake` is set. The caller clears `wake`."""
        ...


class MovableClock:
    """The clock of a process. It follows `source` and can be moved forward, never back.

    Serving leaves it unmoved; a sandbox moves it on request; a test gives `source=frozen(at_ms)`, so that only
    `advance` lets time pass.
    """

    def __init__(self, *, shift_ms: int = 0, source: Callable[[], int] = real_now_ms) -> None:
        self._source = source
        self._shift_ms = shift_ms
        self._latest_ms = 0
        self._moved = asyncio.Event()

    @property
    def shift_ms(self) -> int:
        """How far this clock is ahead of its source, milliseconds."""
        return self._shift_ms

    def now_ms(self) -> int:
        self._latest_ms = max(self._latest_ms, self._source() + self._shift_ms)
        return self._latest_ms

    def advance(self, by_ms: int) -> None:
        """Move forward by `by_ms` >= 0 milliseconds and wake everybody whose time has come."""
        if by_ms < 0:
            raise ValueError("a clock only moves forward")
        self._shift_ms += by_ms
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def wait_until(self, at_ms: int, wake: asyncio.Event | None = None) -> None:
        while (left_ms := at_ms - self.now_ms()) > 0:
            # A frozen source never gets there by waiting; the timeout then only repeats the question.
            if await _first_of(self._moved, wake, timeout_s=left_ms / 1000) is wake and wake is not None:
                return


def frozen(at_ms: int) -> Callable[[], int]:
    """A source for `MovableClock` that stands still at `at_ms`."""
    return lambda: at_ms


async def _first_of(moved: asyncio.Event, wake: asyncio.Event | None, *, timeout_s: float) -> asyncio.Event | None:
    """Wait for the first event that is set; None when the time is over."""
    if wake is None:
        with suppress(TimeoutError):
            await asyncio.wait_for(moved.wait(), timeout_s)
        return None
    waits = {asyncio.ensure_future(moved.wait()): moved, asyncio.ensure_future(wake.wait()): wake}
    try:
        done, _ = await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waits:
            task.cancel()
    if any(waits[task] is wake for task in done):
        return wake
    return moved if done else None
