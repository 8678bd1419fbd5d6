"""Accounts at the wallets: a form drawn from the wallet's own fields, secrets never shown again, a self-test."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from opentill.channels.base import AccountField, AccountProblem, Channel
from opentill.channels.keys import fingerprint, public_half
from opentill.domain.people import Permission
from opentill.services.account_check import Step, check_account
from opentill.services.deployment import Deployment
from opentill.storage import directory
from opentill.storage import parties as rows
from opentill.storage.directory import AccountEntry
from opentill.web.console.door import ConsolePage, NotYours, Visit
from opentill.web.console.scope import MAX_NAME
from opentill.web.pages import CHINESE, language_of

PATH = "/accounts"
MAX_VALUE = 40_000
CLEAR_PREFIX = "clear_"

_READ, _MANAGE = Permission.ACCOUNTS_READ, Permission.ACCOUNTS_MANAGE


class DrawnField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the form. `value` is what may be shown; of what may not there is a `fingerprint`."""

    name: str
    label: str
    help: str
    value: str
    is_required: bool
    is_secret: bool
    is_multiline: bool
    fingerprint: str = ""
    own_public_key: str = ""
    problem: str = ""


def pages(_: Deployment) -> list[ConsolePage]:
    one = f"{PATH}/{{account_id:int}}"
    return [
        ConsolePage(PATH, _list, _READ, nav="accounts"),
        ConsolePage(PATH, _add, _MANAGE, methods=("POST",)),
        ConsolePage(f"{PATH}/new", _new, _MANAGE),
        ConsolePage(one, _page, _READ),
        ConsolePage(one, _save, _MANAGE, methods=("POST",)),
        ConsolePage(f"{one}/test", _test, _MANAGE, methods=("POST",)),
        ConsolePage(f"{one}/name", _rename, _MANAGE, methods=("POST",)),
        ConsolePage(f"{one}/state", _switch, _MANAGE, methods=("POST",)),
    ]


async def _list(visit: Visit) -> Response:
    mine = visit.visitor.merchants(_READ)
    wanted = visit.request.query_params.get("merchant", "")
    found = [
        each
        for each in await directory.accounts(visit.deployment.database)
        if (mine is None or each.merchant_id in mine) and wanted in ("", str(each.merchant_id))
    ]
    return visit.render(
        "console/accounts.html",
        accounts=found,
        merchants=await _merchant_names(visit),
        wallets=_wallets(visit),
        wanted=wanted,
    )


async def _new(visit: Visit) -> Response:
    name = visit.request.query_params.get("wallet", "")
    channel = next((each for each in visit.deployment.channels.values() if each.name == name), None)
    return await _draw_new(visit, channel)


async def _add(visit: Visit) -> Response:
    """Stored once it can be used; then it is tried at the wallet."""
    channel = next((each for each in visit.deployment.channels.values() if each.name == visit.form.get("wallet")), None)
    if channel is None:
        return await _draw_new(visit, None)
    merchant = next((row for row in await _choosable(visit) if str(row.row_id) == visit.form.get("merchant")), None)
    name = _name_in(visit)
    settings = _typed(visit, channel, {})
    words = visit.t["accounts"]
    if merchant is None:
        return await _draw_new(visit, channel, settings, {"merchant": words["problem_merchant"]})
    if not name:
        return await _draw_new(visit, channel, settings, {"name": words["problem_name"]})
    try:
        account_id = await visit.administration().add_account(
            name, merchant_id=merchant.row_id, channel=channel.number, settings=settings
        )
    except AccountProblem as problem:
        return await _draw_new(visit, channel, settings, {problem.field: _worded(visit, problem)})
    visit.deployment.parties.forget()
    return visit.redirect(f"{PATH}/{account_id}", words["added"])


async def _page(visit: Visit) -> Response:
    return await _draw(visit, await _account(visit, _READ))


async def _save(visit: Visit) -> Response:
    account = await _account(visit, _MANAGE)
    channel = visit.deployment.channels[account.channel]
    current = await visit.administration().account_settings(account.account_id)
    settings = _typed(visit, channel, current)
    if settings == {name: text.strip() for name, text in current.items()}:
        return visit.redirect(f"{PATH}/{account.account_id}", visit.t["accounts"]["unchanged"])
    try:
        await visit.administration().replace_account_settings(account.account_id, settings)
    except AccountProblem as problem:
        return await _draw(visit, account, typed=settings, problems={problem.field: _worded(visit, problem)})
    visit.deployment.parties.forget()
    return visit.redirect(f"{PATH}/{account.account_id}", visit.t["accounts"]["saved"])


async def _test(visit: Visit) -> Response:
    account = await _account(visit, _MANAGE)
    settings = await visit.administration().account_settings(account.account_id)
    steps = await check_account(
        visit.deployment, channel=account.channel, settings=settings, account_id=account.account_id
    )
    return await _draw(visit, account, steps=steps)


async def _rename(visit: Visit) -> Response:
    account, name = await _account(visit, _MANAGE), _name_in(visit)
    if not name:
        return await _draw(visit, account, problems={"name": visit.t["accounts"]["problem_name"]})
    step = rows.rename("account", account.account_id, name=name)
    await visit.change(
        [step, rows.bump_version()], "account.rename", str(account.account_id), before={"name": account.name},
        after={"name": name},
    )  # fmt: skip
    visit.deployment.parties.forget()
    return visit.redirect(f"{PATH}/{account.account_id}", visit.t["accounts"]["saved"])


