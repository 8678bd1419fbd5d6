"""Signing in and the first start: passwords, codes, waits, and answers that tell nobody who exists."""

import asyncio
import re
from collections.abc import Mapping

import pyotp
import pytest

from opentill.domain.people import EVERY_MERCHANT, Grant, Role
from opentill.services import first_owner, sessions, totp
from opentill.services.signin import (
    FIRST_WAIT_MS,
    FREE_BY_ADDRESS,
    FREE_BY_LOGIN,
    LONGEST_WAIT_MS,
    TICKET_LIFE_MS,
)
from opentill.services.users import INITIAL_LIFE_MS
from opentill.storage import people as rows
from opentill.web.console.cookies import Cookies
from tests.databases import on_both_engines
from tests.web.console.kit import PASSWORD, Answer, Console, console

WRONG, FINE, WAIT = 401, 303, 429
DAY_S = 86_400
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


async def sign_in(c: Console, login: str = "owner", password: str = PASSWORD, **more: str) -> Answer:
    return await c.post("/sign-in", {"login": login, "password": password, **more}, as_=None)


async def with_totp(c: Console, role: Role = Role.OWNER) -> None:
    user_id = await c.user_of(role)
    sealed = c.world.deployment.sealer.seal(SECRET, place=totp.place(user_id))
    await c.world.database.write([rows.replace_totp(user_id, sealed=sealed, last_step=0)])


def code_now(c: Console, *, steps: int = 0) -> str:
    return pyotp.TOTP(SECRET).generate_otp(c.world.clock.now_ms() // 30_000 + steps)


def ticket_in(answer: Answer) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', answer.text)
    assert found
    return found[1]


# --- password


@on_both_engines
async def test_somebody_signs_in_with_login_and_password_and_out_again(engine: str) -> None:
    async with console(engine) as c:
        await c.user_of(Role.OWNER)

        came = await sign_in(c, " Owner ", next="/console/profile")

        assert (came.status, came.location) == (FINE, "/profile")
        c.tokens[Role.OWNER] = came.cookies[c.cookies.session_name]
        assert (await c.get("/profile")).status == 200
        assert (await c.post("/sign-out")).location == "/sign-in"
        assert (await c.get("/profile")).location == "/sign-in?next=%2Fconsole%2Fprofile"


async def test_the_session_cookie_is_for_the_server_alone_and_on_https_for_this_host_alone() -> None:
    async with console() as c:
        await c.user_of(Role.OWNER)

        came = await sign_in(c)

        cookie = next(each for each in came.headers.getall("Set-Cookie") if "opentill_session" in each)
        assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
        assert "Max-Age" not in cookie
    async with console(public_base_url="https://pay.example.com") as c:
        await c.user_of(Role.OWNER)

        came = await sign_in(c)

        cookie = next(each for each in came.headers.getall("Set-Cookie") if "opentill_session" in each)
        assert cookie.startswith("__Host-opentill_session=")
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))


async def test_only_the_hash_of_a_session_is_stored() -> None:
    async with console() as c:
        await c.user_of(Role.OWNER)

        token = (await sign_in(c)).cookies[c.cookies.session_name]

        (row,) = await c.world.rows("SELECT * FROM user_sessions")
        assert row["token_hash"] == sessions.token_hash(token)
        assert token not in str(dict(row)) + c.world.ground.log.getvalue()


@pytest.mark.parametrize("why", ["unknown", "wrong", "disabled", "expired"])
async def test_every_refusal_says_the_same(why: str) -> None:
    async with console() as c:
        user_id = await c.user_of(Role.OWNER)
        plain = await sign_in(c, "owner", "not the password")
        if why == "disabled":
            await c.world.database.write([rows.set_user_disabled(user_id, is_disabled=True)])
        if why == "expired":
            hashed = (await c.world.rows("SELECT password_hash FROM users"))[0]["password_hash"]
            now_ms = c.world.clock.now_ms()
            await c.world.database.write(
                [rows.replace_password(user_id, password_hash=hashed, initial_until_ms=now_ms)]
            )

        login = "nobody" if why == "unknown" else "owner"
        answer = await sign_in(c, login, "wrong" if why == "wrong" else PASSWORD)

        assert (answer.status, plain.status) == (WRONG, WRONG)
        assert answer.text.replace(f'value="{login}"', 'value="owner"') == plain.text


