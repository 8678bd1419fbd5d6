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
"""

CHAIN = """
ALTER TABLE audit_events ADD COLUMN link_no BIGINT;
ALTER TABLE audit_events ADD COLUMN source_ip TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_events ADD COLUMN previous_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_events ADD COLUMN hash TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX audit_events_link ON audit_events (link_no);
"""

REFUSALS = """
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
    PRIMARY KEY (app_id, refusal_id)
);
CREATE INDEX refused_calls_time ON refused_calls (at_ms);
"""


def upgrade() -> None:
    for statement in (PEOPLE + TILLS + CHAIN + REFUSALS).split(";"):
        if statement.strip():
            op.execute(statement)
