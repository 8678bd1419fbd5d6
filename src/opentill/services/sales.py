"""Sales statistics of a refund: each goods line is taken back in proportion, ending at exactly zero (protocol 5)."""

from collections.abc import Iterable

from opentill.domain.order import Order
from opentill.storage import stats
from opentill.storage.database import Step


def count_refund(order: Order, *, amount_fen: int, now_ms: int) -> list[Step]:
    """Steps that count a settled refund of `order` as it was before.

    What was taken back in all is computed from the sum of refunds, not refund by refund, so rounding never adds up.
    """
    before_fen, after_fen = order.refunded_fen, order.refunded_fen + amount_fen
    steps = [stats.count_refund(order, amount_fen=amount_fen, now_ms=now_ms)]
    for line in order.goods:
        quantity = _taken_back(line.quantity_milli, after_fen, order) - _taken_back(
            line.quantity_milli, before_fen, order
        )
        amount = _taken_back(line.total_fen, after_fen, order) - _taken_back(line.total_fen, before_fen, order)
        if quantity or amount:
            steps.append(stats.count_goods(order, line, quantity_milli=-quantity, amount_fen=-amount, now_ms=now_ms))
    return steps


def counted_last(unit: Iterable[Step]) -> list[Step]:
    """The same unit with its counters at the end, in one order for everybody.

    Many orders count in the same rows, and a row is locked until the commit: so it waits for nothing but the commit,
    and no two units ever wait for each other.
    """
    return sorted(unit, key=lambda step: (step.sql, step.args) if step.sql.startswith(stats.COUNTER) else ("", ()))


def _taken_back(whole: int, refunded_fen: int, order: Order) -> int:
    """The part of `whole` that belongs to what was refunded so far; all of it once all is refunded."""
    return whole * refunded_fen // order.received_fen
