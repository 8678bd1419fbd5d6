"""Callbacks: queued in the books with the trade's move, sent with each wallet's own schedule of repeats.

A wallet gives the content; the letter around it (time, signature) is made anew for each delivery.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import msgspec

from opentill.base.clock import Clock
from opentill.base.logs import logger
from opentill.base.outbound import NotSent, Outbound, ReplyLost, Response
from opentill.twin.books import Books, Row
from opentill.twin.faults import Faults, Hit

MAX_AT_ONCE = 64
TIMEOUT_S = 5.0  # channels B.8: an answer is due within five seconds
MAX_ANSWER_BYTES = 4096
_IDLE_MS = 3_600_000
_COLUMNS = "id, wallet, merchant, kind, trade_id, url, content, signed_by, created_ms, sent, due_ms"
_log = logger("twin.callbacks")
_FAULTS = frozenset(
    {
        "callback_twice",
        "callback_late",
        "callback_never",
        "truncated",
        "bad_signature",
        "unsigned",
        "wrong_amount",
        "wrong_app",
        "clock_skew",
        "key_rotated",
    }
)


class Callback(msgspec.Struct, frozen=True):
    """A callback in the books. `sent` deliveries were tried; `signed_by` names the key where a wallet has several."""

    id: int
    wallet: str
    merchant: str
    kind: str
    trade_id: int
    url: str
    content: str
    signed_by: str
    created_ms: int
    sent: int
    due_ms: int


class Letter(msgspec.Struct, frozen=True):
    """One delivery, ready to send."""

    headers: dict[str, str]
    body: bytes


class Style(msgspec.Struct, frozen=True):
    """How one wallet delivers: `write` makes the letter, `accepts` reads the answer, `gaps_s` are the waits between.

    `write` takes the callback, the time (ms) and the fault that spoils the letter, if any.
    """

    write: Callable[[Callback, int, Hit | None], Letter]
    accepts: Callable[[Response], bool]
    gaps_s: tuple[int, ...]


class Callbacks:
    """The queue and its sender."""

    def __init__(self, *, books: Books, clock: Clock, faults: Faults, outbound: Outbound) -> None:
        self._books = books
        self._faults = faults
        self._clock = clock
        self._outbound = outbound
        self._styles: Mapping[str, Style] = {}
        self._wake = asyncio.Event()
        self._quiet = asyncio.Event()
        self._landing = asyncio.Event()
        self._in_flight: dict[int, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None

    def start(self, styles: Mapping[str, Style]) -> None:
        """Send what is due, from now on, as each wallet's style says."""
        self._styles = styles
        self._loop = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop sending; what is in flight stays due."""
        tasks = [task for task in (self._loop, *self._in_flight.values()) if task is not None]
        self._loop = None
        self._quiet.set()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    def add(
        self, *, wallet: str, merchant: str, kind: str, trade_id: int, url: str, content: object, signed_by: str = ""
    ) -> None:
        """Queue a callback, inside the transaction of what it tells. No url: the merchant wants none."""
        if not url:
            return
        now_ms = self._clock.now_ms()
        self._books.run(
            "INSERT INTO callbacks (wallet, merchant, kind, trade_id, url, content, signed_by, created_ms, sent,"
            " due_ms, state, last_answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, 'DUE', '')",
            wallet,
            merchant,
            kind,
            trade_id,
            url,
            msgspec.json.encode(content).decode(),
            signed_by,
            now_ms,
            now_ms,
        )
        self._quiet.clear()
        self._wake.set()

    async def quiet(self) -> None:
        """Return when nothing is due now and nothing is in flight."""
        while self.is_busy:
            self._quiet.clear()
            self._wake.set()
            await self._quiet.wait()

    def last_id(self) -> int:
        """The youngest callback; what is queued later is younger."""
        row = self._books.one("SELECT coalesce(max(id), 0) FROM callbacks")
        return 0 if row is None else row[0]

    async def tried(self, *, since: int) -> None:
        """Return once every due callback younger than `since` was delivered, or its delivery failed, once."""
        while self._loop is not None and self._books.one(
            "SELECT id FROM callbacks WHERE id > ? AND state = 'DUE' AND sent = 0 AND due_ms <= ?",
            since,
            self._clock.now_ms(),
        ):
            self._landing.clear()
            self._wake.set()
            await self._landing.wait()

    @property
    def is_busy(self) -> bool:
        """Whether something is due now or in flight."""
        return self._loop is not None and bool(self._in_flight or self._due(limit=1))

    def next_due_ms(self) -> int | None:
        """When the earliest delivery is due; None when there is none."""
        row = self._books.one("SELECT min(due_ms) FROM callbacks WHERE state = 'DUE'")
        return None if row is None else row[0]

    def of_trade(self, trade_id: int) -> list[Row]:
        """Kind, state, deliveries tried, due time and last answer of a trade's callbacks, oldest first."""
        return self._books.all(
            "SELECT kind, state, sent, due_ms, last_answer FROM callbacks WHERE trade_id = ? ORDER BY id", trade_id
        )

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            for callback in self._due(limit=MAX_AT_ONCE - len(self._in_flight)):
                task = asyncio.create_task(self._deliver(callback))
                self._in_flight[callback.id] = task
                task.add_done_callback(partial(self._landed, callback.id))
            if not self._in_flight:
                self._quiet.set()
            await self._clock.wait_until(self._wait_end_ms(), self._wake)

    def _landed(self, callback_id: int, _: asyncio.Task[None]) -> None:
        self._in_flight.pop(callback_id, None)
        self._landing.set()
        self._wake.set()

    def _wait_end_ms(self) -> int:
        """What is in flight is still due in the books; its landing wakes the loop."""
        row = self._books.one(
            "SELECT min(due_ms) FROM callbacks WHERE state = 'DUE' AND due_ms > ?", self._clock.now_ms()
        )
        return self._clock.now_ms() + _IDLE_MS if row is None or row[0] is None else row[0]

    def _due(self, *, limit: int) -> list[Callback]:
        rows = self._books.all(
            f"SELECT {_COLUMNS} FROM callbacks WHERE state = 'DUE' AND due_ms <= ? ORDER BY due_ms LIMIT ?",  # noqa: S608
            self._clock.now_ms(),
            max(limit, 0) + len(self._in_flight),
        )
        return [Callback(*row) for row in rows if row[0] not in self._in_flight]

    async def _deliver(self, callback: Callback) -> None:
        style = self._styles[callback.wallet]
        operation = "refund_callback" if callback.kind == "refund" else "callback"
        hit = self._faults.draw(callback.wallet, operation, only=_FAULTS)
        if hit is not None and hit.fault in ("callback_never", "callback_late"):
            self._withhold(callback, hit)
            return
        try:
            if hit is not None and hit.fault == "callback_twice":
                await self._send(style.write(callback, self._clock.now_ms(), None), callback.url)
            response = await self._send(style.write(callback, self._clock.now_ms(), hit), callback.url)
        except (NotSent, ReplyLost) as error:
            is_accepted, answer = False, f"{type(error).__name__}: {error}"
        except Exception as error:  # one that cannot be written must not stop the others, nor come back at once
            _log.exception("callback failed", wallet=callback.wallet, kind=callback.kind)
            is_accepted, answer = False, type(error).__name__
        else:
            is_accepted = style.accepts(response)
            answer = f"{response.status} {response.body[:200].decode(errors='replace')}".strip()
        self._record(callback, style, is_accepted=is_accepted, answer=answer)

    async def _send(self, letter: Letter, url: str) -> Response:
        return await self._outbound.send(
            "POST",
            url,
            headers=letter.headers,
            body=letter.body,
            timeout_s=TIMEOUT_S,
            max_body_bytes=MAX_ANSWER_BYTES,
        )

    def _withhold(self, callback: Callback, hit: Hit) -> None:
        """Not now, or never."""
        state = "NEVER" if hit.fault == "callback_never" else "DUE"
        due_ms = self._clock.now_ms() + hit.delay_s * 1000
        self._books.run("UPDATE callbacks SET state = ?, due_ms = ? WHERE id = ?", state, due_ms, callback.id)

    def _record(self, callback: Callback, style: Style, *, is_accepted: bool, answer: str) -> None:
        is_last = callback.sent >= len(style.gaps_s)
        state = "DONE" if is_accepted else "GIVEN_UP" if is_last else "DUE"
        gap_s = 0 if is_accepted or is_last else style.gaps_s[callback.sent]
        self._books.run(
            "UPDATE callbacks SET state = ?, sent = sent + 1, due_ms = ?, last_answer = ? WHERE id = ?",
            state,
            self._clock.now_ms() + gap_s * 1000,
            answer,
            callback.id,
        )
        _log.info(
            "callback", wallet=callback.wallet, kind=callback.kind, state=state, sent=callback.sent + 1, answer=answer
        )
