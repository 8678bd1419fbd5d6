"""Refunds of both wallets. A refund is reserved in its trade when it is accepted, so nothing is refunded twice."""

from enum import StrEnum

import msgspec

from opentill.twin.books import Books, Row
from opentill.twin.trades import Moved, Trade

_COLUMNS = (
    "id, wallet, merchant, trade_id, out_refund_no, refund_no, state, amount_fen, created_ms, due_ms, done_ms, document"
)


class RefundState(StrEnum):
    """WeChat Pay's words (channels B.7); Alipay's refunds succeed at once."""

    PROCESSING = "PROCESSING"
    SUCCESS = "SUCCESS"
    ABNORMAL = "ABNORMAL"
    CLOSED = "CLOSED"


class RefundTerms(msgspec.Struct, frozen=True):
    """What the merchant asked for beside the amount."""

    reason: str = ""
    notify_url: str = ""
    signed_by: str = ""


class Refund(msgspec.Struct, frozen=True):
    """A refund in the books; `due_ms` is when one that is being processed succeeds."""

    id: int
    wallet: str
    merchant: str
    trade_id: int
    out_refund_no: str
    refund_no: str
    state: RefundState
    amount_fen: int
    created_ms: int
    due_ms: int
    done_ms: int
    terms: RefundTerms


def add(
    books: Books,
    trade: Trade,
    *,
    out_refund_no: str,
    refund_no: str,
    amount_fen: int,
    now_ms: int,
    due_ms: int,
    terms: RefundTerms,
) -> Refund:
    """Accept a refund. It has succeeded unless `due_ms` lies ahead. Raises Moved (more than was left)."""
    reserved = books.run(
        "UPDATE trades SET refunded_fen = refunded_fen + ?1 WHERE id = ?2 AND refunded_fen + ?1 <= total_fen",
        amount_fen,
        trade.id,
    )
    if reserved != 1:
        raise Moved(f"trade {trade.id} has less than {amount_fen} fen left")
    is_done = due_ms <= now_ms
    refund_id = books.insert(
        "INSERT INTO refunds (wallet, merchant, trade_id, out_refund_no, refund_no, state, amount_fen, created_ms,"
        " due_ms, done_ms, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        trade.wallet,
        trade.merchant,
        trade.id,
        out_refund_no,
        refund_no,
        RefundState.SUCCESS if is_done else RefundState.PROCESSING,
        amount_fen,
        now_ms,
        due_ms,
        now_ms if is_done else 0,
        msgspec.json.encode(terms).decode(),
    )
    return _all(books, "id = ?", refund_id)[0]


def of_trade(books: Books, trade_id: int) -> list[Refund]:
    """All refunds of a trade, oldest first."""
    return _all(books, "trade_id = ? ORDER BY id", trade_id)


def in_trade(books: Books, trade_id: int, out_refund_no: str) -> Refund | None:
    """Alipay's refund numbers are unique within a trade (channels A.11)."""
    return next(iter(_all(books, "trade_id = ? AND out_refund_no = ?", trade_id, out_refund_no)), None)


def numbered(books: Books, *, wallet: str, merchant: str, out_refund_no: str) -> Refund | None:
    """WeChat Pay's refund numbers are unique within a merchant (channels B.7)."""
    found = _all(books, "wallet = ? AND merchant = ? AND out_refund_no = ?", wallet, merchant, out_refund_no)
    return next(iter(found), None)


def by_refund_no(books: Books, *, merchant: str, refund_no: str) -> Refund | None:
    """The refund with the wallet's own number."""
    return next(iter(_all(books, "refund_no = ? AND merchant = ?", refund_no, merchant)), None)


def done_between(books: Books, *, wallet: str, merchant: str, start_ms: int, end_ms: int) -> list[Refund]:
    """The merchant's refunds that succeeded from `start_ms` on and before `end_ms`, in that order."""
    return _all(
        books,
        "wallet = ? AND merchant = ? AND done_ms > 0 AND done_ms >= ? AND done_ms < ? ORDER BY done_ms, id",
        wallet,
        merchant,
        start_ms,
        end_ms,
    )


def due(books: Books, *, now_ms: int) -> list[Refund]:
    return _all(books, "state = 'PROCESSING' AND due_ms <= ? ORDER BY due_ms", now_ms)


def next_due_ms(books: Books) -> int | None:
    row = books.one("SELECT min(due_ms) FROM refunds WHERE state = 'PROCESSING'")
    return None if row is None else row[0]


def move(books: Books, refund: Refund, to: RefundState, *, now_ms: int, due_ms: int = 0) -> Refund:
    """Move a refund from the state it was read in; a closed one gives back what it reserved. Raises Moved."""
    done_ms = now_ms if to is RefundState.SUCCESS else 0
    moved = books.run(
        "UPDATE refunds SET state = ?, done_ms = ?, due_ms = ? WHERE id = ? AND state = ?",
        to,
        done_ms,
        due_ms or refund.due_ms,
        refund.id,
        refund.state,
    )
    if moved != 1:
        raise Moved(f"refund {refund.id} is no longer {refund.state}")
    if to is RefundState.CLOSED:
        books.run("UPDATE trades SET refunded_fen = refunded_fen - ? WHERE id = ?", refund.amount_fen, refund.trade_id)
    return _all(books, "id = ?", refund.id)[0]


def payer_part_fen(trade: Trade, *, before_fen: int, amount_fen: int) -> int:
    """What of a refund goes back to the payer: its share of what the payer gave, coupons take the rest.

    `before_fen` was refunded earlier; shares are cut so that all refunds together return exactly what was paid.
    """
    after_fen = before_fen + amount_fen
    return after_fen * trade.payer_fen // trade.total_fen - before_fen * trade.payer_fen // trade.total_fen


def _all(books: Books, where: str, *values: int | str) -> list[Refund]:
    rows = books.all(f"SELECT {_COLUMNS} FROM refunds WHERE {where}", *values)  # noqa: S608 - constants above
    return [_refund(row) for row in rows]


def _refund(row: Row) -> Refund:
    values = dict(zip(Refund.__struct_fields__, row, strict=True))
    values["state"] = RefundState(values["state"])
    values["terms"] = msgspec.json.decode(values["terms"], type=RefundTerms)
    return Refund(**values)
