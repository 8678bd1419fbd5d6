"""`open.pay.refund`: money back, wholly or in parts, never twice (protocol 4.6)."""

from opentill.base.errors import GatewayError
from opentill.commands import shared
from opentill.commands.registry import Command, Request, Result
from opentill.domain.refund import Refund, RefundState
from opentill.protocol import params
from opentill.protocol.params import INTEGER, LONG, STRING, Param, ReplyField
from opentill.services import asking
from opentill.services.deployment import Deployment
from opentill.services.refunds import Wanted

_STATUS = {RefundState.SUCCEEDED: "5", RefundState.FAILED: "-3", RefundState.PENDING: "4"}


async def handle(deployment: Deployment, request: Request) -> Result:
    values = request.values
    wanted = Wanted(
        amount_fen=shared.whole_number(values, "refund_amount") if "refund_amount" in values else None,
        reason=str(values.get("reason", "")),
        local_refund_no=str(values.get("local_refund_no", "")),
    )
    order = await shared.named_payment(deployment, request)
    if isinstance(order, Refund):
        raise GatewayError("ORDER_NOT_PAID")
    refund = await asking.refunded(deployment, request.caller, order, wanted)
    return Result(_reply_values(refund), order.order_no)


def _reply_values(refund: Refund) -> dict[str, str]:
    return {
        "refundStatus": _STATUS[refund.state],
        "localOrderNo": refund.local_no,
        "cbOrderNo": refund.refund_no,
        "outOrderNo": refund.channel_refund_no,
        "refundAmount": str(refund.amount_fen),
    }


COMMAND = Command(
    name="open.pay.refund",
    title_zh="退款",
    title_en="Refund",
    text_zh="全额或部分退款，可多次，总额不超过实收。相同的请求（相同签名和金额）是同一笔退款，不会重复退。"
    "返回4表示退款中，请用返回的cbOrderNo查询。",
    text_en="Money back, wholly or in parts, never more than was received. A byte-identical request is a repeat of the "
    "first, never a second refund. Status 4 is pending: query by the cbOrderNo of the reply.",
    demo_page="refund",
    is_bound=True,
    sends_money_back=True,
    params=(
        shared.ORDER_NO,
        shared.ASKED_LOCAL_ORDER_NO,
        Param(
            name="refund_amount",
            type=LONG,
            is_required=False,
            is_signed=False,
            text_zh="退款金额，单位为分；不填则退还全部余额",
            text_en="Fen to give back; absent: all that is left",
            read=params.read_refund_fen,
        ),
        Param(
            name="reason",
            type=STRING,
            is_required=False,
            is_signed=True,
            text_zh="退款原因，最多80个字符",
            text_en="Why, at most 80 characters",
            read=params.read_reason,
        ),
        Param(
            name="local_refund_no",
            type=STRING,
            is_required=False,
            is_signed=True,
            text_zh="接入商的退款号，每个接入商内唯一；相同的号是同一笔退款",
            text_en="The integrator's number for this refund, unique per app; the same number is the same refund",
            read=params.read_local_refund_no,
        ),
    ),
    reply=(
        ReplyField(
            name="refundStatus",
            is_signed=True,
            type=INTEGER,
            text_zh="退款状态：5已退款，4退款中，-3失败",
            text_en="5 refunded, 4 pending, -3 failed",
        ),
        ReplyField(
            name="localOrderNo",
            is_signed=True,
            text_zh="退款的本地编号：local_refund_no，没有时为网关的退款号",
            text_en="The refund's local number: local_refund_no, or the gateway's number of the refund",
        ),
        ReplyField(
            name="cbOrderNo",
            is_signed=True,
            text_zh="网关的退款号，可用于查询",
            text_en="The gateway's number of the refund; query by it",
        ),
        ReplyField(
            name="outOrderNo",
            is_signed=True,
            text_zh="支付渠道的退款号，未知时为空",
            text_en="The wallet's number of the refund; empty when not known",
        ),
        ReplyField(
            name="refundAmount", is_signed=True, type=LONG, text_zh="退款金额，分", text_en="Amount of the refund, fen"
        ),
    ),
    handle=handle,
)
