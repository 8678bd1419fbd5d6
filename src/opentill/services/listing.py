"""Merchants, apps, cashiers and wallet accounts as rows of a table, for the command line."""

from collections.abc import Mapping
from typing import Any

import msgspec

from opentill.channels.base import Channel
from opentill.domain.parties import AppRules
from opentill.storage import parties as rows
from opentill.storage.database import Database


async def merchants(database: Database) -> list[tuple[str, ...]]:
    """Rows for a table: id, name, stores, state."""
    stores = await rows.stores(database)
    return [
        (
            str(row.row_id),
            row.name,
            ", ".join(f"{store.row_id} {store.name}" for store in stores if store.merchant_id == row.row_id),
            _state(row.is_disabled),
        )
        for row in await rows.merchants(database)
    ]


async def apps(database: Database) -> list[tuple[str, ...]]:
    """Rows for a table: app, name, merchants, signature, state."""
    found: list[tuple[str, ...]] = []
    for row in await rows.apps(database):
        merchant_ids = await rows.merchant_ids_of_app(database, row.app_id)
        rules = msgspec.json.decode(row.rules, type=AppRules)
        merchants = ", ".join(str(merchant_id) for merchant_id in sorted(merchant_ids))
        found.append((row.app, row.name, merchants, rules.sign_method, _state(row.is_disabled)))
    return found


async def operators(database: Database, channels: Mapping[int, Channel[Any]]) -> list[tuple[str, ...]]:
    """Rows for a table: operator_id, name, merchant, store, accounts, state."""
    found: list[tuple[str, ...]] = []
    for row in await rows.operators(database):
        accounts = await rows.accounts_of_operator(database, row.operator_id)
        names = ", ".join(f"{account_id} {channels[channel].name}" for channel, account_id in sorted(accounts.items()))
        state = _state(row.is_disabled or row.is_merchant_disabled)
        found.append((row.operator_id, row.name, str(row.merchant_id), str(row.store_id), names, state))
    return found


async def accounts(database: Database, channels: Mapping[int, Channel[Any]]) -> list[tuple[str, ...]]:
    """Rows for a table: account, name, merchant, wallet, state."""
    return [
        (
            str(row.account_id),
            row.name,
            str(row.merchant_id),
            channels[row.channel].name,
            _state(row.is_disabled),
        )
        for row in await rows.accounts(database)
    ]


def _state(is_disabled: int) -> str:
    return "disabled" if is_disabled else "active"
