"""Parameters, reply fields and steps that several interfaces have."""

from opentill.base.errors import GatewayError
from opentill.domain.order import Order
from opentill.protocol import params
from opentill.protocol.params import INTEGER, LONG, STRING, Param, ReplyField
from opentill.protocol.words import CHANNEL_TITLES
from opentill.services.access import Caller, OpenAccount
from opentill.services.deployment import Deployment

LOCAL_ORDER_NO = Param(
    name="local_order_no", type=STRING, is_required=True, is_signed=True,
    text_zh="接入商的订单号，1到64个字符，每个接入商内永远唯一，用过的订单号不能再次支付",
    text_en="The integrator's order number, 1 to 64 characters, unique per app for ever; a used number is refused",
    example="localorderno0001", read=params.read_local_order_no,
)  # fmt: skip
CHANNEL = Param(
    name="channel", type=INTEGER, is_required=True, is_signed=True,
    text_zh="支付渠道：1支付宝，2微信支付", text_en="Wallet: 1 Alipay, 2 WeChat Pay",
    example="1", read=params.read_channel,
)  # fmt: skip
AMOUNT = Param(
    name="amount", type=LONG, is_required=True, is_signed=True,
    text_zh="订单总金额，单位为分，1到10000000000的整数", text_en="Total, whole fen, 1 to 10 000 000 000",
    example="1", read=params.read_amount_fen,
)  # fmt: skip
UN_DISCOUNT_AMOUNT = Param(
    name="un_discount_amount", type=LONG, is_required=False, is_signed=True,
    text_zh="不参与优惠的金额，单位为分，不超过总金额", text_en="Part of the total that takes no discount, fen",
    read=params.read_un_discount_fen,
)  # fmt: skip
SUBJECT = Param(
    name="subject", type=STRING, is_required=False, is_signed=True,
    text_zh="订单描述，少于20个汉字（一个英文字符算半个汉字）",
    text_en="Order description, fewer than 20 Chinese characters (an ASCII character counts half)",
    example="一杯咖啡", read=params.read_subject,
)  # fmt: skip
GOODS_LIST = Param(
    name="goods_list", type=STRING, is_required=False, is_signed=True,
    text_zh="商品列表，JSON数组，见“商品列表”一节", text_en="Goods as a JSON array, see the section on goods",
)  # fmt: skip
NOTIFY_URL = Param(
    name="notify_url", type=STRING, is_required=False, is_signed=False,
    text_zh="支付结果通知地址，http或https，最多512个字符",
    text_en="Where the payment notification goes: absolute http(s), at most 512 characters",
    read=params.read_url,
)  # fmt: skip
DEVICE_CREATE_IP = Param(
    name="device_create_ip", type=STRING, is_required=False, is_signed=True,
    text_zh="发起支付的服务器或终端的IP地址", text_en="IP address of the server or terminal that started the payment",
    example="127.0.0.1", read=params.read_ip,
)  # fmt: skip

REPLY_LOCAL_ORDER_NO = ReplyField(
    name="localOrderNo", is_signed=True, text_zh="接入商的订单号", text_en="The integrator's order number"
)
REPLY_ORDER_NO = ReplyField(
    name="cbOrderNo", is_signed=True, text_zh="网关的订单号，30位数字", text_en="The gateway's order number, 30 digits"
)
REPLY_TOTAL_AMOUNT = ReplyField(
    name="totalAmount", is_signed=True, type=LONG, text_zh="订单总金额，分", text_en="Total amount, fen"
)
REPLY_CHANNEL = ReplyField(
    name="paymentChannel", is_signed=True, type=INTEGER,
    text_zh="支付渠道：1支付宝，2微信支付，3百度钱包，4翼支付",
    text_en="Wallet: 1 Alipay, 2 WeChat Pay, 3 Baidu Wallet, 4 Bestpay",
)  # fmt: skip
REPLY_SUBJECT = ReplyField(
    name="subject", is_signed=False, text_zh="订单描述", text_en="Order description", since="1.1"
)
REPLY_WAY = ReplyField(name="paymentWay", is_signed=False, text_zh="支付方式", text_en="Way of paying", since="1.1")


async def receiving_account(deployment: Deployment, caller: Caller, channel: int) -> OpenAccount:
    """The account the cashier's payments of this channel go to. Raises CHANNEL_NOT_AVAILABLE."""
    account_id = caller.operator.accounts.get(channel)
    account = await deployment.parties.account(account_id) if account_id is not None else None
    if account is None or account.account.is_disabled or account.account.channel != channel:
        raise GatewayError("CHANNEL_NOT_AVAILABLE", channel=CHANNEL_TITLES[channel])
    return account


def notify_url(caller: Caller, given: str) -> str:
    """The request's address, else the app's default, else none. Raises NOTIFY_HOST_NOT_ALLOWED."""
    url = given or caller.app.rules.default_notify_url
    allowed = caller.app.rules.notify_hosts
    if url and allowed and params.host_of(url) not in allowed:
        raise GatewayError("NOTIFY_HOST_NOT_ALLOWED")
    return url


def check_un_discount(order: Order) -> None:
    """Raises UN_DISCOUNT_AMOUNT_INVALID when it is more than the total."""
    if order.un_discount_fen is not None and order.un_discount_fen > order.amount_fen:
        raise GatewayError("UN_DISCOUNT_AMOUNT_INVALID")
