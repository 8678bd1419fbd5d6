"""SQL of sales statistics: counters per hour, kept in the transaction of the payment or refund they count."""

import msgspec

from opentill.domain.order import GoodsLine, Order
from opentill.storage.database import Database, Step

HOUR_MS = 3_600_000
COUNTER = "INSERT INTO sales_"
"""How every statement here begins that adds to a row which many orders share."""

_HOUR = "app_id, merchant_id, store_id, operator_id, channel, hour_ms"
_HOUR_ARRAYS = "$1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[]"
_ADD_PAYMENT = (
    f"ON CONFLICT ({_HOUR}) DO UPDATE SET "
    "orders = sales_hours.orders + excluded.orders, amount_fen = sales_hours.amount_fen + excluded.amount_fen, "
    "received_fen = sales_hours.received_fen + excluded.received_fen, "
    "discount_fen = sales_hours.discount_fen + excluded.discount_fen"
)
_ADD_REFUND = (
    f"ON CONFLICT ({_HOUR}) DO UPDATE SET "
    "refunds = sales_hours.refunds + excluded.refunds, refunded_fen = sales_hours.refunded_fen + excluded.refunded_fen"
)
_ADD_GOODS = (
    f"ON CONFLICT ({_HOUR}, goods_key) DO UPDATE SET "
    "quantity_milli = sales_goods.quantity_milli + excluded.quantity_milli, "
    "amount_fen = sales_goods.amount_fen + excluded.amount_fen"
)
# A row may be met once by one statement, so what many orders add to it is summed first; and always in one order.
_PAYMENTS = (
    f"INSERT INTO sales_hours ({_HOUR}, orders, amount_fen, received_fen, discount_fen, refunds, refunded_fen) "
    f"SELECT {_HOUR}, count(*), sum(amount_fen), sum(received_fen), sum(discount_fen), 0, 0 "
    f"FROM unnest({_HOUR_ARRAYS}, $7::bigint[], $8::bigint[], $9::bigint[]) "
    f"AS paid ({_HOUR}, amount_fen, received_fen, discount_fen) GROUP BY {_HOUR} ORDER BY {_HOUR} {_ADD_PAYMENT}"
)
_REFUNDS = (
    f"INSERT INTO sales_hours ({_HOUR}, orders, amount_fen, received_fen, discount_fen, refunds, refunded_fen) "
    f"SELECT {_HOUR}, 0, 0, 0, 0, count(*), sum(refunded_fen) FROM unnest({_HOUR_ARRAYS}, $7::bigint[]) "
    f"AS gone ({_HOUR}, refunded_fen) GROUP BY {_HOUR} ORDER BY {_HOUR} {_ADD_REFUND}"
)
_GOODS = (
    f"INSERT INTO sales_goods ({_HOUR}, goods_key, name, quantity_milli, amount_fen) "
    f"SELECT {_HOUR}, goods_key, max(name), sum(quantity_milli), sum(amount_fen) "
    f"FROM unnest({_HOUR_ARRAYS}, $7::text[], $8::text[], $9::bigint[], $10::bigint[]) "
    f"AS sold ({_HOUR}, goods_key, name, quantity_milli, amount_fen) "
    f"GROUP BY {_HOUR}, goods_key ORDER BY {_HOUR}, goods_key {_ADD_GOODS}"
)


def count_payment(order: Order, *, now_ms: int) -> Step:
    """One more paid order in this hour, with its amounts (fen)."""
    return Step(
        f"INSERT INTO sales_hours ({_HOUR}, orders, amount_fen, received_fen, discount_fen, refunds, refunded_fen) "
        f"VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, 0, 0) {_ADD_PAYMENT}",
        (*_key(order, now_ms), order.amount_fen, order.received_fen, order.discount_fen),
        many=_PAYMENTS,
    )


def count_refund(order: Order, *, amount_fen: int, now_ms: int) -> Step:
    """One more settled refund in this hour (fen)."""
    return Step(
        f"INSERT INTO sales_hours ({_HOUR}, orders, amount_fen, received_fen, discount_fen, refunds, refunded_fen) "
        f"VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, 1, $7) {_ADD_REFUND}",
        (*_key(order, now_ms), amount_fen),
        many=_REFUNDS,
    )


