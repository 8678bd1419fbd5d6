"""Integrators: keys and their rotation, how they sign, what they may do, for whom, and a notification to try."""

import contextlib
from collections.abc import Sequence

import msgspec
from starlette.responses import Response

from opentill.base.errors import GatewayError
from opentill.commands.registry import load_commands
from opentill.domain.parties import AppRules
from opentill.domain.people import Permission
from opentill.protocol.params import host_of, read_url
from opentill.services.administration import NewApp
from opentill.services.deployment import Deployment
from opentill.services.not_possible import NotPossible
from opentill.services.samples import Sample, send_sample
from opentill.storage import parties as rows
from opentill.storage.database import Step, StepFailed
from opentill.web.console.app_rules import GROUPS, read_rules, rule_fields
from opentill.web.console.door import ConsolePage, NotYours, Visit, worded
from opentill.web.console.scope import MAX_NAME, SeenApp, app_of, apps_of
from opentill.web.pages import language_of

PATH = "/apps"
HOUR_MS = 3_600_000
OVERLAPS_H = (0, 1, 24, 72, 168, 720)

_READ, _MANAGE = Permission.APPS_READ, Permission.APPS_MANAGE


def pages(_: Deployment) -> list[ConsolePage]:
    one = f"{PATH}/{{app}}"
    return [
        ConsolePage(PATH, _list, _READ, nav="apps"),
        ConsolePage(PATH, _add, _MANAGE, methods=("POST",)),
        ConsolePage(f"{PATH}/new", _new, _MANAGE),
        ConsolePage(one, _page, _READ),
        ConsolePage(f"{one}/name", _rename, _MANAGE, methods=("POST",)),
        ConsolePage(f"{one}/merchants", _link, _MANAGE, methods=("POST",)),
        ConsolePage(f"{one}/rules/{{group}}", _change_rules, _MANAGE, methods=("POST",)),
        ConsolePage(f"{one}/key", _rotate, _MANAGE, methods=("POST",)),
        ConsolePage(f"{one}/old-key/end", _end_old_key, _MANAGE, methods=("POST",)),
        ConsolePage(f"{one}/state", _switch, _MANAGE, methods=("POST",)),
        ConsolePage(f"{one}/sample", _try, _MANAGE, methods=("POST",)),
    ]


async def _list(visit: Visit) -> Response:
    seen = await apps_of(visit, _READ)
    return visit.render(
        "console/apps.html",
        apps=[(each.entry, _rules(each), sorted(each.merchant_ids)) for each in seen],
        merchants=await _merchant_names(visit),
    )


async def _new(visit: Visit) -> Response:
    return await _draw_new(visit)


async def _add(visit: Visit) -> Response:
    """The key is on the page that answers, and nowhere after."""
    name = visit.form.get("name", "").strip()
    merchant_ids = await _chosen_merchants(visit)
    method = visit.form.get("sign_method", "MD5")
    if not _is_name(name):
        return await _draw_new(visit, problem="name")
    if not merchant_ids:
        return await _draw_new(visit, problem="merchants")
    if method not in ("MD5", "HMAC-SHA256"):
        return await _draw_new(visit, problem="method")
    rules = AppRules(sign_method="MD5" if method == "MD5" else "HMAC-SHA256")
    made = await visit.administration().add_app(name, merchant_ids, rules=rules)
    visit.deployment.parties.forget()
    return _draw_key(visit, made, is_new=True)


async def _page(visit: Visit) -> Response:
    return await _draw(visit, await app_of(visit, _READ))


async def _rename(visit: Visit) -> Response:
    seen = await app_of(visit, _MANAGE)
    name = visit.form.get("name", "").strip()
    if not _is_name(name):
        return await _draw(visit, seen, problems={"name": visit.t["apps"]["problem_name"]})
    await _change(
        visit,
        [rows.rename("app", seen.entry.app, name=name)],
        "app.rename",
        seen,
        {"name": seen.entry.name},
        {"name": name},
    )
    return _saved(visit, seen)


async def _link(visit: Visit) -> Response:
    """Only merchants where the visitor manages apps can be chosen; all the app's merchants are such."""
    seen = await app_of(visit, _MANAGE)
    wanted = frozenset(await _chosen_merchants(visit))
    if not wanted:
        return await _draw(visit, seen, problems={"merchants": visit.t["apps"]["problem_merchants"]})
    steps = [
        *rows.link_app(seen.entry.app_id, sorted(wanted - seen.merchant_ids)),
        *rows.unlink_app(seen.entry.app_id, sorted(seen.merchant_ids - wanted)),
    ]
    if steps:
        before, after = ({"merchants": ", ".join(map(str, sorted(ids)))} for ids in (seen.merchant_ids, wanted))
        await _change(visit, steps, "app.merchants", seen, before, after)
    return _saved(visit, seen)


async def _change_rules(visit: Visit) -> Response:
    seen, group = await app_of(visit, _MANAGE), visit.request.path_params["group"]
    if group not in GROUPS:
        raise NotYours
    lists = {"commands": [name for name in visit.form_list("commands") if name in load_commands()]}
    values, problems = read_rules(visit.form, lists, group, visit.t, language_of(visit.request))
    if problems:
        return await _draw(visit, seen, problems=problems, typed=values)
    try:
        await visit.administration().set_app_rules(seen.entry.app, values)
    except NotPossible as error:
        return await _draw(visit, seen, problems={group: worded(visit, error)}, typed=values)
    visit.deployment.parties.forget()
    return _saved(visit, seen)


