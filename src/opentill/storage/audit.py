"""SQL of the audit log. Changes are links of a chain: each names the hash of the one before it."""

import msgspec

from opentill.storage.database import Database, Row, Step


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A change as stored. `detail` is JSON: what was before and what is after."""

    link_no: int
    event_id: int
    at_ms: int
    actor: str
    source_ip: str
    action: str
    subject: str
    detail: str
    previous_hash: str
    hash: str


_COLUMNS = ", ".join(Link.__struct_fields__)


def add_link(link: Link) -> Step:
    """No row: another link has this number already."""
    return Step(
        f"INSERT INTO audit_events ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
        "ON CONFLICT (link_no) DO NOTHING",
        msgspec.structs.astuple(link),
        rows=1,
    )


async def last_link(database: Database) -> Link | None:
    row = await database.read_one(
        f"SELECT {_COLUMNS} FROM audit_events WHERE link_no IS NOT NULL ORDER BY link_no DESC LIMIT 1"
    )
    return _link(row) if row else None


async def links_after(database: Database, link_no: int, *, limit: int) -> list[Link]:
    """In order."""
    rows = await database.read(
        f"SELECT {_COLUMNS} FROM audit_events WHERE link_no > $1 ORDER BY link_no LIMIT $2", link_no, limit
    )
    return [_link(row) for row in rows]


def _link(row: Row) -> Link:
    return Link(**dict(row))


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for; "" and None: anything. `subject` is a part of it, times are from–to (exclusive)."""

    actor: str = ""
    action: str = ""
    subject: str = ""
    source_ip: str = ""
    from_ms: int | None = None
    to_ms: int | None = None


async def newest(database: Database, wanted: Filter, *, before_no: int | None, limit: int) -> list[Link]:
    """Newest first, from below number `before_no` on."""
    conditions = [
        ("link_no < {}", before_no),
        ("actor = {}", wanted.actor or None),
        ("action = {}", wanted.action or None),
        ("source_ip = {}", wanted.source_ip or None),
        ("at_ms >= {}", wanted.from_ms),
        ("at_ms < {}", wanted.to_ms),
        ("lower(subject) LIKE {} ESCAPE '!'", _like(wanted.subject) if wanted.subject else None),
    ]
    given = [(text, value) for text, value in conditions if value is not None]
    where = "".join(f" AND {text.format(f'${number}')}" for number, (text, _) in enumerate(given, 1))
    found = await database.read(
        f"SELECT {_COLUMNS} FROM audit_events WHERE link_no IS NOT NULL{where} "
        f"ORDER BY link_no DESC LIMIT ${len(given) + 1}",
        *(value for _, value in given),
        limit,
    )
    return [_link(row) for row in found]


async def actions(database: Database) -> list[str]:
    """Every kind of change there ever was."""
    found = await database.read("SELECT DISTINCT action FROM audit_events WHERE link_no IS NOT NULL ORDER BY action")
    return [row["action"] for row in found]


def _like(text: str) -> str:
    escaped = text.lower().replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f"%{escaped}%"
