"""Money of another amount is a person's to decide about: nobody else gives it back (design 5)."""

from tests.orders import ask, on_each_wallet, wrongly_charged
from tests.world import World, world


async def held(w: World, channel: int) -> str:
    """The number of a charge whose wallet once spoke of another amount."""
    reply = await wrongly_charged(w, channel)
    order = await w.order(reply.order_no)
    assert (order.is_open, order.attention) == (True, "WRONG_AMOUNT")
    return reply.order_no


async def money_at_wallet(w: World, order_no: str) -> int:
    (trade,) = await w.wallet_trades(order_no)
    return int(trade["total_fen"]) - int(trade["refunded_fen"])


@on_each_wallet
async def test_a_charge_is_not_undone_when_its_time_is_over(channel: int) -> None:
    async with world() as w:
        order_no = await held(w, channel)

        for _ in range(4):
            await w.advance(60)

        assert await money_at_wallet(w, order_no) == 1000


@on_each_wallet
async def test_a_charge_is_not_undone_by_the_till(channel: int) -> None:
    async with world() as w:
        order_no = await held(w, channel)

        reply = await ask(w, "reverse", order_no=order_no)

        assert reply.code == "80"
        assert await money_at_wallet(w, order_no) == 1000
