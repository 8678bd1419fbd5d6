"""Merchants with their stores and cashiers; which account each cashier's payments go to."""

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from opentill.domain.people import Permission
from opentill.services.deployment import Deployment
from opentill.storage import directory, tills
from opentill.storage import parties as rows
from opentill.storage.database import Step
from opentill.storage.directory import AccountEntry, MerchantEntry
from opentill.storage.tills import CashierRow
from opentill.web.console.door import ConsolePage, NotYours, Visit
from opentill.web.console.scope import MAX_NAME

PATH = "/merchants"

_READ, _MANAGE = Permission.MERCHANTS_READ, Permission.MERCHANTS_MANAGE


class Unusable(Exception):
    """What was typed cannot be; the text names the words."""


def pages(_: Deployment) -> list[ConsolePage]:
    one = f"{PATH}/{{merchant_id:int}}"
    cashier = f"{one}/cashiers/{{operator_id}}"
    writing = [
        (f"{one}/name", _rename),
        (f"{one}/state", _switch),
        (f"{one}/stores", _add_store),
        (f"{one}/stores/{{store_id:int}}", _rename_store),
        (f"{one}/cashiers", _add_cashier),
        (f"{cashier}/name", _rename_cashier),
        (f"{cashier}/accounts", _set_accounts),
        (f"{cashier}/state", _switch_cashier),
        (f"{cashier}/replace", _replace_cashier),
    ]
    return [
        ConsolePage(PATH, _list, _READ, nav="merchants"),
        ConsolePage(PATH, _add, _MANAGE, methods=("POST",), everywhere=True),
        ConsolePage(one, _page, _READ),
        *(ConsolePage(path, endpoint, _MANAGE, methods=("POST",)) for path, endpoint in writing),
    ]


async def _list(visit: Visit) -> Response:
    return await _draw_list(visit)


async def _add(visit: Visit) -> Response:
    try:
        name = _name_in(visit, "name")
        store = _name_in(visit, "store") if visit.form.get("store", "").strip() else ""
    except Unusable as error:
        return await _draw_list(visit, problem=str(error))
    merchant_id, _ = await visit.administration().add_merchant(name, store=store)
    return _saved(visit, merchant_id)


async def _page(visit: Visit) -> Response:
    return await _draw(visit, await _merchant(visit, _READ))


async def _rename(visit: Visit) -> Response:
    merchant = await _merchant(visit, _MANAGE)
    return await _name_changed(visit, merchant, "merchant", merchant.merchant_id, merchant.name)


async def _switch(visit: Visit) -> Response:
    merchant = await _merchant(visit, _MANAGE)
    await visit.administration().set_disabled(
        "merchant", merchant.merchant_id, is_disabled=visit.form.get("state") == "disabled"
    )
    return _saved(visit, merchant.merchant_id)


async def _add_store(visit: Visit) -> Response:
    merchant = await _merchant(visit, _MANAGE)
    try:
        name = _name_in(visit, "name")
    except Unusable as error:
        return await _draw(visit, merchant, problem=str(error))
    await visit.administration().add_store(merchant.merchant_id, name)
    return _saved(visit, merchant.merchant_id)


async def _rename_store(visit: Visit) -> Response:
    merchant = await _merchant(visit, _MANAGE)
    store_id = visit.request.path_params["store_id"]
    store = next((each for each in await _stores(visit, merchant) if each.row_id == store_id), None)
    if store is None:
        raise NotYours
    return await _name_changed(visit, merchant, "store", store.row_id, store.name)


async def _add_cashier(visit: Visit) -> Response:
    merchant = await _merchant(visit, _MANAGE)
    stores = {str(each.row_id): each.row_id for each in await _stores(visit, merchant)}
    try:
        name = _name_in(visit, "name")
        if visit.form.get("store") not in stores:
            raise Unusable(visit.t["merchants"]["problem_store"])
    except Unusable as error:
        return await _draw(visit, merchant, problem=str(error))
    chosen = await _chosen_accounts(visit, merchant)
    operator_id = await visit.administration().add_operator(
        name,
        merchant_id=merchant.merchant_id,
        store_id=stores[visit.form["store"]],
        account_ids=[account_id for account_id in chosen.values() if account_id],
    )
    return _saved(visit, merchant.merchant_id, anchor=operator_id)


async def _rename_cashier(visit: Visit) -> Response:
    merchant, cashier = await _cashier(visit)
    return await _name_changed(visit, merchant, "operator", cashier.operator_id, cashier.name)


async def _set_accounts(visit: Visit) -> Response:
    """One account of each wallet, or none: then that wallet cannot be paid with at this cashier."""
    merchant, cashier = await _cashier(visit)
    current = await rows.accounts_of_operator(visit.deployment.database, cashier.operator_id)
    chosen = await _chosen_accounts(visit, merchant)
    steps = [
        rows.set_operator_account(cashier.operator_id, channel=channel, account_id=account_id)
        if account_id
        else rows.unset_operator_account(cashier.operator_id, channel=channel)
        for channel, account_id in chosen.items()
        if current.get(channel, 0) != account_id
    ]
    after = {channel: account_id for channel, account_id in {**current, **chosen}.items() if account_id}
    if steps:
        await _change(visit, steps, "operator.accounts", cashier.operator_id, _told(current), _told(after))
    return _saved(visit, merchant.merchant_id, anchor=cashier.operator_id)


