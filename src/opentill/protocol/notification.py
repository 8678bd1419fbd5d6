"""The notification we POST to a merchant (protocol 6)."""

from collections.abc import Mapping
from urllib.parse import urlencode

from opentill.domain.order import Order
from opentill.protocol.words import CHANNEL_NOTIFICATION_WORDS, WAY_WORDS, status_word

CONTENT_TYPE = "application/x-www-form-urlencoded; charset=utf-8"

# name, Chinese, English: in the order of the published page.
FIELDS = (
    ("cbOrderNo", "网关订单号", "The gateway's order number"),
    ("appOrderNo", "接入商订单号", "The integrator's order number"),
    ("outOrderNo", "支付渠道的交易号", "The wallet's trade number"),
    ("orderStatus", "订单状态，支付成功为PAY_SUC", "Order status; PAY_SUC is paid"),
    ("totalAmount", "订单总金额，分", "Total amount, fen"),
    ("receiveAmount", "实收金额，分", "Amount received, fen"),
    ("paymentChannel", "支付渠道：ALIPAY或WECHAT", "Wallet: ALIPAY or WECHAT"),
    ("subject", "订单描述", "Order description"),
    ("discountAmount", "优惠金额，分", "Discount, fen"),
    ("paymentWay", "支付方式：SCAN、BARCODE或QRCODE", "Way of paying: SCAN, BARCODE or QRCODE"),
    ("payTime", "支付时间，毫秒", "Time of payment, milliseconds"),
    (
        "sign",
        "平台签名（RSA2），除sign外所有非空字段参与签名",
        "Signature by the platform (RSA2) over every field but sign",
    ),
)


def notification_fields(order: Order) -> dict[str, str]:
    """The fields of an order's notification without `sign`. They are fixed when the row is written."""
    return {
        "cbOrderNo": order.order_no,
        "appOrderNo": order.local_order_no,
        "outOrderNo": order.channel_trade_no,
        "orderStatus": status_word(
            order.state,
            received_fen=order.received_fen,
            refunding_fen=order.refunding_fen,
            refunded_fen=order.refunded_fen,
        ),
        "totalAmount": str(order.amount_fen),
        "receiveAmount": str(order.received_fen),
        "paymentChannel": CHANNEL_NOTIFICATION_WORDS.get(order.channel, ""),
        "subject": order.subject,
        "discountAmount": str(order.discount_fen),
        "paymentWay": WAY_WORDS[order.way],
        "payTime": str(order.paid_at_ms) if order.paid_at_ms else "",
    }


def notification_body(fields: Mapping[str, str], sign: str) -> bytes:
    """The form as it is sent."""
    return urlencode({**fields, "sign": sign}).encode("ascii")
