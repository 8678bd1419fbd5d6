"""Charges that the wallet was asked to undo: whether money that it shows has gone back already (design 4, 5)."""

import msgspec

from opentill.channels.base import Answer
from opentill.domain.order import Order, PaymentWay
from opentill.domain.refund import RefundState
from opentill.services.deployment import Deployment
from opentill.storage import history, refunds

UNDO_ASKED = "UNDO_ASKED"
"""Event: the wallet is about to be asked to undo a charge, paid or not."""


async def understood(deployment: Deployment, order: Order, answer: Answer) -> Answer:
    """The answer, with `was_refunded` where that follows from what we did.

    channels B.5: WeChat's REFUND says that some of a paid trade went back, not why. Of a charge that we asked to undo,
    and of which we have refunded nothing ourselves, it was the undoing; that gives back everything.
    """
    is_unclear = answer.has_refunds and not answer.was_refunded and order.way is PaymentWay.BARCODE
    if not is_unclear or not await asked_at_ms(deployment, order):
        return answer
    ours = await refunds.of_order(deployment.database, order.app_id, order.order_no)
    if any(refund.state is not RefundState.FAILED for refund in ours):
        return answer
    return msgspec.structs.replace(answer, was_refunded=True)


async def asked_at_ms(deployment: Deployment, order: Order) -> int:
    """When the wallet was asked last to undo the charge; 0: never."""
    return await history.last_at_ms(deployment.database, order.app_id, order.order_no, kind=UNDO_ASKED)
