"""SQL of merchants, stores, apps, cashiers, wallet accounts and the platform's key. Small tables, read whole."""

from collections.abc import Sequence

import msgspec

from opentill.storage.database import Database, Step


class AppRow(msgspec.Struct, frozen=True, kw_only=True):
    """An app as stored: keys sealed, rules as JSON."""

    app_id: int
    app: str
    name: str
    key_sealed: str
    old_key_sealed: str
    old_key_until_ms: int
    rules: str
    is_disabled: int


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet account as stored: settings sealed."""

    account_id: int
    merchant_id: int
    channel: int
    name: str
    settings_sealed: str
    is_disabled: int


class OperatorRow(msgspec.Struct, frozen=True, kw_only=True):
    operator_id: str
    merchant_id: int
    store_id: int
    name: str
    is_disabled: int
    is_merchant_disabled: int


class NamedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant or a store."""

    row_id: int
    merchant_id: int
    name: str
    is_disabled: int


async def version(database: Database) -> int:
    """Counts every change of parties; caches compare it."""
    row = await database.read_one("SELECT version FROM parties_version WHERE only_row = 1")
    return int(row["version"]) if row else 0


def bump_version() -> Step:
    """In the same unit as any change of parties, so that every process notices."""
    return Step("UPDATE parties_version SET version = version + 1 WHERE only_row = 1", (), rows=1)


async def app_by_name(database: Database, app: str) -> AppRow | None:
    row = await database.read_one(
        "SELECT app_id, app, name, key_sealed, old_key_sealed, old_key_until_ms, rules, is_disabled "
        "FROM apps WHERE app = $1",
        app,
    )
    return AppRow(**dict(row)) if row else None


async def app_by_id(database: Database, app_id: int) -> AppRow | None:
    row = await database.read_one(
        "SELECT app_id, app, name, key_sealed, old_key_sealed, old_key_until_ms, rules, is_disabled "
        "FROM apps WHERE app_id = $1",
        app_id,
    )
    return AppRow(**dict(row)) if row else None


async def apps(database: Database) -> list[AppRow]:
    rows = await database.read(
        "SELECT app_id, app, name, key_sealed, old_key_sealed, old_key_until_ms, rules, is_disabled "
        "FROM apps ORDER BY app_id"
    )
    return [AppRow(**dict(row)) for row in rows]


async def merchant_ids_of_app(database: Database, app_id: int) -> frozenset[int]:
    rows = await database.read("SELECT merchant_id FROM app_merchants WHERE app_id = $1", app_id)
    return frozenset(row["merchant_id"] for row in rows)


async def operator(database: Database, operator_id: str) -> OperatorRow | None:
    row = await database.read_one(
        "SELECT o.operator_id, o.merchant_id, o.store_id, o.name, o.is_disabled, m.is_disabled AS is_merchant_disabled "
        "FROM operators o JOIN merchants m ON m.merchant_id = o.merchant_id WHERE o.operator_id = $1",
        operator_id,
    )
    return OperatorRow(**dict(row)) if row else None


async def operators(database: Database) -> list[OperatorRow]:
    rows = await database.read(
        "SELECT o.operator_id, o.merchant_id, o.store_id, o.name, o.is_disabled, m.is_disabled AS is_merchant_disabled "
        "FROM operators o JOIN merchants m ON m.merchant_id = o.merchant_id ORDER BY o.merchant_id, o.name"
    )
    return [OperatorRow(**dict(row)) for row in rows]


async def accounts_of_operator(database: Database, operator_id: str) -> dict[int, int]:
    """Channel number to account id."""
    rows = await database.read("SELECT channel, account_id FROM operator_accounts WHERE operator_id = $1", operator_id)
    return {row["channel"]: row["account_id"] for row in rows}


async def account(database: Database, account_id: int) -> AccountRow | None:
    row = await database.read_one(
        "SELECT account_id, merchant_id, channel, name, settings_sealed, is_disabled "
        "FROM channel_accounts WHERE account_id = $1",
        account_id,
    )
    return AccountRow(**dict(row)) if row else None


