"""Codes and trades of both wallets, and the moves between their states.

An Alipay code comes before its trade, which exists only from the scan on (channels A.7); a WeChat Pay trade comes
first and its code leads to it (channels B.4). So a code carries the terms of what is to be paid.
"""

import secrets
from enum import StrEnum
from typing import Any

import msgspec

from opentill.twin import times
from opentill.twin.books import Books, Row
from opentill.twin.coupons import BY_MERCHANT, Coupon

_COLUMNS = (
    "id, wallet, merchant, out_trade_no, trade_no, state, payer, total_fen, discount_fen, refunded_fen, "
    "created_ms, expires_ms, paid_ms, closed_ms, coupons, terms"
)


class State(StrEnum):
    """What has become of a trade. How a wallet words it is the wallet's affair."""

    OPEN = "OPEN"  # may be paid
    PASSWORD = "PASSWORD"  # noqa: S105 - a payment code was read, the payer is asked for the password
    PAID = "PAID"  # and perhaps refunded, see `refunded_fen`
    CLOSED = "CLOSED"
    REVOKED = "REVOKED"  # a payment by code was reversed before any money moved
    FAILED = "FAILED"  # a payment by code did not succeed


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the merchant asked for. `request` is its document as sent, `fingerprint` what a repeat must equal."""

    app_id: str
    product: str
    total_fen: int
    subject: str
    notify_url: str
    expires_ms: int
    fingerprint: str
    request: dict[str, Any]
    attach: str = ""
    signed_by: str = ""
    partner: dict[str, str] = {}


class Code(msgspec.Struct, frozen=True):
    """The text of a QR code and what it leads to."""

    code: str
    wallet: str
    merchant: str
    out_trade_no: str
    expires_ms: int
    is_replaced: bool
    terms: Terms


class Trade(msgspec.Struct, frozen=True):
    """A trade in the books. Times in ms, 0 when it did not happen."""

    id: int
    wallet: str
    merchant: str
    out_trade_no: str
    trade_no: str
    state: State
    payer: str
    total_fen: int
    discount_fen: int
    refunded_fen: int
    created_ms: int
    expires_ms: int
    paid_ms: int
    closed_ms: int
    coupons: tuple[Coupon, ...]
    terms: Terms

    @property
    def payer_fen(self) -> int:
        """What the payer gave: the total less coupons."""
        return self.total_fen - self.discount_fen

    @property
    def merchant_discount_fen(self) -> int:
        """The part of the discount that the seller bears."""
        return sum(coupon.amount_fen for coupon in self.coupons if coupon.funded_by == BY_MERCHANT)

    @property
    def is_refunded(self) -> bool:
        """Whether all of it went back."""
        return self.paid_ms > 0 and self.refunded_fen == self.total_fen


class Moved(Exception):
    """The trade was not in the state that the move starts from."""


def add_code(books: Books, code: Code) -> None:
    books.run(
        "INSERT INTO codes VALUES (?, ?, ?, ?, ?, ?, ?)",
        code.code,
        code.wallet,
        code.merchant,
        code.out_trade_no,
        code.expires_ms,
        code.is_replaced,
        msgspec.json.encode(code.terms).decode(),
    )


def replace_codes(books: Books, *, wallet: str, merchant: str, out_trade_no: str) -> None:
    """Kill the earlier codes of a trade (channels B.4)."""
    books.run(
        "UPDATE codes SET is_replaced = 1 WHERE wallet = ? AND merchant = ? AND out_trade_no = ?",
        wallet,
        merchant,
        out_trade_no,
    )


def code_of(books: Books, text: str) -> Code | None:
    row = books.one(
        "SELECT code, wallet, merchant, out_trade_no, expires_ms, is_replaced, terms FROM codes WHERE code = ?", text
    )
    if row is None:
        return None
    return Code(row[0], row[1], row[2], row[3], row[4], bool(row[5]), msgspec.json.decode(row[6], type=Terms))


def newest_code(books: Books, *, wallet: str, merchant: str, out_trade_no: str) -> Code | None:
    """The code that was issued last for an order."""
    row = books.one(
        "SELECT code FROM codes WHERE wallet = ? AND merchant = ? AND out_trade_no = ? AND is_replaced = 0"
        " ORDER BY expires_ms DESC LIMIT 1",
        wallet,
        merchant,
        out_trade_no,
    )
    return None if row is None else code_of(books, row[0])


def add_trade(
    books: Books, *, wallet: str, merchant: str, out_trade_no: str, trade_no: str, terms: Terms, now_ms: int
) -> Trade:
    """Record a new trade that may be paid until its terms expire."""
    trade_id = books.insert(
        "INSERT INTO trades (wallet, merchant, out_trade_no, trade_no, state, payer, total_fen, discount_fen,"
        " refunded_fen, created_ms, expires_ms, paid_ms, closed_ms, coupons, terms)"
        " VALUES (?, ?, ?, ?, 'OPEN', '', ?, 0, 0, ?, ?, 0, 0, '[]', ?)",
        wallet,
        merchant,
        out_trade_no,
        trade_no,
        terms.total_fen,
        now_ms,
        terms.expires_ms,
        msgspec.json.encode(terms).decode(),
    )
    return by_id(books, trade_id)


def by_id(books: Books, trade_id: int) -> Trade:
    """Raises KeyError."""
    row = books.one(f"SELECT {_COLUMNS} FROM trades WHERE id = ?", trade_id)  # noqa: S608 - a constant
    if row is None:
        raise KeyError(trade_id)
    return _trade(row)


def by_out_trade_no(books: Books, *, wallet: str, merchant: str, out_trade_no: str, now_ms: int) -> Trade | None:
    """The trade as of now: one whose time is over is closed first, which no callback announces (channels E)."""
    row = books.one(
        f"SELECT {_COLUMNS} FROM trades WHERE wallet = ? AND merchant = ? AND out_trade_no = ?",  # noqa: S608
        wallet,
        merchant,
        out_trade_no,
    )
    return None if row is None else _as_of(books, _trade(row), now_ms)


def by_trade_no(books: Books, *, wallet: str, merchant: str, trade_no: str, now_ms: int) -> Trade | None:
    row = books.one(
        f"SELECT {_COLUMNS} FROM trades WHERE trade_no = ? AND wallet = ? AND merchant = ?",  # noqa: S608
        trade_no,
        wallet,
        merchant,
    )
    return None if row is None else _as_of(books, _trade(row), now_ms)


def newest(books: Books, *, wallet: str, out_trade_no: str, limit: int, now_ms: int) -> list[Trade]:
    """Newest first; an empty filter lets everything through."""
    rows = books.all(
        f"SELECT {_COLUMNS} FROM trades WHERE (?1 = '' OR wallet = ?1)"  # noqa: S608
        " AND (?2 = '' OR out_trade_no = ?2) ORDER BY id DESC LIMIT ?3",
        wallet,
        out_trade_no,
        limit,
    )
    return [_as_of(books, _trade(row), now_ms) for row in rows]


def paid_between(books: Books, *, wallet: str, merchant: str, start_ms: int, end_ms: int) -> list[Trade]:
    """The merchant's trades paid from `start_ms` on and before `end_ms`, in that order."""
    rows = books.all(
        f"SELECT {_COLUMNS} FROM trades WHERE wallet = ? AND merchant = ? AND paid_ms > 0"  # noqa: S608
        " AND paid_ms >= ? AND paid_ms < ? ORDER BY paid_ms, id",
        wallet,
        merchant,
        start_ms,
        end_ms,
    )
    return [_trade(row) for row in rows]