async def test_a_session_of_before_ends_with_the_new_one() -> None:
    async with console() as c:
        await c.token_of(Role.OWNER)
        guest = await c.csrf_token(Role.OWNER)

        form = {"login": "owner", "password": PASSWORD, "csrf_token": guest}
        came = await c.post("/sign-in", form)

        assert came.status == FINE
        assert came.cookies[c.cookies.session_name] != c.tokens[Role.OWNER]
        assert (await c.get("/profile")).location.startswith("/sign-in")


async def test_a_sign_in_page_that_was_open_beside_another_still_works() -> None:
    async with console() as c:
        await c.token_of(Role.OWNER)
        of_before = await c.csrf_token(None)

        came = await c.post("/sign-in", {"login": "owner", "password": PASSWORD, "csrf_token": of_before})

        assert came.status == FINE
        c.tokens.clear()
        assert (await c.post("/profile/totp", {"csrf_token": of_before})).status == 403


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/console/users?x=1", "/users?x=1"),
        ("https://evil.example/console/", "/"),
        ("//evil.example", "/"),
        ("/console/\\evil", "/"),
        ("/console/\r\nSet-Cookie: a=b", "/"),
        ("/twin/phone", "/"),
    ],
)
async def test_who_signed_in_is_led_into_the_console_and_nowhere_else(url: str, path: str) -> None:
    async with console() as c:
        await c.user_of(Role.OWNER)

        assert (await sign_in(c, next=url)).location == path


# --- sessions end


async def test_a_session_ends_by_itself() -> None:
    async with console(console_idle_minutes=30, console_session_hours=2) as c:
        for _ in range(7):
            assert (await c.get("/profile")).status == 200
            await c.world.advance(17 * 60)
        assert (await c.get("/profile")).status == 200, "used all the time: not idle"

        await c.world.advance(60)

        assert (await c.get("/profile")).status == 303, "two hours after it began"
        c.tokens.clear()
        assert (await c.get("/profile")).status == 200
        await c.world.advance(30 * 60)
        assert (await c.get("/profile")).status == 303, "idle"


async def test_sessions_and_failures_of_the_past_are_thrown_away() -> None:
    async with console() as c:
        await c.token_of(Role.OWNER)
        await sign_in(c, "nobody")

        await c.world.advance(2 * DAY_S)

        assert await c.world.number("SELECT count(*) FROM user_sessions") == 0
        assert await c.world.number("SELECT count(*) FROM sign_in_failures") == 0


# --- waits


