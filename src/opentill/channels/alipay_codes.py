"""Alipay's reply tables. Only what is listed here is certain; every other word is unknown (channels 0.1).

A word is the gateway code, or the sub code of a business failure (40004).
"""

from opentill.channels.base import NOT_SENT, Outcome, RefundOutcome

# channels A.16: not executed, whatever the method. 20000 is missing on purpose: it may have been.
_NOT_EXECUTED = ("20001", "40001", "40002", "40003", "40006")
_TOO_OFTEN = "40005"

# channels A.7, the published list without SYSTEM_ERROR, and without what _ASK_INSTEAD explains.
_CREATE_REFUSED = (
    "ACQ.INVALID_PARAMETER",
    "ACQ.ACCESS_FORBIDDEN",
    "ACQ.EXIST_FORBIDDEN_WORD",
    "ACQ.PARTNER_ERROR",
    "ACQ.TOTAL_FEE_EXCEED",
    "ACQ.BUYER_SELLER_EQUAL",
    "ACQ.BUYER_NOT_EXIST",
    "ACQ.BUYER_ENABLE_STATUS_FORBID",
    "ACQ.BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR",
    "ACQ.BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR",
    "ACQ.BEYOND_PAY_RESTRICTION",
    "ACQ.BEYOND_PER_RECEIPT_RESTRICTION",
    "ACQ.BEYOND_PER_RECEIPT_DAY_RESTRICTION",
    "ACQ.BEYOND_PER_RECEIPT_SINGLE_RESTRICTION",
    "ACQ.ERROR_BUYER_CERTIFY_LEVEL_LIMIT",
    "ACQ.SELLER_BEEN_BLOCKED",
    "ACQ.SELLER_NOT_EXIST",
    "ACQ.INVALID_STORE_ID",
    "ACQ.INVALID_RECEIVE_ACCOUNT",
    "ACQ.APPLY_PC_MERCHANT_CODE_ERROR",
    "ACQ.TRADE_SETTLE_ERROR",
    "ACQ.DEFAULT_SETTLE_RULE_NOT_EXIST",
    "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR",
    "ACQ.SUB_GOODS_SIZE_MAX_COUNT",
    "ACQ.MERCHANT_PERM_RECEIPT_SUSPEND_LIMIT",
    "ACQ.MERCHANT_PERM_RECEIPT_SINGLE_LIMIT",
    "ACQ.MERCHANT_PERM_RECEIPT_DAY_LIMIT",
    "ACQ.RISK_MERCHANT_IP_NOT_EXIST",
    "ACQ.MERCHANT_STATUS_NOT_NORMAL",
)
# channels A.7 names this family by its beginning only.
_CREATE_REFUSED_FAMILY = "ACQ.SECONDARY_MERCHANT_"

# What alipay.trade.pay's published table adds: the customer's code or means of payment; nothing was taken.
_CHARGE_REFUSED = (
    "ACQ.PAYMENT_AUTH_CODE_INVALID",
    "ACQ.BUYER_BALANCE_NOT_ENOUGH",
    "ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH",
    "ACQ.ERROR_BALANCE_PAYMENT_DISABLE",
    "ACQ.PULL_MOBILE_CASHIER_FAIL",
    "ACQ.MOBILE_PAYMENT_SWITCH_OFF",
    "ACQ.USER_FACE_PAYMENT_SWITCH_OFF",
    "ACQ.NO_PAYMENT_INSTRUMENTS_AVAILABLE",
    "ACQ.PAYMENT_FAIL",
    "ACQ.PAYMENT_REQUEST_HAS_RISK",
    "ACQ.PRODUCT_AMOUNT_LIMIT_ERROR",
)

# These say that a trade of this number exists already: what became of it, only a query tells.
ASK_INSTEAD_OF_CREATE = frozenset(
    {
        "ACQ.TRADE_HAS_SUCCESS",
        "ACQ.TRADE_HAS_CLOSE",
        "ACQ.CONTEXT_INCONSISTENT",
        "ACQ.TRADE_BUYER_NOT_MATCH",
    }
)
# channels A.9: already paid or already closed.
ASK_INSTEAD_OF_CLOSE = frozenset(
    {"ACQ.TRADE_STATUS_ERROR", "ACQ.REASON_TRADE_STATUS_INVALID", "ACQ.REASON_ILLEGAL_STATUS"}
)

