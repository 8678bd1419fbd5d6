"""SQL of tills: devices, the cashiers who may stand at them, and their shifts."""

from collections.abc import Collection

import msgspec

from opentill.storage.database import Database, Row, Step


class DeviceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A till with the names of where it stands. `is_disabled`: it, or its merchant."""

    device_id: int
    merchant_id: int
    store_id: int
    name: str
    store: str
    merchant: str
    pairing_until_ms: int
    is_paired: bool
    seen_at_ms: int
    is_disabled: bool
    is_merchant_disabled: bool
    created_at_ms: int

    @property
    def is_usable(self) -> bool:
        return not (self.is_disabled or self.is_merchant_disabled)


class CashierRow(msgspec.Struct, frozen=True, kw_only=True):
    """An operator as tills know it. `pin_hash` is empty until a PIN is set."""

    operator_id: str
    merchant_id: int
    store_id: int
    name: str
    pin_hash: str
    may_refund: bool
    is_disabled: bool


class ShiftRow(msgspec.Struct, frozen=True, kw_only=True):
    """A cashier's time at a device. `totals` is what was handed over, as JSON; empty while it is open."""

    shift_id: int
    device_id: int
    operator_id: str
    merchant_id: int
    store_id: int
    opened_at_ms: int
    seen_at_ms: int
    closed_at_ms: int
    totals: str


_DEVICE = (
    "SELECT d.device_id, d.merchant_id, d.store_id, d.name, s.name AS store, m.name AS merchant, d.pairing_until_ms, "
    "d.token_hash, d.seen_at_ms, d.is_disabled, m.is_disabled AS is_merchant_disabled, d.created_at_ms "
    "FROM devices d JOIN stores s ON s.store_id = d.store_id JOIN merchants m ON m.merchant_id = d.merchant_id "
)
_CASHIER = "SELECT operator_id, merchant_id, store_id, name, pin_hash, may_refund, is_disabled FROM operators "
_SHIFT = (
    "SELECT shift_id, device_id, operator_id, merchant_id, store_id, opened_at_ms, seen_at_ms, closed_at_ms, totals "
    "FROM shifts "
)


# --- devices


def insert_device(*, merchant_id: int, store_id: int, name: str, now_ms: int) -> Step:
    """Returns row_id. No row: the merchant has no such store, or another insert took the number: try again."""
    return Step(
        "INSERT INTO devices (device_id, merchant_id, store_id, name, created_at_ms) "
        "SELECT (SELECT coalesce(max(device_id), 0) + 1 FROM devices), merchant_id, store_id, "
        "CAST($3 AS TEXT), CAST($4 AS BIGINT) FROM stores WHERE merchant_id = $1 AND store_id = $2 "
        "ON CONFLICT DO NOTHING RETURNING device_id AS row_id",
        (merchant_id, store_id, name, now_ms),
        rows=1,
    )


def offer_pairing(device_id: int, *, code_hash: str, until_ms: int) -> Step:
    """The code replaces an earlier one; who holds the device's token keeps it until the code is used."""
    return Step(
        "UPDATE devices SET pairing_hash = $2, pairing_until_ms = $3 WHERE device_id = $1 AND is_disabled = 0",
        (device_id, code_hash, until_ms),
        rows=1,
    )


def pair(code_hash: str, *, token_hash: str, now_ms: int) -> Step:
    """Use a code up. Returns device_id. No row: no such code, used already, too old, or the device is disabled."""
    return Step(
        "UPDATE devices SET token_hash = $2, seen_at_ms = $3, pairing_hash = '', pairing_until_ms = 0 "
        "WHERE pairing_hash = $1 AND pairing_hash <> '' AND pairing_until_ms > $3 AND is_disabled = 0 "
        "RETURNING device_id",
        (code_hash, token_hash, now_ms),
        rows=1,
    )


def rename_device(device_id: int, *, name: str) -> Step:
    return Step("UPDATE devices SET name = $2 WHERE device_id = $1", (device_id, name), rows=1)


def set_device_disabled(device_id: int, *, is_disabled: bool) -> Step:
    """An offered code ends with it."""
    return Step(
        "UPDATE devices SET is_disabled = $2, pairing_hash = '', pairing_until_ms = 0 WHERE device_id = $1",
        (device_id, int(is_disabled)),
        rows=1,
    )


def see_device(device_id: int, *, now_ms: int) -> Step:
    return Step("UPDATE devices SET seen_at_ms = $2 WHERE device_id = $1", (device_id, now_ms))


async def device(database: Database, device_id: int) -> DeviceRow | None:
    row = await database.read_one(f"{_DEVICE} WHERE d.device_id = $1", device_id)
    return _device(row) if row else None


async def device_by_token(database: Database, token_hash: str) -> DeviceRow | None:
    row = await database.read_one(f"{_DEVICE} WHERE d.token_hash = $1 AND d.token_hash <> ''", token_hash)
    return _device(row) if row else None


async def devices(database: Database, *, merchant_ids: Collection[int] | None = None) -> list[DeviceRow]:
    """Of these merchants; None: of every merchant."""
    of = _of_merchants("d.merchant_id", merchant_ids)
    return [
        _device(row) for row in await database.read(f"{_DEVICE}{of} ORDER BY d.merchant_id, d.store_id, d.device_id")
    ]


# --- cashiers


def set_pin(operator_id: str, *, pin_hash: str) -> Step:
    return Step("UPDATE operators SET pin_hash = $2 WHERE operator_id = $1", (operator_id, pin_hash), rows=1)


def set_may_refund(operator_id: str, *, may_refund: bool) -> Step:
    return Step("UPDATE operators SET may_refund = $2 WHERE operator_id = $1", (operator_id, int(may_refund)), rows=1)


