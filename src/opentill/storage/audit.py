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
