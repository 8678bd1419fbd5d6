"""The integration log and the debugger of the console: what they show, and to whom."""

import re

from opentill.domain.parties import AppRules
from opentill.domain.people import EVERY_MERCHANT, Role
from tests.clients import Till
from tests.databases import on_both_engines
from tests.web.console.kit import OTHER_MERCHANT_ID, Console, at, console
from tests.world import MERCHANT_ID

DEVELOPER = at(Role.DEVELOPER, MERCHANT_ID)
THEIRS = at(Role.DEVELOPER, OTHER_MERCHANT_ID)


async def their_till(c: Console, *merchant_ids: int) -> Till:
    """An app of the other merchant, unless told otherwise."""
    made = await c.world.administration.add_app("theirs", merchant_ids or [OTHER_MERCHANT_ID], rules=AppRules())
    c.world.deployment.parties.forget()
    return Till(c.world.http, c.world.base_url, c.world.clock.now_ms, app=made.app, key=made.key)


@on_both_engines
async def test_a_refused_call_is_listed_explained_and_leads_to_the_debugger(engine: str) -> None:
    async with console(engine) as c:
        form = c.world.till.form("open.pay.scan", **c.world.till.scan_params(subject="一杯茶"))
        await c.world.till.post({**form, "amount": "1.0"})

        page = await c.get("/integration", as_=DEVELOPER)
        link = re.search(r'href="/console(/integration/\d+/\d+)"', page.text)
        assert link is not None
        one = await c.get(link[1], as_=DEVELOPER)
        to_debugger = re.search(r'href="/console(/debugger\?call=[\d-]+)"', one.text)
        assert to_debugger is not None
        answer = await c.get(to_debugger[1], as_=DEVELOPER)

        assert "sign签名错误" in page.text
        assert "一杯茶" in one.text
        assert 'data-verdict="differs"' in answer.text
        assert "金额写法不一致：签名的是 1（amount）" in answer.text
        assert c.world.till.key not in answer.text
        assert form["sign"] in answer.text  # the caller's own


async def test_another_merchants_calls_are_not_listed_nor_opened_nor_debugged() -> None:
    async with console() as c:
        till = await their_till(c)
        await till.scan(subject="秘密", sign="0" * 32)
        theirs = await c.get("/integration", as_=THEIRS)
        link = re.search(r'href="/console(/integration/(\d+)/(\d+))"', theirs.text)
        assert link is not None

        mine = await c.get("/integration", as_=DEVELOPER)
        opened = await c.get(link[1], as_=DEVELOPER)
        debugged = await c.get(f"/debugger?call={link[2]}-{link[3]}", as_=DEVELOPER)

        assert till.app not in mine.text
        assert (opened.status, debugged.status) == (404, 404)


async def test_the_debugger_judges_only_with_keys_that_the_visitor_holds() -> None:
    async with console() as c:
        till = await their_till(c)
        form = "&".join(f"{name}={value}" for name, value in till.form("open.pay.scan", **till.scan_params()).items())

        theirs = await c.post("/debugger", {"text": form}, as_=THEIRS)
        mine = await c.post("/debugger", {"text": form}, as_=DEVELOPER)
        mixed = await c.post("/debugger", {"text": form, "app": till.app}, as_=DEVELOPER)

        assert 'data-verdict="matches"' in theirs.text
        assert 'data-verdict="undecided"' in mine.text
        assert 'data-verdict="undecided"' in mixed.text
        assert till.key not in theirs.text + mine.text + mixed.text


async def test_the_key_of_another_app_is_recognised_only_among_the_visitors_own() -> None:
    async with console() as c:
        till = await their_till(c)
        wrong = Till(c.world.http, c.world.base_url, c.world.clock.now_ms, key=till.key)
        form = "&".join(f"{name}={value}" for name, value in wrong.form("open.pay.scan", **wrong.scan_params()).items())

        owner = await c.post("/debugger", {"text": form})
        mine = await c.post("/debugger", {"text": form}, as_=DEVELOPER)

        assert f"用的是另一个接入商 {till.app} 的密钥" in owner.text
        assert till.app not in mine.text
        assert "多半是密钥不对" in mine.text


async def test_an_app_of_several_merchants_is_seen_by_who_may_see_all_of_them() -> None:
    async with console() as c:
        till = await their_till(c, MERCHANT_ID, OTHER_MERCHANT_ID)
        await till.scan(sign="0" * 32)

        one = await c.get("/integration", as_=DEVELOPER)
        both = await c.get("/integration", as_=at(Role.DEVELOPER, MERCHANT_ID, OTHER_MERCHANT_ID))

        assert till.app not in one.text
        assert till.app in both.text


async def test_strangers_calls_are_for_who_may_see_every_merchant() -> None:
    async with console() as c:
        await Till(c.world.http, c.world.base_url, c.world.clock.now_ms, app="A99999999999999").scan()

        assert "A99999999999999" in (await c.get("/integration", as_=at(Role.DEVELOPER, EVERY_MERCHANT))).text
        assert "A99999999999999" not in (await c.get("/integration", as_=DEVELOPER)).text


async def test_calls_are_filtered_and_paged() -> None:
    async with console() as c:
        for _ in range(15):
            await c.world.scan(amount="x")
            await c.world.scan(channel="9")
            await c.world.scan(subject="y" * 80)
            await c.world.till.call("open.pay.query", order_no="1")

        newest = await c.get("/integration")
        amounts = await c.get("/integration?error=AMOUNT_INVALID")
        queries = await c.get("/integration?command=open.pay.query&app=" + c.world.till.app)
        older = re.search(r'href="/console(/integration\?[^"]*before=[^"]*)"', newest.text)
        assert older is not None
        rest = await c.get(older[1].replace("&amp;", "&"))

        def rows(text: str) -> int:
            return len(re.findall(r'href="/console/integration/\d+/\d+"', text))

        assert (rows(newest.text), rows(rest.text)) == (50, 10)
        assert (rows(amounts.text), rows(queries.text)) == (15, 15)
        c.world.clock.advance(3_600_001)
        c.tokens.clear()
        assert rows((await c.get("/integration?since=hour")).text) == 0


async def test_a_refused_calls_clock_is_judged_as_of_then() -> None:
    async with console() as c:
        await c.world.scan(timestamp=c.world.clock.now_ms() - 3_600_000)
        call = re.search(r"/integration/(\d+)/(\d+)", (await c.get("/integration")).text)
        assert call is not None
        c.world.clock.advance(86_400_000)
        c.tokens.clear()

        page = await c.get(f"/debugger?call={call[1]}-{call[2]}")

        assert "timestamp 比网关的时间慢 1 小时" in page.text


async def test_numbers_that_no_database_has_are_not_found() -> None:
    async with console() as c:
        for path in ("/integration/1/99999999999999999999", f"/integration/{10**30}/1", "/debugger?call=x-y"):
            assert (await c.get(path)).status == 404
