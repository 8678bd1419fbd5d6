"""First schema. Plain SQL that both engines read; every table of the order family is keyed by app_id (design 6)."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

REFERENCE_TABLES = """
CREATE TABLE merchants (
    merchant_id BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    is_disabled BIGINT NOT NULL DEFAULT 0,
    created_at_ms BIGINT NOT NULL
);
CREATE TABLE stores (
    store_id BIGINT PRIMARY KEY,
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    name TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL
);
CREATE TABLE apps (
    app_id BIGINT PRIMARY KEY,
    app TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    key_sealed TEXT NOT NULL,
    old_key_sealed TEXT NOT NULL DEFAULT '',
    old_key_until_ms BIGINT NOT NULL DEFAULT 0,
    rules TEXT NOT NULL,
    is_disabled BIGINT NOT NULL DEFAULT 0,
    created_at_ms BIGINT NOT NULL
);
CREATE TABLE app_merchants (
    app_id BIGINT NOT NULL REFERENCES apps (app_id),
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    PRIMARY KEY (app_id, merchant_id)
);
CREATE TABLE channel_accounts (
    account_id BIGINT PRIMARY KEY,
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    channel BIGINT NOT NULL,
    name TEXT NOT NULL,
    settings_sealed TEXT NOT NULL,
    is_disabled BIGINT NOT NULL DEFAULT 0,
    created_at_ms BIGINT NOT NULL
);
CREATE TABLE operators (
    operator_id TEXT PRIMARY KEY,
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    store_id BIGINT NOT NULL REFERENCES stores (store_id),
    name TEXT NOT NULL,
    is_disabled BIGINT NOT NULL DEFAULT 0,
    created_at_ms BIGINT NOT NULL
);
CREATE TABLE operator_accounts (
    operator_id TEXT NOT NULL REFERENCES operators (operator_id),
    channel BIGINT NOT NULL,
    account_id BIGINT NOT NULL REFERENCES channel_accounts (account_id),
    PRIMARY KEY (operator_id, channel)
);
CREATE TABLE platform_keys (
    name TEXT PRIMARY KEY,
    private_sealed TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL
);
CREATE TABLE parties_version (
    only_row BIGINT PRIMARY KEY,
    version BIGINT NOT NULL
);
INSERT INTO parties_version (only_row, version) VALUES (1, 1);
CREATE TABLE audit_events (
    event_id BIGINT PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
);
"""

ORDER_FAMILY = """
CREATE TABLE orders (
    app_id BIGINT NOT NULL,
    order_no TEXT NOT NULL,
    local_order_no TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    merchant_id BIGINT NOT NULL,
    store_id BIGINT NOT NULL,
    operator_id TEXT NOT NULL,
    account_id BIGINT NOT NULL,
    channel BIGINT NOT NULL,
    way TEXT NOT NULL,
    state TEXT NOT NULL,
    amount_fen BIGINT NOT NULL,
    un_discount_fen BIGINT,
    subject TEXT NOT NULL,
    goods TEXT NOT NULL,
    notify_url TEXT NOT NULL,
    redirect_url TEXT NOT NULL DEFAULT '',
    device_create_ip TEXT NOT NULL,
    qr_text TEXT NOT NULL DEFAULT '',
    trade_no TEXT NOT NULL DEFAULT '',
    channel_trade_no TEXT NOT NULL DEFAULT '',
    received_fen BIGINT NOT NULL DEFAULT 0,
    discount_fen BIGINT NOT NULL DEFAULT 0,
    refunding_fen BIGINT NOT NULL DEFAULT 0,
    refunded_fen BIGINT NOT NULL DEFAULT 0,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    paid_at_ms BIGINT NOT NULL DEFAULT 0,
    refunded_at_ms BIGINT NOT NULL DEFAULT 0,
    asked_at_ms BIGINT NOT NULL DEFAULT 0,
    poll_at_ms BIGINT NOT NULL DEFAULT 0,
    polls BIGINT NOT NULL DEFAULT 0,
    is_late BIGINT NOT NULL DEFAULT 0,
    is_reversed_by_us BIGINT NOT NULL DEFAULT 0,
    attention TEXT NOT NULL DEFAULT '',
    request_sign TEXT NOT NULL DEFAULT '',
    reply TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (app_id, order_no)
);
CREATE UNIQUE INDEX orders_local_order_no ON orders (app_id, local_order_no, attempt);
CREATE INDEX orders_due ON orders (poll_at_ms) WHERE poll_at_ms > 0;
CREATE TABLE trades (
    app_id BIGINT NOT NULL,
    order_no TEXT NOT NULL,
    attempt_no BIGINT NOT NULL,
    channel BIGINT NOT NULL,
    account_id BIGINT NOT NULL,
    payer TEXT NOT NULL,
    page_values TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (app_id, order_no, attempt_no),
    FOREIGN KEY (app_id, order_no) REFERENCES orders (app_id, order_no)
);
CREATE TABLE payments (
    app_id BIGINT NOT NULL,
    order_no TEXT NOT NULL,
    channel BIGINT NOT NULL,
    channel_trade_no TEXT NOT NULL,
    trade_no TEXT NOT NULL,
    account_id BIGINT NOT NULL,
    role TEXT NOT NULL,
    amount_fen BIGINT NOT NULL,
    received_fen BIGINT NOT NULL,
    discount_fen BIGINT NOT NULL,
    line_discounts TEXT NOT NULL,
    paid_at_ms BIGINT NOT NULL,
    recorded_at_ms BIGINT NOT NULL,
    PRIMARY KEY (app_id, order_no, channel, channel_trade_no),
    FOREIGN KEY (app_id, order_no) REFERENCES orders (app_id, order_no)
);
CREATE TABLE history (
    app_id BIGINT NOT NULL,
    order_no TEXT NOT NULL,
    event_id BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (app_id, order_no, event_id),
    FOREIGN KEY (app_id, order_no) REFERENCES orders (app_id, order_no)
);
CREATE TABLE notifications (
    app_id BIGINT NOT NULL,
    notification_id BIGINT NOT NULL,
    order_no TEXT NOT NULL,
    kind TEXT NOT NULL,
    url TEXT NOT NULL,
    fields TEXT NOT NULL,
    sign TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    due_at_ms BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (app_id, notification_id),
    FOREIGN KEY (app_id, order_no) REFERENCES orders (app_id, order_no)
);
CREATE INDEX notifications_due ON notifications (due_at_ms) WHERE due_at_ms > 0;
CREATE INDEX notifications_order ON notifications (app_id, order_no);
CREATE TABLE notification_attempts (
    app_id BIGINT NOT NULL,
    notification_id BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    elapsed_ms BIGINT NOT NULL,
    status BIGINT NOT NULL,
    body TEXT NOT NULL,
    problem TEXT NOT NULL,
    PRIMARY KEY (app_id, notification_id, attempt),
    FOREIGN KEY (app_id, notification_id) REFERENCES notifications (app_id, notification_id)
);
CREATE TABLE refunds (
    app_id BIGINT NOT NULL,
    refund_no TEXT NOT NULL,
    order_no TEXT NOT NULL,
    local_refund_no TEXT,
    request_sign TEXT,
    operator_id TEXT NOT NULL,
    trade_no TEXT NOT NULL,
    channel BIGINT NOT NULL,
    account_id BIGINT NOT NULL,
    cause TEXT NOT NULL,
    asked_fen BIGINT,
    amount_fen BIGINT NOT NULL,
    wallet_fen BIGINT NOT NULL,
    reason TEXT NOT NULL,
    state TEXT NOT NULL,
    channel_refund_no TEXT NOT NULL DEFAULT '',
    problem TEXT NOT NULL DEFAULT '',
    created_at_ms BIGINT NOT NULL,
    sent_at_ms BIGINT NOT NULL DEFAULT 0,
    ended_at_ms BIGINT NOT NULL DEFAULT 0,
    due_at_ms BIGINT NOT NULL,
    asks BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (app_id, refund_no),
    FOREIGN KEY (app_id, order_no) REFERENCES orders (app_id, order_no)
);
CREATE UNIQUE INDEX refunds_local_refund_no ON refunds (app_id, local_refund_no);
CREATE UNIQUE INDEX refunds_request_sign ON refunds (app_id, request_sign);
CREATE INDEX refunds_order ON refunds (app_id, order_no);
CREATE INDEX refunds_due ON refunds (due_at_ms) WHERE due_at_ms > 0;
CREATE TABLE sign_bindings (
    app_id BIGINT NOT NULL,
    sign TEXT NOT NULL,
    command TEXT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    PRIMARY KEY (app_id, sign)
);
CREATE INDEX sign_bindings_expiry ON sign_bindings (expires_at_ms);
CREATE TABLE refund_days (
    app_id BIGINT NOT NULL,
    day_ms BIGINT NOT NULL,
    refunded_fen BIGINT NOT NULL,
    PRIMARY KEY (app_id, day_ms)
);
CREATE TABLE sales_hours (
    app_id BIGINT NOT NULL,
    merchant_id BIGINT NOT NULL,
    store_id BIGINT NOT NULL,
    operator_id TEXT NOT NULL,
    channel BIGINT NOT NULL,
    hour_ms BIGINT NOT NULL,
    orders BIGINT NOT NULL,
    amount_fen BIGINT NOT NULL,
    received_fen BIGINT NOT NULL,
    discount_fen BIGINT NOT NULL,
    refunds BIGINT NOT NULL,
    refunded_fen BIGINT NOT NULL,
    PRIMARY KEY (app_id, merchant_id, store_id, operator_id, channel, hour_ms)
);
CREATE TABLE sales_goods (
    app_id BIGINT NOT NULL,
    merchant_id BIGINT NOT NULL,
    store_id BIGINT NOT NULL,
    operator_id TEXT NOT NULL,
    channel BIGINT NOT NULL,
    hour_ms BIGINT NOT NULL,
    goods_key TEXT NOT NULL,
    name TEXT NOT NULL,
    quantity_milli BIGINT NOT NULL,
    amount_fen BIGINT NOT NULL,
    PRIMARY KEY (app_id, merchant_id, store_id, operator_id, channel, hour_ms, goods_key)
);
"""


def upgrade() -> None:
    for statement in (REFERENCE_TABLES + ORDER_FAMILY).split(";"):
        if statement.strip():
            op.execute(statement)
