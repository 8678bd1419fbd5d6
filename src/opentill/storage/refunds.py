"""SQL of refunds. One number for life; the indexes on the integrator's number and on the sign decide repeats."""

from typing import Any

import msgspec

from opentill.domain.refund import Refund, RefundCause, RefundState
from opentill.storage.database import Database, Row, Step

WAKE = "refund"
"""Woken after a commit that left a refund for the worker."""

_COLUMNS = (
    "app_id, refund_no, order_no, local_refund_no, request_sign, operator_id, trade_no, channel, account_id, cause, "
    "asked_fen, amount_fen, wallet_fen, reason, state, channel_refund_no, problem, created_at_ms, sent_at_ms, "
    "ended_at_ms, due_at_ms, asks"
)
_INSERT_MANY = (
    f"INSERT INTO refunds ({_COLUMNS}) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], "
    "$5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::text[], $11::bigint[], $12::bigint[], "
    "$13::bigint[], $14::text[], $15::text[], $16::text[], $17::text[], $18::bigint[], $19::bigint[], $20::bigint[], "
    "$21::bigint[], $22::bigint[]) ON CONFLICT DO NOTHING"
)
_CLAIM_MANY = (
    "UPDATE refunds SET due_at_ms = due.lease_until_ms, asks = asks + 1 "
    "FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) "
    "AS due (app_id, refund_no, due_at_ms, lease_until_ms) WHERE refunds.app_id = due.app_id "
    "AND refunds.refund_no = due.refund_no AND refunds.due_at_ms = due.due_at_ms AND refunds.state = 'PENDING' "
    f"RETURNING {', '.join(f'refunds.{column}' for column in _COLUMNS.split(', '))}"
)
_END_MANY = (
    "UPDATE refunds SET state = ended.state, channel_refund_no = ended.channel_refund_no, problem = ended.problem, "
    "ended_at_ms = ended.at_ms, due_at_ms = 0 FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], "
    "$5::text[], $6::bigint[]) AS ended (app_id, refund_no, state, channel_refund_no, problem, at_ms) "
    "WHERE refunds.app_id = ended.app_id AND refunds.refund_no = ended.refund_no AND refunds.state = 'PENDING'"
)


class DueRefund(msgspec.Struct, frozen=True):
    """A refund whose time has come; `due_at_ms` is the value a claim must still find."""

    app_id: int
    refund_no: str
    due_at_ms: int


def insert(refund: Refund) -> Step:
    """No row: the integrator's refund number or the request's sign was used before."""
    return Step(
        f"INSERT INTO refunds ({_COLUMNS}) VALUES "
        "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22) "
        "ON CONFLICT DO NOTHING",
        (
            refund.app_id, refund.refund_no, refund.order_no, refund.local_refund_no or None,
            refund.request_sign or None, refund.operator_id, refund.trade_no, refund.channel, refund.account_id,
            refund.cause.value, refund.asked_fen, refund.amount_fen, refund.wallet_fen, refund.reason,
            refund.state.value, refund.channel_refund_no, refund.problem, refund.created_at_ms, refund.sent_at_ms,
            refund.ended_at_ms, refund.due_at_ms, refund.asks,
        ),
        rows=1,
        many=_INSERT_MANY,
    )  # fmt: skip


def claim(due: DueRefund, *, lease_until_ms: int) -> Step:
    """Lease it for one exchange with the wallet: only who still finds the due time it saw may go on."""
    return Step(
        "UPDATE refunds SET due_at_ms = $4, asks = asks + 1 "
        f"WHERE app_id = $1 AND refund_no = $2 AND due_at_ms = $3 AND state = 'PENDING' RETURNING {_COLUMNS}",
        (due.app_id, due.refund_no, due.due_at_ms, lease_until_ms),
        rows=1,
        many=_CLAIM_MANY,
    )


def mark_sent(refund: Refund) -> Step:
    """Before the request leaves: a crash afterwards must find that it may have been sent."""
    return Step(
        "UPDATE refunds SET sent_at_ms = $3 WHERE app_id = $1 AND refund_no = $2 AND state = 'PENDING'",
        (refund.app_id, refund.refund_no, refund.sent_at_ms),
        rows=1,
        many="UPDATE refunds SET sent_at_ms = sent.at_ms FROM unnest($1::bigint[], $2::text[], $3::bigint[]) "
        "AS sent (app_id, refund_no, at_ms) WHERE refunds.app_id = sent.app_id AND refunds.refund_no = sent.refund_no "
        "AND refunds.state = 'PENDING'",
    )


