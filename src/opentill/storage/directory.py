"""SQL of the lists that people look parties up in: apps with their merchants, cashiers with their accounts."""

import msgspec

from opentill.storage.database import Database


class AppEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An app as the console lists it; its key stays sealed."""

    app_id: int
    app: str
    name: str
    rules: str
    has_old_key: int
    old_key_until_ms: int
    old_key_used_at_ms: int
    old_key_used_by: str
    is_disabled: int
    created_at_ms: int


class MerchantEntry(msgspec.Struct, frozen=True, kw_only=True):
    merchant_id: int
    name: str
    is_disabled: int
    created_at_ms: int
    stores: int
    operators: int
    accounts: int


class AccountEntry(msgspec.Struct, frozen=True, kw_only=True):
    account_id: int
    merchant_id: int
    channel: int
    name: str
    is_disabled: int
    created_at_ms: int
    operators: int
    """Cashiers whose payments go there."""


async def apps(database: Database) -> list[AppEntry]:
    """Every app, the gateway's own included, oldest first."""
    rows = await database.read(
        "SELECT app_id, app, name, rules, CASE WHEN old_key_sealed = '' THEN 0 ELSE 1 END AS has_old_key, "
        "old_key_until_ms, old_key_used_at_ms, old_key_used_by, is_disabled, created_at_ms FROM apps ORDER BY app_id"
    )
    return [AppEntry(**dict(row)) for row in rows]


async def merchants_of_apps(database: Database) -> dict[int, frozenset[int]]:
    """Merchants by the app that may act for them; an app without any is left out."""
    rows = await database.read("SELECT app_id, merchant_id FROM app_merchants")
    found: dict[int, set[int]] = {}
    for row in rows:
        found.setdefault(row["app_id"], set()).add(row["merchant_id"])
    return {app_id: frozenset(merchant_ids) for app_id, merchant_ids in found.items()}


async def merchants(database: Database) -> list[MerchantEntry]:
    rows = await database.read(
        "SELECT merchant_id, name, is_disabled, created_at_ms, "
        "(SELECT count(*) FROM stores s WHERE s.merchant_id = m.merchant_id) AS stores, "
        "(SELECT count(*) FROM operators o WHERE o.merchant_id = m.merchant_id AND o.is_disabled = 0) AS operators, "
        "(SELECT count(*) FROM channel_accounts a WHERE a.merchant_id = m.merchant_id AND a.is_disabled = 0) "
        "AS accounts FROM merchants m ORDER BY merchant_id"
    )
    return [MerchantEntry(**dict(row)) for row in rows]


async def accounts(database: Database) -> list[AccountEntry]:
    rows = await database.read(
        "SELECT account_id, merchant_id, channel, name, is_disabled, created_at_ms, "
        "(SELECT count(*) FROM operator_accounts o WHERE o.account_id = a.account_id) AS operators "
        "FROM channel_accounts a ORDER BY account_id"
    )
    return [AccountEntry(**dict(row)) for row in rows]


async def accounts_of_operators(database: Database, merchant_id: int) -> dict[str, dict[int, int]]:
    """By cashier of the merchant: channel number to account id."""
    rows = await database.read(
        "SELECT x.operator_id, x.channel, x.account_id FROM operator_accounts x "
        "JOIN operators o ON o.operator_id = x.operator_id WHERE o.merchant_id = $1",
        merchant_id,
    )
    found: dict[str, dict[int, int]] = {}
    for row in rows:
        found.setdefault(row["operator_id"], {})[row["channel"]] = row["account_id"]
    return found
