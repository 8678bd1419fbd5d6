"""SQL of orders and of the payments that reached them. A move names the old state it expects and moves one row."""

import msgspec

from opentill.domain.order import GoodsLine, Order, OrderState, PaymentWay
from opentill.storage.database import Database, Row, Step

_COLUMNS = (
    "app_id, order_no, local_order_no, attempt, merchant_id, store_id, operator_id, account_id, channel, way, state, "
    "amount_fen, un_discount_fen, subject, goods, notify_url, device_create_ip, created_at_ms, expires_at_ms, qr_text, "
    "channel_trade_no, received_fen, discount_fen, refunding_fen, refunded_fen, paid_at_ms, refunded_at_ms, "
    "asked_at_ms, is_late, is_reversed_by_us, trade_no, request_sign, redirect_url, polls, poll_at_ms, attention"
)
_TAKEN = (
    "app_id, local_order_no, order_no, attempt, merchant_id, store_id, operator_id, account_id, channel, way, state, "
    "amount_fen, un_discount_fen, subject, goods, notify_url, device_create_ip, created_at_ms, expires_at_ms, "
    "poll_at_ms, request_sign, trade_no, redirect_url"
)
_INSERT = (
    f"INSERT INTO orders ({_TAKEN}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, "
    "$17, $18, $19, $20, $21, $22, $23) ON CONFLICT DO NOTHING"
)
_INSERT_MANY = (
    f"INSERT INTO orders ({_TAKEN}) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], "
    "$5::bigint[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::bigint[], "
    "$13::bigint[], $14::text[], $15::text[], $16::text[], $17::text[], $18::bigint[], $19::bigint[], $20::bigint[], "
    "$21::text[], $22::text[], $23::text[]) ON CONFLICT DO NOTHING"
)
_PAY_MANY = (
    "UPDATE orders SET state = 'PAID', channel = paid.channel, account_id = paid.account_id, "
    "channel_trade_no = paid.channel_trade_no, received_fen = paid.received_fen, discount_fen = paid.discount_fen, "
    "paid_at_ms = paid.paid_at_ms, is_late = paid.is_late, attention = paid.attention, trade_no = paid.trade_no, "
    "poll_at_ms = CASE WHEN way = 'BARCODE' AND asked_at_ms > 0 THEN poll_at_ms ELSE paid.next_poll_ms END "
    "FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[], "
    "$8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::bigint[]) AS paid (app_id, order_no, "
    "expected, channel, account_id, channel_trade_no, received_fen, discount_fen, paid_at_ms, is_late, attention, "
    "trade_no, next_poll_ms) "
    "WHERE orders.app_id = paid.app_id AND orders.order_no = paid.order_no AND orders.state = paid.expected"
)
_CLAIM_MANY = (
    "UPDATE orders SET poll_at_ms = due.lease_until_ms, asked_at_ms = due.now_ms, polls = polls + 1 "
    "FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) "
    "AS due (app_id, order_no, poll_at_ms, lease_until_ms, now_ms) "
    "WHERE orders.app_id = due.app_id AND orders.order_no = due.order_no AND orders.poll_at_ms = due.poll_at_ms "
    f"RETURNING {', '.join(f'orders.{column}' for column in _COLUMNS.split(', '))}"
)
_PAYMENT = (
    "app_id, order_no, channel, channel_trade_no, trade_no, account_id, role, amount_fen, received_fen, discount_fen, "
    "line_discounts, paid_at_ms, recorded_at_ms"
)
_INSERT_PAYMENTS = (
    f"INSERT INTO payments ({_PAYMENT}) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], "
    "$5::text[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::bigint[], "
    "$13::bigint[]) ON CONFLICT DO NOTHING"
)
_GOODS = msgspec.json.Decoder(tuple[GoodsLine, ...])

EFFECTIVE = "EFFECTIVE"
"""The payment that made the order PAID."""
SURPLUS = "SURPLUS"
"""A further payment for an order that was already paid."""
WRONG_AMOUNT = "WRONG_AMOUNT"
"""A payment whose amount is not the order's: held, never PAID."""


class DuePoll(msgspec.Struct, frozen=True):
    """An order whose time to be asked about has come; `poll_at_ms` is the value a claim must still find."""

    app_id: int
    order_no: str
    poll_at_ms: int


