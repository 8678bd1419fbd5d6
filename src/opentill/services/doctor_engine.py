"""Checks of the database itself: schema, settings of the engine, layout of the tables, room on the disk."""

import stat
from pathlib import Path

from opentill.services.findings import Finding, Patient, fail, ok, span_text, warn
from opentill.storage import health, layout
from opentill.storage.database import SQLITE_PREFIX, SchemaTooNew, SchemaTooOld, check_schema, newest_schema_version

SCHEMA, DATABASE, LAYOUT, DISK = "schema", "database", "layout", "disk space"
MOST_SKEW_MS = 1_000
"""Between our clock and the database server's."""
LITTLE_ROOM = 2 << 30
NO_ROOM = 256 << 20
SQLITE_FULL = 2
"""What `PRAGMA synchronous` answers when every commit waits for the disk."""


async def check_schema_version(patient: Patient) -> list[Finding]:
    """Whether this release and the database speak of the same tables."""
    try:
        await check_schema(patient.database)
    except SchemaTooOld as error:
        return [fail(SCHEMA, str(error), "run: opentill data migrate")]
    except SchemaTooNew as error:
        return [fail(SCHEMA, str(error), "run the release that migrated it, or a newer one")]
    return [ok(SCHEMA, f"the schema is {newest_schema_version()}, as this release needs")]


async def check_engine(patient: Patient) -> list[Finding]:
    """Whether a commit is on the disk when we say so, and whether connections, clock and encoding fit."""
    return await (_check_sqlite(patient) if patient.database.dialect == "sqlite" else _check_postgres(patient))


async def check_layout(patient: Patient) -> list[Finding]:
    """Whether the order family can be sharded by app_id, and, with Citus, whether it is (design 6)."""
    wrong = await layout.without_shard_key(patient.database)
    if wrong:
        remedy = "remove what was added by hand; a release never adds it"
        return [fail(LAYOUT, f"the order family could not be sharded: {'; '.join(wrong)}", remedy)]
    placed = await layout.citus_tables(patient.database)
    if placed is None:
        return [ok(LAYOUT, "every key of the order family has app_id; one database, without Citus")]
    misplaced = layout.misplaced(placed)
    if misplaced:
        remedy = f"run {layout.CITUS_SQL} on the coordinator"
        return [fail(LAYOUT, f"Citus has {len(misplaced)} tables elsewhere: {'; '.join(misplaced[:5])}", remedy)]
    return [ok(LAYOUT, "every key of the order family has app_id, and Citus has every table where it belongs")]


async def check_disk(patient: Patient) -> list[Finding]:
    """Room for what comes: beside the SQLite file; of a PostgreSQL server only its size can be told from here."""
    if patient.database.dialect == "postgresql":
        size = int((await health.server_state(patient.database))["size_bytes"])
        return [ok(DISK, f"the database takes {_bytes_text(size)}; watch the free space on its server")]
    folder = _sqlite_path(patient).resolve().parent
    free = patient.free_bytes(str(folder))
    text = f"{_bytes_text(free)} are free in {folder}"
    if free < NO_ROOM:
        return [fail(DISK, text, "make room now: a full disk refuses every order")]
    return [warn(DISK, text, "make room soon") if free < LITTLE_ROOM else ok(DISK, text)]


async def _check_sqlite(patient: Patient) -> list[Finding]:
    found = []
    settings = await health.sqlite_settings(patient.database)
    if settings["journal_mode"] != "wal":
        remedy = "put the file on a local disk; network folders cannot do this"
        text = f"SQLite's journal is {settings['journal_mode']} and not wal: reading stops while writing"
        found.append(warn(DATABASE, text, remedy))
    if settings["synchronous"] != SQLITE_FULL:
        text = "SQLite does not wait for the disk: a power failure loses orders that were answered"
        found.append(fail(DATABASE, text, "serve with `opentill serve`, which sets it"))
    path = _sqlite_path(patient)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        found.append(warn(DATABASE, f"other users can read {path}", f"chmod 600 {path}*"))
    if not path.is_absolute():
        text = f"OPENTILL_DATABASE_URL names {path}, which depends on where a command is started"
        found.append(warn(DATABASE, text, "give a whole path: sqlite:////…"))
    if patient.is_whole:
        patient.say("reading the whole file")
        damage = await health.sqlite_damage(patient.database)
        if damage:
            text = f"the file is damaged: {'; '.join(damage)}"
            found.append(fail(DATABASE, text, "stop, keep a copy, go back to the last backup"))
    return found or [ok(DATABASE, "SQLite: every commit waits for the disk, reading does not wait for writing")]


