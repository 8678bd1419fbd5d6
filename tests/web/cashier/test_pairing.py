"""A browser becomes a till by a code that works once, and only by it."""

import re

from opentill.services import devices
from tests.databases import on_both_engines
from tests.web.cashier.kit import ACTOR, store


@on_both_engines
async def test_a_code_makes_a_browser_a_till_of_its_store(engine: str) -> None:
    async with store(engine) as s:
        browser = s.browser()

        answer = await browser.pair(await s.code(name="二号台"))

        assert answer.document == {"go": "/cashier/sign-in"}
        page = await browser.get("/sign-in")
        assert "测试门店" in page.words
        assert "二号台" in page.words


async def test_a_code_is_read_as_people_type_it() -> None:
    async with store() as s:
        for separator in ("", "-", " "):
            code = await s.code()

            answer = await s.browser().pair(f" {code[:4]}{separator}{code[4:]} ".lower())

            assert answer.status == 200, separator


@on_both_engines
async def test_a_code_works_once(engine: str) -> None:
    async with store(engine) as s:
        code = await s.code()
        await s.browser().pair(code)

        again = await s.browser().pair(code)

        assert (again.status, again.document["name"]) == (422, "pairing")


async def test_a_code_lives_ten_minutes() -> None:
    async with store() as s:
        for seconds, status in ((599, 200), (600, 422)):
            code = await s.code()
            await s.world.advance(seconds)

            answer = await s.browser().pair(code)

            assert answer.status == status, seconds


async def test_a_new_code_ends_the_one_before_and_at_its_use_the_browser_before() -> None:
    async with store() as s:
        first = await s.code()
        before = s.browser()
        await before.pair(first)
        row = (await s.world.rows("SELECT device_id FROM devices"))[0]
        unused = await devices.offer_code(s.world.deployment, row["device_id"], actor=ACTOR)
        offered = await devices.offer_code(s.world.deployment, row["device_id"], actor=ACTOR)
        assert (await before.get("/sign-in")).screen == "signin", "an offered code changes nothing"

        after = s.browser()
        assert (await after.pair(unused.code)).status == 422
        assert (await after.pair(offered.spoken)).status == 200

        assert (await before.get("/")).path == "/pair"
        assert (await after.get("/")).path == "/sign-in"


async def test_guessing_codes_is_slowed_down_for_the_address_that_guesses() -> None:
    async with store() as s:
        code = await s.code()
        browser = s.browser()
        for _ in range(11):
            assert (await browser.pair("AAAABBBB")).document["name"] == "pairing"

        blocked = await browser.pair(code)

        assert blocked.document["name"] == "wait"
        await s.world.advance(30)
        assert (await browser.pair(code)).status == 200


async def test_a_device_that_is_disabled_is_no_till_any_more_and_is_one_again_when_enabled() -> None:
    async with store() as s:
        till = await s.signed_in()
        row = (await s.world.rows("SELECT device_id FROM devices"))[0]

        await devices.set_disabled(s.world.deployment, row["device_id"], is_disabled=True, actor=ACTOR)

        assert (await till.get("/")).path == "/pair"
        assert (await till.post("/sales", number="0" * 32, amount="1", channel=1)).status in (401, 403)
        assert await s.orders() == 0
        await devices.set_disabled(s.world.deployment, row["device_id"], is_disabled=False, actor=ACTOR)
        assert (await till.get("/")).screen == "amount"


async def test_a_merchant_that_is_disabled_has_no_tills() -> None:
    async with store() as s:
        till = await s.signed_in()

        await s.world.administration.set_disabled("merchant", 1, is_disabled=True)

        assert (await till.get("/")).path == "/pair"


async def test_the_token_is_kept_from_scripts_and_only_its_hash_is_stored() -> None:
    async with store() as s:
        browser = s.browser()

        answer = await browser.pair(await s.code())

        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/cashier" in cookie
        token = re.search(r"opentill_device=([^;]+)", cookie)
        assert token
        assert len(token[1]) >= 43
        (row,) = await s.world.rows("SELECT token_hash, pairing_hash FROM devices")
        assert row["token_hash"] == devices.hash_of(token[1])
        assert row["pairing_hash"] == ""


async def test_behind_https_the_cookies_are_for_https_alone() -> None:
    async with store(public_base_url="https://pay.example.com") as s:
        answer = await s.browser().get("/pair")

        assert "Secure" in answer.headers["Set-Cookie"]


async def test_no_other_site_can_pair_a_browser() -> None:
    async with store() as s:
        browser = s.browser()
        await browser.get("/pair")

        for path in ("/pair", "/pair/sandbox"):
            answer = await browser.post(path, token="", code=await s.code())

            assert answer.status == 403, path
        assert await s.world.number("SELECT count(*) FROM devices WHERE token_hash <> ''") == 0


async def test_in_the_sandbox_a_browser_is_a_till_without_a_code_and_nowhere_else() -> None:
    async with store() as s:
        browser = s.browser()
        await browser.get("/pair")
        assert (await browser.post("/pair/sandbox")).document == {"go": "/cashier/sign-in"}
        assert (await browser.get("/")).screen == "signin"
    async with store(is_sandbox=False) as s:
        async with s.world.http.post(f"{s.world.base_url}/cashier/pair/sandbox") as reply:
            assert reply.status == 404
        assert 'id="try"' not in (await s.browser().get("/pair")).text
