"""An order's timeline for people: events, attempts to tell the merchant, wallets' words, in one run of time.

A long one is shown by its beginning and its end; what lies in between is read page by page.
"""

import msgspec

from opentill.services.replies import REPLIED
from opentill.storage import timeline as rows
from opentill.storage.archive import ARCHIVED
from opentill.storage.database import Database
from opentill.storage.history import Event
from opentill.storage.notifications import Attempt

FIRST = 20
"""Entries at the beginning of a long timeline that are always shown."""
SHOWN = 120
"""Entries on one page."""

GOOD = frozenset({"PAID", "PAID_LATE", "REFUND_SUCCEEDED", "TOLD"})
BAD = frozenset(
    {
        "FAILED", "CLOSED", "REVERSED", "SURPLUS", "WRONG_AMOUNT", "REFUND_FAILED", "WAITING_UNKNOWN", "TRADE_REFUSED",
        "TRADE_UNKNOWN", "TOLD_WRONG", "TOLD_NOT", "REPLIED_REFUSAL",
    }
)  # fmt: skip
_SHOWN_APART = frozenset(
    {"said", "request", "reply", "command", "actor", "till", "note", "file", "amount_fen", "source"}
)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. `word` is a key of the texts `event`; `facts` are names and values as they were kept."""

    at_ms: int
    word: str
    tone: str
    actor: str = ""
    till: str = ""
    """At which of the store's tills, by its name."""
    source: str = ""
    amount_fen: int | None = None
    note: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    request: tuple[tuple[str, str], ...] = ()
    said: str = ""
    command: str = ""
    """The interface of a call that we replied to."""
    reply: str = ""
    number: int = 0
    """Of an attempt to tell the merchant: which one."""
    problem: str = ""
    """Of such an attempt: why it failed, as it was kept."""


def word_of(event: Event) -> str:
    """What an event is called: the same move means another thing after another answer."""
    if event.kind == REPLIED:
        return "REPLIED_REFUSAL" if event.detail.get("code") else REPLIED
    if event.kind != "WAITING":
        return event.kind
    if event.detail.get("code") == "LINK":
        return "LINK_READY"  # no wallet has been asked yet
    return "WAITING_UNKNOWN" if event.detail.get("outcome") == "unknown" else "WAITING"


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """One page of an order's timeline, oldest first."""

    total: int
    skipped: int = 0
    """How many entries are older than the page's first."""
    entries: tuple[Entry, ...] = ()
    left_out: int = 0
    """Entries between `entries` and `latest`."""
    latest: tuple[Entry, ...] = ()

    @property
    def earlier(self) -> int | None:
        """Where the page before this one begins; None: this is the first."""
        return max(self.skipped - SHOWN, 0) if self.skipped else None

    @property
    def later(self) -> int | None:
        """Where the page after this one begins; None: this is the last."""
        end = self.skipped + len(self.entries)
        return None if self.latest or end >= self.total else end


async def page(database: Database, app_id: int, order_no: str, *, skip: int | None) -> Timeline:
    """The entries after the `skip` oldest; None: the first and the latest."""
    total = await rows.count(database, app_id, order_no)

    async def stretch(skip: int, limit: int) -> tuple[Entry, ...]:
        found = await rows.stretch(database, app_id, order_no, skip=skip, limit=limit)
        return tuple(_of_attempt(each) if isinstance(each, Attempt) else _of_event(each) for each in found)

    if skip is not None:
        skip = min(skip, max(total - 1, 0))
        return Timeline(total=total, skipped=skip, entries=await stretch(skip, SHOWN))
    if total <= SHOWN:
        return Timeline(total=total, entries=await stretch(0, SHOWN))
    left_out = total - SHOWN
    first, latest = await stretch(0, FIRST), await stretch(FIRST + left_out, SHOWN - FIRST)
    return Timeline(total=total, entries=first, left_out=left_out, latest=latest)


def _of_event(event: Event) -> Entry:
    detail, word = event.detail, word_of(event)
    lines = [line.partition("=") for line in detail.get("request", "").splitlines()]
    amount = detail.get("amount_fen", "")
    return Entry(
        at_ms=event.at_ms,
        word=word,
        tone="good" if word in GOOD else "bad" if word in BAD else "",
        actor=detail.get("actor", ""),
        till=detail.get("till", ""),
        source=detail.get("source", ""),
        amount_fen=int(amount) if amount.isdigit() else None,
        note=detail.get("file", "") if word == ARCHIVED else detail.get("note", ""),
        facts=tuple((name, value) for name, value in detail.items() if value and name not in _SHOWN_APART),
        request=tuple((name, value) for name, _, value in lines),
        said=readable(detail.get("said", "")),
        command=detail.get("command", ""),
        reply=readable(detail.get("reply", "")),
    )


def _of_attempt(attempt: Attempt) -> Entry:
    word = "TOLD" if not attempt.problem else "TOLD_WRONG" if attempt.status else "TOLD_NOT"
    facts = {"status": str(attempt.status or ""), "elapsed_ms": str(attempt.elapsed_ms)}
    return Entry(
        at_ms=attempt.at_ms,
        word=word,
        tone="good" if word in GOOD else "bad",
        facts=tuple((name, value) for name, value in facts.items() if value),
        said=attempt.body,
        number=attempt.attempt,
        problem=attempt.problem,
    )


def readable(said: str) -> str:
    """JSON on several lines; what was cut is shown as it is."""
    try:
        return msgspec.json.format(said.encode(), indent=2).decode() if said else ""
    except msgspec.DecodeError:
        return said
