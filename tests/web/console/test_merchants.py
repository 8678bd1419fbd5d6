"""Merchants, stores and cashiers in the console."""

import asyncio
import re

import pytest

from opentill.domain.people import Role
from tests.clients import TEST_OPERATOR
from tests.databases import on_both_engines
from tests.web.console.kit import OTHER_MERCHANT_ID, Console, at, console
from tests.world import MERCHANT_ID, STORE_ID

MANAGER = at(Role.MANAGER, MERCHANT_ID)
ONE = f"/merchants/{MERCHANT_ID}"
CASHIER = f"{ONE}/cashiers/{TEST_OPERATOR}"
NUMBERED = ("merchants", "stores", "apps", "devices", "users")


async def accounts_of(c: Console, operator_id: str = TEST_OPERATOR) -> dict[int, int]:
    rows = await c.world.rows("SELECT channel, account_id FROM operator_accounts WHERE operator_id = $1", operator_id)
    return {row["channel"]: row["account_id"] for row in rows}


async def test_a_merchant_is_added_with_its_store_by_who_manages_all() -> None:
    async with console() as c:
        made = await c.post("/merchants", {"name": " 老王  茶馆 ", "store": ""})

        [row] = await c.world.rows("SELECT merchant_id, name FROM merchants ORDER BY merchant_id DESC LIMIT 1")
        [store] = await c.world.rows("SELECT name FROM stores WHERE merchant_id = $1", row["merchant_id"])
        assert (made.location, row["name"], store["name"]) == (
            f"/merchants/{row['merchant_id']}",
            "老王 茶馆",
            "老王 茶馆",
        )


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "a\u0007b"])
async def test_a_name_that_cannot_be_is_told(name: str) -> None:
    async with console() as c:
        for path in ("/merchants", f"{ONE}/name", f"{ONE}/stores", f"{ONE}/stores/{STORE_ID}", f"{CASHIER}/name"):
            answer = await c.post(path, {"name": name})

            assert (answer.status, "请填写名称" in answer.text) == (422, True), path


async def test_the_first_store_s_name_is_told_too_when_it_cannot_be() -> None:
    async with console() as c:
        for store in ("x" * 65, "a\u202eb"):
            answer = await c.post("/merchants", {"name": "新", "store": store})

            assert (answer.status, "请填写名称" in answer.text) == (422, True)


async def test_a_list_holds_the_visitors_merchants_only() -> None:
    async with console() as c:
        assert "另一家商户" not in (await c.get("/merchants", as_=MANAGER)).text
        assert "另一家商户" in (await c.get("/merchants")).text


@on_both_engines
async def test_a_new_cashier_takes_payments_at_once_through_the_chosen_accounts(engine: str) -> None:
    async with console(engine) as c:
        [alipay, wechat] = sorted((await accounts_of(c)).items())
        form = {
            "name": "小李",
            "store": str(STORE_ID),
            f"account_{alipay[0]}": str(alipay[1]),
            f"account_{wechat[0]}": "",
        }

        made = await c.post(f"{ONE}/cashiers", form, as_=MANAGER)

        operator_id = made.location.partition("#")[2]
        assert await accounts_of(c, operator_id) == {alipay[0]: alipay[1]}
        assert (await c.world.scan(operator_id=operator_id, channel=alipay[0])).is_success
        assert (await c.world.scan(operator_id=operator_id, channel=wechat[0])).code == "61"


async def test_accounts_of_a_cashier_are_changed_one_by_one() -> None:
    async with console() as c:
        before = await accounts_of(c)
        channel, kept = 1, before[2]

        await c.post(f"{CASHIER}/accounts", {f"account_{channel}": ""}, as_=MANAGER)
        without = await accounts_of(c)
        await c.post(f"{CASHIER}/accounts", {f"account_{channel}": str(before[channel])}, as_=MANAGER)

        assert (without, await accounts_of(c)) == ({2: kept}, before)
        [row] = await c.world.rows(
            "SELECT detail FROM audit_events WHERE action = 'operator.accounts' ORDER BY link_no LIMIT 1"
        )
        assert f'"accounts":"{before[1]}, {before[2]}"' in row["detail"]


