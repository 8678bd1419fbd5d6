"""`open.pay.query`: where a payment or a refund stands (protocol 4.5)."""

from opentill.commands import shared
from opentill.commands.registry import Command, Request, Result
from opentill.domain.order import Order
from opentill.domain.refund import Refund, RefundState
from opentill.protocol.params import LONG, STRING, ReplyField
from opentill.protocol.words import WAY_WORDS, status_number
from opentill.services import asking
from opentill.services.deployment import Deployment

_REFUND_NUMBERS = {RefundState.PENDING: "1", RefundState.SUCCEEDED: "3", RefundState.FAILED: "-2"}


async def handle(deployment: Deployment, request: Request) -> Result:
    found = await shared.named_payment(deployment, request)
    if isinstance(found, Refund):
        return Result(_refund_values(found, await shared.order_of_refund(deployment, found)), found.order_no)
    return Result(payment_values(await asking.fresh(deployment, found)), found.order_no)


def payment_values(order: Order) -> dict[str, str]:
    """An order as replies show it."""
    return {
        "localOrderNo": order.local_order_no,
        "cbOrderNo": order.order_no,
        "outOrderNo": order.channel_trade_no,
        "orderStatus": status_number(
            order.state,
            received_fen=order.received_fen,
            refunded_fen=order.refunded_fen,
            is_reversed_by_us=order.is_reversed_by_us,
        ),
        "subject": order.subject,
        "paymentChannel": str(order.channel) if order.channel else "",
        "paymentWay": WAY_WORDS[order.way],
        "payTime": _time(order.paid_at_ms),
        "totalAmount": str(order.amount_fen),
        "receiveAmount": str(order.received_fen),
        "refundAmount": str(order.refunded_fen),
        "refundTime": _time(order.refunded_at_ms),
        "discountAmount": str(order.discount_fen),
    }


def _refund_values(refund: Refund, order: Order) -> dict[str, str]:
    """A refund by its own number: its amounts, and the payment it belongs to."""
    is_settled = refund.state is RefundState.SUCCEEDED
    return {
        **payment_values(order),
        "localOrderNo": refund.local_no,
        "cbOrderNo": refund.refund_no,
        "outOrderNo": refund.channel_refund_no,
        "orderStatus": _REFUND_NUMBERS[refund.state],
        "totalAmount": str(refund.amount_fen),
        "receiveAmount": "0",
        "refundAmount": str(refund.amount_fen) if is_settled else "0",
        "refundTime": _time(refund.ended_at_ms) if is_settled else "",
    }


def _time(at_ms: int) -> str:
    return str(at_ms) if at_ms else ""


COMMAND = Command(
    name="open.pay.query",
    title_zh="订单查询",
    title_en="Query",
    text_zh="查询付款或退款的状态。未完结的订单会先向钱包核实（最多等待3秒）。",
    text_en="Where a payment or a refund stands. An open order is asked about at the wallet first (at most 3 seconds).",
    demo_page="query",
    is_bound=True,
    params=(shared.ORDER_NO, shared.ASKED_LOCAL_ORDER_NO),
    reply=(
        shared.REPLY_LOCAL_ORDER_NO,
        shared.REPLY_ORDER_NO,
        shared.REPLY_OUT_ORDER_NO,
        shared.REPLY_STATUS,
        ReplyField(name="subject", is_signed=False, text_zh="订单描述", text_en="Order description"),
        shared.REPLY_CHANNEL,
        ReplyField(
            name="paymentWay",
            is_signed=True,
            type=STRING,
            text_zh="支付方式：SCAN、BARCODE或QRCODE",
            text_en="Way of paying: SCAN, BARCODE or QRCODE",
        ),
        shared.REPLY_PAY_TIME,
        shared.REPLY_TOTAL_AMOUNT,
        shared.REPLY_RECEIVED,
        ReplyField(
            name="refundAmount",
            is_signed=False,
            type=LONG,
            text_zh="已退款金额，分（只计已成功的退款）",
            text_en="Refunded so far, fen (settled refunds only)",
        ),
        ReplyField(
            name="refundTime",
            is_signed=False,
            type=LONG,
            text_zh="最近一次退款成功的时间，毫秒，没有时为空",
            text_en="When the last refund settled, milliseconds; empty when none did",
        ),
        shared.REPLY_DISCOUNT,
    ),
    handle=handle,
)