async def _switch(visit: Visit) -> Response:
    account, is_disabled = await _account(visit, _MANAGE), visit.form.get("state") == "disabled"
    await visit.administration().set_disabled("account", account.account_id, is_disabled=is_disabled)
    visit.deployment.parties.forget()
    return visit.redirect(f"{PATH}/{account.account_id}", visit.t["accounts"]["saved"])


async def _draw_new(
    visit: Visit,
    channel: Channel[Any] | None,
    settings: Mapping[str, str] | None = None,
    problems: Mapping[str, str] | None = None,
) -> Response:
    fields = _fields(visit, channel, {}, settings or {}, problems or {}) if channel else []
    return visit.render(
        "console/account_new.html",
        status=422 if problems else 200,
        channel=channel.name if channel else "",
        wallets=_wallets(visit),
        fields=fields,
        merchants=await _choosable(visit),
        chosen=visit.form.get("merchant", visit.request.query_params.get("merchant", "")),
        name=visit.form.get("name", "")[:MAX_NAME],
        problems=problems or {},
    )


async def _draw(
    visit: Visit,
    account: AccountEntry,
    *,
    typed: Mapping[str, str] | None = None,
    problems: Mapping[str, str] | None = None,
    steps: Sequence[Step] = (),
) -> Response:
    channel = visit.deployment.channels[account.channel]
    current = await visit.administration().account_settings(account.account_id)
    return visit.render(
        "console/account.html",
        status=422 if problems else 200,
        account=account,
        wallet=channel.name,
        merchant=(await _merchant_names(visit)).get(account.merchant_id, ""),
        fields=_fields(visit, channel, current, typed or current, problems or {}),
        labels={field.name: _label(visit, field) for field in channel.account_fields},
        callback_url=visit.deployment.callback_url(account.channel, account.account_id),
        may_manage=visit.visitor.may(_MANAGE, account.merchant_id),
        problems=problems or {},
        steps=steps,
        is_chinese=language_of(visit.request) == CHINESE,
    )


def _fields(
    visit: Visit,
    channel: Channel[Any],
    stored: Mapping[str, str],
    shown: Mapping[str, str],
    problems: Mapping[str, str],
) -> list[DrawnField]:
    """Secrets are never shown again, not even to who just typed them."""
    is_chinese = language_of(visit.request) == CHINESE
    return [
        DrawnField(
            name=field.name,
            label=_label(visit, field),
            help=field.help_zh if is_chinese else field.help_en,
            value="" if field.is_secret else shown.get(field.name, ""),
            is_required=field.is_required,
            is_secret=field.is_secret,
            is_multiline=field.is_multiline,
            fingerprint=fingerprint(stored[field.name])
            if stored.get(field.name) and (field.is_secret or field.is_multiline)
            else "",
            own_public_key=public_half(stored[field.name])
            if field.is_secret and field.is_multiline and stored.get(field.name)
            else "",
            problem=problems.get(field.name, ""),
        )
        for field in channel.account_fields
    ]


def _typed(visit: Visit, channel: Channel[Any], current: Mapping[str, str]) -> dict[str, str]:
    """What the form says. An empty secret stays as it is, unless it is ticked to be cleared."""
    settings = {}
    for field in channel.account_fields:
        text = visit.form.get(field.name, "").replace("\r\n", "\n").strip()[:MAX_VALUE]
        if field.is_secret and not text and visit.form.get(CLEAR_PREFIX + field.name) != "yes":
            text = current.get(field.name, "")
        if text:
            settings[field.name] = text
    return settings


def _worded(visit: Visit, problem: AccountProblem) -> str:
    return problem.text_zh if language_of(visit.request) == CHINESE else problem.text_en


def _label(visit: Visit, field: AccountField) -> str:
    return field.label_zh if language_of(visit.request) == CHINESE else field.label_en


def _wallets(visit: Visit) -> dict[int, str]:
    return {number: channel.name for number, channel in visit.deployment.channels.items()}


def _name_in(visit: Visit) -> str:
    """Empty when it can't be one."""
    name = " ".join(visit.form.get("name", "").split())
    return name if len(name) <= MAX_NAME and name.isprintable() else ""


async def _merchant_names(visit: Visit) -> dict[int, str]:
    return {row.row_id: row.name for row in await rows.merchants(visit.deployment.database)}


async def _choosable(visit: Visit) -> list[rows.NamedRow]:
    """Merchants whose accounts the visitor manages."""
    mine = visit.visitor.merchants(_MANAGE)
    return [row for row in await rows.merchants(visit.deployment.database) if mine is None or row.row_id in mine]


async def _account(visit: Visit, permission: Permission) -> AccountEntry:
    """The account that the address names. Raises NotYours."""
    account_id = visit.request.path_params["account_id"]
    for found in await directory.accounts(visit.deployment.database):
        if found.account_id == account_id and found.channel in visit.deployment.channels:
            visit.require(permission, found.merchant_id)
            return found
    raise NotYours
