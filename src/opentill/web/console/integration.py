"""The integration log: every refused call of the visitor's apps, and the signature debugger with their keys."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from opentill.base.errors import CATALOGUE
from opentill.commands.registry import Command, load_commands
from opentill.domain.parties import App
from opentill.domain.people import Permission
from opentill.services.deployment import Deployment
from opentill.storage import refusals
from opentill.storage.refusals import Filter, RefusedCall
from opentill.web import debugger
from opentill.web.console.door import ConsolePage, NotYours, Visit
from opentill.web.console.scope import SeenApp, apps_of
from opentill.web.debugger import Asked, advice, marks_of

PATH = "/integration"
DEBUGGER = "/debugger"
PAGE_SIZE = 50
DAY_MS = 86_400_000
SPANS_MS = {"hour": 3_600_000, "day": DAY_MS, "week": 7 * DAY_MS, "month": 30 * DAY_MS}
MAX_ID = 2**63 - 1
"""The greatest number both databases keep."""
# Errors about the signature or the clock: the debugger says more than the log can.
DEBUGGED = frozenset({"SIGN_INVALID", "SIGN_REUSED", "TIMESTAMP_INVALID", "TIMESTAMP_OUT_OF_RANGE"})

_READ = Permission.INTEGRATION_READ


def pages(_: Deployment) -> list[ConsolePage]:
    commands = load_commands()

    async def debug(visit: Visit) -> Response:
        return await _debug(visit, commands)

    return [
        ConsolePage(PATH, _list, _READ, nav="integration"),
        ConsolePage(f"{PATH}/{{app_id:int}}/{{refusal_id:int}}", _one, _READ),
        ConsolePage(DEBUGGER, debug, _READ, nav="debugger"),
        ConsolePage(DEBUGGER, debug, _READ, methods=("POST",)),
    ]


async def _list(visit: Visit) -> Response:
    query = visit.request.query_params
    seen = await apps_of(visit, _READ)
    chosen = next((each for each in seen if each.entry.app == query.get("app")), None)
    app_ids = _app_ids(visit, seen) if chosen is None else [chosen.entry.app_id]
    span = query.get("since", "week") if query.get("since", "week") in SPANS_MS else "week"
    wanted = Filter(
        app_ids=app_ids,
        name=query.get("error", "") if query.get("error", "") in CATALOGUE else "",
        command=query.get("command", "")[:64],
        from_ms=visit.now_ms - SPANS_MS[span],
    )
    database = visit.deployment.database
    before_id = _number(query.get("before", ""))
    found = await refusals.find(database, wanted, before_id=before_id, limit=PAGE_SIZE + 1)
    kept = {"app": chosen.entry.app if chosen else "", "error": wanted.name, "command": wanted.command, "since": span}
    return visit.render(
        "console/integration_rows.html" if visit.is_htmx else "console/integration.html",
        calls=found[:PAGE_SIZE],
        older=_link(kept, before=str(found[PAGE_SIZE - 1].refusal_id)) if len(found) > PAGE_SIZE else "",
        newest=_link(kept) if before_id else "",
        counts=await refusals.counts_by_name(database, app_ids, from_ms=wanted.from_ms),
        links={name: _link(kept, error=name) for name in CATALOGUE},
        all_errors=_link(kept, error=""),
        apps=[each.entry for each in seen],
        names={each.entry.app_id: each.entry.name for each in seen},
        commands=sorted(load_commands()),
        errors=sorted(CATALOGUE.values(), key=lambda entry: entry.number),
        spans=list(SPANS_MS),
        kept=kept,
        debugged=DEBUGGED,
        advice={name: advice(name, visit.t) for name in CATALOGUE},
    )


async def _one(visit: Visit) -> Response:
    call = await _call(visit, visit.request.path_params["app_id"], visit.request.path_params["refusal_id"])
    return visit.render(
        "console/refused_call.html",
        call=call,
        form=_form_of(call),
        advice=advice(call.name, visit.t),
        debugger_url=_debugger_url(call),
        is_debugged=call.name in DEBUGGED,
    )


async def _debug(visit: Visit, commands: Mapping[str, Command]) -> Response:
    """Empty, filled from a refused call (`?call=APP_ID-REFUSAL_ID`), or answering a form."""
    seen = await apps_of(visit, _READ)
    text = theirs = ""
    at_ms, call = visit.now_ms, None
    if visit.request.method == "POST":
        text, theirs = (visit.form.get(name, "").replace("\r\n", "\n") for name in ("text", "theirs"))
        at_ms = _number(visit.form.get("at_ms", "")) or at_ms
    elif named := visit.request.query_params.get("call", ""):
        app_id, _, refusal_id = named.partition("-")
        call = await _call(visit, _number(app_id), _number(refusal_id))
        text, at_ms = urlencode(_form_of(call)), call.at_ms
    found = None
    chosen = visit.form.get("app", "")
    if text.strip():
        app, others = await _apps_for(visit, seen, chosen or debugger.app_named(text))
        asked = Asked(text=text, their_text=theirs, app=app, others=others, at_ms=at_ms)
        found = await debugger.examine(asked, commands, visit.t, offers_browser=app is None)
    return visit.render(
        "console/debugger.html",
        text=text,
        theirs=theirs,
        found=found,
        marks=marks_of(found.diagnosis) if found else {},
        has_their_text=bool(theirs.strip()),
        in_console=True,
        apps=[each.entry for each in seen],
        chosen=chosen,
        call=call,
        at_ms=at_ms if call or visit.form.get("at_ms") else 0,
    )


async def _apps_for(visit: Visit, seen: Sequence[SeenApp], name: str) -> tuple[App | None, list[App]]:
    """The named app with its keys, and the visitor's others; nothing of an app that the visitor may not see."""
    parties = visit.deployment.parties
    opened = []
    for each in seen[: debugger.MAX_OTHER_APPS]:
        if found := await parties.app(each.entry.app):
            opened.append(found)
    app = next((each for each in opened if each.app == name), None)
    return app, [each for each in opened if each.app != name]


async def _call(visit: Visit, app_id: int, refusal_id: int) -> RefusedCall:
    """Raises NotYours."""
    app_ids = _app_ids(visit, await apps_of(visit, _READ))
    if app_ids is not None and app_id not in app_ids:
        raise NotYours
    if max(app_id, refusal_id) > MAX_ID:
        raise NotYours
    call = await refusals.one(visit.deployment.database, app_id, refusal_id)
    if call is None:
        raise NotYours
    return call


def _app_ids(visit: Visit, seen: Sequence[SeenApp]) -> list[int] | None:
    """None: everybody's, strangers' too, for who may see every merchant's."""
    if visit.visitor.merchants(_READ) is None:
        return None
    return [each.entry.app_id for each in seen]


def _form_of(call: RefusedCall) -> dict[str, str]:
    return msgspec.json.decode(call.request, type=dict[str, str])


def _debugger_url(call: RefusedCall) -> str:
    return f"/console{DEBUGGER}?call={call.app_id}-{call.refusal_id}"


def _link(kept: Mapping[str, str], **changes: str) -> str:
    query = {name: value for name, value in {**kept, **changes}.items() if value}
    return f"/console{PATH}?{urlencode(query)}"


def _number(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ID)) else 0
    return number if number <= MAX_ID else 0
