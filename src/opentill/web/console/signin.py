"""Sign in, sign out, and the first start."""

from collections.abc import Callable

from starlette.responses import Response

from opentill.services import first_owner, passwords, signin
from opentill.services.deployment import Deployment
from opentill.services.first_owner import AlreadyOwned
from opentill.services.passwords import TooManyPasswords
from opentill.services.signin import Came, MustWait, TicketGone, Wrong
from opentill.storage import people as rows
from opentill.storage.people import UserRow
from opentill.web.console.door import PREFIX, SIGN_IN, ConsolePage, Visit

START = "/start"
MAX_NEXT = 1_000
MAX_NAME = 64


def pages(_: Deployment) -> list[ConsolePage]:
    return [
        ConsolePage(SIGN_IN, _sign_in_page, None, is_open=True),
        ConsolePage(SIGN_IN, _sign_in, None, methods=("POST",), is_open=True),
        ConsolePage("/sign-out", _sign_out, None, methods=("POST",), before_password=True),
        ConsolePage(START, _start_page, None, is_open=True),
        ConsolePage(START, _start, None, methods=("POST",), is_open=True),
    ]


async def _sign_in_page(visit: Visit) -> Response:
    if visit.signed_in:
        return visit.redirect(_next_path(visit.request.query_params.get("next", "")))
    if not await rows.has_users(visit.deployment.database):
        return visit.redirect(START)
    return _draw_sign_in(visit, next_url=visit.request.query_params.get("next", ""))


async def _sign_in(visit: Visit) -> Response:
    """First login and password; then, for who has a second factor, its code."""
    came, form = came_of(visit), visit.form
    login, ticket = form.get("login", "")[: signin.MAX_LOGIN], form.get("ticket", "")
    try:
        if ticket:
            row = await signin.check_code(visit.deployment, ticket, form.get("code", ""), came)
        else:
            row = await signin.check_password(visit.deployment, login, form.get("password", ""), came)
            if row.totp_sealed:
                return _draw_sign_in(visit, ticket=signin.issue_ticket(visit.deployment, row, came))
    except Wrong:
        problem = "wrong_code" if ticket else "wrong"
        return _draw_sign_in(visit, login=login, ticket=ticket, problem=problem, status=401)
    except TicketGone:
        return _draw_sign_in(visit, problem="ticket", status=401)
    except (MustWait, TooManyPasswords) as error:
        return refusal(visit, error, lambda text: _draw_sign_in(visit, login=login, ticket=ticket, waits=text))
    return await open_session(visit, row, came, _next_path(form.get("next", "")))


async def _sign_out(visit: Visit) -> Response:
    assert visit.signed_in is not None
    session = visit.signed_in.session
    await visit.change([rows.end_session(session.token_hash)], "session.end", visit.visitor.login, before={}, after={})
    response = visit.redirect(SIGN_IN)
    visit.house.cookies.drop_session(response)
    return response


async def _start_page(visit: Visit) -> Response:
    if await rows.has_users(visit.deployment.database):
        return visit.redirect(SIGN_IN)
    return _draw_start(visit, code=visit.request.query_params.get("code", "")[:64])


async def _start(visit: Visit) -> Response:
    form, came = visit.form, came_of(visit)
    login, name = signin.new_login(form.get("login", "")), form.get("name", "").strip()[:MAX_NAME]
    password = form.get("password", "")
    problem = "login" if not login else "password_" + (passwords.problem_of(password, login=login) or "fine")
    if problem == "password_fine" and password != form.get("again", ""):
        problem = "again"
    if problem != "password_fine":
        return _draw_start(visit, code=form.get("code", "")[:64], problem=problem, status=422)
    try:
        row = await first_owner.make_first_owner(
            visit.deployment, form.get("code", ""), login=login, name=name or login, password=password, came=came
        )
    except Wrong:
        return _draw_start(visit, problem="code", status=403)
    except AlreadyOwned:
        return visit.redirect(SIGN_IN)
    except (MustWait, TooManyPasswords) as error:
        return refusal(visit, error, lambda text: _draw_start(visit, waits=text))
    return await open_session(visit, row, came, "/")


def came_of(visit: Visit) -> Came:
    return Came(
        source_ip=visit.source_ip,
        user_agent=visit.request.headers.get("user-agent", ""),
        guest=visit.guest,
        now_ms=visit.now_ms,
        old_token=visit.house.cookies.session_token(visit.request),
    )


async def open_session(visit: Visit, row: UserRow, came: Came, path: str) -> Response:
    token = await signin.open_session(visit.deployment, row, came)
    response = visit.redirect(path)
    visit.house.cookies.set_session(response, token)
    return response


def _draw_sign_in(
    visit: Visit,
    *,
    login: str = "",
    ticket: str = "",
    problem: str = "",
    waits: str = "",
    next_url: str = "",
    status: int = 200,
) -> Response:
    return visit.render(
        "console/sign_in.html",
        status=status,
        login=login,
        ticket=ticket,
        problem=problem,
        waits=waits,
        next_url=next_url or visit.form.get("next", ""),
    )


def _draw_start(visit: Visit, *, code: str = "", problem: str = "", waits: str = "", status: int = 200) -> Response:
    return visit.render(
        "console/start.html",
        status=status,
        code=code,
        problem=problem,
        waits=waits,
        login=visit.form.get("login", ""),
        name=visit.form.get("name", ""),
        min_length=passwords.MIN_LENGTH,
    )


def refusal(visit: Visit, error: MustWait | TooManyPasswords, draw: Callable[[str], Response]) -> Response:
    """Come later: because of too many failures, or of too many people."""
    if isinstance(error, TooManyPasswords):
        response = draw(visit.t["signin"]["busy"])
        response.status_code = 503
        return response
    seconds = max(1, -(-(error.until_ms - visit.now_ms) // 1000))
    response = draw(visit.t["signin"]["wait"].format(seconds=seconds))
    response.status_code = 429
    response.headers["Retry-After"] = str(seconds)
    return response


def _next_path(url: str) -> str:
    """Back to where somebody was sent from; only ever into the console."""
    if url.startswith(PREFIX + "/") and len(url) <= MAX_NEXT and url.isprintable() and "\\" not in url:
        return url.removeprefix(PREFIX)
    return "/"
