"""What the auditor reads: our books and the wallets', from the databases, with SQL of its own."""

import sqlite3
from typing import Any

import msgspec

LENGTH = 30
"""Of one of our order numbers; a further trade appends two digits."""
CHANNELS = {1: "alipay", 2: "wechat"}
NUMBERS = {name: number for number, name in CHANNELS.items()}


class OurOrder(msgspec.Struct, frozen=True):
    app_id: int
    merchant_id: int
    store_id: int
    order_no: str
    local_order_no: str
    attempt: int
    way: str
    state: str
    channel: int
    amount_fen: int
    received_fen: int
    discount_fen: int
    refunding_fen: int
    refunded_fen: int
    trade_no: str
    channel_trade_no: str
    is_late: int
    attention: str
    notify_url: str
    qr_text: str
    operator_id: str
    goods: str
    poll_at_ms: int


class OurPayment(msgspec.Struct, frozen=True):
    channel: int
    channel_trade_no: str
    trade_no: str
    role: str
    amount_fen: int
    received_fen: int
    discount_fen: int


class OurRefund(msgspec.Struct, frozen=True):
    refund_no: str
    order_no: str
    cause: str
    state: str
    amount_fen: int
    wallet_fen: int
    trade_no: str
    channel: int


class OurNotification(msgspec.Struct, frozen=True):
    notification_id: int
    kind: str
    state: str
    attempts: int
    due_at_ms: int
    fields: str


class WalletTrade(msgspec.Struct, frozen=True):
    id: int
    wallet: str
    merchant: str
    out_trade_no: str
    trade_no: str
    state: str
    total_fen: int
    discount_fen: int
    refunded_fen: int
    created_ms: int
    expires_ms: int
    paid_ms: int
    closed_ms: int
    coupons: str

    @property
    def order_no(self) -> str:
        return self.out_trade_no[:LENGTH]

    @property
    def channel(self) -> int:
        return NUMBERS[self.wallet]

    @property
    def received_fen(self) -> int:
        """What the merchant gets: coupons that it paid for itself are missing."""
        coupons = msgspec.json.decode(self.coupons)
        borne_fen: int = sum(each["amount_fen"] for each in coupons if each["funded_by"] == "merchant")
        return self.total_fen - borne_fen

    @property
    def was_closed_before_paid(self) -> bool:
        return 0 < self.closed_ms <= self.paid_ms


class WalletRefund(msgspec.Struct, frozen=True):
    wallet: str
    out_trade_no: str
    out_refund_no: str
    state: str
    amount_fen: int
    created_ms: int

    @property
    def is_reversal(self) -> bool:
        """Made by cancelling a charge, under a number of the wallet's own."""
        return self.out_refund_no in (f"{self.out_trade_no}_cancel", f"{self.out_trade_no}@reverse")


# By the name of what wakes its worker.
WORK = {
    "notify": "SELECT min(due_at_ms) FROM notifications WHERE due_at_ms > 0",
    "poll": "SELECT min(poll_at_ms) FROM orders WHERE poll_at_ms > 0",
    "resume": "SELECT min(due_at_ms) FROM receiver_pauses WHERE due_at_ms > 0",
    "refund": "SELECT min(due_at_ms) FROM refunds WHERE due_at_ms > 0",
}

_ORDER = ", ".join(OurOrder.__struct_fields__)
_TRADE = ", ".join(WalletTrade.__struct_fields__)
_REFUND = ", ".join(OurRefund.__struct_fields__)

SALES_KEY = 5
_KEY = "app_id, merchant_id, store_id, operator_id, channel"
_SALES = "sum(orders), sum(amount_fen), sum(received_fen), sum(discount_fen), sum(refunds), sum(refunded_fen)"
_GOODS = "sum(quantity_milli), sum(amount_fen)"
_OF_KEY = "WHERE app_id = ? AND merchant_id = ? AND store_id = ? AND operator_id = ? AND channel = ?"
_SALES_OF = f"SELECT {_SALES} FROM sales_hours {_OF_KEY}"
_GOODS_OF = f"SELECT {_GOODS} FROM sales_goods {_OF_KEY} AND goods_key = ?"