def insert(order: Order) -> Step:
    """Take the number. No row: the app used it before (the unique index decides races)."""
    return Step(
        _INSERT,
        (
            order.app_id, order.local_order_no, order.order_no, order.attempt, order.merchant_id, order.store_id,
            order.operator_id, order.account_id, order.channel, order.way.value, order.state.value, order.amount_fen,
            order.un_discount_fen, order.subject, msgspec.json.encode(order.goods).decode(), order.notify_url,
            order.device_create_ip, order.created_at_ms, order.expires_at_ms, order.poll_at_ms,
            order.request_sign, order.trade_no, order.redirect_url,
        ),
        rows=1,
        many=_INSERT_MANY,
    )  # fmt: skip


def move(order: Order, *, expected: OrderState) -> Step:
    """To `order.state` from the expected one; `order.poll_at_ms` 0 stops asking the wallet."""
    return Step(
        "UPDATE orders SET state = $4, poll_at_ms = $5, is_reversed_by_us = $6 "
        "WHERE app_id = $1 AND order_no = $2 AND state = $3",
        (
            order.app_id,
            order.order_no,
            expected.value,
            order.state.value,
            order.poll_at_ms,
            int(order.is_reversed_by_us),
        ),
        rows=1,
    )


def keep_qr(app_id: int, order_no: str, *, expected: OrderState, qr_text: str, poll_at_ms: int) -> Step:
    """The wallet accepted: WAITING, with the text of its QR code."""
    return Step(
        "UPDATE orders SET state = 'WAITING', qr_text = $4, poll_at_ms = $5 "
        "WHERE app_id = $1 AND order_no = $2 AND state = $3",
        (app_id, order_no, expected.value, qr_text, poll_at_ms),
        rows=1,
        many="UPDATE orders SET state = 'WAITING', qr_text = kept.qr_text, poll_at_ms = kept.poll_at_ms "
        "FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[]) "
        "AS kept (app_id, order_no, expected, qr_text, poll_at_ms) "
        "WHERE orders.app_id = kept.app_id AND orders.order_no = kept.order_no AND orders.state = kept.expected",
    )


def move_to_paid(order: Order, *, expected: OrderState) -> Step:
    """PAID with what the payment says; `order` carries the new values.

    A charge about which the wallet was asked keeps its poll: it may be being undone at this moment.
    """
    return Step(
        "UPDATE orders SET state = 'PAID', channel = $4, account_id = $5, channel_trade_no = $6, received_fen = $7, "
        "discount_fen = $8, paid_at_ms = $9, is_late = $10, attention = $11, trade_no = $12, "
        "poll_at_ms = CASE WHEN way = 'BARCODE' AND asked_at_ms > 0 THEN poll_at_ms ELSE $13 END "
        "WHERE app_id = $1 AND order_no = $2 AND state = $3",
        (
            order.app_id, order.order_no, expected.value, order.channel, order.account_id, order.channel_trade_no,
            order.received_fen, order.discount_fen, order.paid_at_ms, int(order.is_late), order.attention,
            order.trade_no, order.poll_at_ms,
        ),
        rows=1,
        many=_PAY_MANY,
    )  # fmt: skip


def begin_undoing(app_id: int, order_no: str, *, now_ms: int) -> Step:
    """The wallet is asked to undo a charge, perhaps once more. No row: the order ended otherwise, or money is held."""
    return Step(
        "UPDATE orders SET asked_at_ms = $3 WHERE app_id = $1 AND order_no = $2 "
        "AND state IN ('CREATED', 'WAITING', 'REVERSED') AND attention <> 'WRONG_AMOUNT'",
        (app_id, order_no, now_ms),
        rows=1,
    )


def flag(app_id: int, order_no: str, *, attention: str) -> Step:
    """Mark an order as needing a person. Money that is held stays held, whatever else happens (design 5)."""
    return Step(
        "UPDATE orders SET attention = CASE WHEN attention = 'WRONG_AMOUNT' THEN attention ELSE $3 END "
        "WHERE app_id = $1 AND order_no = $2",
        (app_id, order_no, attention),
        rows=1,
    )


def insert_payment(
    order: Order, *, trade_no: str, channel_trade_no: str, role: str, amount_fen: int, received_fen: int,
    discount_fen: int, line_discounts: str, paid_at_ms: int, now_ms: int,
) -> Step:  # fmt: skip
    """Record money that reached the order. No row: this payment is known already."""
    return Step(
        f"INSERT INTO payments ({_PAYMENT}) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING",
        (
            order.app_id, order.order_no, order.channel, channel_trade_no, trade_no, order.account_id, role, amount_fen,
            received_fen, discount_fen, line_discounts, paid_at_ms, now_ms,
        ),
        rows=1,
        many=_INSERT_PAYMENTS,
    )  # fmt: skip