async def _rotate(visit: Visit) -> Response:
    seen = await app_of(visit, _MANAGE)
    hours = visit.form.get("overlap", "")
    if hours not in map(str, OVERLAPS_H):
        return await _draw(visit, seen, problems={"overlap": visit.t["apps"]["problem_overlap"]})
    key = await visit.administration().rotate_app_key(seen.entry.app, overlap_ms=int(hours) * HOUR_MS)
    visit.deployment.parties.forget()
    return _draw_key(visit, NewApp(seen.entry.app_id, seen.entry.app, key), overlap_h=int(hours))


async def _end_old_key(visit: Visit) -> Response:
    seen = await app_of(visit, _MANAGE)
    before = {"old_key_until_ms": str(seen.entry.old_key_until_ms)}
    after = {"old_key_until_ms": str(visit.now_ms)}
    # Ended by itself meanwhile: what was asked for is so.
    with contextlib.suppress(StepFailed):
        step = rows.end_old_key(seen.entry.app, now_ms=visit.now_ms)
        await _change(visit, [step], "app.end_old_key", seen, before, after)
    return _saved(visit, seen)


async def _switch(visit: Visit) -> Response:
    seen, is_disabled = await app_of(visit, _MANAGE), visit.form.get("state") == "disabled"
    await visit.administration().set_disabled("app", seen.entry.app, is_disabled=is_disabled)
    visit.deployment.parties.forget()
    text = visit.t["apps"]["was_disabled" if is_disabled else "was_enabled"]
    return visit.redirect(f"{PATH}/{seen.entry.app}", text)


async def _try(visit: Visit) -> Response:
    seen, url = await app_of(visit, _MANAGE), visit.form.get("url", "").strip()
    words = visit.t["apps"]
    allowed = _rules(seen).notify_hosts
    try:
        read_url(url)
    except GatewayError:
        return await _draw(visit, seen, problems={"url": visit.t["rule"]["problem_url"]}, url=url)
    if allowed and host_of(url) not in allowed:
        return await _draw(visit, seen, problems={"url": words["problem_host"]}, url=url)
    await _change(visit, [], "app.sample", seen, {}, {"url": url})
    sample = await send_sample(visit.deployment, seen.entry.app_id, url)
    return await _draw(visit, seen, sample=sample, url=url)


async def _draw(
    visit: Visit,
    seen: SeenApp,
    *,
    problems: dict[str, str] | None = None,
    typed: dict[str, object] | None = None,
    sample: Sample | None = None,
    url: str = "",
) -> Response:
    rules = _rules(seen)
    shown = msgspec.structs.replace(rules, **_convertible(typed or {}))
    return visit.render(
        "console/app.html",
        status=422 if problems else 200,
        app=seen.entry,
        rules=rules,
        groups=rule_fields(shown, visit.t, language_of(visit.request), sorted(load_commands()), problems=problems),
        merchants=await _choosable(visit),
        merchant_names=await _merchant_names(visit),
        linked=sorted(seen.merchant_ids),
        may_manage=visit.visitor.may(_MANAGE) and seen in await apps_of(visit, _MANAGE),
        overlaps=OVERLAPS_H,
        has_old_key=bool(seen.entry.has_old_key and seen.entry.old_key_until_ms > visit.now_ms),
        problems=problems or {},
        sample=sample,
        url=url or rules.default_notify_url,
    )


def _convertible(typed: dict[str, object]) -> dict[str, object]:
    """What was typed, as the struct has it: the form is drawn from it again."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in typed.items()}


def _draw_key(visit: Visit, made: NewApp, *, is_new: bool = False, overlap_h: int = 0) -> Response:
    return visit.render(
        "console/app_key.html",
        made=made,
        is_new=is_new,
        overlap_h=overlap_h,
        gateway_url=f"{visit.deployment.public_base_url}/gatewayOpen.htm",
    )


async def _draw_new(visit: Visit, *, problem: str = "") -> Response:
    return visit.render(
        "console/app_new.html",
        status=422 if problem else 200,
        merchants=await _choosable(visit),
        chosen=await _chosen_merchants(visit),
        name=visit.form.get("name", "")[:MAX_NAME],
        method=visit.form.get("sign_method", "MD5"),
        problem=visit.t["apps"][f"problem_{problem}"] if problem else "",
        wrong=problem,
    )


async def _change(
    visit: Visit, steps: Sequence[Step], action: str, seen: SeenApp, before: dict[str, str], after: dict[str, str]
) -> None:
    await visit.change([*steps, rows.bump_version()], action, seen.entry.app, before=before, after=after)
    visit.deployment.parties.forget()


def _saved(visit: Visit, seen: SeenApp) -> Response:
    return visit.redirect(f"{PATH}/{seen.entry.app}", visit.t["apps"]["saved"])


def _is_name(text: str) -> bool:
    return 0 < len(text) <= MAX_NAME and text.isprintable()


def _rules(seen: SeenApp) -> AppRules:
    return msgspec.json.decode(seen.entry.rules, type=AppRules)


async def _merchant_names(visit: Visit) -> dict[int, str]:
    return {row.row_id: row.name for row in await rows.merchants(visit.deployment.database)}


async def _choosable(visit: Visit) -> list[rows.NamedRow]:
    """Merchants whose apps the visitor manages."""
    mine = visit.visitor.merchants(_MANAGE)
    found = await rows.merchants(visit.deployment.database)
    return [row for row in found if mine is None or row.row_id in mine]


async def _chosen_merchants(visit: Visit) -> list[int]:
    """What the form ticked; others' merchants are not there."""
    ticked = set(visit.form_list("merchant"))
    return [row.row_id for row in await _choosable(visit) if str(row.row_id) in ticked]
