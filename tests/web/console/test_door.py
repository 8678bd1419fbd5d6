"""The console's door: who is let in, who is told no, and what every answer carries."""

from opentill.domain.people import Role
from tests.databases import on_both_engines
from tests.web.console.kit import PASSWORD, console


@on_both_engines
async def test_somebody_signs_in_with_login_and_password_and_out_again(engine: str) -> None:
    async with console(engine) as c:
        await c.user_of(Role.OWNER)

        came = await c.post(
            "/sign-in", {"login": " Owner ", "password": PASSWORD, "next": "/console/profile"}, as_=None
        )

        assert (came.status, came.location) == (303, "/profile")
        token = came.cookies[c.cookies.session_name]
        c.tokens[Role.OWNER] = token
        assert (await c.post("/sign-out")).location == "/sign-in"
        assert (await c.get("/")).location == "/sign-in?next=%2Fconsole%2F"


async def test_nobody_is_led_to_the_sign_in_page_and_from_there_back() -> None:
    async with console() as c:
        page = await c.get("/sign-out?x=1", as_=None)
        unknown = await c.get("/nowhere?x=1", as_=None)

        assert (page.status, unknown.status) == (405, 404)
        assert (await c.get("/", as_=None)).location == "/sign-in?next=%2Fconsole%2F"
