"""Handing over: totals to the fen by wallet, stored as they were seen, and nothing guessed."""

import re

from tests.clients import TEST_OPERATOR
from tests.databases import on_both_engines
from tests.web.cashier.kit import Browser, Store, store


async def sell_and_pay(s: Store, till: Browser, amount: str, *, channel: int) -> str:
    sale = await till.sell(amount, channel=channel)
    await s.world.pay(sale.qr_text)
    await till.post(f"/sale/{sale.number}/dismiss")
    return sale.number


async def seal(till: Browser) -> str:
    found = re.search(r'data-seal="(\w+)"', (await till.get("/shift")).text)
    assert found
    return found[1]


async def give_back(till: Browser, number: str, amount: str) -> None:
    answer = await till.give_back(number, amount)
    assert answer.document == {"state": "SUCCEEDED"}, answer.text


@on_both_engines
async def test_totals_are_the_shifts_payments_and_refunds_by_wallet_to_the_fen(engine: str) -> None:
    async with store(engine) as s:
        till = await s.signed_in()
        first = await sell_and_pay(s, till, "1001", channel=1)
        await sell_and_pay(s, till, "2", channel=1)
        await sell_and_pay(s, till, "33333", channel=2)
        await give_back(till, first, "999")
        unpaid = await till.sell("70000")
        await till.post(f"/sale/{unpaid.number}/cancel")
        await till.post(f"/sale/{unpaid.number}/dismiss")

        words = (await till.get("/shift")).words

        assert "支付宝 实收（2笔） ¥10.03 退款（1笔） -¥9.99 净额 ¥0.04" in words
        assert "微信支付 实收（1笔） ¥333.33 退款（0笔） ¥0.00 净额 ¥333.33" in words
        assert "合计 实收（3笔） ¥343.36 退款（1笔） -¥9.99 净额 ¥333.37" in words


@on_both_engines
async def test_handing_over_stores_what_was_seen_signs_out_and_shows_it_at_that_till(engine: str) -> None:
    async with store(engine) as s:
        till = await s.signed_in()
        await sell_and_pay(s, till, "1234", channel=1)

        answer = await till.post("/shift", seal=await seal(till))

        assert answer.document == {"go": "/cashier/shift/1"}
        assert (await till.get("/")).path == "/sign-in"
        report = await till.get("/shift/1")
        assert "已交班" in report.words
        assert "净额 ¥12.34" in report.words
        (row,) = await s.world.rows("SELECT closed_at_ms, totals FROM shifts")
        assert row["closed_at_ms"] == s.world.clock.now_ms()
        assert '"received_fen":1234' in row["totals"]
        await till.sign_in()
        assert "还没有收款" in (await till.get("/shift")).words, "the next shift begins at nothing"


async def test_money_that_comes_while_the_totals_are_read_has_to_be_read_again() -> None:
    async with store() as s:
        till = await s.signed_in()
        sale = await till.sell("100")
        seen = await seal(till)
        await s.world.pay(sale.qr_text)

        answer = await till.post("/shift", seal=seen)

        assert answer.document["name"] == "totals_changed"
        assert (await till.post("/shift", seal=await seal(till))).status == 200


async def test_what_is_not_certain_is_told_apart_and_not_summed() -> None:
    async with store() as s:
        till = await s.signed_in()
        await till.sell("100")

        words = (await till.get("/shift")).words

        assert "有 1 笔订单的结果还在核实" in words
        assert "净额" not in words


async def test_a_refund_counts_in_the_shift_that_made_it() -> None:
    async with store() as s:
        till = await s.signed_in()
        number = await sell_and_pay(s, till, "500", channel=1)
        await till.post("/shift", seal=await seal(till))
        await till.sign_in()

        await give_back(till, number, "200")

        assert "支付宝 实收（0笔） ¥0.00 退款（1笔） -¥2.00 净额 -¥2.00" in (await till.get("/shift")).words
        assert "净额 ¥5.00" in (await till.get("/shift/1")).words, "what was handed over stays"


async def test_each_cashiers_totals_are_their_own() -> None:
    async with store() as s:
        second = await s.cashier("小李")
        till = await s.signed_in()
        await sell_and_pay(s, till, "500", channel=1)
        await till.post("/lock")
        await till.sign_in(operator_id=second)
        await sell_and_pay(s, till, "700", channel=1)

        assert "净额 ¥7.00" in (await till.get("/shift")).words
        await till.post("/lock")
        await till.sign_in(operator_id=TEST_OPERATOR)
        assert "净额 ¥5.00" in (await till.get("/shift")).words


async def test_a_report_is_for_the_till_where_it_was_made_and_for_a_day() -> None:
    async with store() as s:
        till, other = await s.signed_in(), await s.paired()
        assert (await till.get("/shift/1")).status == 404, "not handed over yet"
        await till.post("/shift", seal=await seal(till))

        assert (await other.get("/shift/1")).status == 404
        assert (await s.browser().get("/shift/1")).path == "/pair"
        await s.world.advance(24 * 3600)
        assert (await till.get("/shift/1")).status == 404
