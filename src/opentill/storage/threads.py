"""Jobs of the event loop that threads do: a bounded queue, with one wake-up of the loop per group of answers."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from opentill.storage.engine import DatabaseOverloaded, DatabaseUnavailable

Job = TypeVar("Job")
Answer = TypeVar("Answer")


class _Asked(NamedTuple, Generic[Job, Answer]):
    job: Job
    future: asyncio.Future[Answer]
    when_done: Callable[[], None] | None


class ThreadQueue(Generic[Job, Answer]):
    """At most `limit` jobs wait here for the threads that `employ` starts. Belongs to the running event loop."""

    def __init__(self, name: str, *, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[_Asked[Job, Answer] | None] = queue.SimpleQueue()  # None ends one thread
        self._threads: list[threading.Thread] = []
        self._is_closed = False

    def employ(
        self, work: Callable[[Sequence[Job]], Sequence[Answer | Exception]], leave: Callable[[], None], *, at_once: int
    ) -> None:
        """Start a thread: it gives `work` all jobs that wait, up to `at_once`, and calls `leave` at the end."""
        thread = threading.Thread(
            target=self._serve, args=(work, leave, at_once), name=f"opentill-{self._name}", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    async def ask(self, job: Job, when_done: Callable[[], None] | None = None) -> Answer:
        """The answer to `job`. `when_done` is called in the loop when it succeeded, even if nobody waits any more.

        Raises: DatabaseOverloaded, DatabaseUnavailable (closed), and what `work` answered.
        """
        if self._is_closed:
            raise DatabaseUnavailable("the database is closed")
        if self._waiting.qsize() >= self._limit:
            raise DatabaseOverloaded(f"{self._limit} {self._name} are waiting")
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting.put(_Asked(job, future, when_done))
        return await future

    async def close(self) -> None:
        """Do what was accepted, then end the threads."""
        if not self._is_closed:
            self._is_closed = True
            for _ in self._threads:
                self._waiting.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _serve(
        self, work: Callable[[Sequence[Job]], Sequence[Answer | Exception]], leave: Callable[[], None], at_once: int
    ) -> None:
        try:
            while group := self._take(at_once):
                try:
                    answers = work([asked.job for asked in group])
                except Exception as error:  # a bug: those who wait must hear of it
                    answers = [error] * len(group)
                try:
                    self._loop.call_soon_threadsafe(_deliver, group, answers)
                except RuntimeError:  # the loop is closed: nobody is waiting
                    return
        finally:
            leave()

    def _take(self, at_once: int) -> list[_Asked[Job, Answer]]:
        """Wait for the next job and take what else waits; empty: the end."""
        group: list[_Asked[Job, Answer]] = []
        asked = self._waiting.get()
        while asked is not None:
            group.append(asked)
            if len(group) == at_once:
                return group
            try:
                asked = self._waiting.get_nowait()
            except queue.Empty:
                return group
        if group:
            self._waiting.put(None)  # to be found again after this group
        return group


def _deliver(group: Sequence[_Asked[Job, Answer]], answers: Sequence[Answer | Exception]) -> None:
    for asked, answer in zip(group, answers, strict=True):
        failed = isinstance(answer, Exception)
        if asked.when_done is not None and not failed:
            asked.when_done()
        if asked.future.done():  # cancelled
            continue
        if isinstance(answer, Exception):
            asked.future.set_exception(answer)
        else:
            asked.future.set_result(answer)