async def accounts(database: Database) -> list[AccountRow]:
    rows = await database.read(
        "SELECT account_id, merchant_id, channel, name, settings_sealed, is_disabled "
        "FROM channel_accounts ORDER BY account_id"
    )
    return [AccountRow(**dict(row)) for row in rows]


async def merchants(database: Database) -> list[NamedRow]:
    rows = await database.read(
        "SELECT merchant_id AS row_id, merchant_id, name, is_disabled FROM merchants ORDER BY merchant_id"
    )
    return [NamedRow(**dict(row)) for row in rows]


async def stores(database: Database) -> list[NamedRow]:
    rows = await database.read(
        "SELECT store_id AS row_id, merchant_id, name, 0 AS is_disabled FROM stores ORDER BY store_id"
    )
    return [NamedRow(**dict(row)) for row in rows]


async def platform_key(database: Database, name: str) -> str | None:
    """The sealed private key."""
    row = await database.read_one("SELECT private_sealed FROM platform_keys WHERE name = $1", name)
    return row["private_sealed"] if row else None


def insert_platform_key(name: str, *, private_sealed: str, now_ms: int) -> Step:
    """Any number of rows: of two processes that start at once one wins and both read it back (design 7, Keys)."""
    return Step(
        "INSERT INTO platform_keys (name, private_sealed, created_at_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        (name, private_sealed, now_ms),
    )


def insert_merchant(name: str, *, now_ms: int) -> Step:
    """Returns row_id."""
    return Step(
        "INSERT INTO merchants (merchant_id, name, created_at_ms) "
        "SELECT coalesce(max(merchant_id), 0) + 1, CAST($1 AS TEXT), CAST($2 AS BIGINT) FROM merchants "
        "RETURNING merchant_id AS row_id",
        (name, now_ms),
        rows=1,
    )


def insert_store(merchant_id: int, name: str, *, now_ms: int) -> Step:
    """Returns row_id."""
    return Step(
        "INSERT INTO stores (store_id, merchant_id, name, created_at_ms) "
        "SELECT coalesce(max(store_id), 0) + 1, CAST($1 AS BIGINT), CAST($2 AS TEXT), CAST($3 AS BIGINT) FROM stores "
        "RETURNING store_id AS row_id",
        (merchant_id, name, now_ms),
        rows=1,
    )


def insert_app(app: str, name: str, *, key_sealed: str, rules: str, now_ms: int) -> Step:
    """Returns row_id. No row: the id is taken."""
    return Step(
        "INSERT INTO apps (app_id, app, name, key_sealed, rules, created_at_ms) "
        # WHERE true: without it SQLite reads ON as part of a join.
        "SELECT coalesce(max(app_id), 0) + 1, CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), "
        "CAST($5 AS BIGINT) FROM apps WHERE true ON CONFLICT DO NOTHING RETURNING app_id AS row_id",
        (app, name, key_sealed, rules, now_ms),
        rows=1,
    )


def link_app(app_id: int, merchant_ids: Sequence[int]) -> list[Step]:
    return [
        Step(
            "INSERT INTO app_merchants (app_id, merchant_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            (app_id, merchant_id),
        )
        for merchant_id in merchant_ids
    ]


def replace_app_key(app: str, *, key_sealed: str, old_key_until_ms: int) -> Step:
    """The old key stays valid until `old_key_until_ms`."""
    return Step(
        "UPDATE apps SET old_key_sealed = key_sealed, old_key_until_ms = $3, key_sealed = $2, "
        "old_key_used_at_ms = 0, old_key_used_by = '' WHERE app = $1",
        (app, key_sealed, old_key_until_ms),
        rows=1,
    )


def note_old_key(app_id: int, *, used_at_ms: int, by: str) -> Step:
    """Any number of rows: another process may have noted a later use."""
    return Step(
        "UPDATE apps SET old_key_used_at_ms = $2, old_key_used_by = $3 WHERE app_id = $1 AND old_key_used_at_ms < $2",
        (app_id, used_at_ms, by),
    )


