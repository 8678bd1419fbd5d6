"""What wallets and merchants said, as people may read it: bounded, without secrets and what names a customer."""

from collections.abc import Mapping
from typing import Any

import msgspec

from opentill.domain.parties import App

MAX_WORDS = 2_000
"""Characters kept of one answer or callback; the usual ones have 200 to 1,500."""
MAX_REQUEST = 48_000
"""Characters kept of a request: a goods_list of the greatest length and all that comes with it."""
MAX_VALUE = 300
"""Characters kept of each value of a longer one."""

_SECRETS = frozenset({"key", "signString"})
_MASK = "***"

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


def kept_form(form: Mapping[str, str], app: App | None = None) -> dict[str, str]:
    """A request without secrets, in the order sent; `sign` stays, it is the caller's own."""
    masked = {name: _MASK if name in _SECRETS else without_keys(value, app) for name, value in form.items()}
    if sum(len(name) + len(value) for name, value in masked.items()) > MAX_REQUEST:
        return {name[:64]: value[:MAX_VALUE] for name, value in masked.items()}
    return masked


def without_keys(value: str, app: App | None) -> str:
    """Clients exist that send the text they signed, with the key in it, under any name."""
    for key in (app.key, app.old_key) if app else ():
        if key:
            value = value.replace(key, _MASK)
    return value


def shortened(text: str) -> str:
    """The end is enough to tell two of them apart."""
    return f"…{text[-_KEPT:]}" if len(text) > 2 * _KEPT else "…"


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: shortened(str(each)) if name in _MASKED else _masked(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_masked(each) for each in value]
    return value
