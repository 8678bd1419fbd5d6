"""What we replied, for the timelines of the orders it was about.

For explanation only: states, money and notifications never depend on it. Replies are written behind the requests'
backs, so the last moments before a `kill -9` may be missing; so may some while the database is in trouble.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from opentill.base import numbers
from opentill.base.clock import Clock
from opentill.base.errors import GatewayError
from opentill.base.logs import logger
from opentill.base.metrics import Metrics
from opentill.domain.parties import App
from opentill.services.access import Caller
from opentill.services.words import kept_form, shortened, without_keys
from opentill.storage import history, orders, refunds
from opentill.storage.database import (
    ConstraintBroken,
    Database,
    DatabaseOverloaded,
    DatabaseUnavailable,
    StatementRefused,
)
from opentill.storage.history import NewEvent

REPLIED = "REPLIED"

MAX_WAITING = 4_096
"""Replies that wait to be written; more are dropped, and counted as `opentill_replies_not_kept`."""
ENOUGH = 32
"""Waiting replies that are written although calls are under way; so many together cost a tenth each of one alone."""
MAX_BATCH = 128
"""Written in one unit: bounds how long the units of requests wait for it."""
MAX_REMEMBERED = 10_000
"""Orders and interfaces of which the last reply is known, the latest ones."""
MAX_ROWS = 100
"""Replies of one interface kept for one order while it is remembered: a till in a loop must not bury the rest."""
MAX_REQUEST = 2_000
MAX_REPLY = 2_000
"""Characters kept of a request, and of a reply; only a list of goods and a sender's own inventions are longer."""

# Whoever reads a timeline could use them in the sender's or the customer's name.
_SHORTENED = frozenset({"sign", "barcode", "open_id"})
_REPLY_SHORTENED = frozenset({"paySign", "package"})
_MAX_NUMBER = 64

_log = logger("replies")


class Asked(NamedTuple):
    """A call by somebody whose signature was right. `form`: its parameters as they were sent."""

    caller: Caller
    command: str
    form: Mapping[str, str]
    request_id: str


class _Waiting(NamedTuple):
    """`order_no` empty: the order that `named` names, if it is one of this merchant."""

    caller: Caller
    order_no: str
    named: tuple[str, str]
    at_ms: int
    event_id: int
    detail: dict[str, str]
    values: Mapping[str, str]


class _Last:
    """The last reply of an interface about an order, and how often it was given since it was written."""

    __slots__ = ("again", "fingerprint", "rows")

    def __init__(self) -> None:
        self.fingerprint = 0
        self.again = 0
        self.rows = 0


