"""Waiting for certainty on behalf of a caller, for a few seconds and never longer (protocol 4.5, 4.6)."""

from opentill.domain.order import Order
from opentill.domain.refund import Refund, RefundState
from opentill.services import orders, refunds
from opentill.services.access import Caller
from opentill.services.deployment import Deployment
from opentill.services.refunds import Wanted, Write
from opentill.storage import orders as rows
from opentill.storage import refunds as refund_rows
from opentill.storage.database import StepFailed
from opentill.storage.refunds import DueRefund

FRESH_MS = 2_000
"""An open order asked about less long ago is answered from the database."""
QUERY_TIMEOUT_S = 3.0
REFUND_WAIT_MS = 3_000
REFUND_LOOK_MS = 500


async def fresh(deployment: Deployment, order: Order) -> Order:
    """An open order as the wallet sees it now, if nobody asked within the last two seconds. Raises BUSY."""
    now_ms = deployment.clock.now_ms()
    if not order.is_open or now_ms - order.asked_at_ms <= FRESH_MS:
        return order
    async with orders.placed(deployment, order):
        try:
            await deployment.database.write([rows.claim_question(order, now_ms=now_ms)])
        except StepFailed:
            return await orders.reread(deployment, order)
        return await orders.ask_wallet(deployment, order, source="query", timeout_s=QUERY_TIMEOUT_S)


async def refunded(
    deployment: Deployment, caller: Caller, order: Order, wanted: Wanted, *, write: Write | None = None
) -> Refund:
    """The refund that is asked for, or the earlier one that this repeats, waited for up to three seconds.

    `write`: see `refunds.reserve`.
    Raises: what `refunds.find_repeat` and `refunds.reserve` raise; BUSY (nothing was reserved or sent).
    """
    found = await refunds.find_repeat(deployment, caller, order, wanted)
    places = deployment.wallet_places
    if found is not None and (found.state is not RefundState.PENDING or not places.has_room(found.channel)):
        # A repeat is never told that nothing was done: without a place it hears how the first one stands.
        return found
    with places.taken(order.channel):
        until_ms = deployment.clock.now_ms() + REFUND_WAIT_MS
        if found is None:
            reserved = await refunds.reserve(deployment, caller, order, wanted, write=write)
            found = reserved.refund
            if reserved.is_ours:
                found = await refunds.send(deployment, order, found)
        return await _settled(deployment, found, until_ms=until_ms)


async def _settled(deployment: Deployment, refund: Refund, *, until_ms: int) -> Refund:
    """A refund asked about if its time has come, and waited for."""
    if refund.state is RefundState.PENDING and refund.due_at_ms <= deployment.clock.now_ms():
        due = DueRefund(refund.app_id, refund.refund_no, refund.due_at_ms)
        refund = await refunds.advance(deployment, due) or refund
    while refund.state is RefundState.PENDING and refund.sent_at_ms and deployment.clock.now_ms() < until_ms:
        await deployment.clock.wait_until(min(deployment.clock.now_ms() + REFUND_LOOK_MS, until_ms))
        found = await refund_rows.by_refund_no(deployment.database, refund.app_id, refund.refund_no)
        assert found is not None
        refund = found
    return refund