def end(refund: Refund) -> Step:
    """PENDING becomes what `refund` says, once."""
    return Step(
        "UPDATE refunds SET state = $3, channel_refund_no = $4, problem = $5, ended_at_ms = $6, due_at_ms = 0 "
        "WHERE app_id = $1 AND refund_no = $2 AND state = 'PENDING'",
        (
            refund.app_id, refund.refund_no, refund.state.value, refund.channel_refund_no, refund.problem,
            refund.ended_at_ms,
        ),
        rows=1,
        many=_END_MANY,
    )  # fmt: skip


def plan(refund: Refund, *, due_at_ms: int, problem: str) -> Step:
    """Still pending: when to go on, and what stood in the way. Any number of rows: it may have ended meanwhile."""
    return Step(
        "UPDATE refunds SET due_at_ms = $3, problem = $4 WHERE app_id = $1 AND refund_no = $2 AND state = 'PENDING'",
        (refund.app_id, refund.refund_no, due_at_ms, problem),
    )


def defer(due: DueRefund, *, due_at_ms: int) -> Step:
    return Step(
        "UPDATE refunds SET due_at_ms = $4 WHERE app_id = $1 AND refund_no = $2 AND due_at_ms = $3",
        (due.app_id, due.refund_no, due.due_at_ms, due_at_ms),
    )


def count_day(app_id: int, *, day_ms: int, amount_fen: int, ceiling_fen: int) -> Step:
    """Add to what the app refunded this day. No row: the ceiling would be passed (protocol 8)."""
    return Step(
        "INSERT INTO refund_days (app_id, day_ms, refunded_fen) VALUES ($1, $2, $3) "
        "ON CONFLICT (app_id, day_ms) DO UPDATE SET refunded_fen = refund_days.refunded_fen + excluded.refunded_fen "
        "WHERE refund_days.refunded_fen + excluded.refunded_fen <= $4",
        (app_id, day_ms, amount_fen, ceiling_fen),
        rows=1,
    )


async def by_refund_no(database: Database, app_id: int, refund_no: str) -> Refund | None:
    return await _one(database, "refund_no = $2", app_id, refund_no)


async def by_local_refund_no(database: Database, app_id: int, local_refund_no: str) -> Refund | None:
    return await _one(database, "local_refund_no = $2", app_id, local_refund_no)


async def by_request_sign(database: Database, app_id: int, request_sign: str) -> Refund | None:
    return await _one(database, "request_sign = $2", app_id, request_sign)


async def of_order(database: Database, app_id: int, order_no: str) -> list[Refund]:
    """All refunds of an order, oldest first."""
    rows = await database.read(
        f"SELECT {_COLUMNS} FROM refunds WHERE app_id = $1 AND order_no = $2 ORDER BY created_at_ms, refund_no",
        app_id,
        order_no,
    )
    return [from_row(row) for row in rows]


async def due(database: Database, *, now_ms: int, limit: int) -> list[DueRefund]:
    rows = await database.read(
        "SELECT app_id, refund_no, due_at_ms FROM refunds WHERE due_at_ms > 0 AND due_at_ms <= $1 "
        "ORDER BY due_at_ms LIMIT $2",
        now_ms,
        limit,
    )
    return [DueRefund(row["app_id"], row["refund_no"], row["due_at_ms"]) for row in rows]


async def next_due_ms(database: Database) -> int | None:
    row = await database.read_one("SELECT min(due_at_ms) AS at_ms FROM refunds WHERE due_at_ms > 0")
    return row["at_ms"] if row else None


async def _one(database: Database, condition: str, *args: Any) -> Refund | None:
    row = await database.read_one(f"SELECT {_COLUMNS} FROM refunds WHERE app_id = $1 AND {condition}", *args)
    return from_row(row) if row else None


def from_row(row: Row) -> Refund:
    values = dict(row)
    values["local_refund_no"] = values["local_refund_no"] or ""
    values["request_sign"] = values["request_sign"] or ""
    values["cause"] = RefundCause(values["cause"])
    values["state"] = RefundState(values["state"])
    return Refund(**values)
