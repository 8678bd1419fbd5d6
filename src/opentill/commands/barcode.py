"""`open.pay.barcode`: the cashier scans the customer's payment code (protocol 4.2)."""

from opentill.base.errors import GatewayError
from opentill.commands import shared
from opentill.commands.query import payment_values
from opentill.commands.registry import Command, Request, Result
from opentill.domain.order import PaymentWay
from opentill.protocol import params
from opentill.protocol.params import STRING, Param, ReplyField
from opentill.services import opening
from opentill.services.deployment import Deployment

LIFE_MS = 60_000
"""How long a charge of unknown outcome, or one waiting for a password, is asked about before it is undone (A.13)."""


async def handle(deployment: Deployment, request: Request) -> Result:
    barcode = str(request.values["barcode"])
    channel = _channel_of(deployment, barcode)
    account = await shared.receiving_account(deployment, request.caller, channel)
    wanted = shared.wanted_order(request, way=PaymentWay.BARCODE, account=account, life_ms=LIFE_MS)
    with deployment.wallet_places.taken(channel):
        order = await opening.take_number(deployment, wanted, origin=shared.origin(request))
        order = await opening.charge(deployment, order, account, barcode=barcode)
    return Result(payment_values(order), order.order_no)


def _channel_of(deployment: Deployment, barcode: str) -> int:
    """The wallet that a payment code belongs to. Raises CHANNEL_NOT_AVAILABLE for a wallet that is not set up."""
    for number, channel in deployment.channels.items():
        if channel.recognises(barcode):
            return number
    raise GatewayError("CHANNEL_NOT_AVAILABLE", channel=f"（付款码{barcode[:2]}开头）")


COMMAND = Command(
    name="open.pay.barcode",
    title_zh="条码支付",
    title_en="Barcode",
    text_zh="收银员扫描顾客的付款码，由付款码识别钱包。返回的orderStatus为1时，顾客可能正在输入密码，请用查询接口确认结果。"
    "失败、关闭或撤销后，可用同一个local_order_no换付款码重试。",
    text_en="The cashier scans the customer's payment code; the wallet is recognised from it. orderStatus 1: the "
    "customer may be entering a password, so query. After a failed, closed or reversed try the same local_order_no may "
    "be used with another payment code.",
    demo_page="barcode",
    params=(
        shared.LOCAL_ORDER_NO,
        shared.AMOUNT,
        shared.UN_DISCOUNT_AMOUNT,
        shared.SUBJECT,
        shared.GOODS_LIST,
        Param(
            name="barcode",
            type=STRING,
            is_required=True,
            is_signed=True,
            text_zh="顾客的付款码：微信18位（10到15开头），支付宝16到24位（25到30开头）",
            text_en="The customer's code: WeChat 18 digits starting 10 to 15, Alipay 16 to 24 digits, 25 to 30",
            example="280000000000000000",
            read=params.read_barcode,
        ),
    ),
    reply=(
        shared.REPLY_LOCAL_ORDER_NO,
        shared.REPLY_ORDER_NO,
        shared.REPLY_OUT_ORDER_NO,
        shared.REPLY_STATUS,
        shared.REPLY_TOTAL_AMOUNT,
        shared.REPLY_RECEIVED,
        shared.REPLY_CHANNEL,
        shared.REPLY_SUBJECT,
        shared.REPLY_DISCOUNT,
        shared.REPLY_WAY,
        ReplyField(
            name="payTime",
            is_signed=False,
            type="Long",
            text_zh="支付时间，毫秒，未支付时为空",
            text_en="Time of payment, milliseconds; empty when not paid",
            since="1.1",
        ),
    ),
    handle=handle,
)
