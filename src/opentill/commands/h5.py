"""`open.pay.h5`: one link that the customer's phone opens, in Alipay and in WeChat alike (protocol 4.3)."""

from functools import partial

from opentill.base.errors import GatewayError
from opentill.commands import shared
from opentill.commands.registry import Command, Replay, Request, Result
from opentill.domain.order import PaymentWay
from opentill.protocol import params
from opentill.protocol.params import STRING, Param, ReplyField
from opentill.protocol.words import WAY_WORDS
from opentill.services import links, opening, orders
from opentill.services.deployment import Deployment


async def handle(deployment: Deployment, request: Request) -> Result | Replay:
    if not await links.wallets_of(deployment, request.caller.operator):
        raise GatewayError("CHANNEL_NOT_AVAILABLE", channel="（H5链接）")
    wanted = shared.wanted_order(request, way=PaymentWay.H5, account=None)
    is_replaying = request.caller.app.rules.idempotent_replay
    try:
        order = await opening.take_number(deployment, wanted, origin=shared.origin(request))
    except GatewayError as error:
        if is_replaying and error.name == "DUPLICATE_ORDER":
            return Replay(await orders.stored_reply(deployment, wanted))
        raise
    order = await links.make_payable(deployment, order)
    values = {
        "url": links.url_of(deployment, order.order_no),
        "localOrderNo": order.local_order_no,
        "cbOrderNo": order.order_no,
        "totalAmount": str(order.amount_fen),
        # protocol 4.3: which wallet it will be nobody knows yet.
        "paymentChannel": "",
        "subject": order.subject,
        "paymentWay": WAY_WORDS[order.way],
    }
    return Result(values, order.order_no, keep=partial(orders.keep_reply, deployment, order) if is_replaying else None)


COMMAND = Command(
    name="open.pay.h5",
    title_zh="H5支付",
    title_en="Link",
    text_zh="返回一个付款链接，顾客在支付宝或微信中打开即可付款（一码两用）；在其他浏览器中打开则显示它的二维码。"
    "收银员开通了哪些钱包，链接就支持哪些钱包。",
    text_en="Answers with a link. The customer opens it in Alipay or in WeChat and pays there; any other browser shows "
    "it as a QR code. It offers the wallets the cashier has accounts at.",
    demo_page="h5Pay",
    params=(
        shared.OPTIONAL_LOCAL_ORDER_NO,
        shared.AMOUNT,
        shared.UN_DISCOUNT_AMOUNT,
        shared.SUBJECT,
        shared.GOODS_LIST,
        shared.NOTIFY_URL,
        Param(
            name="redirect_url",
            type=STRING,
            is_required=False,
            is_signed=False,
            text_zh="付款后页面跳转的地址，http或https，最多512个字符",
            text_en="Where the page goes after payment: absolute http(s), at most 512 characters",
            read=params.read_redirect_url,
        ),
        shared.DEVICE_CREATE_IP,
    ),
    reply=(
        ReplyField(
            name="url",
            is_signed=True,
            text_zh="付款链接，可在支付宝和微信中打开，也可画成二维码",
            text_en="The link; opens in Alipay and in WeChat, and may be drawn as a QR code",
        ),
        shared.REPLY_LOCAL_ORDER_NO,
        shared.REPLY_ORDER_NO,
        shared.REPLY_TOTAL_AMOUNT,
        ReplyField(
            name="paymentChannel",
            is_signed=True,
            type=shared.REPLY_CHANNEL.type,
            text_zh="支付渠道，支付前为空（因此不参与签名）",
            text_en="Wallet; empty (and so unsigned) until somebody has paid",
        ),
        shared.REPLY_SUBJECT,
        shared.REPLY_WAY,
    ),
    handle=handle,
)
