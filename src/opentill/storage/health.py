"""SQL of `opentill doctor`: what the engine is set to, and what the books say. It only reads, and nothing for long."""

import msgspec

from opentill.storage.database import Database, Row, Step
from opentill.storage.stats import HOUR_MS

_JOBS = {"orders": "poll_at_ms", "notifications": "due_at_ms", "refunds": "due_at_ms"}
JOB_TABLES = tuple(_JOBS)


class Overdue(msgspec.Struct, frozen=True):
    """Rows whose due time is past, and the earliest of those times (0: there is none)."""

    rows: int
    oldest_ms: int


class OpenOrders(msgspec.Struct, frozen=True):
    """Orders still open past their end. `unasked`: those of them that no worker will ever ask about."""

    orders: int
    unasked: int


class Sealed(msgspec.Struct, frozen=True):
    """A sealed value and the place that it is bound to."""

    place: str
    value: str


class Sold(msgspec.Struct, frozen=True):
    """What one app sold and gave back through one wallet in one hour (fen)."""

    orders: int = 0
    amount_fen: int = 0
    received_fen: int = 0
    discount_fen: int = 0
    refunds: int = 0
    refunded_fen: int = 0

    def plus(self, other: "Sold") -> "Sold":
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Sold(*(one + two for one, two in pairs))


SoldPerHour = dict[tuple[int, int], Sold]
"""By hour (ms) and channel."""

# Where a value is sealed: what it is bound to is `table.column:key` (access.py, platform_key.py).
SEALED_COLUMNS = (
    ("apps", "key_sealed", "app", "key_sealed"),
    ("apps", "old_key_sealed", "app", "key_sealed"),
    ("channel_accounts", "settings_sealed", "account_id", "settings_sealed"),
    ("platform_keys", "private_sealed", "name", "private_sealed"),
    ("users", "totp_sealed", "user_id", "totp_sealed"),
)
"""Table, column, the column that is its key, and the column's name in the place (an old key keeps the key's)."""


async def server_settings(database: Database) -> dict[str, str]:
    """Every setting of the PostgreSQL server, as text."""
    rows = await database.read("SELECT CAST(name AS TEXT) AS name, CAST(setting AS TEXT) AS value FROM pg_settings")
    return {row["name"]: row["value"] for row in rows}


async def server_state(database: Database) -> Row:
    """is_standby, now_ms of the server, connections in use, size_bytes of the database, archiving's last words."""
    row = await database.read_one(
        "SELECT CAST(pg_is_in_recovery() AS INTEGER) AS is_standby, "
        "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now_ms, "
        "(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections, "
        "pg_database_size(current_database()) AS size_bytes, "
        "(SELECT CAST(coalesce(last_failed_time > coalesce(last_archived_time, 'epoch'), FALSE) AS INTEGER) "
        "FROM pg_stat_archiver) AS is_archive_failing"
    )
    assert row is not None
    return row


async def sqlite_settings(database: Database) -> dict[str, object]:
    """What the writing connection works with: journal_mode, synchronous, foreign_keys."""
    names = ("journal_mode", "synchronous", "foreign_keys")
    answers = await database.write([Step(f"PRAGMA {name}") for name in names])
    return {name: dict(rows[0])[name] for name, rows in zip(names, answers, strict=True)}


async def sqlite_damage(database: Database) -> list[str]:
    """What SQLite finds broken in the file; empty: nothing. Reads the whole file."""
    rows = await database.read("PRAGMA quick_check(5)")
    return [text for row in rows if (text := str(row["quick_check"])) != "ok"]


async def sealed_values(database: Database) -> list[Sealed]:
    """Every sealed value that is not empty."""
    return [
        Sealed(f"{table}.{name}:{row['key']}", row["value"])
        for table, column, key, name in SEALED_COLUMNS
        for row in await database.read(f"SELECT {key} AS key, {column} AS value FROM {table} WHERE {column} <> ''")
    ]


async def overdue(database: Database, table: str, *, before_ms: int) -> Overdue:
    """What was due before and is still to be done; `table` is one of JOB_TABLES."""
    column = _JOBS[table]
    row = await database.read_one(
        f"SELECT count(*) AS found, coalesce(min({column}), 0) AS oldest_ms FROM {table} "
        f"WHERE {column} > 0 AND {column} <= $1",
        before_ms,
    )
    return Overdue(row["found"], row["oldest_ms"]) if row else Overdue(0, 0)


async def dead_notifications(database: Database, app_id: int, *, since_ms: int) -> int:
    """How many of an app's notifications, owed since then, were given up."""
    row = await database.read_one(
        "SELECT count(*) AS dead FROM notifications WHERE app_id = $1 AND notification_id >= $2 AND state = 'DEAD'",
        app_id,
        since_ms << 20,  # history.new_event_id
    )
    return int(row["dead"]) if row else 0