@on_both_engines
async def test_failures_of_a_login_make_it_wait_ever_longer_whether_it_exists_or_not(engine: str) -> None:
    async with console(engine) as c:
        await c.user_of(Role.OWNER)
        for login in ("owner", "nobody"):
            for _ in range(FREE_BY_LOGIN):
                assert (await sign_in(c, login, "wrong")).status == WRONG
            waits = []
            for _ in range(9):
                assert (await sign_in(c, login, "wrong")).status == WRONG, "this one is still looked at"
                blocked = await sign_in(c, login, PASSWORD)
                assert blocked.status == WAIT, "the right password does not help"
                waits.append(int(blocked.headers["Retry-After"]))
                await c.world.advance(waits[-1])

            doubled = [FIRST_WAIT_MS << number for number in range(9)]
            assert waits == [min(wait, LONGEST_WAIT_MS) // 1000 for wait in doubled]


async def test_the_right_password_forgets_the_failures() -> None:
    async with console() as c:
        await c.user_of(Role.OWNER)
        for _ in range(3):
            for _ in range(FREE_BY_LOGIN - 1):
                assert (await sign_in(c, password="wrong")).status == WRONG

            assert (await sign_in(c)).status == FINE


async def test_many_logins_from_one_address_make_the_address_wait() -> None:
    async with console() as c:
        await c.user_of(Role.OWNER)
        for number in range(FREE_BY_ADDRESS + 1):
            assert (await sign_in(c, f"user{number}", "wrong")).status == WRONG

        assert (await sign_in(c)).status == WAIT
        await c.world.advance(FIRST_WAIT_MS / 1000)
        assert (await sign_in(c)).status == FINE


@on_both_engines
async def test_many_guesses_at_once_are_no_way_around_the_wait(engine: str) -> None:
    async with console(engine) as c:
        await c.user_of(Role.OWNER)

        answers = await asyncio.gather(*(sign_in(c, password="wrong") for _ in range(20)))

        looked_at = [answer for answer in answers if answer.status == WRONG]
        assert len(looked_at) == FREE_BY_LOGIN + 1
        assert {answer.status for answer in answers} == {WRONG, WAIT}


async def test_failures_are_forgotten_after_a_day() -> None:
    async with console(works=False) as c:
        await c.user_of(Role.OWNER)
        for _ in range(FREE_BY_LOGIN):
            await sign_in(c, password="wrong")

        c.world.clock.advance(DAY_S * 1000)

        for _ in range(FREE_BY_LOGIN):
            assert (await sign_in(c, password="wrong")).status == WRONG
        assert (await sign_in(c)).status == FINE


# --- one-time codes


async def test_who_has_a_second_factor_is_asked_for_a_code_after_the_right_password() -> None:
    async with console() as c:
        await with_totp(c)
        asked = await sign_in(c, next="/console/profile")
        assert (asked.status, c.cookies.session_name in asked.cookies) == (200, False)

        came = await sign_in(c, ticket=ticket_in(asked), code=f" {code_now(c)} ", next="/console/profile")

        assert (came.status, came.location) == (FINE, "/profile")


@pytest.mark.parametrize(
    ("steps", "status"), [(-2, WRONG), (-1, FINE), (0, FINE), (1, FINE), (2, WRONG)], ids=lambda value: str(value)
)
async def test_a_code_is_good_for_its_half_minute_and_the_two_around_it(steps: int, status: int) -> None:
    async with console() as c:
        await with_totp(c)
        ticket = ticket_in(await sign_in(c))

        assert (await sign_in(c, ticket=ticket, code=code_now(c, steps=steps))).status == status


async def test_phones_know_the_real_time_wherever_the_sandboxs_clock_was_moved_to() -> None:
    async with console(works=False) as c:
        await with_totp(c)
        code = code_now(c)
        c.world.clock.advance(40 * DAY_S * 1000)

        assert (await sign_in(c, ticket=ticket_in(await sign_in(c)), code=code)).status == FINE


@on_both_engines
async def test_a_code_is_good_once_and_none_of_before_it_later(engine: str) -> None:
    async with console(engine) as c:
        await with_totp(c)
        tickets = [ticket_in(await sign_in(c)) for _ in range(3)]
        code = code_now(c)

        answers = await asyncio.gather(*(sign_in(c, ticket=ticket, code=code) for ticket in tickets))

        assert sorted(answer.status for answer in answers) == [FINE, WRONG, WRONG]
        assert (await sign_in(c, ticket=ticket_in(await sign_in(c)), code=code_now(c, steps=-1))).status == WRONG


async def test_guessing_codes_makes_the_login_wait() -> None:
    async with console() as c:
        await with_totp(c)
        ticket = ticket_in(await sign_in(c))
        for _ in range(FREE_BY_LOGIN):
            assert (await sign_in(c, ticket=ticket, code="000000")).status == WRONG

        assert (await sign_in(c, ticket=ticket, code=code_now(c))).status == WAIT


@pytest.mark.parametrize("spoilt", ["late", "another browser", "forged", "password changed", "disabled"])
async def test_the_second_step_belongs_to_the_first(spoilt: str) -> None:
    async with console() as c:
        await with_totp(c)
        ticket = ticket_in(await sign_in(c))
        if spoilt == "late":
            c.world.clock.advance(TICKET_LIFE_MS)
        if spoilt == "forged":
            ticket = ticket[:-8] + "AAAAAAA="
        if spoilt == "another browser":
            sealed = c.world.deployment.sealer.open(ticket, place=f"sign_in.ticket:{'g' * 43}")
            ticket = c.world.deployment.sealer.seal(sealed, place=f"sign_in.ticket:{'h' * 43}")
        if spoilt == "password changed":
            await c.world.database.write([rows.replace_password(c.users[Role.OWNER], password_hash="another")])
        if spoilt == "disabled":
            await c.world.database.write([rows.set_user_disabled(c.users[Role.OWNER], is_disabled=True)])

        answer = await sign_in(c, ticket=ticket, code=code_now(c))

        assert answer.status == WRONG
        assert 'name="password"' in answer.text, "begin again"


# --- the first start


async def test_the_first_owner_is_made_by_the_code_and_is_signed_in() -> None:
    async with console() as c:
        code = first_owner.code(c.world.deployment.sealer, now_ms=c.world.clock.now_ms())
        assert (await c.get("/sign-in", as_=None)).location == "/start"

        came = await start(c, code.lower().replace("-", " "))

        assert (came.status, came.location) == (FINE, "/")
        c.tokens[Role.OWNER] = came.cookies[c.cookies.session_name]
        assert "王小明" in (await c.get("/profile")).text
        assert await rows.grants_of(c.world.database, 1) == (Grant(EVERY_MERCHANT, Role.OWNER),)
        assert (await sign_in(c, "boss")).status == FINE


@on_both_engines
async def test_of_many_first_owners_at_once_one_is_made(engine: str) -> None:
    async with console(engine) as c:
        code = first_owner.code(c.world.deployment.sealer, now_ms=c.world.clock.now_ms())

        answers = await asyncio.gather(*(start(c, code, login=f"boss{number}") for number in range(5)))

        assert [each.location for each in answers].count("/") == 1
        assert await c.world.number("SELECT count(*) FROM users") == 1


async def test_the_code_opens_nothing_once_there_is_somebody() -> None:
    async with console() as c:
        code = first_owner.code(c.world.deployment.sealer, now_ms=c.world.clock.now_ms())
        await c.user_of(Role.READER)

        answers = [await c.get(f"/start?code={code}", as_=None), await start(c, code)]

        assert [answer.location for answer in answers] == ["/sign-in", "/sign-in"]
        assert await c.world.number("SELECT count(*) FROM users") == 1


@pytest.mark.parametrize(("days", "is_good"), [(0, True), (1, True), (2, False)])
async def test_a_code_is_good_for_its_day_and_the_next(days: int, is_good: bool) -> None:
    async with console(is_sandbox=False) as c:
        code = first_owner.code(c.world.deployment.sealer, now_ms=c.world.clock.now_ms())
        await c.world.advance(days * DAY_S)

        assert (await start(c, code)).status == (FINE if is_good else 403)


async def test_codes_cannot_be_tried_out() -> None:
    async with console() as c:
        for _ in range(FREE_BY_ADDRESS + 1):
            assert (await start(c, "AAAA-BBBB-CCCC-DDDD")).status == 403

        assert (await start(c, "AAAA-BBBB-CCCC-DDDD")).status == WAIT


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("eleven char", "short"),
        ("twelve chars", ""),
        ("p" * 6 + "q" * 195, "long"),
        ("password1234", "common"),
        ("Password1234!", "common"),
        ("aaaabbbbaaaabbbb", "common"),
        ("administrator9", "login"),
        ("１２３４５６７８９０１２", "common"),
    ],
)
async def test_a_password_is_long_and_not_common_and_needs_no_symbols(password: str, problem: str) -> None:
    async with console() as c:
        code = first_owner.code(c.world.deployment.sealer, now_ms=c.world.clock.now_ms())

        answer = await start(c, code, login="administrator", password=password)

        assert answer.status == (422 if problem else FINE)
        if problem:
            assert c.world.deployment.is_sandbox
            assert Cookies(c.world.deployment).session_name not in answer.cookies
            assert t(c)[f"problem_password_{problem}"] in answer.text


