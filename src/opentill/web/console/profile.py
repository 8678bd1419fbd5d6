"""One's own account: password, second factor, sessions."""

import secrets

import segno
from starlette.responses import Response

from opentill.base.sealing import SealingError
from opentill.services import passwords, sessions, signin, totp
from opentill.services.deployment import Deployment
from opentill.services.passwords import TooManyPasswords
from opentill.services.sessions import NewSession, SignedIn
from opentill.services.signin import MustWait, Wrong
from opentill.services.users import Users
from opentill.storage import people as rows
from opentill.storage.parties import merchants
from opentill.web.console.door import ConsolePage, Visit, owner_of_session
from opentill.web.console.signin import came_of, refusal

PROFILE = "/profile"
PASSWORD = "/profile/password"  # noqa: S105 - a path
TOTP = "/profile/totp"
HANDLE = 16
"""Characters of a session's hash that name it in a form."""


def pages(_: Deployment) -> list[ConsolePage]:
    return [
        ConsolePage(PROFILE, _profile, None),
        ConsolePage(PASSWORD, _password_page, None, before_password=True),
        ConsolePage(PASSWORD, _change_password, None, methods=("POST",), before_password=True),
        ConsolePage(TOTP, _totp_page, None),
        ConsolePage(TOTP, _set_totp, None, methods=("POST",)),
        ConsolePage("/profile/totp/remove", _remove_totp, None, methods=("POST",)),
        ConsolePage("/profile/sessions/end", _end_session, None, methods=("POST",)),
    ]


async def _profile(visit: Visit) -> Response:
    return await _draw_profile(visit)


async def _draw_profile(visit: Visit, *, problem: str = "", status: int = 200) -> Response:
    database, now_ms = visit.deployment.database, visit.now_ms
    row = await rows.user(database, visit.visitor.user_id)
    assert row is not None
    all_sessions = await rows.sessions_of(database, row.user_id)
    merchants = {0: visit.t["profile"]["every_merchant"], **await merchant_names(visit)}
    return visit.render(
        "console/profile.html",
        status=status,
        has_totp=bool(row.totp_sealed),
        problem=problem,
        handle=HANDLE,
        this_session=_session(visit).session.token_hash,
        sessions=[
            each for each in all_sessions
            if sessions.is_alive(each, settings=visit.deployment.settings, now_ms=now_ms)
        ],
        roles=[(merchants.get(grant.merchant_id, "?"), grant.role.value) for grant in visit.visitor.grants],
    )  # fmt: skip


async def _password_page(visit: Visit) -> Response:
    return _draw_password(visit)


async def _change_password(visit: Visit) -> Response:
    form, login = visit.form, visit.visitor.login
    new = form.get("password", "")
    problem = passwords.problem_of(new, login=login)
    if problem:
        return _draw_password(visit, problem=f"password_{problem}", status=422)
    if new != form.get("again", ""):
        return _draw_password(visit, problem="again", status=422)
    if new == form.get("current", ""):
        return _draw_password(visit, problem="same", status=422)
    try:
        await signin.confirm_password(visit.deployment, login, form.get("current", ""), came_of(visit))
        session = sessions.renewed(_session(visit).session)
        await users_of(visit).change_own_password(new, session=session)
    except Wrong:
        return _draw_password(visit, problem="current", status=422)
    except (MustWait, TooManyPasswords) as error:
        return refusal(visit, error, lambda text: _draw_password(visit, waits=text))
    return _gone_on(visit, session, visit.t["profile"]["password_changed"])


def _draw_password(visit: Visit, *, problem: str = "", waits: str = "", status: int = 200) -> Response:
    return visit.render(
        "console/password.html",
        status=status,
        problem=problem,
        waits=waits,
        is_initial=_session(visit).has_initial_password,
        min_length=passwords.MIN_LENGTH,
    )


async def _totp_page(visit: Visit) -> Response:
    return _draw_totp(visit, totp.new_secret())


async def _set_totp(visit: Visit) -> Response:
    """The form brings the secret back sealed: nothing is stored before the app has proven to know it."""
    form, sealer, came = visit.form, visit.deployment.sealer, came_of(visit)
    try:
        secret = sealer.open(form.get("secret", ""), place=_pending_place(visit))
    except SealingError:
        return visit.redirect(TOTP)
    step = totp.step_of(secret, form.get("code", ""), now_ms=signin.phone_ms(visit.deployment, visit.now_ms))
    if step is None:
        return _draw_totp(visit, secret, problem="code", status=422)
    try:
        await signin.confirm_password(visit.deployment, visit.visitor.login, form.get("current", ""), came)
    except Wrong:
        return _draw_totp(visit, secret, problem="current", status=422)
    except (MustWait, TooManyPasswords) as error:
        return refusal(visit, error, lambda text: _draw_totp(visit, secret, waits=text))
    session = sessions.renewed(_session(visit).session)
    await users_of(visit).set_own_totp(secret, step=step, session=session)
    return _gone_on(visit, session, visit.t["profile"]["totp_is_on"])


def _draw_totp(visit: Visit, secret: str, *, problem: str = "", waits: str = "", status: int = 200) -> Response:
    uri = totp.uri(secret, visit.visitor.login)
    return visit.render(
        "console/totp.html",
        status=status,
        problem=problem,
        waits=waits,
        qr=str(segno.make(uri, error="m").svg_inline(border=2, omitsize=True)),
        secret=" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        sealed=visit.deployment.sealer.seal(secret, place=_pending_place(visit)),
    )


async def _remove_totp(visit: Visit) -> Response:
    try:
        current = visit.form.get("current", "")
        await signin.confirm_password(visit.deployment, visit.visitor.login, current, came_of(visit))
    except (Wrong, MustWait, TooManyPasswords):
        return await _draw_profile(visit, problem="current", status=422)
    await users_of(visit).remove_own_totp()
    return visit.redirect(PROFILE, visit.t["profile"]["totp_is_off"])


async def _end_session(visit: Visit) -> Response:
    handle = visit.form.get("session", "")
    if len(handle) == HANDLE and not secrets.compare_digest(handle, _session(visit).session.token_hash[:HANDLE]):
        await users_of(visit).end_own_session(handle)
    return visit.redirect(PROFILE, visit.t["profile"]["session_ended"])


def _gone_on(visit: Visit, session: NewSession, text: str) -> Response:
    """This browser stays signed in under a new token; who had copied the old one is out."""
    response = visit.redirect(PROFILE)
    visit.house.cookies.set_session(response, session.token)
    visit.house.cookies.set_flash(response, owner_of_session(sessions.token_hash(session.token)), text)
    return response


def users_of(visit: Visit) -> Users:
    """Changes of people in the visitor's name."""
    deployment = visit.deployment
    return Users(
        deployment.database, deployment.sealer, by=visit.visitor, source_ip=visit.source_ip, now_ms=visit.now_ms
    )


async def merchant_names(visit: Visit) -> dict[int, str]:
    """By number."""
    return {row.row_id: row.name for row in await merchants(visit.deployment.database)}


def _session(visit: Visit) -> SignedIn:
    assert visit.signed_in is not None, "the page is not open to everybody"
    return visit.signed_in


def _pending_place(visit: Visit) -> str:
    return f"users.totp_sealed.pending:{visit.visitor.user_id}"
