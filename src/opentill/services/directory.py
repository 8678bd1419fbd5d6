"""Names of merchants, stores, cashiers and apps, as far as a person may see them."""

import msgspec

from opentill.storage import parties, search
from opentill.storage.database import Database


class Named(msgspec.Struct, frozen=True):
    """A store or a cashier, and whose it is."""

    merchant_id: int
    name: str


class Directory(msgspec.Struct, frozen=True):
    """By number or id. What is not in it has no name here."""

    merchants: dict[int, str]
    stores: dict[int, Named]
    operators: dict[str, Named]
    apps: dict[int, str]


async def directory(database: Database, merchant_ids: frozenset[int] | None) -> Directory:
    """Of these merchants; None: of all."""

    def is_seen(merchant_id: int) -> bool:
        return merchant_ids is None or merchant_id in merchant_ids

    apps = {row.app_id: row.name for row in await parties.apps(database)}
    if merchant_ids is not None:
        linked = await search.apps_of_merchants(database, merchant_ids)
        apps = {app_id: name for app_id, name in apps.items() if app_id in linked}
    return Directory(
        merchants={row.row_id: row.name for row in await parties.merchants(database) if is_seen(row.row_id)},
        stores={
            row.row_id: Named(row.merchant_id, row.name)
            for row in await parties.stores(database)
            if is_seen(row.merchant_id)
        },
        operators={
            row.operator_id: Named(row.merchant_id, row.name)
            for row in await parties.operators(database)
            if is_seen(row.merchant_id)
        },
        apps=apps,
    )
