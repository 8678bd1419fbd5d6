"""A database of which some calls fail, as a full queue, a full disk or a lost server makes them fail."""

from collections.abc import Callable, Sequence

from opentill.storage.database import Database, Row, Step, Value

Trouble = Callable[[str], Exception | None]
"""What happens to a call, by its SQL; None: nothing."""


class FaultyDatabase:
    """Passes everything on, but for what `trouble` says: before a call (nothing is done) or after it (it is done)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.before: Trouble = lambda _: None
        self.after: Trouble = lambda _: None

    def __getattr__(self, name: str) -> object:
        return getattr(self._database, name)

    async def write(self, unit: Sequence[Step], *, wakes: Sequence[str] = ()) -> list[list[Row]]:
        sql = "\n".join(step.sql for step in unit)
        _raise(self.before(sql))
        rows = await self._database.write(unit, wakes=wakes)
        _raise(self.after(sql))
        return rows

    async def read(self, sql: str, *args: Value) -> list[Row]:
        _raise(self.before(sql))
        return await self._database.read(sql, *args)

    async def read_one(self, sql: str, *args: Value) -> Row | None:
        _raise(self.before(sql))
        return await self._database.read_one(sql, *args)


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error