class Books:
    """Both, only read."""

    def __init__(self, ours: sqlite3.Connection, wallets: sqlite3.Connection) -> None:
        self._ours = ours
        self._wallets = wallets

    @property
    def our_changes(self) -> int:
        """Goes up whenever something is written to our books."""
        return self._ours.total_changes

    @property
    def wallet_changes(self) -> int:
        """Goes up whenever something is written to the wallets' books."""
        return self._wallets.total_changes

    # --- ours

    def changes_since(self, number: int) -> list[tuple[int, str, int, str, str, str]]:
        """Number, kind, app, order, before, after."""
        sql = "SELECT n, kind, app_id, order_no, before, after FROM sim_changes WHERE n > ? ORDER BY n"
        return self._ours.execute(sql, (number,)).fetchall()

    def order(self, app_id: int, order_no: str) -> OurOrder | None:
        row = self._ours.execute(
            f"SELECT {_ORDER} FROM orders WHERE app_id = ? AND order_no = ?", (app_id, order_no)
        ).fetchone()
        return OurOrder(*row) if row else None

    def orders(self) -> list[OurOrder]:
        return [OurOrder(*row) for row in self._ours.execute(f"SELECT {_ORDER} FROM orders ORDER BY order_no")]

    def orders_named(self, app_id: int, local_order_no: str) -> list[OurOrder]:
        sql = f"SELECT {_ORDER} FROM orders WHERE app_id = ? AND local_order_no = ? ORDER BY attempt"
        return [OurOrder(*row) for row in self._ours.execute(sql, (app_id, local_order_no))]

    def is_payment_known(self, order_no: str, channel_trade_no: str) -> bool:
        sql = "SELECT 1 FROM payments WHERE order_no = ? AND channel_trade_no = ?"
        return self._ours.execute(sql, (order_no, channel_trade_no)).fetchone() is not None

    def payments(self, app_id: int, order_no: str) -> list[OurPayment]:
        sql = (
            "SELECT channel, channel_trade_no, trade_no, role, amount_fen, received_fen, discount_fen FROM payments "
            "WHERE app_id = ? AND order_no = ?"
        )
        return [OurPayment(*row) for row in self._ours.execute(sql, (app_id, order_no))]

    def refunds(self, app_id: int, order_no: str) -> list[OurRefund]:
        sql = f"SELECT {_REFUND} FROM refunds WHERE app_id = ? AND order_no = ?"
        return [OurRefund(*row) for row in self._ours.execute(sql, (app_id, order_no))]

    def refund(self, app_id: int, refund_no: str) -> OurRefund | None:
        row = self._ours.execute(
            f"SELECT {_REFUND} FROM refunds WHERE app_id = ? AND refund_no = ?", (app_id, refund_no)
        ).fetchone()
        return OurRefund(*row) if row else None

    def notifications(self, app_id: int, order_no: str) -> list[OurNotification]:
        sql = (
            "SELECT notification_id, kind, state, attempts, due_at_ms, fields FROM notifications "
            "WHERE app_id = ? AND order_no = ?"
        )
        return [OurNotification(*row) for row in self._ours.execute(sql, (app_id, order_no))]

    def pause(self, app_id: int) -> tuple[int, int] | None:
        """The number of the pause of an app's only receiver, and since when it lasts; None: it is not paused."""
        sql = "SELECT pause_id, paused_at_ms FROM receiver_pauses WHERE app_id = ? AND ended_at_ms = 0"
        found: tuple[int, int] | None = self._ours.execute(sql, (app_id,)).fetchone()
        return found

    def count_events(self, app_id: int, order_no: str, *kinds: str) -> int:
        marks = ", ".join("?" for _ in kinds)
        sql = f"SELECT count(*) FROM history WHERE app_id = ? AND order_no = ? AND kind IN ({marks})"
        return int(self._ours.execute(sql, (app_id, order_no, *kinds)).fetchone()[0])

    def history(self, app_id: int, order_no: str) -> list[tuple[int, str, str]]:
        sql = "SELECT at_ms, kind, detail FROM history WHERE app_id = ? AND order_no = ? ORDER BY event_id"
        return self._ours.execute(sql, (app_id, order_no)).fetchall()

    def sum_of(self, key: tuple[Any, ...]) -> tuple[int, ...] | None:
        """The figures counted under a key of `sales`, or of `sold_goods`."""
        sql = _SALES_OF if len(key) == SALES_KEY else _GOODS_OF
        row: tuple[int, ...] = self._ours.execute(sql, key).fetchone()
        return None if row[0] is None else tuple(row)

    def sales(self) -> dict[tuple[Any, ...], tuple[int, ...]]:
        """Orders, amount, received, discount, refunds, refunded by app, merchant, store, operator and channel."""
        sql = f"SELECT {_KEY}, {_SALES} FROM sales_hours GROUP BY {_KEY}"
        return {row[:SALES_KEY]: row[SALES_KEY:] for row in self._ours.execute(sql)}

    def sold_goods(self) -> dict[tuple[Any, ...], tuple[int, ...]]:
        """Quantity (thousandths) and amount by what sales are summed by, and item."""
        sql = f"SELECT {_KEY}, goods_key, {_GOODS} FROM sales_goods GROUP BY {_KEY}, goods_key"
        return {row[: SALES_KEY + 1]: row[SALES_KEY + 1 :] for row in self._ours.execute(sql)}

    def next_due_ms(self, kind: str) -> int | None:
        """The earliest time at which a worker has something of a kind to do."""
        row = self._ours.execute(WORK[kind]).fetchone()
        found: int | None = row[0]
        return found

    # --- the wallets'

    def trades_of(self, merchant: tuple[str, str], order_no: str) -> list[WalletTrade]:
        """Of one order, at both wallets; `merchant`: its numbers there."""
        found = []
        for wallet, number in zip(("alipay", "wechat"), merchant, strict=True):
            sql = (
                f"SELECT {_TRADE} FROM trades "
                "WHERE wallet = ? AND merchant = ? AND out_trade_no >= ? AND out_trade_no <= ?"
            )
            rows = self._wallets.execute(sql, (wallet, number, order_no, order_no + "99"))
            found += [WalletTrade(*row) for row in rows]
        return found

    def trades(self) -> list[WalletTrade]:
        return [WalletTrade(*row) for row in self._wallets.execute(f"SELECT {_TRADE} FROM trades ORDER BY id")]

    def told_since(self, number: int) -> list[tuple[int, WalletTrade]]:
        """Number and trade of each payment that a wallet told us of and heard success for."""
        columns = ", ".join(f"t.{name}" for name in WalletTrade.__struct_fields__)
        sql = f"SELECT s.n, {columns} FROM sim_told s JOIN trades t ON t.id = s.trade_id WHERE s.n > ? ORDER BY s.n"
        return [(row[0], WalletTrade(*row[1:])) for row in self._wallets.execute(sql, (number,))]

    def wallet_refunds(self) -> list[WalletRefund]:
        sql = (
            "SELECT r.wallet, t.out_trade_no, r.out_refund_no, r.state, r.amount_fen, r.created_ms FROM refunds r "
            "JOIN trades t ON t.id = r.trade_id"
        )
        return [WalletRefund(*row) for row in self._wallets.execute(sql)]

    def wallet_refund(self, out_refund_no: str) -> WalletRefund | None:
        sql = (
            "SELECT r.wallet, t.out_trade_no, r.out_refund_no, r.state, r.amount_fen, r.created_ms FROM refunds r "
            "JOIN trades t ON t.id = r.trade_id WHERE r.out_refund_no = ?"
        )
        row = self._wallets.execute(sql, (out_refund_no,)).fetchone()
        return WalletRefund(*row) if row else None

    def callbacks_of(self, trade_id: int) -> list[tuple[str, str]]:
        """Kind and state of what the wallet wanted to tell us about a trade."""
        return self._wallets.execute("SELECT kind, state FROM callbacks WHERE trade_id = ?", (trade_id,)).fetchall()

    def code_lives_until_ms(self, code: str) -> int:
        """Until when a QR code can be scanned; 0: there is none."""
        row = self._wallets.execute("SELECT expires_ms FROM codes WHERE code = ?", (code,)).fetchone()
        return int(row[0]) if row else 0

    def twin_next_due_ms(self) -> int | None:
        row = self._wallets.execute(
            "SELECT min(at_ms) FROM (SELECT min(due_ms) AS at_ms FROM callbacks WHERE state = 'DUE' "
            "UNION ALL SELECT min(due_ms) FROM refunds WHERE state = 'PROCESSING')"
        ).fetchone()
        found: int | None = row[0]
        return found
