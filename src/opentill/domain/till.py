"""A till: PINs and pairing codes, what a sale looks like to a cashier, what a shift adds up to."""

import itertools
from enum import StrEnum

import msgspec

from opentill.domain.order import Order, OrderState, PaymentWay

PIN_LENGTHS = range(4, 9)

PAIRING_LIFE_MS = 10 * 60_000
PAIRING_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Without what is misread: 0 and O, 1, I and L."""
PAIRING_LENGTH = 8

OPENING_MS = 30_000
"""How long a new order belongs to the request that made it (services/opening); then its wallet is asked about it."""
SALE_LIFE_MS = 10 * 60_000
"""How long a code on a till's screen can be paid: a customer stands in front of it."""
CHARGE_LIFE_MS = 60_000
"""How long a charge of unknown outcome, or one waiting for a password, is asked about before it is undone (A.13)."""

PIN_FREE_TRIES = 3
DEVICE_FREE_TRIES = 10
"""Room for a few cashiers who mistype; counted over all of a device, whoever was tried."""
PAIRING_FREE_TRIES = 10
FIRST_WAIT_MS = 30_000
LONGEST_WAIT_MS = 3_600_000
"""Each wrong try waits twice as long as the one before: a PIN of 4 digits leaves a guesser about one try in an hour."""


class SaleStatus(StrEnum):
    """What a cashier is shown. Nothing is called failed or cancelled before a wallet has said so (design 1.3)."""

    OPENING = "opening"
    WAITING = "waiting"
    CONFIRMING = "confirming"
    """A payment code was sent: the customer may be typing a password, or nobody knows yet."""
    CANCELLING = "cancelling"
    CHECKING = "checking"
    HELD = "held"
    """Money of another amount came: a person decides."""
    PAID = "paid"
    PART_REFUNDED = "part_refunded"
    REFUNDED = "refunded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


_ENDED = {
    OrderState.FAILED: SaleStatus.FAILED,
    OrderState.REVERSED: SaleStatus.CANCELLED,
    OrderState.CLOSED: SaleStatus.EXPIRED,
}

UNCERTAIN = frozenset({SaleStatus.CONFIRMING, SaleStatus.CANCELLING, SaleStatus.CHECKING, SaleStatus.OPENING})


class WalletTotal(msgspec.Struct, frozen=True, kw_only=True):
    """What went through one wallet in a shift, fen. `refunds` are those made in the shift, of whatever sale."""

    channel: int
    orders: int = 0
    received_fen: int = 0
    refunds: int = 0
    refunded_fen: int = 0

    @property
    def net_fen(self) -> int:
        return self.received_fen - self.refunded_fen


class ShiftTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What a cashier hands over. Sales and refunds without a certain end are counted apart, never guessed."""

    wallets: tuple[WalletTotal, ...] = ()
    unsettled: int = 0
    refunds_pending: int = 0

    @property
    def whole(self) -> WalletTotal:
        """All wallets together, as channel 0."""
        return WalletTotal(
            channel=0,
            orders=sum(each.orders for each in self.wallets),
            received_fen=sum(each.received_fen for each in self.wallets),
            refunds=sum(each.refunds for each in self.wallets),
            refunded_fen=sum(each.refunded_fen for each in self.wallets),
        )


def is_pin(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) in PIN_LENGTHS


def is_guessable_pin(pin: str) -> bool:
    """One digit repeated, or digits that run up or down: the first that anybody tries."""
    steps = {int(after) - int(before) for before, after in itertools.pairwise(pin)}
    return steps in ({0}, {1}, {-1})


def clean_pairing_code(text: str) -> str:
    """A pairing code as somebody typed it: small letters, spaces and dashes do not matter."""
    return "".join(character for character in text.upper() if character.isalnum())[: PAIRING_LENGTH + 1]


def status_of(order: Order, *, is_cancelling: bool, now_ms: int) -> SaleStatus:
    """How a sale stands, in a cashier's words."""
    if order.state is OrderState.PAID:
        if order.refunded_fen == 0:
            return SaleStatus.PAID
        return SaleStatus.REFUNDED if order.refunded_fen >= order.received_fen else SaleStatus.PART_REFUNDED
    if order.state is OrderState.CLOSED and is_cancelling:
        return SaleStatus.CANCELLED  # the answer to the cancel was lost; a question found that it was done
    if not order.is_open:
        return _ENDED[order.state]
    if order.attention:
        return SaleStatus.HELD
    if is_cancelling:
        return SaleStatus.CANCELLING
    if now_ms >= order.expires_at_ms:
        return SaleStatus.CHECKING
    if order.way is PaymentWay.BARCODE:
        return SaleStatus.CONFIRMING
    if order.state is OrderState.WAITING and (order.qr_text or order.way is PaymentWay.H5):
        return SaleStatus.WAITING
    is_fresh = order.state is OrderState.CREATED and now_ms - order.created_at_ms < OPENING_MS
    return SaleStatus.OPENING if is_fresh else SaleStatus.CHECKING
