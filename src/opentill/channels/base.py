"""What a channel is to the rest of the gateway, and what its answers can mean."""

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Any, Protocol, TypeVar

import msgspec

from opentill.base.clock import Clock
from opentill.base.outbound import Outbound
from opentill.domain.order import GoodsLine


class Outcome(Enum):
    """What a wallet said about a trade. Only listed codes are certain; all else is UNKNOWN (channels 0.1)."""

    ACCEPTED = "accepted"
    """The trade is open and not paid (created, or still waiting)."""
    PAID = "paid"
    REFUSED = "refused"
    """Certainly not executed, and no money moved."""
    CLOSED = "closed"
    NOT_FOUND = "not found"
    """The wallet knows no such trade: not the same as failed (an Alipay QR has none before the scan)."""
    UNKNOWN = "unknown"


class RefundOutcome(Enum):
    """What a wallet said about a refund."""

    SUCCEEDED = "succeeded"
    PENDING = "pending"
    """Accepted, money not yet back."""
    NEEDS_PERSON = "needs person"
    """Accepted, but the wallet can't pay it out: somebody must act in its console. Not over."""
    REFUSED = "refused"
    """Certainly not executed under this number, and it never will be without a new request."""
    RETRY = "retry"
    """Certainly not executed now, worth repeating later with the same number (low balance, frequency)."""
    NOT_FOUND = "not found"
    UNKNOWN = "unknown"


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel needs to open a trade.

    `trade_no` is the wallet's out_trade_no (our number, maybe with an attempt). `subject` is the merchant's text; the
    adapter replaces what its wallet refuses. `callback_url` is absolute.
    """

    trade_no: str
    amount_fen: int
    un_discount_fen: int | None
    subject: str
    goods: tuple[GoodsLine, ...]
    operator_id: str
    store_id: str
    terminal_ip: str
    created_at_ms: int
    expires_at_ms: int
    callback_url: str


class LineDiscount(msgspec.Struct, frozen=True):
    """What a single-item coupon took off the lines with this item number, fen."""

    goods_num: str
    discount_fen: int


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """Money that arrived. `received_fen` is what the merchant gets; `discount_fen` what the payer did not pay.

    `paid_at_ms` is the wallet's time, 0 when it did not say.
    """

    channel_trade_no: str
    amount_fen: int
    received_fen: int
    discount_fen: int
    paid_at_ms: int
    line_discounts: tuple[LineDiscount, ...] = ()


# Codes of our own, where the wallet's words are missing or not to be believed. `HTTP_<status>` is one more.
NOT_SENT = "NOT_SENT"
"""The request did not leave, so nothing can have happened."""
REPLY_LOST = "REPLY_LOST"
UNREADABLE = "UNREADABLE"
"""A reply that is cut, not in the wallet's format, or about another trade."""
BAD_SIGNATURE = "BAD_SIGNATURE"
"""A reply whose signature is wrong, or missing where it matters: alarm."""
PROBE = "PROBE"
"""The wallet tested whether a bad signature is noticed (channels B.3): no alarm."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet's answer about a trade. `code` and `message` are the wallet's own words, for the timeline.

    PAID always carries `payment`.
    """

    outcome: Outcome
    code: str
    message: str = ""
    qr_text: str = ""
    payment: Payment | None = None
    needs_password: bool = False
    was_refunded: bool = False
    """The trade was paid and all of it has gone back: a reverse found money, or found out that an earlier one had."""
    has_refunds: bool = False
    """The trade was paid and some of it, or all, has gone back, the wallet does not say why."""
    said: Mapping[str, Any] = {}
    """What the wallet said, as it said it, where it can be believed: for the timeline."""
    page_values: Mapping[str, str] = {}
    """What a payment page needs (JSAPI: appId, timeStamp, nonceStr, package, signType, paySign; Alipay: tradeNO)."""


class RefundRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as a wallet needs it. `refund_no` is ours and never changes for this refund."""

    trade_no: str
    refund_no: str
    refund_fen: int
    amount_fen: int
    reason: str
    callback_url: str


class RefundAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet's answer about a refund. `refunded_at_ms` is 0 when the wallet did not say."""

    outcome: RefundOutcome
    code: str
    message: str = ""
    channel_refund_no: str = ""
    refunded_at_ms: int = 0
    said: Mapping[str, Any] = {}
    """What the wallet said, as it said it, where it can be believed: for the timeline."""


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """A verified message of a wallet about `trade_no`: a payment (`answer`) or a refund (`refund_no`, `refund`).

    Alipay announces a refund on the payment's address without its outcome certain to be final; then `refund` is None
    and `refund_no` says which refund to ask about.
    """

    callback_id: str
    trade_no: str
    answer: Answer | None = None
    refund_no: str = ""
    refund: RefundAnswer | None = None


class CallbackReply(msgspec.Struct, frozen=True):
    """What the wallet wants to hear."""

    status: int
    content_type: str
    body: bytes


class CallbackRefused(Exception):
    """The message is not from the wallet, or not for this account. `reason` is for the log and the timeline.

    `is_probe`: the wallet tests that we refuse (WeChat SIGNTEST); no alarm.
    """

    def __init__(self, reason: str, *, is_probe: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_probe = is_probe


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who opened a page inside the wallet's browser: `payer` as `create_page` takes it, empty when the wallet did not
    say. `code` and `message` are the wallet's own words, for the log.
    """

    payer: str = ""
    code: str
    message: str = ""


class AccountField(msgspec.Struct, frozen=True):
    """One setting of an account at this wallet: forms, commands and documents are drawn from these."""

    name: str
    label_zh: str
    label_en: str
    help_zh: str
    help_en: str
    is_required: bool = True
    is_secret: bool = False
    is_multiline: bool = False


class AccountProblem(Exception):
    """A setting of an account is unusable. `field` names it; the texts say what was expected, never the value."""

    def __init__(self, field: str, text_zh: str, text_en: str) -> None:
        super().__init__(f"{field}: {text_en}")
        self.field = field
        self.text_zh = text_zh
        self.text_en = text_en


class CheckStep(StrEnum):
    """What is tried of an account at its wallet, in this order."""

    REACHED = "reached"
    """The wallet's host answers, and it is the wallet that does."""
    OURS_ACCEPTED = "ours_accepted"
    """It accepts our signature: number, private key and what it holds of us belong together."""
    ALLOWED = "allowed"
    """It lets this account use what is needed."""
    THEIRS_VERIFIED = "theirs_verified"
    """Its answer's signature is verified by the key we hold of it."""
    OPENED = "opened"
    """What it seals for us can be opened (WeChat's APIv3 key)."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """How a step went. `is_good` None: it could not be tried, `reason` says why. `code`, `message`: the wallet's words.

    `reason` leads to a text for people: unreachable, lost, not_wallet, no_certificate; signature, number, serial,
    clock; token, permission, busy, other; wallet_key, unsigned; sealed, nothing_sealed; not_tried.
    """

    step: CheckStep
    is_good: bool | None
    reason: str = ""
    code: str = ""
    message: str = ""


class Wire(msgspec.Struct, frozen=True):
    """How a channel reaches its wallet. `base_url` has no trailing slash; signatures cover the path after it.

    `timeout_s` is the longest wait for one answer unless a call says otherwise. `oauth_base_url` is where a payer's
    browser is sent to be recognised, `api_base_url` the host that then says who it was, where that is another one.
    """

    outbound: Outbound
    base_url: str
    clock: Clock
    timeout_s: float
    oauth_base_url: str = ""
    api_base_url: str = ""


A = TypeVar("A")


class Channel(Protocol[A]):
    """A wallet. `A` is its opened account: keys parsed once (40 ms each), kept, never logged.

    No method raises for what a wallet answers or fails to answer: that is an outcome. Every call may carry its own
    `timeout_s`.
    """

    number: int
    name: str
    account_fields: tuple[AccountField, ...]
    refund_gap_ms: int
    """Least time between two refunds of one trade; 0: none."""
    browser_mark: str
    """What the wallet's own browser says of itself in User-Agent (channels B.13)."""
    grant_parameter: str
    """The query parameter with which silent authorisation comes back."""

    def open_account(self, settings: Mapping[str, str]) -> A:
        """Parse and check an account's settings. Raises AccountProblem."""
        ...

    def recognises(self, barcode: str) -> bool:
        """Whether a customer's payment code belongs to this wallet (protocol 4.2)."""
        ...

    async def prepare(self, account: A) -> None:
        """Fetch what verifying needs and the account does not hold (WeChat's platform certificates).

        For when an account is opened or its callbacks fail; every call does it by itself when due, reading a callback
        never does. Never raises.
        """
        ...

    async def examine(self, account: A, trade_no: str) -> list[Checked]:
        """Try an account without moving money: ask about `trade_no`, which nobody has used. Never raises."""
        ...

    async def create_qr(self, account: A, trade: Trade) -> Answer:
        """Open a trade and get the text of its QR code. ACCEPTED (with qr_text), REFUSED, PAID, CLOSED or UNKNOWN."""
        ...

    async def charge(self, account: A, trade: Trade, barcode: str) -> Answer:
        """Take the money from the owner of a payment code. PAID, ACCEPTED (needs_password), REFUSED or UNKNOWN."""
        ...

    async def create_page(self, account: A, trade: Trade, payer: str, payer_app_id: str) -> Answer:
        """Open a trade for one payer inside the wallet's own browser; ACCEPTED carries `page_values`."""
        ...

    def authorize_url(self, account: A, redirect_uri: str, state: str) -> str | None:
        """Where a page in the wallet's browser sends the payer to be recognised, without a question to the payer.

        Back at `redirect_uri` the query has `grant_parameter` and `state` (letters and digits, at most 100). None: the
        account lacks what this takes.
        """
        ...

    async def payer_of(self, account: A, code: str) -> Identity:
        """Who came back with this `code`; it works once and soon expires."""
        ...

    async def query(self, account: A, trade_no: str, *, timeout_s: float | None = None) -> Answer:
        """Ask where a trade stands: ACCEPTED, PAID, CLOSED, NOT_FOUND, REFUSED (payment failed) or UNKNOWN."""
        ...

    async def close(self, account: A, trade_no: str) -> Answer:
        """Close an unpaid trade. CLOSED, PAID (too late), NOT_FOUND, REFUSED or UNKNOWN."""
        ...

    async def reverse(self, account: A, trade_no: str) -> Answer:
        """Undo a charge of unknown outcome. CLOSED, NOT_FOUND, REFUSED or UNKNOWN.

        `was_refunded` when it had been paid; then `payment` says what had come in, unless the wallet did not tell.
        """
        ...

    async def refund(self, account: A, request: RefundRequest) -> RefundAnswer:
        """Give money back under `refund_no`; repeating the same request is harmless.

        REFUSED only once the wallet has also said that it knows no refund of this number, so a new one can be made.
        """
        ...

    async def query_refund(self, account: A, request: RefundRequest, *, timeout_s: float | None = None) -> RefundAnswer:
        """Ask where a refund stands: SUCCEEDED, PENDING, REFUSED, NOT_FOUND or UNKNOWN."""
        ...

    def read_callback(self, account: A, headers: Mapping[str, str], body: bytes) -> Callback:
        """Verify (raw bytes) and decrypt a message of the wallet; header names lower case. Raises CallbackRefused."""
        ...

    def callback_reply(self, *, is_accepted: bool) -> CallbackReply:
        """What to answer a callback with; one that is not accepted comes again."""
        ...


def is_fresh(clock: Clock, at_ms: int, *, tolerance_ms: int) -> bool:
    """Whether a stranger's time lies within the tolerance of now: the clock's, or the one it was moved from.

    design 7: a sandbox's clock may be moved, the strangers' clocks are not.
    """
    now_ms = clock.now_ms()
    shift_ms: int = getattr(clock, "shift_ms", 0)
    return any(abs(now - at_ms) < tolerance_ms for now in (now_ms, now_ms - shift_ms))
