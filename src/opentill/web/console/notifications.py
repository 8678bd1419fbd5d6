"""Notifications: what was told to whom with which answer, receivers in trouble or paused, and sending again."""

from starlette.responses import Response

from opentill.domain.notification import receiver_of
from opentill.domain.parties import is_internal_app
from opentill.domain.people import Permission
from opentill.services import pauses, search, telling
from opentill.services.deployment import Deployment
from opentill.services.search import Scope
from opentill.services.telling import Key
from opentill.storage import parties, told
from opentill.storage.notifications import attempts_of
from opentill.web.console.door import ConsolePage, NotYours, Visit
from opentill.web.console.filters import period_ms, whole_number
from opentill.web.console.order import by

NOTIFICATIONS = "/notifications"
STATES = ("", "DUE", "HELD", "DEAD", "DELIVERED")
PERIOD = "30d"
MAX_ID_DIGITS = 19
MAX_ID = (1 << 63) - 1


def pages(_: Deployment) -> list[ConsolePage]:
    read, resend = Permission.NOTIFICATIONS_READ, Permission.NOTIFICATIONS_RESEND
    return [
        ConsolePage(NOTIFICATIONS, _list, read, nav="notifications"),
        ConsolePage(NOTIFICATIONS + "/resend", _resend, resend, methods=("POST",)),
        ConsolePage(NOTIFICATIONS + "/resend-all", _resend_all, resend, methods=("POST",)),
        ConsolePage(NOTIFICATIONS + "/pause", _pause, resend, methods=("POST",)),
        ConsolePage(NOTIFICATIONS + "/resume", _resume, resend, methods=("POST",)),
        ConsolePage(NOTIFICATIONS + "/{app_id:int}/{notification_id:int}", _show, read),
    ]


async def _list(visit: Visit) -> Response:
    return await _listed(visit)


async def _listed(visit: Visit, *, problem: str = "") -> Response:
    """The page. `problem`: what is wrong with the receiver that should be paused."""
    query, database = visit.request.query_params, visit.deployment.database
    scope = await _scope(visit, Permission.NOTIFICATIONS_READ)
    state = query.get("state", "") if query.get("state", "") in STATES else ""
    before = _id(query.get("before", ""))
    page = await telling.page(
        database, scope, state=state, from_ms=period_ms(PERIOD, visit.now_ms)[0], before=before
    )  # fmt: skip
    apps = {row.app_id: row for row in await parties.apps(database) if row.app_id in scope.app_ids}
    return visit.render(
        "console/notifications.html",
        status=400 if problem else 200,
        problem=problem,
        form=visit.form,
        state=state,
        states=STATES,
        page=page,
        is_first=not before,
        receivers=await telling.troubled(database, scope),
        receiver_of=receiver_of,
        app_names={app_id: row.name for app_id, row in apps.items()},
        pausable=[
            app_id for app_id, row in apps.items() if await _may_pause(visit, app_id) and not is_internal_app(row.app)
        ],
        max_reason=pauses.MAX_REASON,
    )


async def _show(visit: Visit) -> Response:
    app_id, notification_id = visit.request.path_params["app_id"], visit.request.path_params["notification_id"]
    found = await _found(visit, (app_id, notification_id), Permission.NOTIFICATIONS_READ)
    return visit.render(
        "console/notification.html",
        merchant_may=visit.visitor.may(Permission.NOTIFICATIONS_RESEND, found.merchant_id),
        listed=found,
        n=found.notification,
        attempts=await attempts_of(visit.deployment.database, app_id, notification_id),
    )


