"""What happens in a wallet by itself as time goes on: refunds that are being processed succeed."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from opentill.base.clock import Clock

_IDLE_MS = 3_600_000


class Settling:
    """Runs `settle` whenever something is due. `settle` does what is due and tells when the next thing is."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    def start(self, settle: Callable[[], int | None]) -> None:
        self._loop = asyncio.create_task(self._run(settle))

    def wake(self) -> None:
        """Something new may be due."""
        self._wake.set()

    async def stop(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop
            self._loop = None

    async def _run(self, settle: Callable[[], int | None]) -> None:
        while True:
            self._wake.clear()
            next_ms = settle()
            await self._clock.wait_until(self._clock.now_ms() + _IDLE_MS if next_ms is None else next_ms, self._wake)
