"""SQL of the figures on the first page: sums of a time, best items, and how the latest orders went."""

from collections.abc import Collection

import msgspec

from opentill.storage.database import Database
from opentill.storage.search import least_order_no

LATEST = 5_000
"""Orders of one app looked at to say how payments go: milliseconds, whatever the table holds."""

_KEYS = {"hour": "hour_ms", "wallet": "channel", "store": "store_id", "operator": "operator_id"}


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    """Under one key, fen."""

    key: str
    orders: int
    received_fen: int
    refunds: int
    refunded_fen: int


class Item(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    name: str
    quantity_milli: int
    amount_fen: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the latest orders of one account ended so. `is_unanswered`: its wallet never gave a QR code."""

    account_id: int
    state: str
    is_unanswered: int
    orders: int


async def sums(
    database: Database, *, by: str, from_ms: int, to_ms: int, merchant_ids: Collection[int] | None
) -> list[Sum]:
    """By hour, wallet, store or operator over from_ms <= hour < to_ms."""
    rows = await database.read(
        f"SELECT {_KEYS[by]} AS key, CAST(sum(orders) AS BIGINT) AS orders, "
        "CAST(sum(received_fen) AS BIGINT) AS received_fen, CAST(sum(refunds) AS BIGINT) AS refunds, "
        "CAST(sum(refunded_fen) AS BIGINT) AS refunded_fen FROM sales_hours "
        f"WHERE hour_ms >= $1 AND hour_ms < $2{_among(merchant_ids)} GROUP BY 1 ORDER BY 1",
        from_ms,
        to_ms,
    )
    return [Sum(**{**dict(row), "key": str(row["key"])}) for row in rows]


async def best_items(
    database: Database, *, from_ms: int, to_ms: int, merchant_ids: Collection[int] | None, limit: int
) -> list[Item]:
    rows = await database.read(
        "SELECT goods_key AS key, max(name) AS name, CAST(sum(quantity_milli) AS BIGINT) AS quantity_milli, "
        "CAST(sum(amount_fen) AS BIGINT) AS amount_fen FROM sales_goods "
        f"WHERE hour_ms >= $1 AND hour_ms < $2{_among(merchant_ids)} GROUP BY goods_key "
        "HAVING sum(amount_fen) > 0 ORDER BY 4 DESC, 1 LIMIT $3",
        from_ms,
        to_ms,
        limit,
    )
    return [Item(**dict(row)) for row in rows]


async def outcomes(
    database: Database, app_id: int, *, from_ms: int, to_ms: int, merchant_ids: Collection[int] | None
) -> list[Outcome]:
    """Of the latest orders that one app made in this time."""
    rows = await database.read(
        "SELECT account_id, state, is_unanswered, count(*) AS orders FROM (SELECT account_id, state, "
        "CASE WHEN way = 'SCAN' AND qr_text = '' AND state <> 'PAID' THEN 1 ELSE 0 END AS is_unanswered "
        f"FROM orders WHERE app_id = $1 AND order_no >= $2 AND order_no < $3{_among(merchant_ids)} "
        "ORDER BY order_no DESC LIMIT $4) AS latest GROUP BY account_id, state, is_unanswered",
        app_id,
        least_order_no(from_ms),
        least_order_no(to_ms),
        LATEST,
    )
    return [Outcome(**dict(row)) for row in rows]


def _among(merchant_ids: Collection[int] | None) -> str:
    if merchant_ids is None:
        return ""
    return f" AND merchant_id IN ({', '.join(str(int(each)) for each in sorted(merchant_ids)) or 'NULL'})"
