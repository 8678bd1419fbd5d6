"""The audit log: every change is a link of a hash chain."""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from opentill.base.logs import logger
from opentill.storage import audit as rows
from opentill.storage import history
from opentill.storage.audit import Link
from opentill.storage.database import Database, DatabaseOverloaded, Row, Step, StepFailed

MAX_CHANGE_TRIES = 50
"""So often another change may have been faster before we say that there are too many."""
LINKS_AT_ONCE = 1_000

_log = logger("audit")


async def change(
    database: Database,
    steps: Sequence[Step],
    *,
    actor: str,
    source_ip: str,
    action: str,
    subject: str,
    before: Mapping[str, str],
    after: Mapping[str, str],
    now_ms: int,
    wakes: Sequence[str] = (),
) -> list[list[Row]]:
    """Do the steps and note who did what, in one unit of work; returns what the steps returned.

    `wakes`: who must see it at once, in whatever process (`Database.write`).

    `before` and `after` are for people to read and never hold secrets. Each change is logged with its hash too: what
    leaves this machine with the logs cannot be rewritten here.
    Raises like `Database.write`; a StepFailed is one of `steps`. DatabaseOverloaded: others were always faster.
    """
    detail = msgspec.json.encode({"before": dict(before), "after": dict(after)}).decode()
    for _ in range(MAX_CHANGE_TRIES):
        previous = await rows.last_link(database)
        link = _next_link(
            previous, now_ms=now_ms, actor=actor, source_ip=source_ip, action=action, subject=subject, detail=detail
        )
        try:
            returned = await database.write([*steps, rows.add_link(link)], wakes=wakes)
        except StepFailed as failed:
            if failed.index < len(steps):
                raise
            continue
        _log.info("changed", link=link.link_no, action=action, subject=subject, actor=actor, hash=link.hash)
        return returned[:-1]
    raise DatabaseOverloaded("too many changes at once")


async def verify_chain(database: Database, *, at_once: int = LINKS_AT_ONCE) -> Link | None:
    """The first link that does not follow from the one before it (changed, missing or moved); None: all do.

    Cut off at its end the chain still is one: compare its last link with what was logged.
    """
    link_no, previous_hash = 0, ""
    while links := await rows.links_after(database, link_no, limit=at_once):
        for link in links:
            if (link.link_no, link.previous_hash, link.hash) != (link_no + 1, previous_hash, sealed(link).hash):
                return link
            link_no, previous_hash = link.link_no, link.hash
    return None


def sealed(link: Link) -> Link:
    """With its hash: SHA-256, hex, over the JSON array of everything else in the order of the fields."""
    *values, _ = msgspec.structs.astuple(link)
    return msgspec.structs.replace(link, hash=hashlib.sha256(msgspec.json.encode(values)).hexdigest())


def _next_link(
    previous: Link | None, *, now_ms: int, actor: str, source_ip: str, action: str, subject: str, detail: str
) -> Link:
    bare = Link(
        link_no=previous.link_no + 1 if previous else 1,
        event_id=history.new_event_id(now_ms),
        at_ms=now_ms,
        actor=actor,
        source_ip=source_ip,
        action=action,
        subject=subject,
        detail=detail,
        previous_hash=previous.hash if previous else "",
        hash="",
    )
    return sealed(bare)
