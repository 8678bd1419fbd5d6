"""`open.pay.mp`: payment inside a WeChat official account's page, JSAPI (protocol 4.4)."""

from opentill.commands import shared
from opentill.commands.registry import Command, Request, Result
from opentill.domain.order import PaymentWay
from opentill.protocol import params
from opentill.protocol.params import STRING, Param, ReplyField
from opentill.protocol.words import WECHAT
from opentill.services import opening
from opentill.services.deployment import Deployment


async def handle(deployment: Deployment, request: Request) -> Result:
    account = await shared.receiving_account(deployment, request.caller, WECHAT)
    wanted = shared.wanted_order(request, way=PaymentWay.MP, account=account)
    with deployment.wallet_places.taken(WECHAT):
        order = await opening.take_number(deployment, wanted, origin=shared.origin(request))
        answer = await opening.open_page(
            deployment,
            order,
            account,
            payer=str(request.values["open_id"]),
            payer_app_id=str(request.values["sub_app_id"]),
        )
    return Result(answer.page_values, order.order_no)


def _field(name: str, text_zh: str, text_en: str) -> ReplyField:
    return ReplyField(name=name, is_signed=True, text_zh=text_zh, text_en=text_en)


COMMAND = Command(
    name="open.pay.mp",
    title_zh="公众号支付",
    title_en="Official account",
    text_zh="在微信公众号的网页内支付（JSAPI）。把返回的参数交给WeixinJSBridge的getBrandWCPayRequest。",
    text_en="Payment inside a WeChat official account's page (JSAPI). Hand the reply's values to WeixinJSBridge's "
    "getBrandWCPayRequest.",
    demo_page="",
    params=(
        shared.OPTIONAL_LOCAL_ORDER_NO,
        shared.AMOUNT,
        shared.UN_DISCOUNT_AMOUNT,
        shared.SUBJECT,
        shared.GOODS_LIST,
        shared.NOTIFY_URL,
        shared.DEVICE_CREATE_IP,
        Param(
            name="sub_app_id",
            type=STRING,
            is_required=True,
            is_signed=True,
            text_zh="公众号的appid",
            text_en="appid of the official account",
            read=params.read_sub_app_id,
        ),
        Param(
            name="open_id",
            type=STRING,
            is_required=True,
            is_signed=True,
            text_zh="付款人在该公众号下的openid",
            text_en="The payer's openid under that account",
            read=params.read_open_id,
        ),
    ),
    reply=(
        _field("appId", "公众号的appid", "appid of the official account"),
        _field("timeStamp", "秒时间戳", "Unix seconds"),
        _field("nonceStr", "随机串", "Random text"),
        _field("package", "prepay_id=…", "prepay_id=…"),
        _field("signType", "签名类型：RSA", "Kind of signature: RSA"),
        _field("paySign", "微信支付签名", "WeChat Pay's signature"),
    ),
    handle=handle,
)
