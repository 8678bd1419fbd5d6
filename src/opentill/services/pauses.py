"""Pausing a receiver by hand: while a merchant's system is down nothing is sent to it, so that no attempt is spent."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from opentill.domain.notification import receiver_of
from opentill.services import audit
from opentill.services.decisions import By
from opentill.services.deployment import Deployment
from opentill.services.notifications import LEASE_MS
from opentill.services.search import Scope
from opentill.storage import notifications, parties, pauses
from opentill.storage.database import Database, Step, StepFailed
from opentill.storage.pauses import Pause

MAX_REASON = 200
MAX_RECEIVER = 260
"""A host name of 253 characters and a port."""
AT_ONCE = 500
"""Notifications let go in one short transaction."""
SETTLED_MS = 2 * 60_000
"""A claim that began before the pause ended is over after this, and may have held one more."""


class Paused(msgspec.Struct, frozen=True, kw_only=True):
    """A pause that lasts, and how many notifications wait for its end."""

    pause: Pause
    waiting: int


def read_receiver(text: str) -> str:
    """The receiver that somebody means by a host or a URL; '' when it is none."""
    text = text.strip()
    try:
        parts = urlsplit(text if "//" in text else f"//{text}")
        is_host = bool(parts.hostname) and parts.username is None and (parts.port or 1) > 0
    except ValueError:
        return ""
    is_plain = text.isascii() and text.isprintable() and " " not in text and len(parts.netloc) <= MAX_RECEIVER
    return parts.netloc.lower() if is_host and is_plain else ""


async def pause(deployment: Deployment, app_id: int, receiver: str, *, reason: str, by: By) -> bool:
    """From now on nothing is sent there for this app; what is under way ends. False: it is paused already."""
    now_ms = deployment.clock.now_ms()
    reason = " ".join(reason.split())[:MAX_REASON]
    step = pauses.begin(app_id, receiver, actor=by.actor, reason=reason, now_ms=now_ms)
    return await _change(deployment, step, "receiver.pause", receiver, {"app_id": str(app_id), "reason": reason}, by=by)


async def resume(deployment: Deployment, app_id: int, receiver: str, *, by: By) -> bool:
    """All that waits there becomes due, as fast as one receiver is told. False: it is not paused."""
    step = pauses.end(app_id, receiver, now_ms=deployment.clock.now_ms())
    return await _change(deployment, step, "receiver.resume", receiver, {"app_id": str(app_id)}, by=by)


async def is_whole(database: Database, app_id: int, merchant_ids: frozenset[int] | None) -> bool:
    """Whether an app acts for these merchants (None: all) alone: a pause keeps all of its merchants waiting."""
    return merchant_ids is None or await parties.merchant_ids_of_app(database, app_id) <= merchant_ids


async def paused(database: Database, scope: Scope) -> list[Paused]:
    """Pauses that keep something of the scope waiting, and all of the apps that are wholly in it."""
    found = []
    for each in await pauses.lasting(database):
        if each.app_id not in scope.app_ids:
            continue
        waiting = await pauses.held(database, each, scope.merchant_ids)
        if waiting or await is_whole(database, each.app_id, scope.merchant_ids):
            found.append(Paused(pause=each, waiting=waiting))
    return found


async def let_go(deployment: Deployment, ended: Pause) -> None:
    """One step of letting go what a pause that has ended still holds; the last one forgets the pause.

    Crash or not, nothing stays held: the pause is due until nothing can come to it any more.
    """
    database, now_ms = deployment.database, deployment.clock.now_ms()
    (let_go,) = await database.write(
        [pauses.let_go(ended, now_ms=now_ms, limit=AT_ONCE)], wakes=(notifications.WAKE,)
    )  # fmt: skip
    if let_go:
        await database.write([pauses.look_again(ended, due_at_ms=now_ms)])
        return
    await _bring_forward(database, ended, now_ms=now_ms)
    settled_at_ms = ended.ended_at_ms + SETTLED_MS
    is_over = now_ms >= settled_at_ms
    await database.write([pauses.forget(ended) if is_over else pauses.look_again(ended, due_at_ms=settled_at_ms)])


async def _bring_forward(database: Database, ended: Pause, *, now_ms: int) -> None:
    """What failed before the pause need not wait for its hours either: the receiver is well again."""
    steps = [
        notifications.defer(
            notifications.DueNotification(ended.app_id, each.notification_id, each.url, each.due_at_ms),
            due_at_ms=now_ms,
        )
        # One under way has its lease for a due time.
        for each in await pauses.later(database, ended.app_id, after_ms=now_ms + LEASE_MS)
        if receiver_of(each.url) == ended.receiver
    ]
    for start in range(0, len(steps), AT_ONCE):
        await database.write(steps[start : start + AT_ONCE], wakes=(notifications.WAKE,))


async def _change(
    deployment: Deployment, step: Step, action: str, receiver: str, after: Mapping[str, str], *, by: By
) -> bool:
    try:
        await audit.change(
            deployment.database,
            [step],
            actor=by.actor,
            source_ip=by.source_ip,
            action=action,
            subject=receiver,
            before={},
            after=after,
            now_ms=deployment.clock.now_ms(),
            wakes=(pauses.WAKE,),
        )
    except StepFailed:
        return False
    return True
