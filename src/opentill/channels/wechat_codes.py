"""WeChat Pay's reply tables. Only what is listed here is certain; every other word is unknown (channels 0.1).

A word is an error's code without underscores, because its spelling drifts (channels B.11). 5xx never gets here.
"""

from opentill.channels.base import NOT_SENT, Outcome, RefundOutcome
from opentill.channels.wechat_wire import ACCEPTED, TOO_OFTEN

# channels B.11: refused before anything was done.
_NOT_EXECUTED = (
    "PARAMERROR",
    "INVALIDREQUEST",
    "APPIDMCHIDNOTMATCH",
    "MCHNOTEXISTS",
    "SIGNERROR",
    "NOAUTH",
)
_CREATE_REFUSED = (
    "RULELIMIT",
    "TRADEERROR",
    "ACCOUNTERROR",
    "NOTENOUGH",
    "RESOURCENOTEXISTS",
    "OPENIDMISMATCH",
)
# The older generation's words for a payment code that can't be used; as a 4xx they are definite (channels B.11).
_CHARGE_REFUSED = ("AUTHCODEERROR", "AUTHCODEEXPIRE", "AUTHCODEINVALID", "NOTSUPORTCARD", "BUYERMISMATCH")

# These say that a trade of this number exists already: what became of it, only a query tells.
ASK_INSTEAD_OF_CREATE = frozenset({"ORDERPAID", "ORDERCLOSED", "OUTTRADENOUSED"})
# channels B.6: paid, or closed before
ASK_INSTEAD_OF_CLOSE = frozenset({"ORDERPAID", "ORDERCLOSED"})

_CREATE = dict.fromkeys((NOT_SENT, TOO_OFTEN, *_NOT_EXECUTED, *_CREATE_REFUSED), Outcome.REFUSED)
_CHARGE = {**_CREATE, **dict.fromkeys(_CHARGE_REFUSED, Outcome.REFUSED)}

# channels B.5. 200 is read from trade_state.
_QUERY = {"ORDERNOTEXIST": Outcome.NOT_FOUND}

# channels B.6; a query's words count where the order is missing
_CLOSE = {**dict.fromkeys(_NOT_EXECUTED, Outcome.REFUSED), "ORDERNOTEXIST": Outcome.NOT_FOUND}

# channels B.10; NOTENOUGH: paid, and the balance does not cover giving it back
_REVERSE = {**_CLOSE, "NOTENOUGH": Outcome.REFUSED}

# channels B.7. 429 is missing on purpose: on a refund it may have been executed.
_REFUND = {
    **dict.fromkeys(
        (*_NOT_EXECUTED, "USERACCOUNTABNORMAL", "REQUESTBLOCKED", "RESOURCENOTEXISTS"), RefundOutcome.REFUSED
    ),
    NOT_SENT: RefundOutcome.RETRY,
    "NOTENOUGH": RefundOutcome.RETRY,
    ACCEPTED: RefundOutcome.PENDING,
}

_REFUND_QUERY = {"RESOURCENOTEXISTS": RefundOutcome.NOT_FOUND}

# channels B.7. ABNORMAL: a person can still send the money on its way.
_REFUND_STATES = {
    "SUCCESS": RefundOutcome.SUCCEEDED,
    "PROCESSING": RefundOutcome.PENDING,
    "ABNORMAL": RefundOutcome.NEEDS_PERSON,
    "CLOSED": RefundOutcome.REFUSED,
}

# channels B.5. SUCCESS and REFUND are read with their payment.
_TRADE_STATES = {
    "NOTPAY": Outcome.ACCEPTED,
    "USERPAYING": Outcome.ACCEPTED,
    "CLOSED": Outcome.CLOSED,
    "REVOKED": Outcome.CLOSED,
    "PAYERROR": Outcome.REFUSED,
}


def create_outcome(word: str) -> Outcome:
    """native and jsapi; success is read from the answer."""
    return _CREATE.get(word, Outcome.UNKNOWN)


def charge_outcome(word: str) -> Outcome:
    """codepay; success is read from the answer."""
    return _CHARGE.get(word, Outcome.UNKNOWN)


def query_outcome(word: str) -> Outcome:
    return _QUERY.get(word, Outcome.UNKNOWN)


def close_outcome(word: str) -> Outcome:
    return _CLOSE.get(word, Outcome.UNKNOWN)


def reverse_outcome(word: str) -> Outcome:
    return _REVERSE.get(word, Outcome.UNKNOWN)


def refund_outcome(word: str) -> RefundOutcome:
    return _REFUND.get(word, RefundOutcome.UNKNOWN)


def refund_query_outcome(word: str) -> RefundOutcome:
    return _REFUND_QUERY.get(word, RefundOutcome.UNKNOWN)


def refund_state(state: str) -> RefundOutcome:
    return _REFUND_STATES.get(state, RefundOutcome.UNKNOWN)


def trade_state(state: str) -> Outcome:
    return _TRADE_STATES.get(state, Outcome.UNKNOWN)
