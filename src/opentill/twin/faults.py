"""Faults: what real networks and wallets do on bad days, on demand, counted or by chance with a seed.

They live in memory: after a restart the wallets behave.
"""

import random
from collections.abc import Iterable

import msgspec

from opentill.twin.merchants import ALIPAY, WECHAT

REQUESTS = ("create", "pay", "query", "close", "cancel", "refund", "refund_query", "bill")
CALLBACKS = ("callback", "refund_callback")
ANY = "*"
OPERATIONS = (*REQUESTS, *CALLBACKS, ANY)
DEFAULT_DELAY_S = {"slow": 3, "callback_late": 600}

_EVERYWHERE = (ALIPAY, WECHAT)
_MONEY = ("pay", "query", "refund", "refund_query", *CALLBACKS)
_ALL = (*REQUESTS, *CALLBACKS)
# Where a fault makes sense: wallets and operations.
APPLIES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "slow": (_EVERYWHERE, REQUESTS),
    "hang": (_EVERYWHERE, REQUESTS),
    "reset_before": (_EVERYWHERE, REQUESTS),
    "reset_after": (_EVERYWHERE, REQUESTS),
    "lost_reply": (_EVERYWHERE, REQUESTS),
    "double_reply": (_EVERYWHERE, REQUESTS),
    "truncated": (_EVERYWHERE, _ALL),
    "bad_signature": (_EVERYWHERE, _ALL),
    "unsigned": (_EVERYWHERE, _ALL),
    "html": (_EVERYWHERE, REQUESTS),
    "http_429": (_EVERYWHERE, REQUESTS),
    "http_500": (_EVERYWHERE, REQUESTS),
    "system_error": (_EVERYWHERE, REQUESTS),
    "code_20000": ((ALIPAY,), REQUESTS),
    "callback_first": (_EVERYWHERE, ("create", "pay", "cancel", "refund", *CALLBACKS)),
    "callback_twice": (_EVERYWHERE, CALLBACKS),
    "callback_late": (_EVERYWHERE, CALLBACKS),
    "callback_never": (_EVERYWHERE, CALLBACKS),
    "wrong_amount": (_EVERYWHERE, _MONEY),
    "wrong_app": (_EVERYWHERE, ("query", "pay", *CALLBACKS)),
    "paid_after_close": (_EVERYWHERE, ("close", "cancel", "pay")),
    "clock_skew": (_EVERYWHERE, _ALL),
    "key_rotated": (_EVERYWHERE, _ALL),
}
# Faults of an answer, as opposed to those of a callback or of a person who pays late.
_REPLY_FAULTS = frozenset(APPLIES) - {"callback_twice", "callback_late", "callback_never"}
_PERSONS = frozenset({"paid_after_close"})
# After these nobody learns from the answer whether the request was carried out, so both may be.
REPLACED = frozenset(
    {
        "hang",
        "reset_before",
        "reset_after",
        "lost_reply",
        "html",
        "http_429",
        "http_500",
        "system_error",
        "code_20000",
    }
)
# What the wallet does not carry out, unless told to. A 429 on a refund may have been executed (channels 0.1).
_NOT_ACTED = frozenset({"hang", "reset_before", "html", "http_429", "system_error"})


class Fault(msgspec.Struct):
    """A fault that waits: the next `times_left` calls, or each call by chance when there is a `rate`."""

    id: int
    wallet: str
    operation: str
    fault: str
    times_left: int | None
    rate: float | None
    seed: int
    delay_s: int
    acts: bool | None
    hits: int = 0


class Hit(msgspec.Struct, frozen=True):
    """A fault that happens now. `acts`: the wallet carries the request out all the same; `count` numbers the hits."""

    fault: str
    acts: bool
    delay_s: int
    count: int


class BadFault(Exception):
    """No such fault, or not there."""


class Faults:
    """The faults that wait, oldest first; at most one happens to a call."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._chances: dict[int, random.Random] = {}
        self._last_id = 0

    def add(
        self,
        *,
        wallet: str,
        operation: str,
        fault: str,
        times: int | None = None,
        rate: float | None = None,
        seed: int = 0,
        delay_s: int | None = None,
        acts: bool | None = None,
    ) -> Fault:
        """Let a fault wait; without `rate` for `times` calls (1). Raises BadFault."""
        if fault not in APPLIES:
            raise BadFault(f"fault is one of {', '.join(APPLIES)}")
        wallets, operations = APPLIES[fault]
        if wallet not in wallets:
            raise BadFault(f"{fault} happens at {' and '.join(wallets)}")
        if operation not in (*operations, ANY):
            raise BadFault(f"{fault} happens to {', '.join(operations)}")
        if rate is not None and not 0 <= rate <= 1:
            raise BadFault("rate is a number from 0 to 1")
        self._last_id += 1
        added = Fault(
            id=self._last_id,
            wallet=wallet,
            operation=operation,
            fault=fault,
            times_left=(1 if times is None else times) if rate is None else None,
            rate=rate,
            seed=seed,
            delay_s=DEFAULT_DELAY_S.get(fault, 0) if delay_s is None else delay_s,
            acts=acts,
        )
        self._waiting.append(added)
        self._chances[added.id] = random.Random(seed)  # noqa: S311 - chance that can be repeated
        return added

    def listed(self) -> list[Fault]:
        return list(self._waiting)

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    def clear(self) -> None:
        self._waiting.clear()
        self._chances.clear()

    def draw(self, wallet: str, operation: str, *, only: Iterable[str] = APPLIES) -> Hit | None:
        """The fault that happens to this call, if any, among `only`."""
        for fault in self._waiting:
            if self._meets(fault, wallet, operation) and fault.fault in only and self._strikes(fault):
                fault.hits += 1
                acts = fault.acts
                if acts is None:
                    acts = fault.fault not in _NOT_ACTED or (fault.fault, operation) == ("http_429", "refund")
                return Hit(fault=fault.fault, acts=acts, delay_s=fault.delay_s, count=fault.hits)
        return None

    def draw_reply(self, wallet: str, operation: str) -> Hit | None:
        """The fault that happens to a request of the merchant's."""
        # A person who pays late is no fault of the answer to a payment code.
        return self.draw(wallet, operation, only=_REPLY_FAULTS - _PERSONS if operation == "pay" else _REPLY_FAULTS)

    def _meets(self, fault: Fault, wallet: str, operation: str) -> bool:
        is_there = fault.operation == operation or (fault.operation == ANY and operation in APPLIES[fault.fault][1])
        return fault.wallet == wallet and is_there and fault.times_left != 0

    def _strikes(self, fault: Fault) -> bool:
        if fault.rate is not None:
            return self._chances[fault.id].random() < fault.rate
        assert fault.times_left is not None
        fault.times_left -= 1
        return True