def end_old_key(app: str, *, now_ms: int) -> Step:
    """The old key is refused from now on. No row: none is accepted any more."""
    return Step("UPDATE apps SET old_key_until_ms = $2 WHERE app = $1 AND old_key_until_ms > $2", (app, now_ms), rows=1)


def rename(kind: str, key: int | str, *, name: str) -> Step:
    """`kind` is merchant, store, app, operator or account; `key` its id. No row: there is none."""
    return Step(_RENAME[kind], (key, name), rows=1)


def unlink_app(app_id: int, merchant_ids: Sequence[int]) -> list[Step]:
    return [
        Step("DELETE FROM app_merchants WHERE app_id = $1 AND merchant_id = $2", (app_id, merchant_id))
        for merchant_id in merchant_ids
    ]


def unset_operator_account(operator_id: str, *, channel: int) -> Step:
    return Step("DELETE FROM operator_accounts WHERE operator_id = $1 AND channel = $2", (operator_id, channel))


def replace_app_rules(app: str, *, rules: str) -> Step:
    return Step("UPDATE apps SET rules = $2 WHERE app = $1", (app, rules), rows=1)


def insert_operator(operator_id: str, *, merchant_id: int, store_id: int, name: str, now_ms: int) -> Step:
    """No row: the id is taken."""
    return Step(
        "INSERT INTO operators (operator_id, merchant_id, store_id, name, created_at_ms) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT DO NOTHING",
        (operator_id, merchant_id, store_id, name, now_ms),
        rows=1,
    )


def set_operator_account(operator_id: str, *, channel: int, account_id: int) -> Step:
    return Step(
        "INSERT INTO operator_accounts (operator_id, channel, account_id) VALUES ($1, $2, $3) "
        "ON CONFLICT (operator_id, channel) DO UPDATE SET account_id = excluded.account_id",
        (operator_id, channel, account_id),
        rows=1,
    )


def insert_account(account_id: int, *, merchant_id: int, channel: int, name: str, sealed: str, now_ms: int) -> Step:
    """No row: the id was taken meanwhile; draw again (the id is part of what the settings are sealed to)."""
    return Step(
        "INSERT INTO channel_accounts (account_id, merchant_id, channel, name, settings_sealed, created_at_ms) "
        "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        (account_id, merchant_id, channel, name, sealed, now_ms),
        rows=1,
    )


async def next_account_id(database: Database) -> int:
    row = await database.read_one("SELECT coalesce(max(account_id), 0) + 1 AS account_id FROM channel_accounts")
    return int(row["account_id"]) if row else 1


def replace_account_settings(account_id: int, *, sealed: str) -> Step:
    return Step("UPDATE channel_accounts SET settings_sealed = $2 WHERE account_id = $1", (account_id, sealed), rows=1)


_RENAME = {
    "merchant": "UPDATE merchants SET name = $2 WHERE merchant_id = $1",
    "store": "UPDATE stores SET name = $2 WHERE store_id = $1",
    "app": "UPDATE apps SET name = $2 WHERE app = $1",
    "operator": "UPDATE operators SET name = $2 WHERE operator_id = $1",
    "account": "UPDATE channel_accounts SET name = $2 WHERE account_id = $1",
}
_DISABLE = {
    "merchant": "UPDATE merchants SET is_disabled = $2 WHERE merchant_id = $1",
    "app": "UPDATE apps SET is_disabled = $2 WHERE app = $1",
    "operator": "UPDATE operators SET is_disabled = $2 WHERE operator_id = $1",
    "account": "UPDATE channel_accounts SET is_disabled = $2 WHERE account_id = $1",
}


def set_disabled(kind: str, key: int | str, *, is_disabled: bool) -> Step:
    """`kind` is merchant, app, operator or account; `key` its id. No row: there is none."""
    return Step(_DISABLE[kind], (key, int(is_disabled)), rows=1)
