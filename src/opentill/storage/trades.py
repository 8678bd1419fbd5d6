"""SQL of an order's further trades: an h5 link opens one at the wallet of each who follows it (protocol 4.1, 4.3)."""

import msgspec

from opentill.base.numbers import LENGTH
from opentill.storage.database import Database, Step

MAX_ATTEMPT_NO = 99
"""protocol 4.1: an attempt has two digits."""


class OpenTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A trade at a wallet. `trade_no` is the wallet's out_trade_no.

    `page_values`: JSON, what the wallet's page needs to pay it, empty until the wallet said. `is_closed`: the wallet
    closed it for certain, so nobody can pay it any more.
    """

    channel: int
    account_id: int
    trade_no: str
    attempt_no: int = 0
    payer: str = ""
    page_values: str = ""
    created_at_ms: int = 0
    is_closed: bool = False


def trade_no_of(order_no: str, attempt_no: int) -> str:
    """Our order number with a two-digit attempt (protocol 4.1)."""
    return f"{order_no[:LENGTH]}{attempt_no:02d}"


def insert(
    app_id: int, order_no: str, *, attempt_no: int, channel: int, account_id: int, payer: str, now_ms: int
) -> Step:
    """No row: another opener took this attempt, so count again; or the order is not open any more."""
    return Step(
        "INSERT INTO trades (app_id, order_no, attempt_no, channel, account_id, payer, state, created_at_ms) "
        "SELECT app_id, order_no, $3, $4, $5, $6, 'OPEN', $7 FROM orders "
        "WHERE app_id = $1 AND order_no = $2 AND state IN ('CREATED', 'WAITING') ON CONFLICT DO NOTHING",
        (app_id, order_no, attempt_no, channel, account_id, payer, now_ms),
        rows=1,
    )


def keep_page_values(app_id: int, order_no: str, *, attempt_no: int, page_values: str) -> Step:
    """What the wallet's page needs to pay this trade, for when the same payer comes again."""
    return Step(
        "UPDATE trades SET page_values = $4 WHERE app_id = $1 AND order_no = $2 AND attempt_no = $3",
        (app_id, order_no, attempt_no, page_values),
        rows=1,
    )


def mark_closed(app_id: int, order_no: str, *, attempt_no: int) -> Step:
    """The wallet said for certain that this trade is closed."""
    return Step(
        "UPDATE trades SET state = 'CLOSED' WHERE app_id = $1 AND order_no = $2 AND attempt_no = $3",
        (app_id, order_no, attempt_no),
        rows=1,
    )


async def of_order(database: Database, app_id: int, order_no: str) -> list[OpenTrade]:
    """All further trades of an order, oldest first."""
    rows = await database.read(
        "SELECT attempt_no, channel, account_id, payer, page_values, state, created_at_ms FROM trades "
        "WHERE app_id = $1 AND order_no = $2 ORDER BY attempt_no",
        app_id,
        order_no,
    )
    return [
        OpenTrade(
            channel=row["channel"],
            account_id=row["account_id"],
            trade_no=trade_no_of(order_no, row["attempt_no"]),
            attempt_no=row["attempt_no"],
            payer=row["payer"],
            page_values=row["page_values"],
            created_at_ms=row["created_at_ms"],
            is_closed=row["state"] == "CLOSED",
        )
        for row in rows
    ]
