"""The audit log: every change, who made it, when, from where, what was before and what is after."""

from typing import Any

import msgspec
from starlette.responses import Response

from opentill.domain.people import Permission
from opentill.services import audit
from opentill.services.deployment import Deployment
from opentill.storage import audit as rows
from opentill.storage.audit import Filter, Link
from opentill.web.console.door import ConsolePage, Visit
from opentill.web.console.formats import day_start_ms, second_time

PAGE_SIZE = 50
DAY_MS = 86_400_000
MAX_FILTER = 100
MAX_DIGITS = 15


class Change(msgspec.Struct, frozen=True):
    """A link for people: `facts` are name, before, after."""

    link: Link
    facts: list[tuple[str, str, str]]


def pages(_: Deployment) -> list[ConsolePage]:
    return [
        # Changes belong to no single merchant: who reads them has to be trusted with all.
        ConsolePage("/audit", _audit, Permission.AUDIT_READ, nav="audit", everywhere=True),
        ConsolePage("/audit/chain", _chain, Permission.AUDIT_READ, methods=("POST",), everywhere=True),
    ]


async def _audit(visit: Visit) -> Response:
    query = {name: visit.request.query_params.get(name, "").strip()[:MAX_FILTER] for name in _FILTERS}
    before_no = visit.request.query_params.get("before", "")
    database = visit.deployment.database
    found = await rows.newest(
        database, _filter(query), before_no=int(before_no) if _is_number(before_no) else None, limit=PAGE_SIZE + 1
    )
    last = await rows.last_link(database)
    return visit.render(
        "console/audit.html",
        changes=[_change(link) for link in found[:PAGE_SIZE]],
        query=query,
        is_filtered=any(query.values()),
        older=found[PAGE_SIZE - 1].link_no if len(found) > PAGE_SIZE else None,
        is_newest=not before_no,
        actions=await rows.actions(database),
        last=last,
    )


async def _chain(visit: Visit) -> Response:
    """Follow the whole chain now."""
    database = visit.deployment.database
    broken = await audit.verify_chain(database)
    return visit.render("console/audit_chain.html", broken=broken, last=await rows.last_link(database))


_FILTERS = ("actor", "action", "subject", "source", "from", "to")


def _filter(query: dict[str, str]) -> Filter:
    to_ms = day_start_ms(query["to"])
    return Filter(
        actor=query["actor"],
        action=query["action"],
        subject=query["subject"],
        source_ip=query["source"],
        from_ms=day_start_ms(query["from"]),
        to_ms=to_ms + DAY_MS if to_ms is not None else None,
    )


def _change(link: Link) -> Change:
    detail: Any = msgspec.json.decode(link.detail)
    before, after = dict(detail.get("before", {})), dict(detail.get("after", {}))
    names = list(dict.fromkeys([*before, *after]))
    return Change(link, [(name, _told(name, before.get(name)), _told(name, after.get(name))) for name in names])


def _told(name: str, value: object) -> str:
    """Points in time are stored as milliseconds since 1970."""
    text = "" if value is None else str(value)
    return second_time(int(text)) if name.endswith("until_ms") and _is_number(text) and text != "0" else text


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
