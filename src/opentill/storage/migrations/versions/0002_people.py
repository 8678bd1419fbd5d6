"""People, devices and shifts; the audit log as a hash chain; refused calls for the integration log."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PEOPLE = """
CREATE TABLE users (
    user_id BIGINT PRIMARY KEY,
    login TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    initial_until_ms BIGINT NOT NULL DEFAULT 0,
    totp_sealed TEXT NOT NULL DEFAULT '',
    totp_last_step BIGINT NOT NULL DEFAULT 0,
    is_disabled BIGINT NOT NULL DEFAULT 0,
    created_at_ms BIGINT NOT NULL
);
CREATE TABLE user_roles (
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    merchant_id BIGINT NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (user_id, merchant_id)
);
CREATE TABLE user_sessions (
    token_hash TEXT PRIMARY KEY,
    user_id BIGINT NOT NULL REFERENCES users (user_id),
    created_at_ms BIGINT NOT NULL,
    seen_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    source_ip TEXT NOT NULL,
    user_agent TEXT NOT NULL
);
CREATE INDEX user_sessions_user ON user_sessions (user_id);
CREATE TABLE sign_in_failures (
    subject TEXT PRIMARY KEY,
    failures BIGINT NOT NULL,
    first_at_ms BIGINT NOT NULL,
    blocked_until_ms BIGINT NOT NULL
);
"""

TILLS = """
ALTER TABLE operators ADD COLUMN pin_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE operators ADD COLUMN may_refund BIGINT NOT NULL DEFAULT 0;
CREATE TABLE devices (
    device_id BIGINT PRIMARY KEY,
    merchant_id BIGINT NOT NULL REFERENCES merchants (merchant_id),
    store_id BIGINT NOT NULL REFERENCES stores (store_id),
    name TEXT NOT NULL,
    pairing_hash TEXT NOT NULL DEFAULT '',
    pairing_until_ms BIGINT NOT NULL DEFAULT 0,
    token_hash TEXT NOT NULL DEFAULT '',
    seen_at_ms BIGINT NOT NULL DEFAULT 0,
    is_disabled BIGINT NOT NULL DEFAULT 0,
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX devices_token ON devices (token_hash);
CREATE TABLE shifts (
    shift_id BIGINT PRIMARY KEY,
    device_id BIGINT NOT NULL REFERENCES devices (device_id),
    operator_id TEXT NOT NULL,
    merchant_id BIGINT NOT NULL,
    store_id BIGINT NOT NULL,
    token_hash TEXT NOT NULL,
    opened_at_ms BIGINT NOT NULL,
    seen_at_ms BIGINT NOT NULL,
    closed_at_ms BIGINT NOT NULL DEFAULT 0,
    totals TEXT NOT NULL DEFAULT ''
);
CREATE INDEX shifts_token ON shifts (token_hash);
CREATE INDEX shifts_operator ON shifts (operator_id, opened_at_ms);
CREATE UNIQUE INDEX shifts_open ON shifts (device_id, operator_id) WHERE closed_at_ms = 0;
CREATE TABLE till_sales (
    app_id BIGINT NOT NULL,
    local_order_no TEXT NOT NULL,
    shift_id BIGINT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    cancel_asked_at_ms BIGINT NOT NULL DEFAULT 0,
    dismissed_at_ms BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (app_id, local_order_no)
);
CREATE INDEX till_sales_shift ON till_sales (shift_id, app_id);
CREATE TABLE till_refunds (
    app_id BIGINT NOT NULL,
    local_refund_no TEXT NOT NULL,
    shift_id BIGINT NOT NULL,
    PRIMARY KEY (app_id, local_refund_no)
);
CREATE INDEX till_refunds_shift ON till_refunds (shift_id, app_id);
"""

CHAIN = """
ALTER TABLE audit_events ADD COLUMN link_no BIGINT;
ALTER TABLE audit_events ADD COLUMN source_ip TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_events ADD COLUMN previous_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_events ADD COLUMN hash TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX audit_events_link ON audit_events (link_no);
"""

REFUSALS = """
ALTER TABLE apps ADD COLUMN old_key_used_at_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE apps ADD COLUMN old_key_used_by TEXT NOT NULL DEFAULT '';
CREATE TABLE refused_calls (
    app_id BIGINT NOT NULL,
    refusal_id BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    app TEXT NOT NULL,
    command TEXT NOT NULL,
    number BIGINT NOT NULL,
    name TEXT NOT NULL,
    message TEXT NOT NULL,
    source_ip TEXT NOT NULL,
    request_id TEXT NOT NULL,
    request TEXT NOT NULL,
    repeats BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (app_id, refusal_id)
);
CREATE INDEX refused_calls_time ON refused_calls (at_ms);
"""

# What people look for. None of it is written by opening an order: two hold only the rows that wait for somebody, one is
# written once by each payment, and those of the counters once for each hour of a cashier or an item.
LOOKING = """
CREATE INDEX sales_hours_time ON sales_hours (hour_ms);
CREATE INDEX sales_goods_time ON sales_goods (hour_ms);
CREATE INDEX orders_attention ON orders (app_id, order_no) WHERE attention <> '';
CREATE INDEX payments_channel_trade_no ON payments (channel_trade_no, app_id, order_no);
CREATE INDEX notifications_dead ON notifications (app_id, notification_id) WHERE state = 'DEAD';
CREATE TABLE exports (
    export_id BIGINT PRIMARY KEY,
    user_id BIGINT NOT NULL,
    state TEXT NOT NULL,
    rows_done BIGINT NOT NULL,
    reached_ms BIGINT NOT NULL,
    touched_at_ms BIGINT NOT NULL
);
"""

# Only a primary key begins with app_id: PostgreSQL cannot tell two such indexes apart while a table is empty, and keeps
# the plan that it made then (decision 12).
INDEXES = """
DROP INDEX orders_local_order_no;
CREATE UNIQUE INDEX orders_local_order_no ON orders (local_order_no, app_id, attempt);
DROP INDEX notifications_order;
CREATE INDEX notifications_order ON notifications (order_no, app_id);
DROP INDEX refunds_local_refund_no;
CREATE UNIQUE INDEX refunds_local_refund_no ON refunds (local_refund_no, app_id);
DROP INDEX refunds_request_sign;
CREATE UNIQUE INDEX refunds_request_sign ON refunds (request_sign, app_id);
DROP INDEX refunds_order;
CREATE INDEX refunds_order ON refunds (order_no, app_id);
"""

# Receivers that a person has paused, and what they hold: a due time less than 0 is the pause's id.
PAUSES = """
CREATE TABLE receiver_pauses (
    app_id BIGINT NOT NULL,
    pause_id BIGINT NOT NULL,
    receiver TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    paused_at_ms BIGINT NOT NULL,
    ended_at_ms BIGINT NOT NULL DEFAULT 0,
    due_at_ms BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (app_id, pause_id)
);
CREATE UNIQUE INDEX receiver_pauses_lasting ON receiver_pauses (receiver, app_id) WHERE ended_at_ms = 0;
CREATE INDEX notifications_held ON notifications (due_at_ms, app_id, notification_id) WHERE due_at_ms < 0;
"""


def upgrade() -> None:
    for statement in (PEOPLE + TILLS + CHAIN + REFUSALS + LOOKING + INDEXES + PAUSES).split(";"):
        if statement.strip():
            op.execute(statement)
