"""`open.pay.reverse`: undo an order that is not paid (protocol 4.7)."""

from opentill.base.errors import GatewayError
from opentill.commands import shared
from opentill.commands.registry import Command, Request, Result
from opentill.domain.refund import Refund
from opentill.services import closing
from opentill.services.deployment import Deployment


async def handle(deployment: Deployment, request: Request) -> Result:
    order = await shared.named_payment(deployment, request)
    if isinstance(order, Refund):
        raise GatewayError("REVERSE_NOT_PAYMENT")
    await closing.reverse(deployment, order)
    return Result({}, order.order_no)


COMMAND = Command(
    name="open.pay.reverse",
    title_zh="撤销",
    title_en="Reverse",
    text_zh="撤销未支付的订单。先向钱包核实，已收款的订单会被拒绝，请改用退款。",
    text_en="Undo an order that is not paid. The wallet is asked first; a paid order is refused, refund it instead.",
    demo_page="reverse",
    is_bound=True,
    sends_money_back=True,
    params=(shared.ORDER_NO, shared.ASKED_LOCAL_ORDER_NO),
    reply=(),
    handle=handle,
)
