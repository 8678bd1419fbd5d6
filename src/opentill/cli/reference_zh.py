"""Chinese texts of tables whose own texts are English."""

SETTINGS_ZH = {
    "database_url": "数据存放在哪里：`sqlite:///路径` 或 `postgresql://用户:密码@主机:端口/库名`。",
    "database_connections": "一个进程最多占用多少个 PostgreSQL 连接。",
    "master_key": "主密钥，封存数据库中的一切秘密：32 字节的 base64。用 `opentill admin master-key` 生成。",
    "master_key_file": "主密钥文件，没有设置 `OPENTILL_MASTER_KEY` 时读取。",
    "host": "监听地址。`0.0.0.0` 会把网关开放给整个网络。",
    "port": "监听端口；0 表示自动选一个空闲端口。",
    "trusted_proxies": "自己的反向代理所在的网段（CIDR，逗号分隔）。"
    "只有来自这些地址的请求才采信 `X-Forwarded-For`；不设置时，经过代理的请求来源都是代理的地址。",
    "public_base_url": "钱包和顾客访问本网关的地址，例如 `https://pay.example.com`。"
    "回调地址由它拼成，从不采信 Host 头。`opentill serve` 必须设置。",
    "alipay_base_url": "支付宝网关的地址（后面会接 `/gateway.do`）。沙箱中是模拟器的地址。",
    "wechat_base_url": "微信支付 API v3 的地址。沙箱中是模拟器的地址。",
    "alipay_oauth_base_url": "支付宝静默授权的地址，`open.pay.h5` 的链接由此得知是谁打开的。沙箱中是模拟器的地址。",
    "wechat_oauth_base_url": "微信静默授权的地址，`open.pay.h5` 的链接由此得知是谁打开的。沙箱中是模拟器的地址。",
    "wechat_api_base_url": "微信用授权码换取付款人身份的接口地址。沙箱中是模拟器的地址。",
    "notify_allow_networks": "允许发送通知的内网网段，CIDR 格式，用逗号分隔。"
    "链路本地、云元数据、未指定和组播地址一律禁止。",
    "default_subject": "商户没有传 subject 时的订单描述。",
    "wallet_timeout_s": "等待钱包一次应答的最长时间，秒。",
    "max_body_bytes": "接口和回调读取的请求内容上限，字节。",
    "max_open_requests": "一个进程同时处理的请求数；超过时返回“系统繁忙”。",
    "max_connections": "一个进程同时保持的 HTTP 连接数；超过时返回“系统繁忙”。",
    "demo_pages": "在沙箱之外也提供 `/test/api/` 下的演示页，供接入商使用。",
    "metrics_networks": "允许读取 `GET /metrics` 的网段，CIDR 格式，用逗号分隔。",
    "console_token": "程序读取 `/console/api/` 用的 Bearer 令牌。为空时，沙箱之外只有登录了控制台的人能读。",
    "console_idle_minutes": "在控制台中这么久没有操作就自动退出。",
    "console_session_hours": "登录控制台这么久之后必须重新登录。",
    "refused_calls_days": "对接日志保留被拒绝的请求多少天。",
    "log_level": "最低的日志级别。",
}
