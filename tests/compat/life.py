"""What every kind of public client does: buy, be paid, query, refund. `make compat` prints the table of it.

A kind is a module with a function that sends one call as such clients do on the wire: names, signing, encoding are its
own, so that nothing of the gateway or of other clients can make up for a mistake.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from tests.clients import TEST_APP, TEST_KEY, TEST_OPERATOR, Reply
from tests.world import World, world

APP, KEY, OPERATOR = TEST_APP, TEST_KEY, TEST_OPERATOR

Call = Callable[[World, str, Mapping[str, str]], Awaitable[Reply]]
"""Sends an interface by its short name (scan, query, refund) with its own parameters."""


@dataclass(frozen=True)
class Row:
    """One line of the table: "yes", or the number of the error that answered."""

    kind: str
    buys: str
    queries: str
    refunds: str


TABLE: list[Row] = []
"""What the clients of this run did."""


async def life(kind: str, call: Call, *, amount: str = "1", **rules: object) -> Row:
    """Let a client of this kind live once, by Alipay, under the app's `rules`."""
    async with world() as w:
        if rules:
            await w.set_rules(w.till, **rules)
        number = "2026112312000001"
        wanted = {"local_order_no": number, "channel": "1", "amount": amount, "subject": "一杯咖啡"}
        bought = await call(w, "scan", wanted)
        if bought.is_success:
            await w.pay(bought.qr_code)
        w.clock.advance(1_000)  # people are slower than milliseconds, and some clients count in seconds
        queried = await call(w, "query", {"local_order_no": number})
        w.clock.advance(1_000)
        refunded = await w.meanwhile(_called(call(w, "refund", {"local_order_no": number, "refund_amount": "1"})))
        row = Row(
            kind,
            _told(bought, bought.data.get("totalAmount") == amount),
            _told(queried, queried.data.get("orderStatus") == "2"),
            _told(refunded, refunded.data.get("refundStatus") == "5"),
        )
        TABLE.append(row)
        return row


def _told(reply: Reply, is_right: bool) -> str:
    if not reply.is_success:
        return f"error {reply.code}"
    return "yes" if is_right else "wrong"


async def _called(call: Awaitable[Reply]) -> Reply:
    return await call
