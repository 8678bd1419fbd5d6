"""The numbered catalogue of everything that can go wrong for a caller. A number never changes its meaning.

The message is Chinese, names the parameter and says what was expected (protocol 1). It never contains a key, a
signature we computed or a stack trace.
"""

from typing import NamedTuple


class CatalogueEntry(NamedTuple):
    """`number` goes out as errorCode; `message` is a template; `advice` (English) is for the documents."""

    name: str
    number: int
    message: str
    advice: str


class GatewayError(Exception):
    """A refusal with a number of the catalogue, e.g. `GatewayError("PARAMETER_MISSING", parameter="amount")`.

    `values` fill the message template. `note` is for our own log and timeline only.
    """

    def __init__(self, name: str, *, note: str = "", **values: object) -> None:
        self.entry = CATALOGUE[name]
        self.message = self.entry.message.format(**values)
        self.note = note
        super().__init__(f"{self.entry.number} {name} {note}".rstrip())

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def number(self) -> int:
        return self.entry.number


_ENTRIES = (
    # --- the gateway itself
    CatalogueEntry(
        "SYSTEM_ERROR", 1, "系统错误，请稍后查询订单状态。请求编号：{request_id}",
        "An unexpected fault. Nothing is concluded about the order: query it. The log has the same request id.",
    ),
    CatalogueEntry(
        "BUSY", 2, "系统繁忙，本次请求未被处理，请稍后重试",
        "The gateway is at its limit. The request was not processed at all and may be repeated as it is.",
    ),
    CatalogueEntry(
        "STORAGE_UNAVAILABLE", 3, "数据库暂时不可用，本次请求的结果未知，请稍后查询订单状态",
        "The database did not answer. Query the order before trying again with another number.",
    ),
    # --- reading the request
    CatalogueEntry("COMMAND_MISSING", 10, "command参数为空", "The parameter `command` is missing or empty."),
    CatalogueEntry(
        "COMMAND_UNKNOWN", 11, "command参数的值{value}不存在，可用的接口：{expected}",
        "The interface does not exist. Names start with `open.pay.` (or the older `caibao.pay.`).",
    ),
    CatalogueEntry(
        "OTHER_GENERATION", 12,
        "您调用的是2.0版接口（open.api.*、sign_type、request_id），本网关只支持open.pay.*协议的1.0和1.1版",
        "The request is of another, later protocol (open.api.*, version 2.0, sign_type, request_id).",
    ),
    CatalogueEntry("VERSION_UNSUPPORTED", 13, "version参数只能是1.0或1.1", "`version` is neither 1.0 nor 1.1."),
    CatalogueEntry(
        "BODY_UNREADABLE", 14, "请求内容无法解析：{reason}",
        "The body is not a well-formed form, multipart form or JSON object in UTF-8.",
    ),
    CatalogueEntry(
        "BODY_TOO_LARGE", 15, "请求内容过大，最多{limit}字节", "The body is longer than the documented limit.",
    ),
    CatalogueEntry(
        "PARAMETER_REPEATED", 16, "{parameter}参数出现了多次，每个参数只能出现一次",
        "A name appears twice in the same place. One of the two values would silently win, so it is refused.",
    ),
    CatalogueEntry("PARAMETER_MISSING", 17, "缺少必填参数{parameter}", "A required parameter is missing or empty."),
    CatalogueEntry("METHOD_NOT_ALLOWED", 18, "只支持POST和GET请求", "The HTTP method is neither POST nor GET."),
    # --- who calls
    CatalogueEntry("APP_UNKNOWN", 20, "app参数的值不存在，请核对接入商编号", "No app has this id."),
    CatalogueEntry("APP_DISABLED", 21, "接入商已停用", "The app was disabled by its owner."),
    CatalogueEntry(
        "SIGN_INVALID", 22, "sign签名错误：{expected}。可在/test/api/sign.htm查找原因",
        "The signature does not match. Paste the request into the signature debugger: it names the cause.",
    ),
    CatalogueEntry(
        "TIMESTAMP_INVALID", 23, "timestamp参数必须是毫秒时间戳（13位数字）{hint}",
        "`timestamp` is not a number of milliseconds since 1970-01-01 UTC.",
    ),
    CatalogueEntry(
        "TIMESTAMP_OUT_OF_RANGE", 24, "timestamp与服务器时间相差{difference}秒，允许的误差为{tolerance}秒，请校准时钟",
        "The request is too old or from the future. Set the caller's clock.",
    ),
    CatalogueEntry(
        "OPERATOR_UNKNOWN", 25, "operator_id参数的值不存在或不属于该接入商的商户",
        "No such cashier, or a cashier of a merchant this app may not act for.",
    ),
    CatalogueEntry("OPERATOR_DISABLED", 26, "该收银员已停用", "The cashier was disabled."),
    CatalogueEntry(
        "TEST_IDENTITY_REFUSED", 27, "公开的测试接入商只能在沙箱模式下使用",
        "The published test identity works in the sandbox only.",
    ),
    CatalogueEntry(
        "COMMAND_NOT_ALLOWED", 28, "该接入商没有调用{command}的权限", "The app's owner did not allow this interface.",
    ),
    CatalogueEntry(
        "SIGN_REUSED", 29, "该签名已用于{command}接口，不能再用于其他接口，请用新的timestamp重新签名",
        "A signature belongs to the interface it was first used with.",
    ),
    CatalogueEntry(
        "SOURCE_NOT_ALLOWED", 30, "来源地址{source}不在该接入商的允许列表中，不能退款或撤销",
        "The app's owner allows refund and reverse from listed addresses only.",
    ),
    # --- parameters
    CatalogueEntry(
        "LOCAL_ORDER_NO_INVALID", 40, "local_order_no参数必须是1到64个可见字符，首尾不能有空格",
        "`local_order_no`: 1 to 64 printable characters, no spaces at the ends.",
    ),
    CatalogueEntry(
        "CHANNEL_INVALID", 41, "channel参数只能是1（支付宝）或2（微信支付）", "`channel`: 1 Alipay or 2 WeChat Pay.",
    ),
    CatalogueEntry(
        "AMOUNT_INVALID", 42, "amount参数必须是1到10000000000之间的整数，单位为分，只能包含数字",
        "`amount`: whole fen, 1 to 10 000 000 000, digits only (no sign, no decimal point).",
    ),
    CatalogueEntry(
        "UN_DISCOUNT_AMOUNT_INVALID", 43, "un_discount_amount参数必须是0到amount之间的整数，单位为分，只能包含数字",
        "`un_discount_amount`: whole fen, 0 to `amount`, digits only.",
    ),
    CatalogueEntry(
        "SUBJECT_INVALID", 44, "subject参数必须少于20个汉字（一个英文字符算半个汉字），且不能包含控制字符",
        "`subject`: narrower than 20 Chinese characters (an ASCII character counts half), no control characters.",
    ),
    CatalogueEntry(
        "GOODS_LIST_INVALID", 45, "goods_list参数不正确：{reason}",
        "`goods_list`: a JSON array of lines; the message names the line and the field.",
    ),
    CatalogueEntry(
        "NOTIFY_URL_INVALID", 46, "notify_url参数必须是完整的http或https地址，最多512个字符，不能包含用户名和密码",
        "`notify_url`: absolute http(s), at most 512 characters, no userinfo.",
    ),
    CatalogueEntry(
        "DEVICE_CREATE_IP_INVALID", 47, "device_create_ip参数必须是IPv4或IPv6地址",
        "`device_create_ip`: an IPv4 or IPv6 address.",
    ),
    CatalogueEntry(
        "NOTIFY_HOST_NOT_ALLOWED", 48, "notify_url的域名不在该接入商的允许列表中",
        "The app allows notifications to listed hosts only.",
    ),
    CatalogueEntry(
        "BARCODE_INVALID", 49, "barcode参数不是付款码，应为16到24位数字",
        "`barcode`: the digits of a customer's payment code.",
    ),
    CatalogueEntry(
        "REDIRECT_URL_INVALID", 50, "redirect_url参数必须是完整的http或https地址，最多512个字符，不能包含用户名和密码",
        "`redirect_url`: absolute http(s), at most 512 characters, no userinfo.",
    ),
    CatalogueEntry(
        "WALLET_ID_INVALID", 51, "{parameter}参数必须是1到128个字母、数字、下划线或短横线",
        "`sub_app_id` and `open_id`: 1 to 128 letters, digits, _ or -.",
    ),
    CatalogueEntry(
        "REFUND_AMOUNT_INVALID", 52, "refund_amount参数必须是大于0的整数，单位为分，只能包含数字",
        "`refund_amount`: whole fen, digits only, more than 0.",
    ),
    CatalogueEntry(
        "REASON_INVALID", 53, "reason参数最多80个字符，不能包含控制字符", "`reason`: at most 80 characters.",
    ),
    CatalogueEntry(
        "LOCAL_REFUND_NO_INVALID", 54, "local_refund_no参数必须是1到64个可见字符，首尾不能有空格",
        "`local_refund_no`: 1 to 64 printable characters, no spaces at the ends.",
    ),
    CatalogueEntry(
        "ORDER_NO_INVALID", 55, "order_no参数必须是网关返回的30位订单号", "`order_no`: the 30 digits of a reply.",
    ),
    # --- orders and wallets
    CatalogueEntry(
        "DUPLICATE_ORDER", 60, "local_order_no的值{local_order_no}已经使用过，请更换订单号",
        "The app used this number before. A number is used for ever, whatever became of its order.",
    ),
    CatalogueEntry(
        "CHANNEL_NOT_AVAILABLE", 61, "支付渠道{channel}暂未开通",
        "The wallet is known but not available: not supported, or the cashier has no account there.",
    ),
    CatalogueEntry(
        "CHANNEL_REFUSED", 62, "{channel}拒绝了该订单：{reason}",
        "The wallet refused for certain; no money can move. The number stays used.",
    ),
    CatalogueEntry(
        "CHANNEL_TIMEOUT", 63, "{channel}没有给出明确的结果，请用open.pay.query查询，不要更换订单号重复收款",
        "The wallet's answer is unknown. The order stays open and is settled by asking the wallet: query it.",
    ),
    CatalogueEntry(
        "ORDER_NOT_FOUND", 64, "订单不存在，请核对order_no或local_order_no",
        "No order of this app has the number, or it belongs to another merchant.",
    ),
    CatalogueEntry(
        "ORDER_NUMBER_MISSING", 65, "order_no和local_order_no必须填写一个", "One of the two order numbers is required.",
    ),
    # --- refunds
    CatalogueEntry(
        "ORDER_NOT_PAID", 70, "订单没有收款，不能退款", "Only a paid order can be refunded.",
    ),
    CatalogueEntry(
        "REFUND_EXCEEDS_PAYMENT", 71, "退款金额超过可退金额，可退{left}分",
        "All refunds of an order together never exceed what was received.",
    ),
    CatalogueEntry(
        "REFUND_IN_PROGRESS", 72, "该订单有一笔退款正在处理，请等待其完成，或用local_refund_no区分多笔退款",
        "A refund without a number of its own is pending; another one could be the same, sent again.",
    ),
    CatalogueEntry(
        "REFUND_REPEAT_DIFFERS", 73, "同一笔退款（相同的签名或local_refund_no）的金额与第一次请求不一致",
        "A repeat of a refund must ask for the same amount.",
    ),
    CatalogueEntry(
        "REFUND_CEILING", 74, "超过该接入商当日退款上限", "The app's owner set a ceiling per day (Asia/Shanghai).",
    ),
    # --- reversing
    CatalogueEntry(
        "REVERSE_PAID", 80, "当前订单已经收款成功，无法执行撤销。您可以使用刷新功能同步订单最新状态！",
        "The order is paid (or partly refunded): refund it instead.",
    ),
    CatalogueEntry(
        "REVERSE_REFUNDED", 81, "当前订单已经全额退款，无法执行撤销！", "The order is fully refunded.",
    ),
    CatalogueEntry("REVERSE_FAILED", 82, "交易失败的订单无法进行撤销！", "There is nothing to reverse."),
    CatalogueEntry(
        "REVERSE_NOT_PAYMENT", 83, "此订单不支持撤销操作，请查证（只有付款订单才可以撤销）！",
        "The number is a refund's: only payment orders can be reversed.",
    ),
)  # fmt: skip

CATALOGUE: dict[str, CatalogueEntry] = {entry.name: entry for entry in _ENTRIES}
