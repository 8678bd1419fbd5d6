"""One's own account: password, one-time codes, sessions."""

import re

import pyotp
import pytest

from opentill.domain.people import Role
from opentill.services import sessions, totp
from opentill.storage import people as rows
from opentill.web.console.profile import HANDLE
from tests.web.console.kit import PASSWORD, Answer, Console, console

NEW = "a much better password"
FINE, WRONG = 303, 422


async def another_session(c: Console) -> str:
    """The owner signs in a second time; returns the token of the first."""
    first = await c.token_of(Role.OWNER)
    c.tokens.clear()
    await c.token_of(Role.OWNER)
    return first


async def is_alive(c: Console, token: str) -> bool:
    mine, c.tokens[Role.OWNER] = c.tokens[Role.OWNER], token
    answer = await c.get("/profile")
    c.tokens[Role.OWNER] = mine
    return answer.status == 200


def sealed_secret(page: Answer) -> tuple[str, str]:
    """What the form brings back, and the secret that people type."""
    sealed = re.search(r'name="secret" value="([^"]+)"', page.text)
    typed = re.search(r'class="secret">([A-Z2-7 ]+)<', page.text)
    assert sealed
    assert typed
    return sealed[1], typed[1].replace(" ", "")


async def test_a_new_password_ends_every_other_session() -> None:
    async with console() as c:
        first = await another_session(c)

        answer = await c.post("/profile/password", {"current": PASSWORD, "password": NEW, "again": NEW})

        mine, c.tokens[Role.OWNER] = c.tokens[Role.OWNER], answer.cookies[c.cookies.session_name]
        assert (answer.status, await is_alive(c, first), (await c.get("/profile")).status) == (FINE, False, 200)
        assert not await is_alive(c, mine), "whoever copied this session's token is out too"
        old, new = [
            await c.post("/sign-in", {"login": "owner", "password": password}, as_=None) for password in (PASSWORD, NEW)
        ]
        assert (old.status, new.status) == (401, FINE)


@pytest.mark.parametrize(
    "form",
    [
        {"current": "wrong", "password": NEW, "again": NEW},
        {"current": PASSWORD, "password": NEW, "again": NEW + "x"},
        {"current": PASSWORD, "password": "short", "again": "short"},
        {"current": PASSWORD, "password": PASSWORD, "again": PASSWORD},
        {},
    ],
)
async def test_a_password_is_changed_only_by_who_knows_it_and_to_a_good_one(form: dict[str, str]) -> None:
    async with console() as c:
        assert (await c.post("/profile/password", form)).status == WRONG
        assert (await c.post("/sign-in", {"login": "owner", "password": PASSWORD}, as_=None)).status == FINE


async def test_one_time_codes_are_on_once_the_app_has_shown_that_it_knows_the_secret() -> None:
    async with console() as c:
        first = await another_session(c)
        page = await c.get("/profile/totp")
        sealed, secret = sealed_secret(page)
        code = pyotp.TOTP(secret).generate_otp(c.world.clock.now_ms() // 30_000)
        assert "<svg" in page.text

        answer = await c.post("/profile/totp", {"secret": sealed, "code": code, "current": PASSWORD})

        assert (answer.status, answer.location) == (FINE, "/profile")
        mine, c.tokens[Role.OWNER] = c.tokens[Role.OWNER], answer.cookies[c.cookies.session_name]
        before = [await is_alive(c, token) for token in (first, mine)]
        assert (before, (await c.get("/profile")).status) == ([False, False], 200), "opened without a code"
        user = await rows.user(c.world.database, c.users[Role.OWNER])
        assert user
        assert totp.open_secret(c.world.deployment.sealer, user) == secret
        assert secret not in user.totp_sealed
        asked = await c.post("/sign-in", {"login": "owner", "password": PASSWORD}, as_=None)
        ticket = re.search(r'name="ticket" value="([^"]+)"', asked.text)
        assert ticket
        again = await c.post("/sign-in", {"ticket": ticket[1], "code": code}, as_=None)
        assert again.status == 401, "the code that turned it on is used up"


@pytest.mark.parametrize("wrong", ["code", "password", "secret"])
async def test_one_time_codes_stay_off_otherwise(wrong: str) -> None:
    async with console() as c:
        sealed, secret = sealed_secret(await c.get("/profile/totp"))
        code = pyotp.TOTP(secret).generate_otp(c.world.clock.now_ms() // 30_000)
        form = {"secret": sealed, "code": code, "current": PASSWORD}
        form |= {"code": {"code": "000000"}, "password": {"current": "x"}, "secret": {"secret": secret}}[wrong]

        answer = await c.post("/profile/totp", form)

        assert answer.status == (FINE if wrong == "secret" else WRONG)
        assert answer.location != "/profile"
        user = await rows.user(c.world.database, c.users[Role.OWNER])
        assert user
        assert user.totp_sealed == ""


@pytest.mark.parametrize(("current", "is_on"), [(PASSWORD, False), ("wrong", True)])
async def test_one_time_codes_are_turned_off_by_the_password(current: str, is_on: bool) -> None:
    async with console() as c:
        user_id = await c.user_of(Role.OWNER)
        await c.world.database.write([rows.replace_totp(user_id, sealed="sealed", last_step=0)])

        await c.post("/profile/totp/remove", {"current": current})

        user = await rows.user(c.world.database, user_id)
        assert user
        assert bool(user.totp_sealed) is is_on


async def test_another_session_is_ended_and_nobody_elses() -> None:
    async with console() as c:
        first = await another_session(c)
        reader = await c.token_of(Role.READER)
        listed = (await c.get("/profile")).text
        (handle,) = re.findall(r'name="session" value="([^"]+)"', listed)

        for each in (handle, rows_handle(reader), ""):
            assert (await c.post("/profile/sessions/end", {"session": each})).status == FINE

        assert not await is_alive(c, first)
        assert (await c.get("/profile", as_=Role.READER)).status == 200
        assert (await c.get("/profile")).status == 200


def rows_handle(token: str) -> str:
    return sessions.token_hash(token)[:HANDLE]


async def test_a_message_is_shown_once_to_the_one_it_is_for() -> None:
    async with console() as c:
        first = await another_session(c)
        answer = await c.post("/profile/sessions/end", {"session": "x" * HANDLE})
        flash = answer.cookies[c.cookies.flash_name]
        text = c.texts["profile"]["session_ended"]

        async def page(cookie: str) -> Answer:
            name = c.cookies.session_name
            sent = f"{name}={c.tokens[Role.OWNER]}; {c.cookies.flash_name}={cookie}"
            return await c.send("GET", "/profile", headers={"Cookie": sent})

        shown = await page(flash)
        assert (text in shown.text, shown.cookies[c.cookies.flash_name]) == (True, "")
        assert text not in (await page("x" + flash)).text, "not ours"
        c.tokens[Role.OWNER] = first
        assert text not in (await page(flash)).text, "somebody else's"


async def test_the_message_about_a_new_password_reaches_the_session_that_goes_on() -> None:
    async with console() as c:
        answer = await c.post("/profile/password", {"current": PASSWORD, "password": NEW, "again": NEW})

        names = (c.cookies.session_name, c.cookies.flash_name)
        sent = "; ".join(f"{name}={answer.cookies.get(name, '')}" for name in names)
        page = await c.send("GET", "/profile", headers={"Cookie": sent})
        assert c.texts["profile"]["password_changed"] in page.text