class ReplyLog:
    """The replies of one process. Adding one awaits nothing; they are written together, when the process has time."""

    def __init__(self, database: Database, clock: Clock, metrics: Metrics) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._waiting: deque[_Waiting] = deque()
        self._last: OrderedDict[tuple[int, str, str, str], _Last] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._is_troubled = False

    def opened(self, asked: Asked, order_no: str, values: Mapping[str, str]) -> None:
        """An order was made and this is the reply; its request is on its timeline already."""
        detail = {"command": asked.command, "request_id": asked.request_id}
        self._append(asked, order_no, ("", ""), detail, values)

    def answered(self, asked: Asked, order_no: str, values: Mapping[str, str], *, is_replay: bool = False) -> None:
        """A reply about an order that was there before. `order_no` empty: the one that the call names."""
        named = _named(asked.form)
        content = hash(tuple(item for item in values.items() if item[0] != "timestamp"))
        about = (order_no, "") if order_no else named
        last = self._changed((asked.caller.app.app_id, *about, asked.command), content)
        if last is None:
            return
        detail = {"command": asked.command, **_told(asked, last)}
        if is_replay:
            detail["replayed"] = "true"
        self._append(asked, order_no, named, detail, values)

    def refused(self, asked: Asked, error: GatewayError) -> None:
        """A call was refused; one that names no order of its merchant has no timeline to be on."""
        named = _named(asked.form)
        if named == ("", ""):
            return
        last = self._changed((asked.caller.app.app_id, *named, asked.command), error.number)
        if last is None:
            return
        message = without_keys(error.message, asked.caller.app)
        detail = {"command": asked.command, "code": str(error.number), "message": message, **_told(asked, last)}
        self._append(asked, "", named, detail, {})

    def begin(self) -> None:
        """Write what waits, in a task of its own: no call is under way that has something better to do."""
        if self._waiting and self._task is None:
            self._task = asyncio.create_task(self._work())

    async def settled(self) -> None:
        """Return when nothing waits that can be written."""
        self.begin()
        while self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Write what waits, or give it up if the database can't."""
        await self.settled()
        self._drop(len(self._waiting))
        self._waiting.clear()

    def _changed(self, key: tuple[int, str, str, str], fingerprint: int) -> _Last | None:
        """None: the same as last time, or too many already; it is only counted."""
        last = self._last.get(key)
        if last is None:
            last = self._last[key] = _Last()
            if len(self._last) > MAX_REMEMBERED:
                self._last.popitem(last=False)
        else:
            self._last.move_to_end(key)
            if last.fingerprint == fingerprint or last.rows >= MAX_ROWS:
                last.again += 1
                return None
        last.fingerprint = fingerprint
        last.rows += 1
        return last

    def _append(
        self,
        asked: Asked,
        order_no: str,
        named: tuple[str, str],
        detail: dict[str, str],
        values: Mapping[str, str],
    ) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._drop(1)
            return
        now_ms = self._clock.now_ms()
        event_id = history.new_event_id(now_ms)
        self._waiting.append(_Waiting(asked.caller, order_no, named, now_ms, event_id, detail, values))
        if len(self._waiting) >= ENOUGH:
            self.begin()

    async def _work(self) -> None:
        waiting = self._waiting
        try:
            while waiting:
                batch = [waiting.popleft() for _ in range(min(MAX_BATCH, len(waiting)))]
                if not await self._is_done_with(batch):
                    # The next reply tries again; until then there is nobody to wait for.
                    waiting.extendleft(reversed(batch))
                    return
        finally:
            self._task = None

    async def _is_done_with(self, batch: list[_Waiting]) -> bool:
        """False: the database can't now."""
        try:
            found = [event for each in batch if (event := await self._event(each)) is not None]
            await self._write(found)
        except (DatabaseUnavailable, DatabaseOverloaded) as error:
            if not self._is_troubled:
                _log.warning("replies not kept for now", reason=str(error))
            self._is_troubled = True
            return False
        except Exception:
            # A bug of ours must not stop the replies that follow, and never a request.
            _log.exception("fault")
            self._drop(len(batch))
        self._is_troubled = False
        return True

    async def _write(self, events: list[NewEvent]) -> None:
        if not events:
            return
        try:
            await self._database.write(history.add_events(events, dialect=self._database.dialect))
        except (ConstraintBroken, StatementRefused):
            # Nothing was done, and one of them is the reason: halving finds it.
            if len(events) == 1:
                _log.warning("reply not kept", order_no=events[0].order_no)
                self._drop(1)
                return
            half = len(events) // 2
            await self._write(events[:half])
            await self._write(events[half:])

    async def _event(self, reply: _Waiting) -> NewEvent | None:
        """None: it is about no order of this merchant."""
        order_no = reply.order_no or await self._order_named(reply)
        if not order_no:
            return None
        detail = reply.detail
        if reply.values:
            detail["reply"] = _reply_text(reply.values, reply.caller.app)
        text = msgspec.json.encode(detail).decode()
        return NewEvent(reply.caller.app.app_id, order_no, reply.event_id, reply.at_ms, REPLIED, text)

    async def _order_named(self, reply: _Waiting) -> str:
        order_no, local_order_no = reply.named
        database, app_id = self._database, reply.caller.app.app_id
        if order_no[:1] == str(numbers.REFUND):
            refund = await refunds.by_refund_no(database, app_id, order_no)
            order_no = refund.order_no if refund else order_no
        if order_no:
            order = await orders.by_order_no(database, app_id, order_no)
        else:
            order = await orders.by_local_order_no(database, app_id, local_order_no)
        is_theirs = order is not None and order.merchant_id == reply.caller.operator.merchant_id
        return order.order_no if order is not None and is_theirs else ""

    def _drop(self, count: int) -> None:
        if count:
            self._metrics.replies_not_kept.inc(count)


def _named(form: Mapping[str, str]) -> tuple[str, str]:
    """The numbers by which a call names its order: ours, else the integrator's (protocol 4.5)."""
    order_no = form.get("order_no", "").strip()
    if order_no:
        # What is no number of ours names nothing.
        return (order_no, "") if numbers.is_order_no(order_no) else ("", "")
    local_order_no = form.get("local_order_no", "").strip()
    return "", local_order_no if len(local_order_no) <= _MAX_NUMBER and "\0" not in local_order_no else ""


def _told(asked: Asked, last: _Last) -> dict[str, str]:
    again, last.again = last.again, 0
    lines = [
        f"{name}={shortened(value) if name in _SHORTENED else value}".replace("\n", " ")
        for name, value in kept_form(asked.form, asked.caller.app).items()
        if name != "command"
    ]
    # A key may stand anywhere, and half a key must not be left at the edge.
    request = without_keys("\n".join(lines), asked.caller.app)
    told = {
        "request": request[:MAX_REQUEST].replace("\0", "\ufffd"),
        "source_ip": asked.caller.source_ip,
        "request_id": asked.request_id,
    }
    return {**told, "again": str(again)} if again else told


def _reply_text(values: Mapping[str, str], app: App) -> str:
    """As JSON, without the signature; what a customer pays with is shortened."""
    shown = {name: shortened(value) if name in _REPLY_SHORTENED else value for name, value in values.items()}
    text = without_keys(msgspec.json.encode(shown).decode(), app)
    return text[:MAX_REPLY].replace("\0", "\ufffd")
