"""Every statement that a database was really sent: SQLite tells by a trace, PostgreSQL writes them into its log."""

import contextlib
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

_LOGGED = re.compile(r"\[(\d+)\] LOG:  (?:statement|execute [^:]*): (.*)")
_TEXT = re.compile(r"'(?:[^']|'')*'")
_NUMBER = re.compile(r"\$\d+|(?<![\w.])-?\d+\b")
_SPACE = re.compile(r"\s+")


@contextlib.asynccontextmanager
async def recorded(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[], list[str]]]:
    """What whoever connects to `url` inside this context sends; the function tells what it was until now.

    Connection after connection, each in order. Every statement is in its bare form: values are `?`, whether they were
    written or given.
    """
    recorder = _postgres(url) if url.startswith("postgresql") else _sqlite(url, monkeypatch)
    async with recorder as statements:
        yield lambda: [bare(statement) for statement in statements()]


def bare(statement: str) -> str:
    """The statement without its values."""
    return _SPACE.sub(" ", _NUMBER.sub("?", _TEXT.sub("?", statement))).strip()


@contextlib.asynccontextmanager
async def _sqlite(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[], list[str]]]:
    path = Path(url.removeprefix("sqlite:///"))
    heard: list[str] = []
    connect = sqlite3.connect

    def traced(database: Path, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(database, **options)  # type: ignore[call-overload]
        if Path(database) == path:  # the twin's books are SQLite too
            connection.set_trace_callback(heard.append)
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", traced)
        yield lambda: list(heard)


@contextlib.asynccontextmanager
async def _postgres(url: str) -> AsyncIterator[Callable[[], list[str]]]:
    parts = urlsplit(url)
    log = Path(parse_qs(parts.query)["host"][0]) / "log"
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"ALTER DATABASE {parts.path[1:]} SET log_statement = 'all'")
    finally:
        await connection.close()
    start = log.stat().st_size

    def read() -> list[str]:
        with log.open("rb") as file:
            file.seek(start)
            found = _LOGGED.findall(file.read().decode(errors="replace"))
        # Sorting is stable: what one process of the server was sent stays in order.
        return [statement for _, statement in sorted(found, key=lambda each: int(each[0]))]

    yield read
