"""Every route with every role, with nobody, without a form's token, and with another merchant's things."""

import re
from collections import Counter

import pytest

from opentill.domain.people import EVERY_MERCHANT, PERMISSIONS, Grant, Permission, Role
from opentill.services.not_possible import REASONS
from opentill.web.console.app import all_pages
from opentill.web.pages import read_texts
from tests.databases import on_both_engines
from tests.web.console.kit import OTHER_MERCHANT_ID, Answer, As, Console, at, console
from tests.web.console.routes import OPEN, ROWS, SIGNED_IN, Row
from tests.web.console.things import their_app, their_cashier
from tests.web.test_secrets import leaks, secrets_of
from tests.world import MERCHANT_ID

REFUSED, HIDDEN = 403, 404
WRITING = [row for row in ROWS if row.method == "POST"]
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def may(row: Row, grants: tuple[Grant, ...]) -> bool:
    """By the table of the roles, not by the code under test."""
    if not isinstance(row.needs, Permission):
        return True
    return any(
        row.needs in PERMISSIONS[grant.role] and (grant.merchant_id == EVERY_MERCHANT or not row.everywhere)
        for grant in grants
    )


async def knock(c: Console, row: Row, *, as_: As) -> Answer:
    """Ask for a route as somebody with a fresh session and, for a form, the right token. Things are the other's."""
    c.tokens.clear()
    path = await row.theirs(c) if row.theirs else row.path
    if row.method == "GET":
        return await c.send("GET", path, as_=as_, reads=not row.streams)
    return await c.post(path, await row.their_form(c) if row.their_form else {}, as_=as_)


async def test_every_route_has_a_row_and_every_row_a_route() -> None:
    async with console() as c:
        declared = Counter(
            (method, page.path, OPEN if page.is_open else page.permission or SIGNED_IN, page.everywhere)
            for page in all_pages(c.world.deployment)
            for method in page.methods
        )

    assert declared == Counter((row.method, row.path, row.needs, row.everywhere) for row in ROWS)
    assert [row.path for row in ROWS if "{" in row.path and row.theirs is None] == []


async def test_nobody_who_is_not_signed_in_gets_further_than_the_sign_in_page() -> None:
    async with console() as c:
        for row in ROWS:
            answer = await knock(c, row, as_=None)

            led_away = answer.status == 303 and answer.location.startswith(("/sign-in", "/start"))
            assert led_away or row.needs == OPEN, (row, answer.status)
            assert answer.status != 500, row


@pytest.mark.parametrize("role", Role)
async def test_a_role_at_a_merchant_opens_what_it_may_and_nothing_of_another_merchant(role: Role) -> None:
    async with console() as c:
        as_ = at(role, MERCHANT_ID)
        for row in ROWS:
            answer = await knock(c, row, as_=as_)

            if not may(row, as_):
                assert answer.status == REFUSED, row
            elif row.theirs or row.their_form:
                assert answer.status == HIDDEN, row
            else:
                assert answer.status not in (REFUSED, HIDDEN, 500), (row, answer.status)


@pytest.mark.parametrize("role", Role)
async def test_a_merchants_things_exist_for_its_own_people(role: Role) -> None:
    async with console() as c:
        as_ = at(role, OTHER_MERCHANT_ID)
        for row in ROWS:
            if not (row.theirs or row.their_form):
                continue

            answer = await knock(c, row, as_=as_)

            assert (answer.status == REFUSED) is not may(row, as_), (row, answer.status)
            assert answer.status not in (HIDDEN, 500), row


@pytest.mark.parametrize("role", Role)
async def test_a_role_at_every_merchant_opens_what_it_may_at_all_of_them(role: Role) -> None:
    async with console() as c:
        as_ = at(role, EVERY_MERCHANT)
        for row in ROWS:
            answer = await knock(c, row, as_=as_)

            assert (answer.status == REFUSED) is not may(row, as_), (row, answer.status)
            assert answer.status not in (HIDDEN, 500), row


@pytest.mark.parametrize("token", ["", "0" * 64, "of another session"])
async def test_no_form_is_taken_without_the_token_of_its_session(token: str) -> None:
    async with console() as c:
        for row in WRITING:
            c.tokens.clear()
            path = await row.theirs(c) if row.theirs else row.path
            wrong = token if token != "of another session" else await c.csrf_token(Role.READER)

            answer = await c.send("POST", path, as_=Role.OWNER, data={"csrf_token": wrong} if token else {})

            assert answer.status == REFUSED, row


async def test_a_form_that_another_site_sends_is_refused_even_with_a_token() -> None:
    async with console() as c:
        for site in ("cross-site", "same-site"):
            assert (await c.post("/users", {"name": "x", "login": "x"}, sec_fetch_site=site)).status == REFUSED
        assert (await c.post("/users", {"name": "x", "login": "x"}, sec_fetch_site="same-origin")).status == 200


async def test_other_methods_are_not_allowed() -> None:
    async with console() as c:
        methods: dict[str, set[str]] = {}
        for row in ROWS:
            methods.setdefault(row.path, set()).add(row.method)
        for path, known in methods.items():
            concrete = path.replace("{user_id:int}", "1").replace("{", "").replace("}", "")
            for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - known:
                answer = await c.send(method, concrete, as_=Role.OWNER)

                assert answer.status in (405, HIDDEN), (method, path)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_the_console_s_bare_address_says_no_as_its_other_pages_do(method: str) -> None:
    async with console() as c:
        answer = await c.send(method, "", as_=Role.OWNER)

        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
        assert c.texts["problem"]["title_405"] in answer.text
        assert answer.headers["Content-Security-Policy"].startswith(CSP)


