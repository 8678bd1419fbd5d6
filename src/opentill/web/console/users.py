"""People: who there is, new ones, their roles, and letting nobody in who left."""

from starlette.responses import Response

from opentill.domain.people import EVERY_MERCHANT, Grant, Permission, Role
from opentill.services.deployment import Deployment
from opentill.services.passwords import TooManyPasswords
from opentill.services.users import User, UserProblem
from opentill.web.console.door import ConsolePage, NotYours, Visit
from opentill.web.console.profile import merchant_names, users_of

USERS = "/users"
MAX_GRANTS = 200
MAX_DIGITS = 15


def pages(_: Deployment) -> list[ConsolePage]:
    manage = Permission.USERS_MANAGE
    return [
        ConsolePage(USERS, _list, manage, nav="users"),
        ConsolePage(USERS, _add, manage, methods=("POST",)),
        ConsolePage("/users/new", _new_page, manage),
        ConsolePage("/users/{user_id:int}", _user_page, manage),
        ConsolePage("/users/{user_id:int}", _change, manage, methods=("POST",)),
        ConsolePage("/users/{user_id:int}/state", _switch, manage, methods=("POST",)),
        ConsolePage("/users/{user_id:int}/reset", _reset, manage, methods=("POST",)),
    ]


async def _list(visit: Visit) -> Response:
    users = await users_of(visit).all()
    return visit.render("console/users.html", users=users, places=await _places(visit))


async def _new_page(visit: Visit) -> Response:
    return await _draw_new(visit)


async def _add(visit: Visit) -> Response:
    login, name = visit.form.get("login", ""), visit.form.get("name", "")
    try:
        user_id, password = await users_of(visit).add(login, name, _grants(visit))
    except UserProblem as problem:
        return await _draw_new(visit, problem=problem.name, status=422)
    except TooManyPasswords:
        return await _draw_new(visit, problem="busy", status=503)
    return await _draw_user(visit, await users_of(visit).get(user_id), initial_password=password)


async def _draw_new(visit: Visit, *, problem: str = "", status: int = 200) -> Response:
    return visit.render(
        "console/user_new.html",
        status=status,
        problem=problem,
        login=visit.form.get("login", ""),
        name=visit.form.get("name", ""),
        grants=_offered(visit, _grants(visit, is_strict=False)),
        places=await _places(visit),
        roles=list(Role),
    )


async def _user_page(visit: Visit) -> Response:
    return await _draw_user(visit, await _user(visit))


async def _change(visit: Visit) -> Response:
    user = await _user(visit)
    users, name = users_of(visit), visit.form.get("name", "").strip()
    try:
        if name != user.row.name:
            await users.rename(user.row.user_id, name)
        if "grant_role" in visit.form and sorted(_grants(visit)) != sorted(user.grants):
            await users.set_grants(user.row.user_id, _grants(visit))
    except UserProblem as problem:
        return await _draw_user(visit, user, problem=problem.name, status=422)
    return visit.redirect(f"{USERS}/{user.row.user_id}", visit.t["users"]["saved"])


async def _switch(visit: Visit) -> Response:
    user, is_disabled = await _user(visit), visit.form.get("state") == "disabled"
    try:
        await users_of(visit).set_disabled(user.row.user_id, is_disabled=is_disabled)
    except UserProblem as problem:
        return await _draw_user(visit, user, problem=problem.name, status=422)
    text = visit.t["users"]["is_disabled" if is_disabled else "is_enabled"]
    return visit.redirect(f"{USERS}/{user.row.user_id}", text)


async def _reset(visit: Visit) -> Response:
    user = await _user(visit)
    try:
        password = await users_of(visit).reset(user.row.user_id)
    except UserProblem as problem:
        return await _draw_user(visit, user, problem=problem.name, status=422)
    except TooManyPasswords:
        return await _draw_user(visit, user, problem="busy", status=503)
    return await _draw_user(visit, await _user(visit), initial_password=password)


async def _draw_user(
    visit: Visit, user: User, *, problem: str = "", initial_password: str = "", status: int = 200
) -> Response:
    """`initial_password`: shown here, once."""
    return visit.render(
        "console/user.html",
        status=status,
        user=user,
        is_self=user.row.user_id == visit.visitor.user_id,
        grants=_offered(visit, list(user.grants)),
        problem=problem,
        initial_password=initial_password,
        places=await _places(visit),
        roles=list(Role),
    )


async def _user(visit: Visit) -> User:
    """Who the address names. Raises NotYours."""
    user_id = visit.request.path_params["user_id"]
    try:
        return await users_of(visit).get(user_id if user_id < 10**MAX_DIGITS else 0)
    except UserProblem as problem:
        raise NotYours from problem


async def _places(visit: Visit) -> dict[int, str]:
    """Where the visitor may give roles, by number: every merchant, and each."""
    mine = visit.visitor.merchants(Permission.USERS_MANAGE)
    names = await merchant_names(visit)
    if mine is None:
        return {EVERY_MERCHANT: visit.t["users"]["every_merchant"], **names}
    return {merchant_id: name for merchant_id, name in names.items() if merchant_id in mine}


def _grants(visit: Visit, *, is_strict: bool = True) -> list[Grant]:
    """The roles of the form: a merchant and a role each; a row without a role is none. Raises UserProblem."""
    found = []
    pairs = zip(visit.form_list("grant_merchant"), visit.form_list("grant_role"), strict=False)
    for place, role in list(pairs)[:MAX_GRANTS]:
        if not role:
            continue
        if place.isascii() and place.isdigit() and len(place) <= MAX_DIGITS and role in set(Role):
            found.append(Grant(int(place), Role(role)))
        elif is_strict:
            raise UserProblem("roles")
    return found


def _offered(visit: Visit, grants: list[Grant]) -> list[tuple[int, str]]:
    """Rows of the form: what there is, and an empty one. An integrator's owner starts at the first of the merchants."""
    mine = visit.visitor.merchants(Permission.USERS_MANAGE)
    first = min(mine, default=EVERY_MERCHANT) if mine is not None else EVERY_MERCHANT
    return [*((grant.merchant_id, grant.role.value) for grant in grants), (first, "")]
