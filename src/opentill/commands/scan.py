"""`open.pay.scan`: the merchant shows a QR code, the customer scans it (protocol 4.1)."""

from collections.abc import Awaitable, Callable

from opentill.base.errors import GatewayError
from opentill.commands import shared
from opentill.commands.registry import Command, Replay, Request, Result
from opentill.domain.order import Order, PaymentWay
from opentill.protocol.params import ReplyField
from opentill.protocol.words import WAY_WORDS
from opentill.services import opening, orders
from opentill.services.deployment import Deployment


async def handle(deployment: Deployment, request: Request) -> Result | Replay:
    channel = shared.whole_number(request.values, "channel")
    account = await shared.receiving_account(deployment, request.caller, channel)
    wanted = shared.wanted_order(request, way=PaymentWay.SCAN, account=account)
    is_replaying = request.caller.app.rules.idempotent_replay
    with deployment.wallet_places.taken(channel):
        try:
            order = await opening.take_number(deployment, wanted, origin=shared.origin(request))
        except GatewayError as error:
            if is_replaying and error.name == "DUPLICATE_ORDER":
                return Replay(await orders.stored_reply(deployment, wanted))
            raise
        order = await opening.open_qr(deployment, order, account)
    return Result(_reply_values(order), order.order_no, keep=_keeper(deployment, order) if is_replaying else None)


def _reply_values(order: Order) -> dict[str, str]:
    return {
        "qrCode": order.qr_text,
        "localOrderNo": order.local_order_no,
        "cbOrderNo": order.order_no,
        "totalAmount": str(order.amount_fen),
        "paymentChannel": str(order.channel),
        "subject": order.subject,
        "paymentWay": WAY_WORDS[order.way],
    }


def _keeper(deployment: Deployment, order: Order) -> Callable[[bytes], Awaitable[None]]:
    async def keep(reply: bytes) -> None:
        await orders.keep_reply(deployment, order, reply)

    return keep


COMMAND = Command(
    name="open.pay.scan",
    title_zh="扫码支付",
    title_en="Scan",
    text_zh="商户展示二维码，顾客用支付宝或微信扫码付款。返回二维码的文本，由客户端绘制。",
    text_en="The merchant shows a QR code and the customer scans it with Alipay or WeChat. The reply holds the text of "
    "the QR code; the client draws it.",
    demo_page="qrcode",
    params=(
        shared.LOCAL_ORDER_NO,
        shared.CHANNEL,
        shared.AMOUNT,
        shared.UN_DISCOUNT_AMOUNT,
        shared.SUBJECT,
        shared.GOODS_LIST,
        shared.NOTIFY_URL,
        shared.DEVICE_CREATE_IP,
    ),
    reply=(
        ReplyField(
            name="qrCode",
            is_signed=True,
            text_zh="二维码的文本，由客户端绘制成二维码",
            text_en="The text of the QR code; the client draws it",
        ),
        shared.REPLY_LOCAL_ORDER_NO,
        shared.REPLY_ORDER_NO,
        shared.REPLY_TOTAL_AMOUNT,
        shared.REPLY_CHANNEL,
        shared.REPLY_SUBJECT,
        shared.REPLY_WAY,
    ),
    handle=handle,
)