def count_goods(order: Order, line: GoodsLine, *, quantity_milli: int, amount_fen: int, now_ms: int) -> Step:
    """Add to what was sold of one item; negative values take back (a refund)."""
    return Step(
        f"INSERT INTO sales_goods ({_HOUR}, goods_key, name, quantity_milli, amount_fen) "
        f"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) {_ADD_GOODS}",
        (*_key(order, now_ms), line.key, line.name, quantity_milli, amount_fen),
        many=_GOODS,
    )


def _key(order: Order, now_ms: int) -> tuple[int, int, int, str, int, int]:
    """The row that counts this order in this hour."""
    return order.app_id, order.merchant_id, order.store_id, order.operator_id, order.channel, _hour(now_ms)


def _hour(now_ms: int) -> int:
    return now_ms - now_ms % HOUR_MS


class SalesSum(msgspec.Struct, frozen=True, kw_only=True):
    """What was sold and given back under one key (fen)."""

    key: str
    orders: int
    amount_fen: int
    received_fen: int
    discount_fen: int
    refunds: int
    refunded_fen: int


class ItemSum(msgspec.Struct, frozen=True, kw_only=True):
    """What was sold of one item, less what was given back. `quantity_milli` is in thousandths."""

    key: str
    name: str
    quantity_milli: int
    amount_fen: int


# What sales can be summed by. A day begins `$4` milliseconds before UTC's.
_KEYS = {
    "operator": "operator_id",
    "store": "store_id",
    "wallet": "channel",
    "hour": "hour_ms",
    "day": "hour_ms - (hour_ms + $4) % 86400000",
}
SUMMED_BY = tuple(_KEYS)


async def sales(
    database: Database, *, by: str, from_ms: int, to_ms: int, day_offset_ms: int, merchant_id: int
) -> list[SalesSum]:
    """Sums by one of SUMMED_BY over from_ms <= hour < to_ms; `merchant_id` 0: of everybody."""
    # $4 is named once more where no key uses it: PostgreSQL wants to know the type of every parameter.
    rows = await database.read(
        f"SELECT {_KEYS[by]} AS key, CAST(sum(orders) AS BIGINT) AS orders, "
        "CAST(sum(amount_fen) AS BIGINT) AS amount_fen, CAST(sum(received_fen) AS BIGINT) AS received_fen, "
        "CAST(sum(discount_fen) AS BIGINT) AS discount_fen, CAST(sum(refunds) AS BIGINT) AS refunds, "
        "CAST(sum(refunded_fen) AS BIGINT) AS refunded_fen FROM sales_hours "
        "WHERE hour_ms >= $1 AND hour_ms < $2 AND (CAST($3 AS BIGINT) = 0 OR merchant_id = $3) "
        "AND CAST($4 AS BIGINT) >= 0 GROUP BY 1 ORDER BY 1",
        from_ms,
        to_ms,
        merchant_id,
        day_offset_ms,
    )
    return [SalesSum(**{**dict(row), "key": str(row["key"])}) for row in rows]


async def items(database: Database, *, from_ms: int, to_ms: int, merchant_id: int) -> list[ItemSum]:
    """Sums by item over from_ms <= hour < to_ms, best sold first; `merchant_id` 0: of everybody."""
    rows = await database.read(
        "SELECT goods_key AS key, max(name) AS name, CAST(sum(quantity_milli) AS BIGINT) AS quantity_milli, "
        "CAST(sum(amount_fen) AS BIGINT) AS amount_fen FROM sales_goods "
        "WHERE hour_ms >= $1 AND hour_ms < $2 AND (CAST($3 AS BIGINT) = 0 OR merchant_id = $3) "
        "GROUP BY goods_key ORDER BY 4 DESC, 1",
        from_ms,
        to_ms,
        merchant_id,
    )
    return [ItemSum(**dict(row)) for row in rows]
