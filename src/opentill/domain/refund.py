"""A refund: its states, its number for life, and when to ask the wallet again."""

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class RefundState(StrEnum):
    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class RefundCause(StrEnum):
    """Why money goes back. Only REQUESTED and LATE refunds count against the order's own payment."""

    REQUESTED = "REQUESTED"
    LATE = "LATE"
    SURPLUS = "SURPLUS"
    REVERSED = "REVERSED"
    """The wallet gave it back while undoing a charge; recorded, never sent."""


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """One refund as it is stored.

    `asked_fen` is what the request asked for, None: all that is left. `amount_fen` counts against what the merchant
    received; `wallet_fen` is the share of the order's total that the wallet is asked to give back (they differ only
    where a coupon was redeemed). `refund_no` never changes.
    """

    app_id: int
    refund_no: str
    order_no: str
    local_refund_no: str
    request_sign: str
    operator_id: str
    trade_no: str
    channel: int
    account_id: int
    cause: RefundCause
    asked_fen: int | None = None
    amount_fen: int
    wallet_fen: int
    reason: str
    state: RefundState
    created_at_ms: int
    due_at_ms: int
    channel_refund_no: str = ""
    problem: str = ""
    sent_at_ms: int = 0
    ended_at_ms: int = 0
    asks: int = 0

    @property
    def local_no(self) -> str:
        """The integrator's number, or, absent, ours (protocol 4.6)."""
        return self.local_refund_no or self.refund_no


_WAITS_MS = (10_000, 20_000, 40_000, 60_000, 120_000, 300_000)
_WAIT_LATER_MS = 600_000

STUCK_AFTER_MS = 24 * 3_600_000
"""A refund still pending after this needs a person; asking goes on: a timer proves nothing."""


def next_ask_ms(asks: int, *, now_ms: int) -> int:
    """When to ask about (or repeat, with the same number) a pending refund after `asks` tries."""
    return now_ms + (_WAITS_MS[asks - 1] if 0 < asks <= len(_WAITS_MS) else _WAIT_LATER_MS)


def given_back_fen(refunds: Iterable[Refund]) -> int:
    """What refunds of the order's own payment took, or will take, from its total at the wallet."""
    return sum(
        refund.wallet_fen
        for refund in refunds
        if refund.state is not RefundState.FAILED and refund.cause is not RefundCause.SURPLUS
    )


def wallet_share_fen(
    amount_fen: int, *, total_fen: int, received_fen: int, refundable_fen: int, wallet_left_fen: int
) -> int:
    """The part of the order's total that refunding `amount_fen` gives back at the wallet.

    A coupon the merchant paid for makes `received_fen` less than `total_fen`, and wallets count refunds in the total.
    What takes the rest here takes the rest there, so a full refund leaves nothing on either side.
    """
    if amount_fen == refundable_fen:
        return wallet_left_fen
    return min(max(total_fen * amount_fen // received_fen, 1), wallet_left_fen)
