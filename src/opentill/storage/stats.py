"""SQL of sales statistics: counters per hour, kept in the transaction of the payment or refund they count."""

from opentill.domain.order import GoodsLine, Order
from opentill.storage.database import Step

HOUR_MS = 3_600_000


def count_payment(order: Order, *, now_ms: int) -> Step:
    """One more paid order in this hour, with its amounts (fen)."""
    return Step(
        "INSERT INTO sales_hours (app_id, merchant_id, store_id, operator_id, channel, hour_ms, orders, amount_fen, "
        "received_fen, discount_fen, refunds, refunded_fen) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, 0, 0) "
        "ON CONFLICT (app_id, merchant_id, store_id, operator_id, channel, hour_ms) DO UPDATE SET "
        "orders = sales_hours.orders + 1, amount_fen = sales_hours.amount_fen + excluded.amount_fen, "
        "received_fen = sales_hours.received_fen + excluded.received_fen, "
        "discount_fen = sales_hours.discount_fen + excluded.discount_fen",
        (
            order.app_id, order.merchant_id, order.store_id, order.operator_id, order.channel, _hour(now_ms),
            order.amount_fen, order.received_fen, order.discount_fen,
        ),
        rows=1,
    )  # fmt: skip


def count_refund(order: Order, *, amount_fen: int, now_ms: int) -> Step:
    """One more settled refund in this hour (fen)."""
    return Step(
        "INSERT INTO sales_hours (app_id, merchant_id, store_id, operator_id, channel, hour_ms, orders, amount_fen, "
        "received_fen, discount_fen, refunds, refunded_fen) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, 1, $7) "
        "ON CONFLICT (app_id, merchant_id, store_id, operator_id, channel, hour_ms) DO UPDATE SET "
        "refunds = sales_hours.refunds + 1, refunded_fen = sales_hours.refunded_fen + excluded.refunded_fen",
        (
            order.app_id, order.merchant_id, order.store_id, order.operator_id, order.channel, _hour(now_ms),
            amount_fen,
        ),
        rows=1,
    )  # fmt: skip


def count_goods(order: Order, line: GoodsLine, *, quantity_milli: int, amount_fen: int, now_ms: int) -> Step:
    """Add to what was sold of one item; negative values take back (a refund)."""
    return Step(
        "INSERT INTO sales_goods (app_id, merchant_id, store_id, operator_id, channel, hour_ms, goods_key, name, "
        "quantity_milli, amount_fen) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
        "ON CONFLICT (app_id, merchant_id, store_id, operator_id, channel, hour_ms, goods_key) DO UPDATE SET "
        "quantity_milli = sales_goods.quantity_milli + excluded.quantity_milli, "
        "amount_fen = sales_goods.amount_fen + excluded.amount_fen",
        (
            order.app_id, order.merchant_id, order.store_id, order.operator_id, order.channel, _hour(now_ms), line.key,
            line.name, quantity_milli, amount_fen,
        ),
        rows=1,
    )  # fmt: skip


def _hour(now_ms: int) -> int:
    return now_ms - now_ms % HOUR_MS
