"""Numbers and names the protocol gives to channels, states and ways of paying (protocol 4.8)."""

from opentill.domain.order import OrderState, PaymentWay

COMMAND_PREFIX = "open.pay."
OLD_COMMAND_PREFIX = "caibao.pay."
VERSIONS = ("1.0", "1.1")

ALIPAY = 1
WECHAT = 2

# protocol 4.1: numbers 3 and 4 are known, not available.
CHANNEL_TITLES = {1: "支付宝", 2: "微信支付", 3: "百度钱包", 4: "翼支付"}
CHANNEL_NOTIFICATION_WORDS = {1: "ALIPAY", 2: "WECHAT"}

# protocol 4.8: scan is SCAN, h5 and mp QRCODE, barcode BARCODE, in replies and notifications alike.
WAY_WORDS = {
    PaymentWay.SCAN: "SCAN",
    PaymentWay.BARCODE: "BARCODE",
    PaymentWay.H5: "QRCODE",
    PaymentWay.MP: "QRCODE",
}

_UNPAID_NUMBERS = {
    OrderState.CREATED: "1",
    OrderState.WAITING: "1",
    OrderState.FAILED: "-2",
    OrderState.CLOSED: "-1",
    OrderState.REVERSED: "8",
}
_UNPAID_WORDS = {
    OrderState.CREATED: "WAIT_PAY",
    OrderState.WAITING: "WAIT_PAY",
    OrderState.FAILED: "PAY_FAIL",
    OrderState.CLOSED: "CANCEL",
    OrderState.REVERSED: "CANCEL",
}


def status_number(state: OrderState, *, received_fen: int, refunded_fen: int, is_reversed_by_us: bool = False) -> str:
    """orderStatus in replies. While a refund is pending it stays 2 or 6: only settled refunds count."""
    if state is OrderState.PAID:
        if refunded_fen == 0:
            return "2"
        return "7" if refunded_fen >= received_fen else "6"
    if state is OrderState.REVERSED and is_reversed_by_us:
        return "9"
    return _UNPAID_NUMBERS[state]


def status_word(state: OrderState, *, received_fen: int, refunding_fen: int, refunded_fen: int) -> str:
    """orderStatus in notifications."""
    if state is not OrderState.PAID:
        return _UNPAID_WORDS[state]
    if refunding_fen:
        return "REFUNDING"
    if refunded_fen == 0:
        return "PAY_SUC"
    return "ALL_REFUND" if refunded_fen >= received_fen else "PART_REFUND"


def canonical_command(name: str) -> str:
    """`caibao.pay.X` is the older name of `open.pay.X` and means the same in everything (protocol 1)."""
    if name.startswith(OLD_COMMAND_PREFIX):
        return COMMAND_PREFIX + name.removeprefix(OLD_COMMAND_PREFIX)
    return name
