"""What a wallet told us, brought to the order it speaks of."""

from opentill.base import numbers
from opentill.base.logs import logger
from opentill.channels.base import Answer, Callback, Outcome
from opentill.domain.order import Order, PaymentWay
from opentill.domain.refund import RefundState
from opentill.services import orders, refunds
from opentill.services.access import OpenAccount
from opentill.services.deployment import Deployment
from opentill.services.payments import Said
from opentill.storage import refunds as refund_rows
from opentill.storage.refunds import DueRefund

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
    """Apply a verified message. Returns what became of it; success is answered only after the commit. Raises BUSY."""
    # protocol 4.1: a further trade of an order appends a two-digit attempt; the number leads to the shard.
    order_no = message.trade_no[: numbers.LENGTH]
    app_id = numbers.app_id_of(order_no)
    order = await orders.find_order(deployment, app_id, order_no=order_no) if app_id is not None else None
    if order is None or not await _is_of(deployment, order, account, message):
        # A genuine message about a trade we never opened with this account: somebody shares its keys.
        _log.error("unknown order", trade_no=message.trade_no, account_id=account.account.account_id)
        return UNKNOWN_ORDER
    if message.refund_no:
        return await _receive_refund(deployment, order, message)
    # One trade of several that ended says nothing about a link's others; only its money counts.
    is_of_many = order.way is PaymentWay.H5
    if message.answer is None or (is_of_many and message.answer.payment is None):
        return REPEATED
    said = Said(
        source="callback",
        channel=account.account.channel,
        account_id=account.account.account_id,
        trade_no=message.trade_no,
    )
    answer = await _with_lines(deployment, order, account, message.trade_no, message.answer)
    changed = await orders.record_outcome(deployment, order, answer, said=said)
    return REPEATED if changed == order else APPLIED


async def _with_lines(
    deployment: Deployment, order: Order, account: OpenAccount, trade_no: str, answer: Answer
) -> Answer:
    """A callback need not say which item a discount is for (channels A.15: Alipay's does not); a query does."""
    payment = answer.payment
    has_items = any(line.goods_num for line in order.goods)
    if not has_items or not order.is_open or payment is None or not payment.discount_fen or payment.line_discounts:
        return answer
    with deployment.wallet_places.taken(account.account.channel):
        found = await deployment.channels[account.account.channel].query(account.opened, trade_no)
    orders.count_call(deployment, account.account.channel, "query", found)
    is_same = found.payment is not None and found.payment.channel_trade_no == payment.channel_trade_no
    return found if found.outcome is Outcome.PAID and is_same else answer


async def _is_of(deployment: Deployment, order: Order, account: OpenAccount, message: Callback) -> bool:
    """Whether the message's trade is one that this order opened with this account."""
    return any(
        trade.trade_no == message.trade_no and trade.account_id == account.account.account_id
        for trade in await orders.trades_of(deployment, order)
    )


async def _receive_refund(deployment: Deployment, order: Order, message: Callback) -> str:
    """A refund's news: recorded where the message is certain, else the wallet is asked at once."""
    refund = await refund_rows.by_refund_no(deployment.database, order.app_id, message.refund_no)
    if refund is None:
        # Made by hand in the wallet's own console: our books can't know it.
        _log.error("foreign refund", order_no=order.order_no, refund_no=message.refund_no)
        return REPEATED
    if refund.state is not RefundState.PENDING:
        return REPEATED
    if message.refund is not None:
        refund = await refunds.record_answer(deployment, refund, message.refund)
    else:
        due = DueRefund(refund.app_id, refund.refund_no, refund.due_at_ms)
        with deployment.wallet_places.taken(refund.channel):
            refund = await refunds.advance(deployment, due) or refund
    return REPEATED if refund.state is RefundState.PENDING else APPLIED
