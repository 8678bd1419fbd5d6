"""The wallets' books: one SQLite file, committed before an answer leaves, kept over restarts."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1

# `terms` and `document` are JSON texts of the structs that own the table.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS merchants (
    id INTEGER PRIMARY KEY, wallet TEXT NOT NULL, merchant TEXT NOT NULL, document TEXT NOT NULL,
    UNIQUE (wallet, merchant));
CREATE TABLE IF NOT EXISTS codes (
    code TEXT PRIMARY KEY, wallet TEXT NOT NULL, merchant TEXT NOT NULL, out_trade_no TEXT NOT NULL,
    expires_ms INTEGER NOT NULL, is_replaced INTEGER NOT NULL, terms TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS codes_of_trade ON codes (wallet, merchant, out_trade_no);
CREATE TABLE IF NOT EXISTS trades (
    id INTEGER PRIMARY KEY, wallet TEXT NOT NULL, merchant TEXT NOT NULL, out_trade_no TEXT NOT NULL,
    trade_no TEXT NOT NULL, state TEXT NOT NULL, payer TEXT NOT NULL,
    total_fen INTEGER NOT NULL, discount_fen INTEGER NOT NULL, refunded_fen INTEGER NOT NULL,
    created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, paid_ms INTEGER NOT NULL, closed_ms INTEGER NOT NULL,
    coupons TEXT NOT NULL, terms TEXT NOT NULL,
    UNIQUE (wallet, merchant, out_trade_no));
CREATE UNIQUE INDEX IF NOT EXISTS trades_by_number ON trades (trade_no);
CREATE INDEX IF NOT EXISTS trades_open ON trades (expires_ms) WHERE state = 'OPEN';
CREATE INDEX IF NOT EXISTS trades_password ON trades (id) WHERE state = 'PASSWORD';
CREATE INDEX IF NOT EXISTS trades_paid ON trades (wallet, merchant, paid_ms) WHERE paid_ms > 0;
CREATE TABLE IF NOT EXISTS attempts (
    id INTEGER PRIMARY KEY, trade_id INTEGER NOT NULL, at_ms INTEGER NOT NULL, payer TEXT NOT NULL,
    result TEXT NOT NULL, reason TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS attempts_of_trade ON attempts (trade_id);
CREATE TABLE IF NOT EXISTS refunds (
    id INTEGER PRIMARY KEY, wallet TEXT NOT NULL, merchant TEXT NOT NULL, trade_id INTEGER NOT NULL,
    out_refund_no TEXT NOT NULL, refund_no TEXT NOT NULL UNIQUE, state TEXT NOT NULL,
    amount_fen INTEGER NOT NULL, created_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL, done_ms INTEGER NOT NULL,
    document TEXT NOT NULL, UNIQUE (trade_id, out_refund_no));
CREATE INDEX IF NOT EXISTS refunds_by_number ON refunds (wallet, merchant, out_refund_no);
CREATE INDEX IF NOT EXISTS refunds_due ON refunds (due_ms) WHERE state = 'PROCESSING';
CREATE INDEX IF NOT EXISTS refunds_done ON refunds (wallet, merchant, done_ms) WHERE done_ms > 0;
CREATE TABLE IF NOT EXISTS callbacks (
    id INTEGER PRIMARY KEY, wallet TEXT NOT NULL, merchant TEXT NOT NULL, kind TEXT NOT NULL,
    trade_id INTEGER NOT NULL, url TEXT NOT NULL, content TEXT NOT NULL, signed_by TEXT NOT NULL,
    created_ms INTEGER NOT NULL, sent INTEGER NOT NULL, due_ms INTEGER NOT NULL, state TEXT NOT NULL,
    last_answer TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS callbacks_due ON callbacks (due_ms) WHERE state = 'DUE';
CREATE INDEX IF NOT EXISTS callbacks_of_trade ON callbacks (trade_id);
CREATE TABLE IF NOT EXISTS grants (
    code TEXT PRIMARY KEY, wallet TEXT NOT NULL, app_id TEXT NOT NULL, payer TEXT NOT NULL,
    expires_ms INTEGER NOT NULL, is_used INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS coupons (
    id INTEGER PRIMARY KEY, wallet TEXT NOT NULL, goods_num TEXT NOT NULL, amount_fen INTEGER NOT NULL,
    name TEXT NOT NULL, funded_by TEXT NOT NULL, times_left INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS coupons_usable ON coupons (wallet, goods_num) WHERE times_left > 0;
CREATE TABLE IF NOT EXISTS payers (
    wallet TEXT NOT NULL, identifier TEXT NOT NULL, payer TEXT NOT NULL, PRIMARY KEY (wallet, identifier)
) WITHOUT ROWID;
"""

Value = str | int
# SQLite's types are known to the statement alone; the reader of a row puts it into a struct.
Row = tuple[Any, ...]


class BooksError(Exception):
    """The file cannot serve as the twin's books."""


class Books:
    """Access is synchronous, in the event loop: statements are short and indexed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file, making it (0600: it holds private keys) when it does not exist. Raises BooksError."""
        os.close(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self._file, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, SCHEMA_VERSION):
                raise BooksError(f"{self._file} has schema {version}, this twin reads {SCHEMA_VERSION}")
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def one(self, sql: str, *values: Value) -> Row | None:
        """The first row, if any."""
        row: Row | None = self._open.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, *values: Value) -> list[Row]:
        return self._open.execute(sql, values).fetchall()

    def run(self, sql: str, *values: Value) -> int:
        """Change rows; how many there were."""
        return self._open.execute(sql, values).rowcount

    def insert(self, sql: str, *values: Value) -> int:
        """Add a row; its id."""
        return self._open.execute(sql, values).lastrowid or 0

    @contextmanager
    def write(self) -> Iterator[None]:
        """One transaction: everything inside is committed together, or nothing when it raises.

        Inside another one it joins that.
        """
        connection = self._open
        if connection.in_transaction:
            yield
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def setting(self, name: str) -> str | None:
        row = self.one("SELECT value FROM settings WHERE name = ?", name)
        return None if row is None else str(row[0])

    def set_setting(self, name: str, value: str) -> None:
        self.run(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value
        )

    @property
    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise BooksError("the books are not open: the twin has not been started")
        return self._connection
