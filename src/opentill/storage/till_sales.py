"""SQL of what tills sell: which order belongs to which shift, and what a shift adds up to."""

import msgspec

from opentill.domain.till import WalletTotal
from opentill.storage.database import Database, Step

_OPEN = "o.state IN ('CREATED', 'WAITING')"
_OF_SHIFT = (
    "FROM till_sales t JOIN orders o ON o.app_id = t.app_id AND o.local_order_no = t.local_order_no "
    "WHERE t.app_id = $1 AND t.shift_id = $2"
)


class SaleRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a till asked for, under the number that it made up itself. Its order may not exist (yet)."""

    shift_id: int
    created_at_ms: int
    cancel_asked_at_ms: int
    dismissed_at_ms: int


def link_app(app: str, merchant_id: int) -> Step:
    """In the unit that makes the app: its number is drawn there."""
    return Step(
        "INSERT INTO app_merchants (app_id, merchant_id) SELECT app_id, CAST($2 AS BIGINT) FROM apps WHERE app = $1",
        (app, merchant_id),
        rows=1,
    )


def note_sale(app_id: int, local_order_no: str, *, shift_id: int, now_ms: int) -> Step:
    """Any number of rows: a repeat belongs to the shift of the first."""
    return Step(
        "INSERT INTO till_sales (app_id, local_order_no, shift_id, created_at_ms) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT DO NOTHING",
        (app_id, local_order_no, shift_id, now_ms),
    )


def ask_cancel(app_id: int, local_order_no: str, *, now_ms: int) -> Step:
    """Written down before a wallet is asked: a reload must not show a code again that is being cancelled."""
    return Step(
        "UPDATE till_sales SET cancel_asked_at_ms = $3 WHERE app_id = $1 AND local_order_no = $2",
        (app_id, local_order_no, now_ms),
        rows=1,
    )


def dismiss(app_id: int, local_order_no: str, *, now_ms: int) -> Step:
    """The cashier has seen how it ended, or goes on without."""
    return Step(
        "UPDATE till_sales SET dismissed_at_ms = $3 WHERE app_id = $1 AND local_order_no = $2",
        (app_id, local_order_no, now_ms),
        rows=1,
    )


def note_refund(app_id: int, local_refund_no: str, *, shift_id: int) -> Step:
    """Any number of rows: a repeat belongs to the shift of the first."""
    return Step(
        "INSERT INTO till_refunds (app_id, local_refund_no, shift_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        (app_id, local_refund_no, shift_id),
    )


async def sale(database: Database, app_id: int, local_order_no: str) -> SaleRow | None:
    row = await database.read_one(
        "SELECT shift_id, created_at_ms, cancel_asked_at_ms, dismissed_at_ms FROM till_sales "
        "WHERE app_id = $1 AND local_order_no = $2",
        app_id,
        local_order_no,
    )
    return SaleRow(**dict(row)) if row else None


async def current_sale(database: Database, app_id: int, shift_id: int) -> str | None:
    """The number of the shift's latest order that its cashier has not put aside; None: the till is free."""
    row = await database.read_one(
        f"SELECT t.local_order_no {_OF_SHIFT} AND t.dismissed_at_ms = 0 ORDER BY t.created_at_ms DESC LIMIT 1",
        app_id,
        shift_id,
    )
    return str(row["local_order_no"]) if row else None


async def unsettled(database: Database, app_id: int, shift_id: int) -> int:
    """How many of the shift's orders nobody knows the end of."""
    row = await database.read_one(f"SELECT count(*) AS orders {_OF_SHIFT} AND {_OPEN}", app_id, shift_id)
    return int(row["orders"]) if row else 0


async def wallet_totals(database: Database, app_id: int, shift_id: int) -> list[WalletTotal]:
    """What the shift's orders brought, and what its refunds gave back, by wallet (fen)."""
    received = await database.read(
        "SELECT o.channel, count(*) AS orders, sum(o.received_fen) AS fen "
        f"{_OF_SHIFT} AND o.state = 'PAID' GROUP BY o.channel",
        app_id,
        shift_id,
    )
    returned = await database.read(
        "SELECT r.channel, count(*) AS refunds, sum(r.amount_fen) AS fen "
        "FROM till_refunds t JOIN refunds r ON r.app_id = t.app_id AND r.local_refund_no = t.local_refund_no "
        "WHERE t.app_id = $1 AND t.shift_id = $2 AND r.state = 'SUCCEEDED' GROUP BY r.channel",
        app_id,
        shift_id,
    )
    incoming = {row["channel"]: row for row in received}
    outgoing = {row["channel"]: row for row in returned}
    return [
        WalletTotal(
            channel=channel,
            orders=incoming[channel]["orders"] if channel in incoming else 0,
            received_fen=incoming[channel]["fen"] if channel in incoming else 0,
            refunds=outgoing[channel]["refunds"] if channel in outgoing else 0,
            refunded_fen=outgoing[channel]["fen"] if channel in outgoing else 0,
        )
        for channel in sorted(incoming.keys() | outgoing.keys())
    ]


async def refunds_pending(database: Database, app_id: int, shift_id: int) -> int:
    row = await database.read_one(
        "SELECT count(*) AS refunds FROM till_refunds t "
        "JOIN refunds r ON r.app_id = t.app_id AND r.local_refund_no = t.local_refund_no "
        "WHERE t.app_id = $1 AND t.shift_id = $2 AND r.state = 'PENDING'",
        app_id,
        shift_id,
    )
    return int(row["refunds"]) if row else 0
