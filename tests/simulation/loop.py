"""An event loop in which only the seed decides: virtual time, no selector, no threads.

Callbacks run in the order asyncio promises. What a real machine leaves to chance is when I/O completes: whoever waits
for `io()` is let go in an order that the seed draws, sometimes several at once. When nobody can go on, time passes, as
far as the next timer.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from random import Random
from typing import Any, Protocol, TypeVarTuple, Unpack, cast

from opentill.base.clock import MovableClock

Ts = TypeVarTuple("Ts")

AT_ONCE = 0.25
"""How often several completions come at once."""
NEVER_US = 1 << 62


class Owner(Protocol):
    """A process: everything that runs in its context dies with it."""

    def before_step(self) -> None:
        """Called before each step; may crash the process."""
        ...

    def owns(self, task: "asyncio.Task[Any]") -> None: ...


OWNER: ContextVar[Owner | None] = ContextVar("owner", default=None)


class Deadlock(Exception):
    """Nobody can go on and no timer is set."""


class SimLoop(asyncio.BaseEventLoop):
    """`now_us` is the virtual time in microseconds; `next_due_us(kind)` says when work of a kind falls due."""

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self.now_us = 0
        self.steps = 0
        self.slept_us = 0
        """How much of the time was jumped over by `jump`."""
        self.next_due_us: Callable[[str], int] = lambda _: NEVER_US
        self.when_idle: Callable[[], None] = lambda: None
        self.problems: list[str] = []
        self._random = chance.random
        self._queue: deque[asyncio.Handle] = deque()
        self._pool: list[asyncio.Future[None]] = []
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []
        self._idlers: dict[str, list[tuple[int, int, asyncio.Future[Any]]]] = {}
        self._numbers = itertools.count()
        self.set_task_factory(cast(Any, _task_of_owner))
        self.set_exception_handler(self._note)

    # --- what asyncio asks for

    def time(self) -> float:
        return self.now_us / 1_000_000

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._queue.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (round(when * 1_000_000), next(self._numbers), handle))
        return handle

    def call_later(
        self, delay: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers fall out of the heap when their time comes."""

    def _run_once(self) -> None:
        queue = self._queue
        if not queue:
            self._go_on()
            return
        handle = queue.popleft()
        if handle.cancelled():
            return
        self.steps += 1
        owner = handle._context.get(OWNER)  # type: ignore[attr-defined]
        if owner is not None:
            owner.before_step()
        handle._run()

    # --- what the simulated world asks for

    def io(self) -> "asyncio.Future[None]":
        """Completes at this very instant, before or after what else completes now."""
        future: asyncio.Future[None] = self.create_future()
        self._pool.append(future)
        return future

    def idle_until(self, at_us: int, kind: str) -> "asyncio.Future[Any]":
        """A pause of somebody who only looks whether work of a kind is due: lasts longer while none is."""
        future: asyncio.Future[Any] = self.create_future()
        heapq.heappush(self._idlers.setdefault(kind, []), (at_us, next(self._numbers), future))
        return future

    def jump(self, by_us: int) -> None:
        """The machine slept: much falls due at once."""
        self.now_us += by_us
        self.slept_us += by_us

    def _go_on(self) -> None:
        if self._pool:
            self._complete()
            return
        self.when_idle()
        if not self._queue and not self._pool:
            self._pass_time()

    def _complete(self) -> None:
        pool = self._pool
        count = 1
        if len(pool) > 1 and self._random() < AT_ONCE:
            count = 1 + int(self._random() * len(pool))
        for _ in range(count):
            place = int(self._random() * len(pool)) if len(pool) > 1 else 0
            pool[place], pool[-1] = pool[-1], pool[place]
            future = pool.pop()
            if not future.done():
                future.set_result(None)

    def _pass_time(self) -> None:
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        at_us = timers[0][0] if timers else NEVER_US
        ends = {}
        for kind, idlers in self._idlers.items():
            if idlers and idlers[0][0] < at_us and (end_us := self._end_of_idling(kind, at_us)) < at_us:
                ends[kind] = end_us
        at_us = min(at_us, *ends.values(), NEVER_US)
        if at_us >= NEVER_US:
            raise Deadlock(f"nothing to wait for at {self.now_us} us")
        self.now_us = max(self.now_us, at_us)
        while timers and timers[0][0] <= self.now_us:
            handle = heapq.heappop(timers)[2]
            if not handle.cancelled():
                self._queue.append(handle)
        for kind, end_us in ends.items():
            if end_us <= self.now_us:
                self._wake_idlers(kind)

    def _end_of_idling(self, kind: str, before_us: int) -> int:
        """When the first idler of a kind wakes up: its time is over and work is due; only exact before `before_us`."""
        idlers = self._idlers[kind]
        while idlers and idlers[0][2].done():
            heapq.heappop(idlers)
        if not idlers or idlers[0][0] >= before_us:
            return NEVER_US
        return max(idlers[0][0], self.next_due_us(kind))

    def _wake_idlers(self, kind: str) -> None:
        idlers = self._idlers[kind]
        while idlers and idlers[0][0] <= self.now_us:
            future = heapq.heappop(idlers)[2]
            if not future.done():
                self._pool.append(future)

    def watch(self, task: "asyncio.Task[Any]") -> None:
        """When this task fails the world is broken: nobody else waits for it."""
        task.add_done_callback(self._look_at)

    def _look_at(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.problems.append(f"{task.get_name()}: {type(error).__name__}: {error}")

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.problems.append(f"{context.get('message')}: {type(error).__name__}: {error}")


def _task_of_owner(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], context: Context | None = None
) -> "asyncio.Task[Any]":
    task = asyncio.Task(coro, loop=loop, context=context)
    owner = OWNER.get() if context is None else context.get(OWNER)
    if owner is not None:
        owner.owns(task)
    return task


class WorkEvent(asyncio.Event):
    """A wake event of the database, for work of a kind; whoever waits for it with a limit is idle."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.idlers: list[asyncio.Future[Any]] = []

    def set(self) -> None:
        super().set()
        for future in self.idlers:
            if not future.done():
                future.set_result(None)
        self.idlers.clear()


class SimClock(MovableClock):
    """The clock of everybody in the world: `start_ms` at first, then as the loop's time passes."""

    def __init__(self, loop: SimLoop, *, start_ms: int) -> None:
        super().__init__(source=lambda: start_ms + loop.now_us // 1000)
        self._loop = loop
        self._start_ms = start_ms

    def now_ms(self) -> int:
        return self._start_ms + self._loop.now_us // 1000

    async def wait_until(self, at_ms: int, wake: asyncio.Event | None = None) -> None:
        if at_ms <= self.now_ms():
            return
        at_us = (at_ms - self._start_ms) * 1000
        if wake is None:
            await asyncio.sleep((at_us - self._loop.now_us) / 1_000_000)
        elif not wake.is_set():
            await self._wait_for(wake, at_us)

    async def _wait_for(self, wake: asyncio.Event, at_us: int) -> None:
        if isinstance(wake, WorkEvent):
            future = self._loop.idle_until(at_us, wake.kind)
            wake.idlers.append(future)
            await future
            return
        try:
            async with asyncio.timeout_at(at_us / 1_000_000):
                await wake.wait()
        except TimeoutError:
            pass