async def start(c: Console, code: str, *, login: str = "boss", password: str = PASSWORD) -> Answer:
    form = {"code": code, "login": login, "name": "王小明", "password": password, "again": password}
    return await c.post("/start", form, as_=None)


def t(c: Console) -> Mapping[str, str]:
    return c.texts["signin"]


# --- an initial password


async def test_who_has_an_initial_password_gets_no_further_than_choosing_another() -> None:
    async with console() as c:
        user_id = await c.user_of(Role.READER)
        hashed = (await c.world.rows("SELECT password_hash FROM users"))[0]["password_hash"]
        until_ms = c.world.clock.now_ms() + INITIAL_LIFE_MS
        await c.world.database.write([rows.replace_password(user_id, password_hash=hashed, initial_until_ms=until_ms)])

        c.tokens[Role.READER] = (await sign_in(c, "read-only")).cookies[c.cookies.session_name]

        assert (await c.get("/profile", as_=Role.READER)).location == "/profile/password"
        new = "another good password"
        form = {"current": PASSWORD, "password": new, "again": new}
        changed = await c.post("/profile/password", form, as_=Role.READER)
        c.tokens[Role.READER] = changed.cookies[c.cookies.session_name]
        assert changed.location == "/profile"
        assert (await c.get("/profile", as_=Role.READER)).status == 200
        assert (await sign_in(c, "read-only", new)).status == FINE