def waiting_for_password(books: Books, *, now_ms: int) -> list[Trade]:
    """The trades whose payer was asked for the password and has not answered."""
    rows = books.all(f"SELECT {_COLUMNS} FROM trades WHERE state = 'PASSWORD'")  # noqa: S608
    found = [_as_of(books, _trade(row), now_ms) for row in rows]
    return [trade for trade in found if trade.state is State.PASSWORD]


def move(
    books: Books, trade: Trade, to: State, *, now_ms: int, payer: str = "", coupons: tuple[Coupon, ...] = ()
) -> Trade:
    """Move a trade from the state it was read in. Raises Moved."""
    paid_ms = now_ms if to is State.PAID else trade.paid_ms
    closed_ms = now_ms if to in (State.CLOSED, State.REVOKED) else trade.closed_ms
    moved = books.run(
        "UPDATE trades SET state = ?, payer = ?, discount_fen = ?, coupons = ?, paid_ms = ?, closed_ms = ?"
        " WHERE id = ? AND state = ?",
        to,
        payer or trade.payer,
        sum(coupon.amount_fen for coupon in coupons) or trade.discount_fen,
        msgspec.json.encode(coupons or trade.coupons).decode(),
        paid_ms,
        closed_ms,
        trade.id,
        trade.state,
    )
    if moved != 1:
        raise Moved(f"trade {trade.id} is no longer {trade.state}")
    return by_id(books, trade.id)


def bind(books: Books, trade: Trade, payer: str) -> Trade:
    """A trade belongs to the first who opened it; nobody else can pay it (channels B.4, B.13)."""
    books.run("UPDATE trades SET payer = ? WHERE id = ? AND payer = ''", payer, trade.id)
    return by_id(books, trade.id)


def add_attempt(books: Books, trade: Trade, *, payer: str, result: str, reason: str = "", now_ms: int) -> None:
    """Record that somebody tried to pay."""
    books.run(
        "INSERT INTO attempts (trade_id, at_ms, payer, result, reason) VALUES (?, ?, ?, ?, ?)",
        trade.id,
        now_ms,
        payer,
        result,
        reason,
    )


def attempts_of(books: Books, trade: Trade) -> list[Row]:
    """Time, payer, result and reason of each attempt, oldest first."""
    return books.all("SELECT at_ms, payer, result, reason FROM attempts WHERE trade_id = ? ORDER BY id", trade.id)


def new_number(prefix: str, digits: int) -> str:
    """A number of the wallet's own: `prefix` and random digits."""
    return prefix + f"{secrets.randbelow(10**digits):0{digits}d}"


def day_text(at_ms: int) -> str:
    """`yyyyMMdd` in China, which both wallets' numbers carry."""
    return times.china(at_ms).strftime("%Y%m%d")


def _as_of(books: Books, trade: Trade, now_ms: int) -> Trade:
    if trade.state not in (State.OPEN, State.PASSWORD) or now_ms < trade.expires_ms:
        return trade
    return move(books, trade, State.CLOSED, now_ms=trade.expires_ms)


def _trade(row: Row) -> Trade:
    values = dict(zip(Trade.__struct_fields__, row, strict=True))
    values["state"] = State(values["state"])
    values["coupons"] = msgspec.json.decode(values["coupons"], type=tuple[Coupon, ...])
    values["terms"] = msgspec.json.decode(values["terms"], type=Terms)
    return Trade(**values)
