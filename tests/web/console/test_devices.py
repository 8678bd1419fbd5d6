"""The devices page: tills are added, paired and disabled; cashiers get PINs and the right to refund."""

import re

import msgspec

from opentill.domain.people import Role
from tests.clients import TEST_OPERATOR
from tests.databases import on_both_engines
from tests.web.cashier.kit import Browser, Store
from tests.web.console.kit import OTHER_MERCHANT_ID, Answer, Console, at, console

CODE = re.compile(r'id="pairing-code">([0-9A-Z]{4}-[0-9A-Z]{4})<')


async def add(c: Console, name: str = "前台") -> str:
    """The pairing code that the page shows."""
    page = await c.post("/devices", {"name": name, "store_id": "1"})
    return shown_code(page)


def shown_code(page: Answer) -> str:
    found = CODE.search(page.text)
    assert found, page.text
    return found[1]


def browser(c: Console) -> tuple[Store, Browser]:
    s = Store(c.world)
    return s, s.browser()


async def close(s: Store) -> None:
    for http in s.browsers:
        await http.close()


@on_both_engines
async def test_a_till_is_added_and_its_code_shown_once_makes_a_browser_that_till(engine: str) -> None:
    async with console(engine) as c:
        code = await add(c, "二号台")

        s, till = browser(c)
        assert (await till.pair(code)).status == 200
        assert "二号台" in (await till.get("/sign-in")).words
        page = await c.get("/devices")
        assert CODE.search(page.text) is None
        assert "已配对" in page.text
        await close(s)


async def test_the_link_of_a_code_says_it_where_no_server_hears_it() -> None:
    async with console() as c:
        page = await c.post("/devices", {"name": "前台", "store_id": "1"})

        link = re.search(r'href="([^"]+)" id="pairing-link"', page.text)
        assert link
        assert link[1] == f"{c.world.base_url}/cashier/pair#{shown_code(page)}"


@on_both_engines
async def test_a_pin_set_here_lets_its_cashier_in_and_removed_keeps_out(engine: str) -> None:
    async with console(engine) as c:
        s, till = browser(c)
        await till.pair(await add(c))
        path = f"/devices/cashiers/{TEST_OPERATOR}/pin"

        assert (await c.post(path, {"pin": "86421"})).location == "/devices"
        assert (await till.sign_in("86421")).status == 200
        await c.post(path, {"pin": ""})

        assert (await till.get("/")).path == "/sign-in"
        assert "还没有设置PIN的收银员" in (await till.get("/sign-in")).words
        await close(s)


async def test_a_pin_that_anybody_guesses_is_refused_with_words() -> None:
    async with console() as c:
        page = await c.post(f"/devices/cashiers/{TEST_OPERATOR}/pin", {"pin": "1234"})

        assert page.status == 422
        assert "太容易猜到" in page.text


async def test_a_till_is_renamed_disabled_and_enabled() -> None:
    async with console() as c:
        s, till = browser(c)
        await till.pair(await add(c))

        await c.post("/devices/1/name", {"name": "  后  台 "})
        assert "后 台" in (await till.get("/sign-in")).words
        await c.post("/devices/1/state", {"state": "disabled"})
        assert (await till.get("/")).path == "/pair"
        await c.post("/devices/1/state", {"state": "active"})
        assert (await till.get("/")).path == "/sign-in"
        assert (await c.post("/devices/1/name", {"name": " "})).status == 422
        await close(s)


async def test_every_change_is_audited_without_secrets() -> None:
    async with console() as c:
        code = await add(c)
        await c.post(f"/devices/cashiers/{TEST_OPERATOR}/pin", {"pin": "86421"})
        await c.post(f"/devices/cashiers/{TEST_OPERATOR}/refunds", {"may_refund": "yes"})
        await c.post("/devices/1/state", {"state": "disabled"})

        rows = await c.world.rows(
            "SELECT action, actor, source_ip, detail FROM audit_events WHERE actor = 'owner' ORDER BY link_no"
        )
        assert [row["action"] for row in rows] == [
            "device.add", "device.pairing", "operator.pin", "operator.refunds", "device.disable"
        ]  # fmt: skip
        assert {row["source_ip"] for row in rows} == {"127.0.0.1"}
        assert msgspec.json.decode(rows[3]["detail"])["after"] == {"may_refund": "True"}
        for row in rows:
            assert code not in row["detail"]
            assert "86421" not in row["detail"]


async def test_another_merchants_devices_and_cashiers_do_not_exist() -> None:
    async with console() as c:
        await add(c, "秘密台")
        stranger = at(Role.MANAGER, OTHER_MERCHANT_ID)

        page = await c.get("/devices", as_=stranger)

        assert page.status == 200
        assert "秘密台" not in page.text
        assert "测试收银员" not in page.text
        for path, form in {
            "/devices": {"name": "x", "store_id": "1"},
            "/devices/1/code": {},
            "/devices/1/name": {"name": "x"},
            "/devices/1/state": {"state": "disabled"},
            f"/devices/cashiers/{TEST_OPERATOR}/pin": {"pin": "86421"},
            f"/devices/cashiers/{TEST_OPERATOR}/refunds": {"may_refund": "yes"},
        }.items():
            assert (await c.post(path, form, as_=stranger)).status == 404, path


async def test_who_may_not_manage_merchants_sees_no_devices() -> None:
    async with console() as c:
        for role in (Role.FINANCE, Role.CASHIER, Role.DEVELOPER, Role.READER):
            assert (await c.get("/devices", as_=role)).status == 403, role
            assert (await c.post("/devices", {"name": "x", "store_id": "1"}, as_=role)).status == 403, role
        assert (await c.get("/devices", as_=Role.MANAGER)).status == 200