async def _resend(visit: Visit) -> Response:
    """Of those that were ticked, or of the one whose button it was."""
    keys = [key for text in visit.form_list("one") if (key := _key(text)) is not None][: telling.MOST_AT_ONCE]
    for key in keys:
        await _found(visit, key, Permission.NOTIFICATIONS_RESEND)
    count = await telling.send_again(visit.deployment, keys, by=by(visit))
    back = visit.form.get("back", "")
    is_ours = back.startswith(("/orders/", NOTIFICATIONS)) and "//" not in back
    text = visit.t["notifications"]["sent_again" if count else "sent_none"]
    return visit.redirect(back if is_ours else NOTIFICATIONS, text.format(count=count))


async def _resend_all(visit: Visit) -> Response:
    """One step of sending again all that are dead, or all a host is owed; the part that is drawn asks for the next."""
    scope = await _scope(visit, Permission.NOTIFICATIONS_RESEND)
    host, app_id = visit.form.get("host", "")[: pauses.MAX_RECEIVER], _id(visit.form.get("app_id", ""))
    before, done = _id(visit.form.get("before", "")), whole_number(visit.form.get("done", "0")) or 0
    keys, following = await telling.to_send_again(
        visit.deployment.database, scope, host=host, before=before, app_id=app_id
    )  # fmt: skip
    done += await telling.send_again(visit.deployment, keys, by=by(visit))
    if not following:
        return visit.redirect(NOTIFICATIONS, visit.t["notifications"]["sent_again"].format(count=done))
    template = "console/resending_part.html" if visit.is_htmx else "console/resending.html"
    return visit.render(template, host=host, app_id=app_id, before=following, done=done)


async def _pause(visit: Visit) -> Response:
    app_id = await _app_to_pause(visit)
    receiver = pauses.read_receiver(visit.form.get("receiver", ""))
    if not receiver:
        return await _listed(visit, problem=visit.t["notifications"]["receiver_wrong"])
    is_new = await pauses.pause(
        visit.deployment, app_id, receiver, reason=visit.form.get("reason", ""), by=by(visit)
    )  # fmt: skip
    text = visit.t["notifications"]["is_paused" if is_new else "was_paused"]
    return visit.redirect(NOTIFICATIONS, text.format(receiver=receiver))


async def _resume(visit: Visit) -> Response:
    app_id = await _app_to_pause(visit)
    receiver = visit.form.get("receiver", "")[: pauses.MAX_RECEIVER]
    is_done = await pauses.resume(visit.deployment, app_id, receiver, by=by(visit))
    text = visit.t["notifications"]["is_resumed" if is_done else "was_resumed"]
    return visit.redirect(NOTIFICATIONS, text.format(receiver=receiver))


async def _app_to_pause(visit: Visit) -> int:
    """Raises NotYours."""
    app_id = _id(visit.form.get("app_id", ""))
    scope = await _scope(visit, Permission.NOTIFICATIONS_RESEND)
    if app_id not in scope.app_ids or not await _may_pause(visit, app_id):
        raise NotYours
    return app_id


async def _may_pause(visit: Visit, app_id: int) -> bool:
    mine = visit.visitor.merchants(Permission.NOTIFICATIONS_RESEND)
    return await pauses.is_whole(visit.deployment.database, app_id, mine)


async def _scope(visit: Visit, permission: Permission) -> Scope:
    return await search.scope_of(visit.deployment.database, visit.visitor.merchants(permission))


async def _found(visit: Visit, key: Key, permission: Permission) -> told.Listed:
    """Raises NotYours."""
    app_id, notification_id = key
    if max(app_id, notification_id) > MAX_ID:
        raise NotYours
    found = await told.one(visit.deployment.database, app_id, notification_id)
    if found is None:
        raise NotYours
    visit.require(permission, found.merchant_id)
    return found


def _key(text: str) -> Key | None:
    """What a form names a notification by: app_id, a dash, notification_id."""
    app_id, _, notification_id = text.partition("-")
    key = (_id(app_id), _id(notification_id))
    return key if all(key) else None


def _id(text: str) -> int:
    """A number both databases can hold; 0 for what is none."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_ID_DIGITS else 0
    return number if number <= MAX_ID else 0