_CREATE = dict.fromkeys((NOT_SENT, _TOO_OFTEN, *_NOT_EXECUTED, *_CREATE_REFUSED), Outcome.REFUSED)
_CHARGE = {**_CREATE, **dict.fromkeys(_CHARGE_REFUSED, Outcome.REFUSED)}

# channels A.8. 10000 is read from trade_status.
_QUERY = {"ACQ.TRADE_NOT_EXIST": Outcome.NOT_FOUND}

# channels A.9
_CLOSE = {
    **dict.fromkeys(_NOT_EXECUTED, Outcome.REFUSED),
    "10000": Outcome.CLOSED,
    "ACQ.TRADE_NOT_EXIST": Outcome.NOT_FOUND,
    "ACQ.INVALID_PARAMETER": Outcome.REFUSED,
}

# channels A.10. 10000 is read from retry_flag and action.
_CANCEL = {
    **dict.fromkeys(_NOT_EXECUTED, Outcome.REFUSED),
    "ACQ.TRADE_NOT_EXIST": Outcome.NOT_FOUND,
    "ACQ.SELLER_BALANCE_NOT_ENOUGH": Outcome.REFUSED,
    "ACQ.REASON_TRADE_BEEN_FREEZEN": Outcome.REFUSED,
    "ACQ.TRADE_HAS_FINISHED": Outcome.REFUSED,
    "ACQ.REASON_TRADE_REFUND_FEE_ERR": Outcome.REFUSED,
    "ACQ.CANCEL_NOT_ALLOWED": Outcome.REFUSED,
    "ACQ.TRADE_CANCEL_TIME_OUT": Outcome.REFUSED,
    "ACQ.INVALID_PARAMETER": Outcome.REFUSED,
}

# channels A.11. 10000 is read from fund_change. DISCORDANT_REPEAT_REQUEST is unknown: a refund of this number exists.
_REFUND_REFUSED = (
    "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL",
    "ACQ.REFUND_FEE_ERROR",
    "ACQ.TRADE_NOT_EXIST",
    "ACQ.TRADE_HAS_FINISHED",
    "ACQ.TRADE_STATUS_ERROR",
    "ACQ.TRADE_HAS_CLOSE",
    "ACQ.TRADE_NOT_ALLOW_REFUND",
    "ACQ.NOT_ALLOW_PARTIAL_REFUND",
    "ACQ.REASON_TRADE_BEEN_FREEZEN",
    "ACQ.REASON_TRADE_REFUND_FEE_ERR",
    "ACQ.REFUND_CHARGE_ERROR",
    "ACQ.BUYER_NOT_EXIST",
    "ACQ.BUYER_ENABLE_STATUS_FORBID",
    "ACQ.CURRENCY_NOT_SUPPORT",
    "ACQ.INVALID_PARAMETER",
)
_REFUND = {
    **dict.fromkeys((*_NOT_EXECUTED, *_REFUND_REFUSED), RefundOutcome.REFUSED),
    NOT_SENT: RefundOutcome.RETRY,
    _TOO_OFTEN: RefundOutcome.RETRY,
    "ACQ.SELLER_BALANCE_NOT_ENOUGH": RefundOutcome.RETRY,
}

# channels A.12. 10000 is read from refund_status; without a trade there is no refund of it.
_REFUND_QUERY = {"ACQ.TRADE_NOT_EXIST": RefundOutcome.NOT_FOUND}


def create_outcome(word: str) -> Outcome:
    """precreate and create; success is read from the answer."""
    return _create_like(_CREATE, word)


def charge_outcome(word: str) -> Outcome:
    """pay; success is read from the answer."""
    return _create_like(_CHARGE, word)


def query_outcome(word: str) -> Outcome:
    return _QUERY.get(word, Outcome.UNKNOWN)


def close_outcome(word: str) -> Outcome:
    return _CLOSE.get(word, Outcome.UNKNOWN)


def cancel_outcome(word: str) -> Outcome:
    return _CANCEL.get(word, Outcome.UNKNOWN)


def refund_outcome(word: str) -> RefundOutcome:
    return _REFUND.get(word, RefundOutcome.UNKNOWN)


def refund_query_outcome(word: str) -> RefundOutcome:
    return _REFUND_QUERY.get(word, RefundOutcome.UNKNOWN)


def _create_like(table: dict[str, Outcome], word: str) -> Outcome:
    if word.startswith(_CREATE_REFUSED_FAMILY):
        return Outcome.REFUSED
    return table.get(word, Outcome.UNKNOWN)
