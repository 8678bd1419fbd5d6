"""`open.pay.scan`: the merchant shows a QR code, the customer scans it (protocol 4.1)."""

from collections.abc import Awaitable, Callable

from opentill.base.errors import GatewayError
from opentill.commands import shared
from opentill.commands.registry import Command, Replay, Request, Result
from opentill.domain.order import Order, OrderState, PaymentWay
from opentill.protocol.goods import read_goods
from opentill.protocol.params import ReplyField
from opentill.protocol.words import WAY_WORDS
from opentill.services import orders
from opentill.services.access import OpenAccount
from opentill.services.deployment import Deployment


async def handle(deployment: Deployment, request: Request) -> Result | Replay:
    channel = _int(request, "channel")
    account = await shared.receiving_account(deployment, request.caller, channel)
    wanted = _wanted(request, account)
    is_replaying = request.caller.app.rules.idempotent_replay
    try:
        order = await orders.take_number(deployment, wanted, request_sign=request.caller.sign if is_replaying else "")
    except GatewayError as error:
        if is_replaying and error.name == "DUPLICATE_ORDER":
            return Replay(await orders.stored_reply(deployment, wanted, request_sign=request.caller.sign))
        raise
    order = await orders.open_qr(deployment, order, account)
    return Result(_reply_values(order), keep=_keeper(deployment, order) if is_replaying else None)


def _wanted(request: Request, account: OpenAccount) -> Order:
    """The order as asked for; its number is drawn when it is recorded."""
    caller, values = request.caller, request.values
    order = Order(
        app_id=caller.app.app_id,
        order_no="",
        local_order_no=str(values["local_order_no"]),
        attempt=1,
        merchant_id=caller.operator.merchant_id,
        store_id=caller.operator.store_id,
        operator_id=caller.operator.operator_id,
        account_id=account.account.account_id,
        channel=account.account.channel,
        way=PaymentWay.SCAN,
        state=OrderState.CREATED,
        amount_fen=_int(request, "amount"),
        un_discount_fen=_int(request, "un_discount_amount") if "un_discount_amount" in values else None,
        subject=str(values.get("subject", "")),
        goods=read_goods(str(values["goods_list"]), price_unit=caller.app.rules.goods_price_unit)
        if "goods_list" in values
        else (),
        notify_url=shared.notify_url(caller, str(values.get("notify_url", ""))),
        device_create_ip=str(values.get("device_create_ip", "")),
        created_at_ms=request.now_ms,
        expires_at_ms=request.now_ms + caller.app.rules.order_life_ms,
    )
    shared.check_un_discount(order)
    return order


def _int(request: Request, name: str) -> int:
    value = request.values[name]
    assert isinstance(value, int)
    return value


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
