"""What a wallet told us, brought to the order it speaks of."""

from opentill.base import numbers
from opentill.base.logs import logger
from opentill.channels.base import Callback
from opentill.services import orders
from opentill.services.access import OpenAccount
from opentill.services.deployment import Deployment
from opentill.services.orders import Said

APPLIED = "applied"
REPEATED = "repeated"
REFUSED = "refused"
PROBE = "probe"
UNKNOWN_ORDER = "unknown_order"
FAILED = "failed"
ACCEPTED = frozenset({APPLIED, REPEATED})
"""What the wallet hears success for; it repeats the rest."""

_log = logger("callbacks")


async def receive(deployment: Deployment, account: OpenAccount, message: Callback) -> str:
    """Apply a verified message. Returns what became of it; success is answered only after the commit."""
    # protocol 4.1: a further trade of an order appends a two-digit attempt; the number leads to the shard.
    order_no = message.trade_no[: numbers.LENGTH]
    app_id = numbers.app_id_of(order_no)
    order = await orders.find_order(deployment, app_id, order_no=order_no) if app_id is not None else None
    if order is None or order.account_id != account.account.account_id:
        # A genuine message about a trade we never opened with this account: somebody shares its keys.
        _log.error("unknown order", trade_no=message.trade_no, account_id=account.account.account_id)
        return UNKNOWN_ORDER
    if message.answer is None:
        return REPEATED
    said = Said(
        source="callback",
        channel=account.account.channel,
        account_id=account.account.account_id,
        trade_no=message.trade_no,
    )
    changed = await orders.record_outcome(deployment, order, message.answer, said=said)
    return REPEATED if changed is order else APPLIED
