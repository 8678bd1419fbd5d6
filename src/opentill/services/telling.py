"""Notifications for people: what was told and what was not, receivers in trouble, and sending again by hand."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from opentill.services import audit
from opentill.services.decisions import By
from opentill.services.deployment import Deployment
from opentill.services.notifications import LEASE_MS
from opentill.services.search import Scope
from opentill.storage import notifications, told
from opentill.storage.database import Database
from opentill.storage.told import Listed, Waiting

PAGE_SIZE = 50
MOST_AT_ONCE = 200
"""Sent again by one click or one step of a longer one: one short transaction."""
_LAST_ID = (1 << 63) - 1

Key = tuple[int, int]
"""app_id and notification_id."""


class ListPage(msgspec.Struct, frozen=True):
    """Some notifications, newest first. `before`: where the next page begins, 0: after the last."""

    listed: list[Listed]
    before: int


class Receiver(msgspec.Struct, frozen=True, kw_only=True):
    """A host that did not accept what it was told. `next_at_ms`: when the first of them is tried again."""

    host: str
    waiting: int
    dead: int
    next_at_ms: int
    most_attempts: int


async def page(
    database: Database, scope: Scope, *, state: str, from_ms: int, before: int = 0, limit: int = PAGE_SIZE
) -> ListPage:
    """The newest of a state ('' : any); dead and waiting ones whenever they began, the others since `from_ms`."""
    floor = 0 if state in ("DEAD", "DUE") else told.least_id(from_ms)
    stretches = [
        await told.newest(
            database,
            app_id,
            state=state,
            before=before or _LAST_ID,
            floor=floor,
            merchant_ids=scope.merchant_ids,
            limit=limit + 1,
        )
        for app_id in scope.app_ids
    ]
    reached = max((edge for _, edge in stretches), default=0)
    found = [each for listed, _ in stretches for each in listed if each.notification.notification_id >= reached]
    found.sort(key=lambda each: each.notification.notification_id, reverse=True)
    if len(found) > limit:
        return ListPage(found[:limit], found[limit - 1].notification.notification_id)
    return ListPage(found, reached)


async def troubled(database: Database, scope: Scope) -> list[Receiver]:
    """Receivers whose notifications wait for another attempt or are given up, the worst first."""
    waiting: dict[str, list[Waiting]] = {}
    dead: dict[str, int] = {}
    for app_id in scope.app_ids:
        for each in await told.waiting(database, app_id, scope.merchant_ids):
            waiting.setdefault(host_of(each.url), []).append(each)
        for each in await told.dead(
            database, app_id, scope.merchant_ids, before=_LAST_ID, limit=told.MOST_WAITING
        ):  # fmt: skip
            dead[host_of(each.url)] = dead.get(host_of(each.url), 0) + 1
    found = [
        Receiver(
            host=host,
            waiting=len(waiting.get(host, [])),
            dead=dead.get(host, 0),
            next_at_ms=min((each.due_at_ms for each in waiting.get(host, [])), default=0),
            most_attempts=max((each.attempts for each in waiting.get(host, [])), default=0),
        )
        for host in {*waiting, *dead}
    ]
    return sorted(found, key=lambda receiver: (-receiver.dead, -receiver.waiting, receiver.host))


async def count_dead(database: Database, scope: Scope) -> int:
    return sum([await told.count_dead(database, app_id, scope.merchant_ids) for app_id in scope.app_ids])


async def send_again(deployment: Deployment, keys: Sequence[Key], *, by: By) -> int:
    """Make them due now; returns how many that was. Those under way or delivered stay as they are."""
    now_ms = deployment.clock.now_ms()
    steps = [
        told.send_again(app_id, notification_id, now_ms=now_ms, leased_until_ms=now_ms + LEASE_MS)
        for app_id, notification_id in keys[:MOST_AT_ONCE]
    ]
    if not steps:
        return 0
    returned = await audit.change(
        deployment.database,
        steps,
        actor=by.actor,
        source_ip=by.source_ip,
        action="notification.resend",
        subject=str(keys[0][1]) if len(keys) == 1 else f"{len(steps)} notifications",
        before={},
        after={"count": str(len(steps))},
        now_ms=now_ms,
        wakes=(notifications.WAKE,),
    )
    return sum(len(rows) for rows in returned)


async def to_send_again(database: Database, scope: Scope, *, host: str, before: int) -> tuple[list[Key], int]:
    """The next ones of all that are dead, or of all a host is owed, newest first, and where to go on; 0: nowhere."""

    found: list[Waiting] = []
    for app_id in scope.app_ids:
        found += await told.dead(
            database, app_id, scope.merchant_ids, before=before or _LAST_ID, limit=told.MOST_WAITING
        )  # fmt: skip
        if host:
            found += [
                each
                for each in await told.waiting(database, app_id, scope.merchant_ids)
                if each.notification_id < (before or _LAST_ID)
            ]
    found = [each for each in found if not host or host_of(each.url) == host]
    found.sort(key=lambda each: each.notification_id, reverse=True)
    keys = [(each.app_id, each.notification_id) for each in found[:MOST_AT_ONCE]]
    return keys, keys[-1][1] if len(found) > MOST_AT_ONCE else 0


def host_of(url: str) -> str:
    return urlsplit(url).netloc