async def test_another_merchants_account_or_store_cannot_be_chosen() -> None:
    async with console() as c:
        settings = await c.world.administration.account_settings((await accounts_of(c))[1])
        theirs = await c.world.administration.add_account(
            "theirs", merchant_id=OTHER_MERCHANT_ID, channel=1, settings=settings
        )
        store = await c.world.administration.add_store(OTHER_MERCHANT_ID, "theirs")

        await c.post(f"{CASHIER}/accounts", {"account_1": str(theirs)})
        refused = await c.post(f"{ONE}/cashiers", {"name": "x", "store": str(store)})
        renamed = await c.post(f"{ONE}/stores/{store}", {"name": "mine"})

        assert theirs not in (await accounts_of(c)).values()
        assert (refused.status, renamed.status) == (422, 404)


async def test_a_cashier_of_another_merchant_is_not_found_below_this_one() -> None:
    async with console() as c:
        path = f"/merchants/{OTHER_MERCHANT_ID}/cashiers/{TEST_OPERATOR}/state"

        assert (await c.post(path, {"state": "disabled"})).status == 404
        assert (await c.world.scan()).is_success


async def test_a_disabled_cashier_or_merchant_takes_no_payments_until_enabled() -> None:
    async with console() as c:
        codes = []
        for path in (f"{CASHIER}/state", f"{ONE}/state"):
            for state in ("disabled", "active"):
                await c.post(path, {"state": state}, as_=MANAGER)
                codes.append((await c.world.scan()).code)

        assert codes == ["26", "0", "26", "0"]


async def test_a_leaked_operator_id_is_replaced() -> None:
    async with console() as c:
        replaced = await c.post(f"{CASHIER}/replace", as_=MANAGER)

        new_id = replaced.location.partition("#")[2]
        assert re.fullmatch(r"[0-9a-f]{32}", new_id)
        assert (await c.world.scan()).code == "26"
        assert (await c.world.scan(operator_id=new_id)).is_success


async def test_names_are_changed() -> None:
    async with console() as c:
        await c.post(f"{ONE}/name", {"name": "新商户"}, as_=MANAGER)
        await c.post(f"{ONE}/stores/{STORE_ID}", {"name": "新门店"}, as_=MANAGER)
        await c.post(f"{ONE}/stores", {"name": "二店"}, as_=MANAGER)
        await c.post(f"{CASHIER}/name", {"name": "新收银"}, as_=MANAGER)

        page = (await c.get(ONE, as_=MANAGER)).text

        assert all(name in page for name in ("新商户", "新门店", "二店", "新收银"))


async def test_who_may_only_read_changes_nothing() -> None:
    async with console() as c:
        page = await c.get(ONE, as_=Role.READER)

        main = page.text.split("<main")[1]
        assert TEST_OPERATOR in main
        assert "<form" not in main


@on_both_engines
async def test_what_several_people_add_at_once_gets_numbers_of_its_own(engine: str) -> None:
    async with console(engine) as c:
        await c.csrf_token(Role.OWNER)
        forms = (
            ("/merchants", {"name": "新"}, 303),
            ("/merchants/1/stores", {"name": "新"}, 303),
            ("/apps", {"name": "新", "merchant": "1"}, 200),
            ("/devices", {"name": "新", "store_id": "1"}, 200),
            ("/users", {"name": "新", "grant_merchant": "1", "grant_role": "read-only"}, 200),
        )

        for path, form, status in forms:
            answers = await asyncio.gather(
                *(c.post(path, {**form, "login": f"new{number}"}) for number in range(8))
            )  # fmt: skip

            assert [answer.status for answer in answers] == [status] * 8, path
        made = [await c.world.number(f"SELECT count(*) AS n FROM {table} WHERE name = '新'") for table in NUMBERED]
        assert made == [8, 16, 8, 8, 8], "a merchant comes with a store"