def reserve_refund(order: Order, *, amount_fen: int) -> Step:
    """Set money aside for a refund, only while it is there and nothing moved since `order` was read (design 5)."""
    return Step(
        "UPDATE orders SET refunding_fen = refunding_fen + $3 WHERE app_id = $1 AND order_no = $2 AND state = 'PAID' "
        "AND refunding_fen = $4 AND refunded_fen = $5 AND received_fen - refunded_fen - refunding_fen >= $3",
        (order.app_id, order.order_no, amount_fen, order.refunding_fen, order.refunded_fen),
        rows=1,
        many="UPDATE orders SET refunding_fen = orders.refunding_fen + kept.fen FROM unnest($1::bigint[], $2::text[], "
        "$3::bigint[], $4::bigint[], $5::bigint[]) AS kept (app_id, order_no, fen, refunding_fen, refunded_fen) "
        "WHERE orders.app_id = kept.app_id AND orders.order_no = kept.order_no AND orders.state = 'PAID' "
        "AND orders.refunding_fen = kept.refunding_fen AND orders.refunded_fen = kept.refunded_fen "
        "AND orders.received_fen - orders.refunded_fen - orders.refunding_fen >= kept.fen",
    )


def settle_refund(order: Order, *, amount_fen: int, refunded_at_ms: int) -> Step:
    """What was set aside has gone back. The sums must still be those of `order`: statistics were computed from them."""
    return Step(
        "UPDATE orders SET refunding_fen = refunding_fen - $3, refunded_fen = refunded_fen + $3, refunded_at_ms = $4 "
        "WHERE app_id = $1 AND order_no = $2 AND refunding_fen >= $3 AND refunded_fen = $5",
        (order.app_id, order.order_no, amount_fen, refunded_at_ms, order.refunded_fen),
        rows=1,
        many="UPDATE orders SET refunding_fen = orders.refunding_fen - gone.fen, "
        "refunded_fen = orders.refunded_fen + gone.fen, refunded_at_ms = gone.at_ms "
        "FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) "
        "AS gone (app_id, order_no, fen, at_ms, refunded_fen) WHERE orders.app_id = gone.app_id "
        "AND orders.order_no = gone.order_no AND orders.refunding_fen >= gone.fen "
        "AND orders.refunded_fen = gone.refunded_fen",
    )


def release_refund(app_id: int, order_no: str, *, amount_fen: int) -> Step:
    """The refund failed for certain: the money is free again."""
    return Step(
        "UPDATE orders SET refunding_fen = refunding_fen - $3 "
        "WHERE app_id = $1 AND order_no = $2 AND refunding_fen >= $3",
        (app_id, order_no, amount_fen),
        rows=1,
    )


def claim_question(order: Order, *, now_ms: int) -> Step:
    """Of several callers that want to ask the wallet now, one does."""
    return Step(
        "UPDATE orders SET asked_at_ms = $4 WHERE app_id = $1 AND order_no = $2 AND asked_at_ms = $3",
        (order.app_id, order.order_no, order.asked_at_ms, now_ms),
        rows=1,
        many="UPDATE orders SET asked_at_ms = asked.now_ms FROM unnest($1::bigint[], $2::text[], $3::bigint[], "
        "$4::bigint[]) AS asked (app_id, order_no, asked_at_ms, now_ms) WHERE orders.app_id = asked.app_id "
        "AND orders.order_no = asked.order_no AND orders.asked_at_ms = asked.asked_at_ms "
        "RETURNING orders.app_id, orders.order_no",
    )


def keep_reply(app_id: int, order_no: str, *, reply: str) -> Step:
    return Step("UPDATE orders SET reply = $3 WHERE app_id = $1 AND order_no = $2", (app_id, order_no, reply), rows=1)


def claim_poll(due: DuePoll, *, lease_until_ms: int, now_ms: int) -> Step:
    """Lease an order for one question: only who still finds the due time it saw may ask."""
    return Step(
        "UPDATE orders SET poll_at_ms = $4, asked_at_ms = $5, polls = polls + 1 "
        f"WHERE app_id = $1 AND order_no = $2 AND poll_at_ms = $3 RETURNING {_COLUMNS}",
        (due.app_id, due.order_no, due.poll_at_ms, lease_until_ms, now_ms),
        rows=1,
        many=_CLAIM_MANY,
    )


