"""What both database engines promise: the unit of work, its failures, and the `Database` protocol (design 7)."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol

import msgspec

Value = int | str | bytes | None
Argument = Value | tuple[Value, ...]
Dialect = Literal["sqlite", "postgresql"]


class Row(Protocol):
    """One row: `row["name"]`, and `dict(row)`."""

    def __getitem__(self, key: str, /) -> Any: ...

    def keys(self) -> Iterable[str]: ...


class Step(msgspec.Struct, frozen=True):
    """One statement of a unit, with `$1` … `$n` for `args` (int, str, bytes or None).

    `rows`: how many rows it must insert, change, delete or, for a SELECT, return; None: any number.
    `many`: the same over arrays, an element per step, for PostgreSQL (`Batches`). Only for a step that must meet one
    row or may meet any number; in the second case several steps may mean the same row. One that returns its row is
    alone in its unit, and its first two arguments are the first two columns that it returns.
    """

    sql: str
    args: tuple[Argument, ...] = ()
    rows: int | None = None
    many: str = ""


class StepFailed(Exception):
    """Step `index` (from 0) of a unit met `rows` rows and not the number it named. The whole unit was undone."""

    def __init__(self, index: int, step: Step, rows: int) -> None:
        # The arguments stay out of all messages here: they may be secret, and messages are logged.
        super().__init__(f"step {index} met {rows} rows instead of {step.rows}: {step.sql}")
        self.index = index
        self.step = step
        self.rows = rows


class ConstraintBroken(Exception):
    """A key, check or not-null rule of the schema refused step `index` of a unit. The whole unit was undone.

    Where a conflict is expected, say `ON CONFLICT DO NOTHING` and name `rows`; this is for the rest.
    """

    def __init__(self, index: int, step: Step, reason: str) -> None:
        super().__init__(f"step {index} broke a rule of the schema ({reason}): {step.sql}")
        self.index = index
        self.step = step


class StatementRefused(Exception):
    """A statement or its arguments are wrong (syntax, names, number, types): a bug of ours. Nothing was done."""

    def __init__(self, sql: str, reason: str) -> None:
        super().__init__(f"{reason}: {sql}")


class DatabaseUnavailable(Exception):
    """The database could not be used. Nothing was done, and the same may be tried again.

    The one exception to "nothing was done" is the subclass `OutcomeUnknown`.
    """


class OutcomeUnknown(DatabaseUnavailable):
    """The connection or the disk failed while the commit was under way: the unit is done entirely or not at all.

    Repeating the unit is safe if its first step is guarded (an expected state, or ON CONFLICT DO NOTHING, with
    `rows`): if it was done, the repeat raises `StepFailed` at that step and changes nothing.
    """


class DatabaseOverloaded(Exception):
    """Too many units or reads are waiting already (or this one waited too long for its turn). Nothing was done."""


class Database(Protocol):
    """An open database. It belongs to the event loop in which it was opened."""

    @property
    def dialect(self) -> Dialect: ...

    async def write(self, unit: Sequence[Step], *, wakes: Sequence[str] = ()) -> list[list[Row]]:
        """Do all steps in one transaction, or nothing; per step, the rows that it returned.

        After the commit every name in `wakes` is woken (`wake_event`). Whoever is cancelled while waiting
        does not know whether the unit was done.
        Raises: StepFailed, ConstraintBroken, StatementRefused, DatabaseUnavailable, OutcomeUnknown,
        DatabaseOverloaded.
        """
        ...

    async def read(self, sql: str, *args: Value) -> list[Row]:
        """The rows of one SELECT, in a snapshot of its own that has every write answered before.

        Raises: StatementRefused, DatabaseUnavailable, DatabaseOverloaded.
        """
        ...

    async def read_one(self, sql: str, *args: Value) -> Row | None:
        """The first row of one SELECT; None when there is none."""
        ...

    def wake_event(self, name: str) -> asyncio.Event:
        """The event that is set after a commit that wakes `name`; the one who waits for it clears it.

        On PostgreSQL the commit may be any process's; on SQLite it is one of this object. It may also be set for
        nothing, and a wake can be lost with a connection: it saves waiting, but is no reason not to look at times.
        """
        ...

    async def close(self) -> None:
        """Finish what was accepted, then let go of everything. Later calls raise DatabaseUnavailable."""
        ...


class Wakes:
    """The wake events of one process, by name."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}

    def event(self, name: str) -> asyncio.Event:
        return self._events.setdefault(name, asyncio.Event())

    def wake(self, names: Iterable[str]) -> None:
        for name in names:
            self.event(name).set()

    def wake_all(self) -> None:
        """For when a wake may have been missed."""
        self.wake(list(self._events))
