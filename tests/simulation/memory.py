"""The files of a world, in memory: our database and the wallets' books. A copy of both is made in no time.

All processes of a world share one connection, so nothing is interleaved inside a transaction; what comes between two
of them is the loop's affair. A crash leaves what was committed: there is nothing else.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from opentill.storage.database import Row, Step, Value
from opentill.storage.sqlite import CACHED_STATEMENTS, Writer
from opentill.twin.books import Books


def image_of(file: Path) -> bytes:
    """A database file as bytes that can be opened in memory."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        # In memory there is no write-ahead log.
        connection.execute("PRAGMA journal_mode = DELETE")
        return connection.serialize()


def opened(image: bytes) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=CACHED_STATEMENTS)
    with closing(sqlite3.connect(":memory:")) as source:
        # What was deserialized lives in one block of bytes and is copied there at each commit; pages are quicker.
        source.deserialize(image)
        source.backup(connection)
    return connection


class MemoryDatabase:
    """Our database: the gateway's own writer on a connection to memory."""

    def __init__(self, image: bytes) -> None:
        self.connection = opened(image)
        self.connection.row_factory = sqlite3.Row
        self.connection.execute("PRAGMA foreign_keys = ON")
        self._writer = Writer.__new__(Writer)
        self._writer._connection = self.connection

    def write(self, unit: Sequence[Step]) -> list[list[Row]]:
        """Raises what a `Database` raises."""
        (answer,) = self._writer.commit([unit])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def read(self, sql: str, args: Sequence[Value]) -> list[Row]:
        return self._writer.read(sql, args)

    def close(self) -> None:
        self.connection.close()


class MemoryBooks(Books):
    """The wallets' books."""

    def __init__(self, image: bytes) -> None:
        super().__init__(Path())
        self.connection = opened(image)

    def open(self) -> None:
        self._connection = self.connection

    def close(self) -> None:
        self._connection = None
