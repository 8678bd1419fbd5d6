"""What a wallet said, as a person may read it on an order's timeline: bounded, and without what names a customer."""

from collections.abc import Mapping
from typing import Any

import msgspec

MAX_WORDS = 2_000
"""Characters kept of one answer or callback; the usual ones have 200 to 1,500."""

# Who paid is none of the merchant's staff's business; the rest could be used in the customer's or our name.
_MASKED = frozenset(
    {
        "openid", "sub_openid", "sp_openid", "buyer_id", "buyer_user_id", "buyer_open_id", "buyer_logon_id",
        "auth_code", "prepay_id", "sign",
    }
)  # fmt: skip
_KEPT = 4


def wallet_words(said: Mapping[str, Any]) -> str:
    """The answer as JSON text; empty when there was none."""
    if not said:
        return ""
    return msgspec.json.encode(_masked(said)).decode()[:MAX_WORDS]


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _hidden(each) if name in _MASKED else _masked(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_masked(each) for each in value]
    return value


def _hidden(value: Any) -> str:
    """The end is enough to tell two of them apart."""
    text = str(value)
    return f"…{text[-_KEPT:]}" if len(text) > 2 * _KEPT else "…"
