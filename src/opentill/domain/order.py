"""An order: its states, the moves between them (design 5), and what is bought."""

from decimal import Decimal
from enum import StrEnum

import msgspec


class OrderState(StrEnum):
    CREATED = "CREATED"
    WAITING = "WAITING"
    PAID = "PAID"
    FAILED = "FAILED"
    CLOSED = "CLOSED"
    REVERSED = "REVERSED"


OPEN_STATES = frozenset({OrderState.CREATED, OrderState.WAITING})

# design 5. Nothing leaves PAID: refunds are amounts, not states.
MOVES: dict[OrderState, frozenset[OrderState]] = {
    OrderState.CREATED: frozenset(
        {OrderState.WAITING, OrderState.PAID, OrderState.FAILED, OrderState.CLOSED, OrderState.REVERSED}
    ),
    OrderState.WAITING: frozenset({OrderState.PAID, OrderState.FAILED, OrderState.CLOSED, OrderState.REVERSED}),
    OrderState.FAILED: frozenset({OrderState.PAID}),
    OrderState.CLOSED: frozenset({OrderState.PAID}),
    OrderState.REVERSED: frozenset({OrderState.PAID}),
    OrderState.PAID: frozenset(),
}


class PaymentWay(StrEnum):
    """Which interface opened the order."""

    SCAN = "SCAN"
    BARCODE = "BARCODE"
    H5 = "H5"
    MP = "MP"


class GoodsLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of goods_list (protocol 5). `unit_price_fen` is per unit; `quantity` has at most 3 decimals."""

    quantity: Decimal
    unit_price_fen: int
    goods_id: str = ""
    goods_num: str = ""
    name: str = ""
    sku_id: str = ""

    @property
    def key(self) -> str:
        """What sales are counted under: the first non-empty of sku, id, num, name (protocol 5)."""
        return self.sku_id or self.goods_id or self.goods_num or self.name

    @property
    def quantity_milli(self) -> int:
        """The quantity in thousandths: three decimals are all there can be."""
        return int(self.quantity * 1000)

    @property
    def total_fen(self) -> int:
        """Quantity times unit price, rounded half up to the fen."""
        return int((self.quantity * self.unit_price_fen).quantize(Decimal(1), rounding="ROUND_HALF_UP"))


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order as it is stored.

    `order_no` is ours, `local_order_no` the integrator's, `channel_trade_no` the wallet's.
    `channel` and `account_id` are 0 until known (an h5 link before somebody opens it).
    """

    app_id: int
    order_no: str
    local_order_no: str
    attempt: int
    merchant_id: int
    store_id: int
    operator_id: str
    account_id: int
    channel: int
    way: PaymentWay
    state: OrderState
    amount_fen: int
    un_discount_fen: int | None
    subject: str
    goods: tuple[GoodsLine, ...]
    notify_url: str
    device_create_ip: str
    created_at_ms: int
    expires_at_ms: int
    qr_text: str = ""
    trade_no: str = ""
    """The wallet's out_trade_no of this order's (paid) trade; empty until known: an h5 link has several."""
    request_sign: str = ""
    redirect_url: str = ""
    channel_trade_no: str = ""
    received_fen: int = 0
    discount_fen: int = 0
    refunding_fen: int = 0
    refunded_fen: int = 0
    paid_at_ms: int = 0
    refunded_at_ms: int = 0
    asked_at_ms: int = 0
    poll_at_ms: int = 0
    polls: int = 0
    is_late: bool = False
    is_reversed_by_us: bool = False
    attention: str = ""
    """Why a person should look: LATE, SURPLUS, WRONG_AMOUNT, RETURNED or REFUND_STUCK; empty: nothing."""

    @property
    def is_watched(self) -> bool:
        """Whether the wallets are still asked about an ended order, because more money can come.

        A reversed QR code lives on until it is dead (protocol 4.7), a reversed charge may still be on its way, and the
        other trades of a paid link are open.
        """
        return self.state is OrderState.REVERSED or (self.state is OrderState.PAID and self.way is PaymentWay.H5)

    def is_watched_at(self, now_ms: int) -> bool:
        """Whether that goes on: when nothing can come any more, a last look that the wallet answers is enough."""
        return self.is_watched and not self.is_dead_at(now_ms)

    def is_dead_at(self, now_ms: int) -> bool:
        """Whether the QR code can't be paid any more at `now_ms`."""
        return now_ms >= self.expires_at_ms + DEAD_MARGIN_MS

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES


# design 7: seconds after creation, then each minute until the QR code is dead for certain.
_FIRST_POLLS_MS = (5_000, 10_000, 20_000, 40_000)
_POLL_EVERY_MS = 60_000
# An order that no answer ends (a wrong amount held, an account that can't be opened) is asked about ever more rarely.
_PATIENCE = 8
_RAREST_POLL_MS = 6 * 3_600_000

DEAD_MARGIN_MS = 120_000
"""After expiry plus this a QR code can't be paid any more, clocks of wallets and networks included."""


def next_poll_ms(order: Order, *, polls: int, now_ms: int) -> int:
    """When to ask the wallet about an open order after `polls` questions."""
    if polls < len(_FIRST_POLLS_MS):
        return max(order.created_at_ms + _FIRST_POLLS_MS[polls], now_ms + 1_000)
    over_ms = now_ms - order.expires_at_ms - DEAD_MARGIN_MS
    at_ms = now_ms + min(max(_POLL_EVERY_MS, over_ms // _PATIENCE), _RAREST_POLL_MS)
    # At expiry, and once the code is dead, an answer decides; be there in time.
    for edge_ms in (order.expires_at_ms, order.expires_at_ms + DEAD_MARGIN_MS):
        if now_ms < edge_ms < at_ms:
            return edge_ms
    return at_ms


def may_move(from_state: OrderState, to_state: OrderState) -> bool:
    return to_state in MOVES[from_state]