def plan_poll(app_id: int, order_no: str, *, lease_until_ms: int, poll_at_ms: int) -> Step:
    """After a question that changed nothing: when to ask again. Any number of rows: a move may have come between."""
    return Step(
        "UPDATE orders SET poll_at_ms = $4 WHERE app_id = $1 AND order_no = $2 AND poll_at_ms = $3",
        (app_id, order_no, lease_until_ms, poll_at_ms),
        many="UPDATE orders SET poll_at_ms = planned.next_ms FROM unnest($1::bigint[], $2::text[], $3::bigint[], "
        "$4::bigint[]) AS planned (app_id, order_no, leased_ms, next_ms) WHERE orders.app_id = planned.app_id "
        "AND orders.order_no = planned.order_no AND orders.poll_at_ms = planned.leased_ms",
    )


async def due_polls(database: Database, *, now_ms: int, limit: int) -> list[DuePoll]:
    rows = await database.read(
        "SELECT app_id, order_no, poll_at_ms FROM orders WHERE poll_at_ms > 0 AND poll_at_ms <= $1 "
        "ORDER BY poll_at_ms LIMIT $2",
        now_ms,
        limit,
    )
    return [DuePoll(row["app_id"], row["order_no"], row["poll_at_ms"]) for row in rows]


async def next_poll_ms(database: Database) -> int | None:
    """The earliest due time; None when nothing waits."""
    row = await database.read_one("SELECT min(poll_at_ms) AS at_ms FROM orders WHERE poll_at_ms > 0")
    return row["at_ms"] if row else None


async def by_order_no(database: Database, app_id: int, order_no: str) -> Order | None:
    row = await database.read_one(
        f"SELECT {_COLUMNS} FROM orders WHERE app_id = $1 AND order_no = $2",
        app_id,
        order_no,
    )
    return from_row(row) if row else None


async def by_local_order_no(database: Database, app_id: int, local_order_no: str) -> Order | None:
    """The latest order under the integrator's number (barcode may use one again, protocol 4.2)."""
    row = await database.read_one(
        f"SELECT {_COLUMNS} FROM orders WHERE app_id = $1 AND local_order_no = $2 ORDER BY attempt DESC LIMIT 1",
        app_id,
        local_order_no,
    )
    return from_row(row) if row else None


async def of_store(
    database: Database, app_id: int, store_id: int, *, from_no: str, to_no: str, limit: int
) -> list[Order]:
    """Orders whose numbers lie from `from_no` to before `to_no`, newest first: numbers sort by time (base/numbers)."""
    rows = await database.read(
        f"SELECT {_COLUMNS} FROM orders WHERE app_id = $1 AND order_no >= $2 AND order_no < $3 AND store_id = $4 "
        "ORDER BY order_no DESC LIMIT $5",
        app_id,
        from_no,
        to_no,
        store_id,
        limit,
    )
    return [from_row(row) for row in rows]


async def stored_reply(database: Database, app_id: int, local_order_no: str, *, request_sign: str) -> str:
    """The reply kept for exactly this request; empty: none (protocol 4.1)."""
    row = await database.read_one(
        "SELECT reply FROM orders WHERE app_id = $1 AND local_order_no = $2 AND attempt = 1 AND request_sign = $3",
        app_id,
        local_order_no,
        request_sign,
    )
    return str(row["reply"]) if row else ""


async def is_payment_known(
    database: Database, app_id: int, order_no: str, *, channel: int, channel_trade_no: str
) -> bool:
    row = await database.read_one(
        "SELECT 1 AS found FROM payments "
        "WHERE app_id = $1 AND order_no = $2 AND channel = $3 AND channel_trade_no = $4",
        app_id,
        order_no,
        channel,
        channel_trade_no,
    )
    return row is not None


def from_row(row: Row) -> Order:
    values = dict(row)
    values["way"] = PaymentWay(values["way"])
    values["state"] = OrderState(values["state"])
    values["goods"] = _GOODS.decode(values["goods"])
    values["is_late"] = bool(values["is_late"])
    values["is_reversed_by_us"] = bool(values["is_reversed_by_us"])
    return Order(**values)
