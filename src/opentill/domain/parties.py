"""Who takes part: merchants, the apps that call us, their cashiers, and the accounts that receive the money."""

from typing import Annotated, Literal

import msgspec

ALIPAY = 1
WECHAT = 2

DEFAULT_TOLERANCE_MS = 600_000  # protocol 2
DEFAULT_ORDER_LIFE_MS = 2 * 3_600_000
"""Expiry of a new order; both wallets' QR codes die after 2 h (channels A.7, B.4)."""


class AppRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """Per-app settings, stored as JSON and effective without a restart."""

    sign_method: Literal["MD5", "HMAC-SHA256", "RSA2"] = "MD5"
    """MD5 (compatible), HMAC-SHA256 or RSA2 (strict); protocol 2 and 8."""
    tolerance_ms: Annotated[int, msgspec.Meta(ge=0, le=86_400_000)] = DEFAULT_TOLERANCE_MS
    idempotent_replay: bool = False
    goods_price_unit: Literal["yuan", "fen"] = "yuan"
    default_notify_url: str = ""
    order_life_ms: Annotated[int, msgspec.Meta(ge=60_000, le=7_200_000)] = DEFAULT_ORDER_LIFE_MS
    commands: tuple[str, ...] = ()
    """Commands the app may call; empty: all."""
    refund_sources: tuple[str, ...] = ()
    """CIDRs refund and reverse may come from; empty: any."""
    refund_ceiling_fen: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Most that may be refunded in one day, fen; 0: no ceiling."""
    notify_hosts: tuple[str, ...] = ()
    """Host names notifications may go to; empty: any."""
    notify_refunds: bool = False
    notify_cancels: bool = False
    notify_failures: bool = False
    late_payment: Literal["accept", "refund", "hold"] = "accept"
    """What happens to money that comes after the order ended: accept, refund or hold."""
    surplus_payment: Literal["hold", "refund"] = "hold"
    """What happens to a second payment of one order: hold (for a person) or refund."""
    public_key_pem: str = ""
    """The app's RSA public key, for RSA2."""

    @property
    def is_strict(self) -> bool:
        """Whether every parameter is signed, command and version included (protocol 8.3)."""
        return self.sign_method != "MD5"


INTERNAL_APP_PREFIX = "till-"
"""Apps of this name are the gateway's own: a merchant's tills' orders belong to one. Nobody can call as such an app."""


class App(msgspec.Struct, frozen=True, kw_only=True):
    """An integrator. `key` signs its requests; `merchant_ids` are the merchants it may act for.

    After a rotation `old_key` is accepted until `old_key_until_ms`.
    """

    app_id: int
    app: str
    name: str
    key: str
    old_key: str
    old_key_until_ms: int
    rules: AppRules
    merchant_ids: frozenset[int]
    is_disabled: bool

    @property
    def is_internal(self) -> bool:
        return is_internal_app(self.app)


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """A cashier; names the receiving account of each wallet (`accounts`: channel number to account id)."""

    operator_id: str
    merchant_id: int
    store_id: int
    name: str
    accounts: dict[int, int]
    is_disabled: bool


class ChannelAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant's account at one wallet. `settings` hold its keys: never log them."""

    account_id: int
    merchant_id: int
    channel: int
    name: str
    settings: dict[str, str]
    is_disabled: bool


def is_internal_app(app: str) -> bool:
    """Whether an app is the gateway's own (decision 10): no integrator, without a key, not to be changed by people."""
    return app.startswith(INTERNAL_APP_PREFIX)
