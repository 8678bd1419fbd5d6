"""What simulated worlds found out about the gateway, each in its smallest form."""

import msgspec

from opentill.channels.base import Answer, Outcome, Payment
from opentill.domain.order import Order, OrderState
from opentill.services import orders
from tests.orders import paid, refunds_of
from tests.world import World, world


def undone(order: Order) -> Answer:
    """A reverse that found money and gave it back."""
    payment = Payment(
        channel_trade_no=order.channel_trade_no,
        amount_fen=order.amount_fen,
        received_fen=order.received_fen,
        discount_fen=0,
        paid_at_ms=order.paid_at_ms,
    )
    return Answer(outcome=Outcome.CLOSED, code="10000", was_refunded=True, payment=payment)


async def record(w: World, order: Order, answer: Answer) -> Order:
    return await orders.record_outcome(w.deployment, order, answer, said=orders.said_of(order, "test"))


async def test_who_learns_last_of_a_payment_learns_that_the_order_is_paid() -> None:
    async with world() as w:
        order = await w.order(await paid(w))
        read_before = msgspec.structs.replace(order, state=OrderState.WAITING, received_fen=0, channel_trade_no="")
        answer = msgspec.structs.replace(undone(order), outcome=Outcome.PAID, was_refunded=False)

        found = await record(w, read_before, answer)

        # Else the charge would be undone as one whose outcome is unknown.
        assert found == order


async def test_money_that_undoing_gave_back_after_it_was_recorded_is_a_refund_and_an_alarm() -> None:
    async with world() as w:
        order = await w.order(await paid(w, amount=1000))

        returned = await record(w, order, undone(order))

        stored = await w.order(order.order_no)
        assert (stored.refunded_fen, stored.attention) == (1000, "RETURNED") == (returned.refunded_fen, "RETURNED")
        assert [refund.cause.value for refund in await refunds_of(w, order.order_no)] == ["REVERSED"]
        assert await w.number("SELECT sum(refunded_fen) FROM sales_hours") == 1000
        assert await w.metric("opentill_alarms_total", kind="RETURNED") == 1


async def test_money_that_undoing_gave_back_is_recorded_once() -> None:
    async with world() as w:
        order = await w.order(await paid(w))
        returned = await record(w, order, undone(order))

        again = await record(w, returned, undone(order))

        assert again == returned
        assert len(await refunds_of(w, order.order_no)) == 1