async def _check_postgres(patient: Patient) -> list[Finding]:
    settings = await health.server_settings(patient.database)
    state = await health.server_state(patient.database)
    found = [*_durability(settings), *_archive(settings, bool(state["is_archive_failing"]))]
    if state["is_standby"] or settings["transaction_read_only"] == "on":
        remedy = "point OPENTILL_DATABASE_URL at the primary; add target_session_attrs=read-write to it"
        found.append(fail(DATABASE, "this PostgreSQL server only reads: a standby, or set to", remedy))
    if settings["server_encoding"] != "UTF8":
        text = f"the database's encoding is {settings['server_encoding']}: Chinese texts do not fit"
        found.append(fail(DATABASE, text, "make a new database with ENCODING 'UTF8' and move the data there"))
    skew_ms = abs(int(state["now_ms"]) - patient.clock.now_ms())
    if skew_ms > MOST_SKEW_MS:
        text = f"our clock and the database server's are {span_text(skew_ms)} apart"
        found.append(warn(DATABASE, text, "run a time service on both machines"))
    found += _connections(settings, in_use=int(state["connections"]), ours=patient.settings.database_connections + 1)
    return found or [ok(DATABASE, f"PostgreSQL {settings['server_version']}: every commit waits for the disk")]


def _durability(settings: dict[str, str]) -> list[Finding]:
    """protocol 6: what was answered is not lost. These two settings are what that rests on."""
    found = []
    if settings["fsync"] != "on" or settings["full_page_writes"] != "on":
        text = "fsync or full_page_writes is off: a power failure can destroy the whole database"
        found.append(fail(DATABASE, text, "set fsync = on and full_page_writes = on, then restart the server"))
    how = settings["synchronous_commit"]
    if how == "off":
        text = "synchronous_commit is off: a power failure loses orders that were answered"
        found.append(fail(DATABASE, text, "set synchronous_commit = on"))
    elif how in ("local", "remote_write") and settings["synchronous_standby_names"]:
        text = f"synchronous_commit is {how}: when the primary is lost, so are its last orders"
        found.append(warn(DATABASE, text, "set synchronous_commit = on"))
    return found


def _archive(settings: dict[str, str], is_failing: bool) -> list[Finding]:
    if settings["archive_mode"] == "off":
        text = "WAL is not archived: after the loss of the disk only the last backup is left"
        return [warn(DATABASE, text, "see Backup in docs/operations.md: archive_mode and archive_command")]
    if is_failing:
        text = "archiving WAL fails: the archive ends, and the disk fills up"
        return [fail(DATABASE, text, "look at the server's log and at archive_command")]
    return []


def _connections(settings: dict[str, str], *, in_use: int, ours: int) -> list[Finding]:
    most = int(settings["max_connections"]) - int(settings["superuser_reserved_connections"])
    if ours > most:
        text = f"one process may hold {ours} connections, but the server allows {most}"
        return [fail(DATABASE, text, "lower OPENTILL_DATABASE_CONNECTIONS or raise max_connections")]
    if most - in_use < ours:
        text = f"{in_use} of {most} connections are in use; another process would want {ours}"
        return [warn(DATABASE, text, "raise max_connections, or put PgBouncer in between (docs/operations.md)")]
    return []


def _sqlite_path(patient: Patient) -> Path:
    return Path(patient.settings.database_url.removeprefix(SQLITE_PREFIX))


def _bytes_text(size: int) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 10_240:
            return f"{size} {unit}"
        size //= 1024
    return f"{size} TiB"
