"""What an app's rules mean, for documents and forms."""

# name: English, Chinese
RULES = {
    "sign_method": (
        "`MD5` (published), `HMAC-SHA256` or `RSA2` (both over every parameter).",
        "`MD5`（公开协议），`HMAC-SHA256` 或 `RSA2`（两者都对全部参数签名）。",
    ),
    "tolerance_ms": (
        "How far `timestamp` may be off, milliseconds. 0 switches the check off; refund and reverse still want one of "
        "the last 24 hours.",
        "`timestamp` 允许的误差，毫秒。0 表示不检查，但退款和撤销仍要求在 24 小时之内。",
    ),
    "idempotent_replay": (
        "A byte-identical repeat of a successful scan gets the first reply again instead of the duplicate error.",
        "逐字节相同的扫码支付请求再次到来时，返回第一次的应答，而不是“订单号重复”。",
    ),
    "goods_price_unit": (
        "Unit of `goods_price`: `yuan` or `fen`.",
        "`goods_price` 的单位：`yuan`（元）或 `fen`（分）。",
    ),
    "default_notify_url": (
        "Where notifications go when an order names no address.",
        "订单没有传 `notify_url` 时，通知发往这里。",
    ),
    "order_life_ms": (
        "Life of an order, milliseconds; the wallets' QR codes die after two hours in any case.",
        "订单有效期，毫秒；钱包的二维码最多两小时有效。",
    ),
    "commands": ("Interfaces it may call; empty: all.", "允许调用的接口；空表示全部。"),
    "refund_sources": (
        "Networks (CIDR) that refund and reverse may come from; empty: any.",
        "允许发起退款和撤销的来源网段（CIDR）；空表示不限。",
    ),
    "refund_ceiling_fen": (
        "Most that may be refunded in one day of Asia/Shanghai, fen; 0: no ceiling.",
        "每天（北京时间）最多退款多少分；0 表示不限。",
    ),
    "notify_hosts": (
        "Host names that notifications may go to; empty: any.",
        "允许接收通知的域名；空表示不限。",
    ),
    "notify_refunds": (
        "Notify refunds too, with the order's status of that moment.",
        "退款也发通知，`orderStatus` 为当时的状态。",
    ),
    "notify_cancels": (
        "Notify also when an order expired or was reversed (`CANCEL`).",
        "订单过期或撤销时也发送通知（`CANCEL`）。",
    ),
    "notify_failures": ("Notify also when the wallet refused (`PAY_FAIL`).", "钱包拒绝时也发送通知（`PAY_FAIL`）。"),
    "late_payment": (
        "Money that comes after an order has ended: `accept` it, `refund` it, or `hold` it for a person.",
        "订单结束后才到的钱：`accept` 接受，`refund` 自动退回，`hold` 等人处理。",
    ),
    "surplus_payment": (
        "A second payment of one order: `hold` it for a person, or `refund` it.",
        "同一订单收到的第二笔钱：`hold` 等人处理，`refund` 自动退回。",
    ),
    "public_key_pem": ("The integrator's RSA public key (PEM), for `RSA2`.", "接入商的 RSA 公钥（PEM），用于 `RSA2`。"),
}