async def test_a_change_that_is_not_possible_any_more_says_why_in_the_visitor_s_language() -> None:
    async with console() as c:
        cashier = await their_cashier(c)
        path = f"/merchants/{OTHER_MERCHANT_ID}/cashiers/{cashier}/replace"
        # Somebody else is faster: the store is another merchant's from one moment to the next.
        await c.world.change("UPDATE stores SET merchant_id = 1 WHERE merchant_id = 2")
        found = await c.world.rows("SELECT store_id FROM operators WHERE operator_id = $1", cashier)

        chinese, english = await c.post(path), await c.post(f"{path}?lang=en")

        assert (chinese.status, f"商户 2 没有门店 {found[0]['store_id']}" in chinese.text) == (409, True)
        assert (english.status, "merchant 2 has no store" in english.text) == (409, True)


def test_the_pages_say_in_english_what_the_command_line_says() -> None:
    assert read_texts("not_possible.en")["not_possible"] == REASONS


async def test_every_answer_carries_the_strict_headers() -> None:
    async with console() as c:
        answers = [await knock(c, row, as_=as_) for row in ROWS for as_ in (Role.OWNER, Role.CASHIER, None)]
        answers += [await c.get("/nowhere"), await c.send("PUT", "/users", as_=Role.OWNER), await c.get("/api/stats")]

        for answer in answers:
            assert answer.headers["Content-Security-Policy"].startswith(CSP)
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert answer.headers["Referrer-Policy"] == "same-origin"


async def test_a_part_of_a_page_that_is_refused_becomes_a_message_and_a_lost_session_a_new_page() -> None:
    async with console() as c:
        refused = await c.get("/users", as_=Role.READER, hx_request="true")
        lost = await c.get("/users", as_=None, hx_request="true")

        assert (refused.status, refused.headers["HX-Retarget"]) == (REFUSED, "#messages")
        assert "<html" not in refused.text
        assert (lost.status, lost.headers["HX-Redirect"]) == (204, "/console/")


async def test_what_is_no_form_or_too_much_is_refused() -> None:
    async with console() as c:
        token = await c.csrf_token(Role.OWNER)
        headers = {"X-CSRF-Token": token}

        for body, status in ((b"\xff\xfe=1", 400), (b"a", 400), (b"a=1&" * 3_000 + b"b=1", 400), (b"a" * 300_000, 413)):
            answer = await c.send("POST", "/users", as_=Role.OWNER, headers=headers, data=body)

            assert answer.status == status, body[:10]


@on_both_engines
async def test_a_character_that_no_database_holds_as_text_is_refused_wherever_it_stands(engine: str) -> None:
    async with console(engine) as c:
        path, headers = f"/apps/{await their_app(c)}/name", {"X-CSRF-Token": await c.csrf_token(Role.OWNER)}
        answers = [
            await c.post(path, {"name": "a\0b"}),
            await c.send("POST", path, as_=Role.OWNER, headers=headers, data=b"name=%00"),
            await c.get("/orders?number=a%00b"),
            await c.get("/audit?%00=1"),
            await c.post("/sign-in", {"login": "a\0b", "password": "x"}, as_=None),
        ]

        assert [answer.status for answer in answers] == [400] * 5


@on_both_engines
async def test_a_number_in_an_address_that_nothing_can_have_is_not_found(engine: str) -> None:
    async with console(engine) as c:
        for row in (row for row in ROWS if ":int" in row.path):
            for number in (str(2**63), "9" * 5_000):
                path = re.sub(r"{\w+(:int)?}", number, row.path)

                answer = await (c.get(path) if row.method == "GET" else c.post(path))

                assert answer.status == HIDDEN, row


async def test_no_page_shows_a_secret() -> None:
    async with console() as c:
        secrets = await secrets_of(c.world, c.world.till)
        for row in (row for row in ROWS if row.method == "GET" and not row.streams):
            answer = await knock(c, row, as_=Role.OWNER)

            hashes = [each["password_hash"] for each in await c.world.rows("SELECT password_hash FROM users")]
            hashes += [each["token_hash"] for each in await c.world.rows("SELECT token_hash FROM user_sessions")]
            assert leaks(secrets, answer.text) == [], row
            assert [each for each in hashes if each in answer.text] == [], row
            assert c.tokens[Role.OWNER] not in answer.text, row
        assert leaks(secrets, c.world.ground.log.getvalue()) == []


@pytest.mark.parametrize(
    ("as_", "merchant", "status"),
    [
        (Role.OWNER, "", 200),
        (Role.OWNER, "2", 200),
        (Role.READER, "1", 200),
        (Role.READER, "2", REFUSED),
        (Role.READER, "", REFUSED),
        (Role.CASHIER, "1", REFUSED),
        (None, "1", 401),
    ],
)
async def test_the_figures_for_programs_are_read_by_people_for_their_merchants(
    as_: As, merchant: str, status: int
) -> None:
    async with console(is_sandbox=False) as c:
        assert (await c.get(f"/api/stats?merchant={merchant}", as_=as_)).status == status
