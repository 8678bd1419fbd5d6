"""Parameters, reply fields and steps that several interfaces have."""

from collections.abc import Mapping

import msgspec

from opentill.base import numbers
from opentill.base.errors import GatewayError
from opentill.commands.registry import Request
from opentill.domain.order import GoodsLine, Order, OrderState, PaymentWay
from opentill.domain.refund import Refund
from opentill.protocol import params
from opentill.protocol.goods import read_goods
from opentill.protocol.params import INTEGER, LONG, STRING, Param, ReplyField
from opentill.protocol.words import CHANNEL_TITLES
from opentill.services import orders
from opentill.services.access import Caller, OpenAccount
from opentill.services.deployment import Deployment
from opentill.storage import refunds as refund_rows

MAX_REQUEST = 2_000
"""Characters kept of what an order was asked for with; only a list of goods can be longer."""
# A payment code can be charged for a minute, and an openid is a person.
_SHORTENED = frozenset({"barcode", "open_id"})

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
OPTIONAL_LOCAL_ORDER_NO = msgspec.structs.replace(
    LOCAL_ORDER_NO,
    is_required=False,
    text_zh="接入商的订单号，1到64个字符；不填时使用网关的订单号",
    text_en="The integrator's order number, 1 to 64 characters; absent: the gateway's number stands in for it",
)
ORDER_NO = Param(
    name="order_no", type=STRING, is_required=False, is_signed=True,
    text_zh="网关的订单号；与local_order_no二选一，都填时以order_no为准",
    text_en="The gateway's number; this or local_order_no, order_no wins", read=params.read_order_no,
)  # fmt: skip
ASKED_LOCAL_ORDER_NO = msgspec.structs.replace(
    LOCAL_ORDER_NO,
    is_required=False,
    text_zh="接入商的订单号；与order_no二选一",
    text_en="The integrator's order number; this or order_no",
)

REPLY_LOCAL_ORDER_NO = ReplyField(
    name="localOrderNo", is_signed=True, text_zh="接入商的订单号", text_en="The integrator's order number"
)
REPLY_ORDER_NO = ReplyField(
    name="cbOrderNo", is_signed=True, text_zh="网关的订单号，30位数字", text_en="The gateway's order number, 30 digits"
)
REPLY_OUT_ORDER_NO = ReplyField(
    name="outOrderNo", is_signed=True, text_zh="支付渠道的交易号", text_en="The wallet's trade number"
)
REPLY_STATUS = ReplyField(
    name="orderStatus", is_signed=False, type=INTEGER,
    text_zh="订单状态，见“订单状态”一节", text_en="Order status, see the section on states",
)  # fmt: skip
REPLY_RECEIVED = ReplyField(
    name="receiveAmount", is_signed=False, type=LONG, text_zh="实收金额，分", text_en="Amount received, fen"
)
REPLY_DISCOUNT = ReplyField(
    name="discountAmount", is_signed=False, type=LONG, text_zh="优惠金额，分", text_en="Discount, fen", since="1.1"
)
REPLY_PAY_TIME = ReplyField(
    name="payTime", is_signed=False, type=LONG,
    text_zh="支付时间，毫秒，未支付时为空", text_en="Time of payment, milliseconds; empty when not paid",
)  # fmt: skip
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


def wanted_order(
    request: Request, *, way: PaymentWay, account: OpenAccount | None, life_ms: int | None = None
) -> Order:
    """The order as asked for; its number is drawn when it is recorded. `account` None: not known yet (an h5 link).

    Raises: UN_DISCOUNT_AMOUNT_INVALID, GOODS_LIST_INVALID, NOTIFY_HOST_NOT_ALLOWED.
    """
    caller, values = request.caller, request.values
    amount_fen = whole_number(values, "amount")
    un_discount_fen = whole_number(values, "un_discount_amount") if "un_discount_amount" in values else None
    if un_discount_fen is not None and un_discount_fen > amount_fen:
        raise GatewayError("UN_DISCOUNT_AMOUNT_INVALID")
    goods: tuple[GoodsLine, ...] = ()
    if "goods_list" in values:
        goods = read_goods(str(values["goods_list"]), price_unit=caller.app.rules.goods_price_unit)
    return Order(
        app_id=caller.app.app_id,
        order_no="",
        local_order_no=str(values.get("local_order_no", "")),
        attempt=1,
        merchant_id=caller.operator.merchant_id,
        store_id=caller.operator.store_id,
        operator_id=caller.operator.operator_id,
        account_id=account.account.account_id if account else 0,
        channel=account.account.channel if account else 0,
        way=way,
        state=OrderState.CREATED,
        amount_fen=amount_fen,
        un_discount_fen=un_discount_fen,
        subject=str(values.get("subject", "")),
        goods=goods,
        notify_url=_notify_url(caller, str(values.get("notify_url", ""))),
        redirect_url=str(values.get("redirect_url", "")),
        device_create_ip=str(values.get("device_create_ip", "")),
        created_at_ms=request.now_ms,
        expires_at_ms=request.now_ms + (life_ms or caller.app.rules.order_life_ms),
        request_sign=caller.sign,
    )


async def named_payment(deployment: Deployment, request: Request) -> Order | Refund:
    """What order_no (ours, of a payment or a refund) or local_order_no names; order_no wins (protocol 4.5).

    Raises: ORDER_NUMBER_MISSING, ORDER_NOT_FOUND (unknown, or not of this app and merchant).
    """
    caller, values = request.caller, request.values
    order_no, local_order_no = str(values.get("order_no", "")), str(values.get("local_order_no", ""))
    if not order_no and not local_order_no:
        raise GatewayError("ORDER_NUMBER_MISSING")
    app_id = caller.app.app_id
    refund = None
    if order_no and order_no[0] == str(numbers.REFUND):
        refund = await refund_rows.by_refund_no(deployment.database, app_id, order_no)
        order_no = refund.order_no if refund else order_no
    order = await orders.find_order(deployment, app_id, order_no=order_no, local_order_no=local_order_no)
    if order is None or order.merchant_id != caller.operator.merchant_id:
        raise GatewayError("ORDER_NOT_FOUND")
    return refund or order


async def order_of_refund(deployment: Deployment, refund: Refund) -> Order:
    """The payment a refund belongs to."""
    order = await orders.find_order(deployment, refund.app_id, order_no=refund.order_no)
    assert order is not None, "a refund's order is never deleted"
    return order


def origin(request: Request) -> dict[str, str]:
    """Who asked for an order and with what, for its timeline. What only the customer should know is shortened."""
    lines = [f"{name}={_shown(name, str(value))}" for name, value in request.values.items()]
    return {
        "request": "\n".join(lines)[:MAX_REQUEST],
        "version": request.version,
        "source_ip": request.caller.source_ip,
    }


def whole_number(values: Mapping[str, object], name: str) -> int:
    """A value that its reader has made an int."""
    value = values[name]
    assert isinstance(value, int)
    return value


def _shown(name: str, value: str) -> str:
    if name in _SHORTENED:
        return f"{value[:2]}…{value[-4:]}"
    return value.replace("\n", " ")


def _notify_url(caller: Caller, given: str) -> str:
    """The request's address, else the app's default, else none. Raises NOTIFY_HOST_NOT_ALLOWED."""
    url = given or caller.app.rules.default_notify_url
    allowed = caller.app.rules.notify_hosts
    if url and allowed and params.host_of(url) not in allowed:
        raise GatewayError("NOTIFY_HOST_NOT_ALLOWED")
    return url