async def _switch_cashier(visit: Visit) -> Response:
    merchant, cashier = await _cashier(visit)
    is_disabled = visit.form.get("state") == "disabled"
    await visit.administration().set_disabled("operator", cashier.operator_id, is_disabled=is_disabled)
    return _saved(visit, merchant.merchant_id, anchor=cashier.operator_id)


async def _replace_cashier(visit: Visit) -> Response:
    """A new id for who leaked the old one."""
    merchant, cashier = await _cashier(visit)
    new_id = await visit.administration().replace_operator(cashier.operator_id)
    return _saved(visit, merchant.merchant_id, anchor=new_id)


async def _draw_list(visit: Visit, *, problem: str = "") -> Response:
    mine = visit.visitor.merchants(_READ)
    found = await directory.merchants(visit.deployment.database)
    return visit.render(
        "console/merchants.html",
        status=422 if problem else 200,
        merchants=[each for each in found if mine is None or each.merchant_id in mine],
        may_add=visit.visitor.merchants(_MANAGE) is None,
        problem=problem,
    )


async def _draw(visit: Visit, merchant: MerchantEntry, *, problem: str = "") -> Response:
    database = visit.deployment.database
    stores = await _stores(visit, merchant)
    accounts = await _accounts(visit, merchant)
    return visit.render(
        "console/merchant.html",
        status=422 if problem else 200,
        merchant=merchant,
        stores=stores,
        store_names={each.row_id: each.name for each in stores},
        cashiers=await tills.cashiers(database, merchant_ids=[merchant.merchant_id]),
        chosen=await directory.accounts_of_operators(database, merchant.merchant_id),
        accounts=accounts,
        account_names={each.account_id: each.name for each in accounts},
        wallets={number: channel.name for number, channel in visit.deployment.channels.items()},
        may_manage=visit.visitor.may(_MANAGE, merchant.merchant_id),
        problem=problem,
    )


async def _name_changed(visit: Visit, merchant: MerchantEntry, kind: str, key: int | str, old: str) -> Response:
    try:
        name = _name_in(visit, "name")
    except Unusable as error:
        return await _draw(visit, merchant, problem=str(error))
    await _change(visit, [rows.rename(kind, key, name=name)], f"{kind}.rename", str(key), {"name": old}, {"name": name})
    return _saved(visit, merchant.merchant_id, anchor=str(key) if kind == "operator" else "")


async def _change(
    visit: Visit, steps: Sequence[Step], action: str, subject: str, before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    await visit.change([*steps, rows.bump_version()], action, subject, before=before, after=after)


def _saved(visit: Visit, merchant_id: int, *, anchor: str = "") -> Response:
    visit.deployment.parties.forget()
    return visit.redirect(f"{PATH}/{merchant_id}" + (f"#{anchor}" if anchor else ""), visit.t["merchants"]["saved"])


def _name_in(visit: Visit, field: str) -> str:
    """Raises Unusable."""
    name = " ".join(visit.form.get(field, "").split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise Unusable(visit.t["merchants"]["problem_name"])
    return name


async def _chosen_accounts(visit: Visit, merchant: MerchantEntry) -> dict[int, int]:
    """By wallet that the form names: the account, 0 for none. Another merchant's account is none."""
    accounts = await _accounts(visit, merchant)
    chosen = {}
    for channel in visit.deployment.channels:
        given = visit.form.get(f"account_{channel}")
        if given is not None:
            fitting = [
                each.account_id for each in accounts if each.channel == channel and str(each.account_id) == given
            ]
            chosen[channel] = fitting[0] if fitting else 0
    return chosen


async def _accounts(visit: Visit, merchant: MerchantEntry) -> list[AccountEntry]:
    found = await directory.accounts(visit.deployment.database)
    return [each for each in found if each.merchant_id == merchant.merchant_id]


async def _stores(visit: Visit, merchant: MerchantEntry) -> list[rows.NamedRow]:
    found = await rows.stores(visit.deployment.database)
    return [each for each in found if each.merchant_id == merchant.merchant_id]


async def _merchant(visit: Visit, permission: Permission) -> MerchantEntry:
    """The merchant that the address names. Raises NotYours."""
    merchant_id = visit.request.path_params["merchant_id"]
    for found in await directory.merchants(visit.deployment.database):
        if found.merchant_id == merchant_id:
            visit.require(permission, merchant_id)
            return found
    raise NotYours


async def _cashier(visit: Visit) -> tuple[MerchantEntry, CashierRow]:
    """The cashier that the address names, of that merchant. Raises NotYours."""
    merchant = await _merchant(visit, _MANAGE)
    found = await tills.cashier(visit.deployment.database, visit.request.path_params["operator_id"][:MAX_NAME])
    if found is None or found.merchant_id != merchant.merchant_id:
        raise NotYours
    return merchant, found


def _told(accounts: Mapping[int, int]) -> dict[str, str]:
    return {"accounts": ", ".join(str(account_id) for account_id in sorted(accounts.values()))}
