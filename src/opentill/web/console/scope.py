"""Which apps a visitor may see. An app shows the doings of all its merchants, so that the right is needed at each."""

from collections.abc import Sequence

import msgspec

from opentill.domain.parties import is_internal_app
from opentill.domain.people import Permission, Visitor
from opentill.storage import directory
from opentill.storage.directory import AppEntry
from opentill.web.console.door import NotYours, Visit

MAX_NAME = 64


class SeenApp(msgspec.Struct, frozen=True):
    """An app and the merchants it may act for."""

    entry: AppEntry
    merchant_ids: frozenset[int]


async def apps_of(visit: Visit, permission: Permission) -> list[SeenApp]:
    """The apps for which the visitor has the permission at every merchant of theirs. Never the gateway's own."""
    database = visit.deployment.database
    linked = await directory.merchants_of_apps(database)
    return [
        SeenApp(entry, linked.get(entry.app_id, frozenset()))
        for entry in await directory.apps(database)
        if not is_internal_app(entry.app) and covers(visit.visitor, permission, linked.get(entry.app_id, frozenset()))
    ]


async def app_of(visit: Visit, permission: Permission) -> SeenApp:
    """The app that the address names. Raises NotYours."""
    name = visit.request.path_params["app"]
    for seen in await apps_of(visit, permission):
        if seen.entry.app == name:
            return seen
    raise NotYours


def covers(visitor: Visitor, permission: Permission, merchant_ids: Sequence[int] | frozenset[int]) -> bool:
    """Whether the permission is there at each of the merchants; with none of them only one for all will do."""
    mine = visitor.merchants(permission)
    return mine is None or (bool(merchant_ids) and frozenset(merchant_ids) <= mine)
