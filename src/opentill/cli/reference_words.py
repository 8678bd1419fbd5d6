"""Tables of the numbers and words that stand for states, channels and ways of paying."""

from collections.abc import Mapping

from opentill.cli.reference_markdown import CHINESE, code, table
from opentill.domain.order import OrderState, PaymentWay
from opentill.protocol.words import (
    CHANNEL_NOTIFICATION_WORDS,
    CHANNEL_TITLES,
    WAY_WORDS,
    status_number,
    status_word,
)

# State, received, refunding and refunded fen of an order of 2 fen; Chinese, English.
_SITUATIONS = (
    (OrderState.WAITING, 0, 0, 0, "等待付款", "waiting for payment"),
    (OrderState.PAID, 2, 0, 0, "已付款", "paid"),
    (OrderState.CLOSED, 0, 0, 0, "已取消（过期或关闭）", "cancelled (expired or closed)"),
    (OrderState.REVERSED, 0, 0, 0, "已撤销", "reversed"),
    (OrderState.FAILED, 0, 0, 0, "失败", "failed"),
)
_BY_US = ("已由网关撤销（结果不明的付款码支付）", "reversed by the gateway (a charge of unknown outcome)")
_REFUND_ORDER = ("已退款（查询退款单时）", "refunded (query by a refund's number)")
_REFUND_SITUATIONS = (
    (OrderState.PAID, 2, 1, 0, "退款中", "a refund is under way"),
    (OrderState.PAID, 2, 0, 1, "部分退款", "partly refunded"),
    (OrderState.PAID, 2, 0, 2, "全额退款", "fully refunded"),
)


def status_table(language: str, *, has_refunds: bool) -> str:
    is_chinese = language == CHINESE
    heads = ("应答", "通知", "含义") if is_chinese else ("In replies", "In notifications", "Meaning")
    situations = (*_SITUATIONS, *_REFUND_SITUATIONS) if has_refunds else _SITUATIONS
    rows = []
    for state, received, refunding, refunded, text_zh, text_en in situations:
        number = status_number(state, received_fen=received, refunded_fen=refunded)
        word = status_word(state, received_fen=received, refunding_fen=refunding, refunded_fen=refunded)
        rows.append((code(number), code(word), text_zh if is_chinese else text_en))
        if state is OrderState.REVERSED:  # protocol 4.8: 8 on request, 9 by us
            number = status_number(state, received_fen=0, refunded_fen=0, is_reversed_by_us=True)
            rows.append((code(number), code(word), _BY_US[0 if is_chinese else 1]))
    if has_refunds:
        rows.append((code("3"), "", _REFUND_ORDER[0 if is_chinese else 1]))
    return table(heads, rows)


def channel_table(language: str) -> str:
    is_chinese = language == CHINESE
    heads = ("应答", "通知", "含义") if is_chinese else ("In requests and replies", "In notifications", "Wallet")
    missing = "（未开通）" if is_chinese else " (not available)"
    english = {1: "Alipay", 2: "WeChat Pay", 3: "Baidu Wallet", 4: "Bestpay"}
    return table(
        heads,
        [
            (
                code(str(number)),
                code(CHANNEL_NOTIFICATION_WORDS.get(number, "")),
                (title if is_chinese else english[number]) + ("" if number in CHANNEL_NOTIFICATION_WORDS else missing),
            )
            for number, title in CHANNEL_TITLES.items()
        ],
    )


_WAYS: Mapping[PaymentWay, tuple[str, str]] = {
    PaymentWay.SCAN: ("顾客扫商户的二维码（scan）", "the customer scanned the merchant's code (scan)"),
    PaymentWay.BARCODE: ("商户扫顾客的付款码（barcode）", "the cashier scanned the customer's payment code (barcode)"),
    PaymentWay.H5: ("手机打开支付链接（h5）", "a link opened on the phone (h5)"),
    PaymentWay.MP: ("公众号内支付（mp）", "inside WeChat (mp)"),
}


def way_table(language: str) -> str:
    is_chinese = language == CHINESE
    heads = ("值", "含义") if is_chinese else ("Value", "Meaning")
    return table(heads, [(code(WAY_WORDS[way]), texts[0 if is_chinese else 1]) for way, texts in _WAYS.items()])


def refund_table(language: str) -> str:
    """protocol 4.8: the words of refundStatus."""
    is_chinese = language == CHINESE
    heads = ("值", "含义") if is_chinese else ("Value", "Meaning")
    rows = (
        ("5", "已退款", "refunded"),
        ("4", "退款中：结果尚不确定，请查询", "under way: not certain yet, query it"),
        ("-3", "退款失败", "failed"),
    )
    return table(heads, [(code(value), zh if is_chinese else en) for value, zh, en in rows])