async def cashier(database: Database, operator_id: str) -> CashierRow | None:
    row = await database.read_one(f"{_CASHIER} WHERE operator_id = $1", operator_id)
    return _cashier(row) if row else None


async def cashiers(database: Database, *, merchant_ids: Collection[int] | None = None) -> list[CashierRow]:
    """Of these merchants; None: of every merchant."""
    of = _of_merchants("merchant_id", merchant_ids)
    rows = await database.read(f"{_CASHIER}{of} ORDER BY merchant_id, store_id, name, operator_id")
    return [_cashier(row) for row in rows]


async def names_of(database: Database, operator_ids: Collection[str]) -> dict[str, str]:
    """What these cashiers are called, by operator_id; who does not exist is left out. For a page's worth of them."""
    if not operator_ids:
        return {}
    among = ", ".join(f"${place}" for place in range(1, len(operator_ids) + 1))
    rows = await database.read(
        f"SELECT operator_id, name FROM operators WHERE operator_id IN ({among})", *sorted(operator_ids)
    )
    return {row["operator_id"]: row["name"] for row in rows}


async def cashiers_of_store(database: Database, store_id: int) -> list[CashierRow]:
    """Who can sign in at the store's tills."""
    rows = await database.read(
        f"{_CASHIER} WHERE store_id = $1 AND is_disabled = 0 AND pin_hash <> '' ORDER BY name, operator_id", store_id
    )
    return [_cashier(row) for row in rows]


# --- shifts


def open_shift(device: DeviceRow, operator_id: str, *, token_hash: str, now_ms: int) -> Step:
    """Returns shift_id. No row: the cashier's shift at this device is open already, or the number was taken."""
    return Step(
        "INSERT INTO shifts (shift_id, device_id, operator_id, merchant_id, store_id, token_hash, opened_at_ms, "
        "seen_at_ms) SELECT coalesce(max(shift_id), 0) + 1, CAST($1 AS BIGINT), CAST($2 AS TEXT), CAST($3 AS BIGINT), "
        # WHERE true: without it SQLite reads ON as part of a join.
        "CAST($4 AS BIGINT), CAST($5 AS TEXT), CAST($6 AS BIGINT), CAST($6 AS BIGINT) FROM shifts WHERE true "
        "ON CONFLICT DO NOTHING RETURNING shift_id",
        (device.device_id, operator_id, device.merchant_id, device.store_id, token_hash, now_ms),
        rows=1,
    )


def resume_shift(device_id: int, operator_id: str, *, token_hash: str, now_ms: int) -> Step:
    """The open shift gets a new token, its old one ends. Returns shift_id. No row: none is open."""
    return Step(
        "UPDATE shifts SET token_hash = $3, seen_at_ms = $4 "
        "WHERE device_id = $1 AND operator_id = $2 AND closed_at_ms = 0 RETURNING shift_id",
        (device_id, operator_id, token_hash, now_ms),
        rows=1,
    )


def lock_shift(shift_id: int) -> Step:
    """Nobody is signed in to it any more; it stays open."""
    return Step("UPDATE shifts SET token_hash = '' WHERE shift_id = $1", (shift_id,))


def lock_shifts_of(operator_id: str) -> Step:
    """A cashier's sessions end, wherever they are."""
    return Step("UPDATE shifts SET token_hash = '' WHERE operator_id = $1 AND closed_at_ms = 0", (operator_id,))


def see_shift(shift_id: int, *, now_ms: int) -> Step:
    return Step("UPDATE shifts SET seen_at_ms = $2 WHERE shift_id = $1", (shift_id, now_ms))


def close_shift(shift_id: int, *, totals: str, now_ms: int) -> Step:
    """No row: it was handed over before."""
    return Step(
        "UPDATE shifts SET closed_at_ms = $3, totals = $2, token_hash = '' WHERE shift_id = $1 AND closed_at_ms = 0",
        (shift_id, totals, now_ms),
        rows=1,
    )


async def shift_by_token(database: Database, token_hash: str) -> ShiftRow | None:
    row = await database.read_one(
        f"{_SHIFT} WHERE token_hash = $1 AND token_hash <> '' AND closed_at_ms = 0", token_hash
    )
    return ShiftRow(**dict(row)) if row else None


async def shift(database: Database, shift_id: int) -> ShiftRow | None:
    row = await database.read_one(f"{_SHIFT} WHERE shift_id = $1", shift_id)
    return ShiftRow(**dict(row)) if row else None


async def open_shifts(database: Database, device_id: int) -> dict[str, int]:
    """Who left a shift open at a device, and since when: operator_id to opened_at_ms."""
    rows = await database.read(
        "SELECT operator_id, opened_at_ms FROM shifts WHERE device_id = $1 AND closed_at_ms = 0", device_id
    )
    return {row["operator_id"]: row["opened_at_ms"] for row in rows}


def _of_merchants(column: str, merchant_ids: Collection[int] | None) -> str:
    """Numbers of our own, so they may stand in the statement."""
    if merchant_ids is None:
        return ""
    return f" WHERE {column} IN ({', '.join(str(int(each)) for each in sorted(merchant_ids)) or 'NULL'})"


def _device(row: Row) -> DeviceRow:
    values = dict(row)
    values["is_paired"] = bool(values.pop("token_hash"))
    values["is_disabled"] = bool(values["is_disabled"])
    values["is_merchant_disabled"] = bool(values["is_merchant_disabled"])
    return DeviceRow(**values)


def _cashier(row: Row) -> CashierRow:
    values = dict(row)
    values["may_refund"] = bool(values["may_refund"])
    values["is_disabled"] = bool(values["is_disabled"])
    return CashierRow(**values)
