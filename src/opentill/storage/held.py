"""SQL of the payments that reached an order, and of what a person decided about money that is not the order's own."""

import msgspec

from opentill.domain.order import Order
from opentill.storage.database import Database, Step
from opentill.storage.orders import EFFECTIVE, SURPLUS, WRONG_AMOUNT

GIVEN_BACK = "GIVEN_BACK"
"""A person had it refunded."""
KEPT = "KEPT"
"""A person settled it with the payer in another way."""
UNDECIDED = (WRONG_AMOUNT, SURPLUS)


class ReceivedPayment(msgspec.Struct, frozen=True, kw_only=True):
    """Money that reached an order. `role`: EFFECTIVE, SURPLUS, WRONG_AMOUNT, or what a person made of these."""

    app_id: int
    order_no: str
    channel: int
    channel_trade_no: str
    trade_no: str
    account_id: int
    role: str
    amount_fen: int
    received_fen: int
    discount_fen: int
    paid_at_ms: int
    recorded_at_ms: int

    @property
    def is_undecided(self) -> bool:
        return self.role in UNDECIDED


_COLUMNS = ", ".join(ReceivedPayment.__struct_fields__)


async def payments_of(database: Database, app_id: int, order_no: str) -> list[ReceivedPayment]:
    """In the order in which they became known."""
    rows = await database.read(
        f"SELECT {_COLUMNS} FROM payments WHERE app_id = $1 AND order_no = $2 "
        "ORDER BY recorded_at_ms, trade_no, channel_trade_no",
        app_id,
        order_no,
    )
    return [ReceivedPayment(**dict(row)) for row in rows]


def decide(payment: ReceivedPayment, *, role: str) -> Step:
    """No row: somebody decided already."""
    return Step(
        "UPDATE payments SET role = $6 WHERE app_id = $1 AND order_no = $2 AND channel = $3 "
        "AND channel_trade_no = $4 AND role = $5",
        (payment.app_id, payment.order_no, payment.channel, payment.channel_trade_no, payment.role, role),
        rows=1,
    )


def accept(payment: ReceivedPayment, *, amount_fen: int, received_fen: int, discount_fen: int) -> Step:
    """The order's own payment from now on, with the amounts that the wallet confirmed. No row: decided already."""
    return Step(
        "UPDATE payments SET role = $6, amount_fen = $7, received_fen = $8, discount_fen = $9 "
        "WHERE app_id = $1 AND order_no = $2 AND channel = $3 AND channel_trade_no = $4 AND role = $5",
        (
            payment.app_id, payment.order_no, payment.channel, payment.channel_trade_no, payment.role, EFFECTIVE,
            amount_fen, received_fen, discount_fen,
        ),
        rows=1,
    )  # fmt: skip


def reopen(app_id: int, order_no: str, *, trade_no: str) -> Step:
    """Giving it back failed for certain: it is undecided again. Any number of rows: policy, not a person, refunded."""
    return Step(
        "UPDATE payments SET role = $5 WHERE app_id = $1 AND order_no = $2 AND trade_no = $3 AND role = $4",
        (app_id, order_no, trade_no, GIVEN_BACK, SURPLUS),
    )


def correct_amount(order: Order, *, amount_fen: int) -> Step:
    """What was paid takes the place of what was asked for, so that refunds and figures are of real money."""
    return Step(
        "UPDATE orders SET amount_fen = $4 WHERE app_id = $1 AND order_no = $2 AND state = $3",
        (order.app_id, order.order_no, order.state.value, amount_fen),
        rows=1,
    )


def calm(order: Order, *, attention: str = "") -> Step:
    """A person has dealt with what `order` was flagged for. No row: it is flagged for something else by now."""
    return Step(
        "UPDATE orders SET attention = $4 WHERE app_id = $1 AND order_no = $2 AND attention = $3",
        (order.app_id, order.order_no, order.attention, attention),
        rows=1,
    )


def calm_if(app_id: int, order_no: str, *, attention: str) -> Step:
    """What it was flagged for is over by itself. Any number of rows: it may be flagged for something else."""
    return Step(
        "UPDATE orders SET attention = '' WHERE app_id = $1 AND order_no = $2 AND attention = $3",
        (app_id, order_no, attention),
        many="UPDATE orders SET attention = '' FROM unnest($1::bigint[], $2::text[], $3::text[]) "
        "AS calm (app_id, order_no, attention) WHERE orders.app_id = calm.app_id AND orders.order_no = calm.order_no "
        "AND orders.attention = calm.attention",
    )