async def next_order_ms(database: Database, app_id: int, *, from_ms: int) -> int | None:
    """When the app's first order from then on was made; None: there is none."""
    row = await database.read_one(
        "SELECT min(order_no) AS order_no FROM orders WHERE app_id = $1 AND order_no >= $2", app_id, _bound(from_ms)
    )
    return int(row["order_no"][1:14]) if row and row["order_no"] else None


async def attention(database: Database, app_id: int, *, since_ms: int) -> dict[str, int]:
    """Orders made since then that need a person, counted by why."""
    rows = await database.read(
        "SELECT attention, count(*) AS orders FROM orders "
        "WHERE app_id = $1 AND order_no >= $2 AND attention <> '' GROUP BY attention",
        app_id,
        _bound(since_ms),
    )
    return {row["attention"]: row["orders"] for row in rows}


async def open_past_end(
    database: Database, app_id: int, *, from_ms: int, to_ms: int, ended_before_ms: int
) -> OpenOrders:
    """Orders made in this time that should have ended; held ones wait for a person and do not count."""
    row = await database.read_one(
        "SELECT count(*) AS orders, coalesce(sum(CASE WHEN poll_at_ms = 0 THEN 1 ELSE 0 END), 0) AS unasked "
        "FROM orders WHERE app_id = $1 AND order_no >= $2 AND order_no < $3 AND state IN ('CREATED', 'WAITING') "
        "AND attention <> 'WRONG_AMOUNT' AND expires_at_ms < $4",
        app_id,
        _bound(from_ms),
        _bound(to_ms),
        ended_before_ms,
    )
    return OpenOrders(row["orders"], int(row["unasked"])) if row else OpenOrders(0, 0)


async def sold(database: Database, app_id: int, *, from_ms: int, to_ms: int) -> SoldPerHour:
    """Payments and settled refunds of orders made in this time, as the statistics should have counted them."""
    # Money that was held counts from when a person accepted it, which is on the timeline alone.
    paid = await database.read(
        "SELECT counted.at_ms - counted.at_ms % $4 AS hour_ms, channel, count(*) AS orders, "
        "sum(amount_fen) AS amount_fen, sum(received_fen) AS received_fen, sum(discount_fen) AS discount_fen "
        "FROM (SELECT p.channel, o.amount_fen, p.received_fen, p.discount_fen, coalesce((SELECT max(h.at_ms) "
        "FROM history AS h WHERE h.app_id = p.app_id AND h.order_no = p.order_no AND h.kind = 'DECIDED' "
        "AND h.detail LIKE '%\"ordered_fen\"%'), p.recorded_at_ms) AS at_ms "
        "FROM payments AS p JOIN orders AS o ON o.app_id = p.app_id AND o.order_no = p.order_no "
        "WHERE p.app_id = $1 AND p.order_no >= $2 AND p.order_no < $3 AND p.role = 'EFFECTIVE') AS counted "
        "GROUP BY 1, 2",
        app_id,
        _bound(from_ms),
        _bound(to_ms),
        HOUR_MS,
    )
    # A refund is counted when we learn of it; its own time is the wallet's. The timeline knows both.
    returned = await database.read(
        "SELECT h.at_ms - h.at_ms % $4 AS hour_ms, r.channel, count(*) AS refunds, sum(r.amount_fen) AS refunded_fen "
        "FROM history AS h JOIN refunds AS r ON r.app_id = h.app_id AND r.order_no = h.order_no "
        "WHERE h.app_id = $1 AND h.order_no >= $2 AND h.order_no < $3 AND h.kind = 'REFUND_SUCCEEDED' "
        "AND r.cause <> 'SURPLUS' AND h.detail LIKE '%\"' || r.refund_no || '\"%' GROUP BY 1, 2",
        app_id,
        _bound(from_ms),
        _bound(to_ms),
        HOUR_MS,
    )
    return _summed([*paid, *returned])


async def counted(database: Database, app_id: int, *, from_ms: int, to_ms: int) -> SoldPerHour:
    """What the statistics of these hours say."""
    rows = await database.read(
        "SELECT hour_ms, channel, sum(orders) AS orders, sum(amount_fen) AS amount_fen, "
        "sum(received_fen) AS received_fen, sum(discount_fen) AS discount_fen, sum(refunds) AS refunds, "
        "sum(refunded_fen) AS refunded_fen FROM sales_hours WHERE app_id = $1 AND hour_ms >= $2 AND hour_ms < $3 "
        "GROUP BY 1, 2",
        app_id,
        from_ms,
        to_ms,
    )
    return _summed(rows)


def _summed(rows: list[Row]) -> SoldPerHour:
    found: SoldPerHour = {}
    for row in rows:
        values = {name: int(value) for name, value in dict(row).items()}
        key = values.pop("hour_ms"), values.pop("channel")
        found[key] = found.get(key, Sold()).plus(Sold(**values))
    return found


def _bound(at_ms: int) -> str:
    """The least number that an order made then can have (protocol 4.1: kind, then milliseconds)."""
    return f"1{at_ms:013d}"
