"""Notifications for people: what was told and what was not, receivers in trouble, and sending again by hand."""

from collections.abc import Sequence

import msgspec

from opentill.domain.notification import receiver_of
from opentill.services import audit, pauses
from opentill.services.decisions import By
from opentill.services.deployment import Deployment
from opentill.services.notifications import LEASE_MS
from opentill.services.pauses import Paused
from opentill.services.search import Scope
from opentill.storage import notifications, told
from opentill.storage.database import Database
from opentill.storage.notifications import Attempt
from opentill.storage.told import Listed, Waiting

PAGE_SIZE = 50
MOST_AT_ONCE = 200
"""Sent again by one click or one step of a longer one: one short transaction."""
_LAST_ID = (1 << 63) - 1

Key = tuple[int, int]
"""app_id and notification_id."""
Place = tuple[int, str]
"""app_id and the receiver."""


class ListPage(msgspec.Struct, frozen=True):
    """Some notifications, newest first. `before`: where the next page begins, 0: after the last."""

    listed: list[Listed]
    before: int


class Receiver(msgspec.Struct, frozen=True, kw_only=True):
    """A host that did not accept what an app told it, or that is paused.

    `waiting`: for another attempt or for the end of the pause. `since_ms`: the oldest of them that was refused, 0: none
    was. `next_at_ms`: when the first is tried again, 0: none is. `last`: what was said to the newest.
    """

    app_id: int
    host: str
    waiting: int
    dead: int
    since_ms: int
    next_at_ms: int
    last: Attempt | None
    paused: Paused | None


async def page(
    database: Database, scope: Scope, *, state: str, from_ms: int, before: int = 0, limit: int = PAGE_SIZE
) -> ListPage:
    """The newest of a state ('' : any); dead, waiting and held ones whenever they began, the others since `from_ms`."""
    floor = 0 if state in ("DEAD", "DUE", "HELD") else told.least_id(from_ms)
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
    """Receivers that are paused, or whose notifications wait for another attempt or are given up, the worst first."""
    waiting: dict[Place, list[Waiting]] = {}
    dead: dict[Place, list[Waiting]] = {}
    for app_id in scope.app_ids:
        for each in await told.waiting(database, app_id, scope.merchant_ids):
            waiting.setdefault((app_id, receiver_of(each.url)), []).append(each)
        for each in await told.dead(
            database, app_id, scope.merchant_ids, before=_LAST_ID, limit=told.MOST_WAITING
        ):  # fmt: skip
            dead.setdefault((app_id, receiver_of(each.url)), []).append(each)
    paused = {(each.pause.app_id, each.pause.receiver): each for each in await pauses.paused(database, scope)}
    found = [
        await _receiver(database, place, waiting.get(place, []), dead.get(place, []), paused.get(place))
        for place in {**waiting, **dead, **paused}
    ]
    return sorted(found, key=lambda each: (each.paused is None, -each.dead, -each.waiting, each.app_id, each.host))


async def _receiver(
    database: Database, place: Place, waiting: list[Waiting], dead: list[Waiting], paused: Paused | None
) -> Receiver:
    newest = max((each.notification_id for each in waiting or dead), default=0)
    return Receiver(
        app_id=place[0],
        host=place[1],
        waiting=len(waiting) + (paused.waiting if paused else 0),
        dead=len(dead),
        since_ms=min((told.made_at_ms(each.notification_id) for each in waiting), default=0),
        next_at_ms=min((each.due_at_ms for each in waiting), default=0),
        last=await told.last_attempt(database, place[0], newest) if newest else None,
        paused=paused,
    )


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


async def to_send_again(
    database: Database, scope: Scope, *, host: str, before: int, app_id: int = 0
) -> tuple[list[Key], int]:
    """The next ones of all that are dead, or of all a host is owed by an app (0: by any), newest first.

    With them, where to go on; 0: nowhere.
    """
    found: list[Waiting] = []
    for each_id in (each for each in scope.app_ids if app_id in (0, each)):
        found += await told.dead(
            database, each_id, scope.merchant_ids, before=before or _LAST_ID, limit=told.MOST_WAITING
        )  # fmt: skip
        if host:
            found += [
                each
                for each in await told.waiting(database, each_id, scope.merchant_ids)
                if each.notification_id < (before or _LAST_ID)
            ]
    found = [each for each in found if not host or receiver_of(each.url) == host]
    found.sort(key=lambda each: each.notification_id, reverse=True)
    keys = [(each.app_id, each.notification_id) for each in found[:MOST_AT_ONCE]]
    return keys, keys[-1][1] if len(found) > MOST_AT_ONCE else 0
