"""Refunds at a till: with the right and a reason, once per number, never more than was paid."""

import asyncio
import re

from opentill.services import shifts
from opentill.web.console.cookies import Cookies
from tests.clients import TEST_OPERATOR
from tests.databases import on_both_engines
from tests.orders import at_once
from tests.web.cashier.kit import ACTOR, Browser, OnScreen, Store, new_number, store
from tests.web.console.kit import Console


async def paid(s: Store, till: Browser, amount: str = "1000") -> OnScreen:
    sale = await till.sell(amount)
    await s.world.pay(sale.qr_text)
    return sale


def request(amount: str = "1000", **more: str) -> dict[str, str]:
    """`left`: what could still be refunded when the cashier decided, all of `paid` unless told otherwise."""
    return {"number": new_number(), "amount": amount, "reason": "顾客不要了", "left": "1000", **more}


@on_both_engines
async def test_a_part_and_then_the_rest_is_given_back(engine: str) -> None:
    async with store(engine) as s:
        till = await s.signed_in()
        sale = await paid(s, till)

        first = await till.post(f"/sale/{sale.number}/refund", **request("300"))

        assert first.document == {"state": "SUCCEEDED"}
        seen = await till.see(sale.number)
        assert seen.status == "part_refunded"
        assert "最多可退 ¥7.00" in seen.words
        await till.post(f"/sale/{sale.number}/refund", **request("700", left="700"))
        assert await till.status(sale) == "refunded"


async def test_a_repeat_of_a_refund_is_the_same_refund() -> None:
    async with store() as s:
        till = await s.signed_in()
        sale = await paid(s, till)
        asked = request("300")

        for _ in range(3):
            await till.post(f"/sale/{sale.number}/refund", **asked)

        assert await s.world.number("SELECT count(*) FROM refunds") == 1
        differing = await till.post(f"/sale/{sale.number}/refund", **(asked | {"amount": "400"}))
        assert differing.document["name"] == "REFUND_REPEAT_DIFFERS"


async def test_a_part_is_given_back_once_when_two_tabs_ask_for_it() -> None:
    async with store() as s:
        till = await s.signed_in()
        for sale in [await paid(s, till) for _ in range(5)]:
            path = f"/sale/{sale.number}/refund"

            answers = await asyncio.gather(*(till.post(path, **request("300")) for _ in range(3)))
            answers.append(await till.post(path, **request("300")))

            assert sorted(answer.status for answer in answers) == [200, 422, 422, 422]
            assert {answer.document.get("name") for answer in answers if answer.status == 422} == {"refund_changed"}
            assert await till.status(sale) == "part_refunded"
        assert await s.world.number("SELECT sum(amount_fen) FROM refunds") == 5 * 300


async def test_a_refund_sent_several_times_at_once_is_one() -> None:
    async with store() as s:
        till = await s.signed_in()
        sale = await paid(s, till)
        asked = request("300")

        calls = at_once(till.post(f"/sale/{sale.number}/refund", **asked) for _ in range(5))
        answers = await s.world.meanwhile(calls)

        assert {answer.status for answer in answers} == {200}
        assert await s.world.number("SELECT count(*) FROM refunds") == 1


REFUSED: tuple[tuple[dict[str, str], str], ...] = (
    ({"amount": "1001"}, "REFUND_EXCEEDS_PAYMENT"), ({"amount": "0"}, "REFUND_AMOUNT_INVALID"),
    ({"amount": "-5"}, "REFUND_AMOUNT_INVALID"), ({"amount": ""}, "REFUND_AMOUNT_INVALID"),
    ({"reason": "  "}, "reason"), ({"reason": "一" * 81}, "REASON_INVALID"), ({"number": "1"}, "number"),
)  # fmt: skip


async def test_a_refund_that_cannot_be_is_refused() -> None:
    async with store() as s:
        till = await s.signed_in()
        sale = await paid(s, till)
        for more, name in REFUSED:
            answer = await till.post(f"/sale/{sale.number}/refund", **request(**more))

            assert (answer.status, answer.document["name"]) == (422, name), more
        assert await s.world.number("SELECT count(*) FROM refunds") == 0


async def test_who_may_not_refund_is_told_so_and_cannot() -> None:
    async with store() as s:
        till = await s.signed_in()
        sale = await paid(s, till)
        beginner = await s.signed_in(operator_id=await s.cashier("新手"))

        page = await beginner.see(sale.number)
        answer = await beginner.post(f"/sale/{sale.number}/refund", **request())

        assert "没有退款的权限" in page.words
        assert answer.document["name"] == "may_not_refund"
        assert await s.world.number("SELECT count(*) FROM refunds") == 0


async def test_the_orders_timeline_in_the_console_names_who_sold_and_who_gave_back() -> None:
    async with store() as s:
        seller = await s.signed_in(operator_id=await s.cashier("小张"))
        sale = await paid(s, seller)
        await (await s.signed_in()).post(f"/sale/{sale.number}/refund", **request("100"))
        orders = await s.world.rows("SELECT order_no FROM orders")

        page = await Console(s.world, Cookies(s.world.deployment)).get(f"/orders/{orders[0]['order_no']}")

        by = re.findall(r"操作人 (\S+?) ·", page.text)
        assert (by[0], set(by[1:])) == ("小张", {"测试收银员"})
        assert set(re.findall(r"收银台 (\S+?)<", page.text)) == {"前台"}


async def test_the_right_is_felt_at_once_both_ways() -> None:
    async with store() as s:
        till = await s.signed_in()
        sale = await paid(s, till)

        await shifts.set_may_refund(s.world.deployment, TEST_OPERATOR, may_refund=False, actor=ACTOR)

        assert (await till.post(f"/sale/{sale.number}/refund", **request())).document["name"] == "may_not_refund"


async def test_an_unpaid_sale_is_not_refunded() -> None:
    async with store() as s:
        till = await s.signed_in()
        sale = await till.sell()

        answer = await till.post(f"/sale/{sale.number}/refund", **request("1"))

        assert answer.document["name"] == "ORDER_NOT_PAID"


async def test_a_refund_without_an_answer_is_shown_as_pending() -> None:
    async with store() as s:
        till = await s.signed_in()
        sale = await paid(s, till)
        await s.world.ask_twin("POST", "/api/faults", wallet="alipay", operation="refund", fault="lost_reply", times=9)
        await s.world.ask_twin("POST", "/api/faults", wallet="alipay", operation="refund_query", fault="http_500")

        answer = await s.world.meanwhile(till.post(f"/sale/{sale.number}/refund", **request("400")))

        assert answer.document == {"state": "PENDING"}
        seen = await till.see(sale.number)
        assert seen.status == "paid"
        assert "¥4.00 退款处理中" in seen.words
        assert "最多可退 ¥6.00" in seen.words
