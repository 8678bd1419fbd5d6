"""Selling at a till: one sale is one order, whatever the network does, and nothing is called certain that is not."""

import asyncio
import re
from typing import Any

import pytest

from opentill.web.console.cookies import Cookies
from tests.databases import on_both_engines
from tests.phones import pay_in
from tests.wallets import Accident, faulty_road
from tests.web.cashier.kit import new_number, store
from tests.web.console.kit import Console

both_wallets = pytest.mark.parametrize("channel", [1, 2])


@on_both_engines
@both_wallets
async def test_a_sale_shows_a_code_and_then_that_it_is_paid(engine: str, channel: int) -> None:
    async with store(engine) as s:
        till = await s.signed_in()

        sale = await till.sell("128850", channel=channel, subject="两杯咖啡")

        assert (sale.status, sale.is_current) == ("waiting", True)
        assert "¥1,288.50" in sale.words
        await s.world.pay(sale.qr_text)
        told = await till.live(sale.number)
        assert (told["status"], told["is_settled"]) == ("paid", True)
        assert "¥1,288.50" in (await till.see(sale.number)).words


async def test_one_code_is_paid_in_either_wallet() -> None:
    async with store() as s:
        till = await s.signed_in()
        for wallet, title in (("alipay", "支付宝"), ("wechat", "微信支付")):
            sale = await till.sell("300", channel=0)
            assert sale.qr_text.startswith(f"{s.world.base_url}/pay/")

            await pay_in(s.world, wallet, sale.qr_text)

            paid = await till.see(sale.number)
            assert paid.status == "paid"
            assert title in paid.words
            await till.post(f"/sale/{sale.number}/dismiss")


BARCODES = {
    "280000000000001234": "paid", "130000000000001234": "paid", "130000000000000002": "failed",
    "280000000000000001": "confirming",
}  # fmt: skip


async def test_a_payment_code_is_charged() -> None:
    async with store() as s:
        till = await s.signed_in()
        for barcode, status in BARCODES.items():
            sale = await till.sell("500", barcode=barcode)

            assert sale.status == status, barcode
            assert ("余额不足" in sale.words) == (status == "failed")


@on_both_engines
async def test_a_repeat_of_a_sale_is_the_same_order(engine: str) -> None:
    async with store(engine) as s:
        till = await s.signed_in()
        number = new_number()
        request: dict[str, Any] = {"number": number, "amount": "500", "channel": 1}

        answers = await asyncio.gather(*(till.post("/sales", **request) for _ in range(8)))
        answers.append(await till.post("/sales", **request))

        assert {answer.status for answer in answers} == {200}
        assert {answer.document["go"] for answer in answers} == {f"/cashier/sale/{number}"}
        assert await s.orders() == 1


async def test_a_payment_code_sent_again_after_it_failed_is_charged_no_second_time() -> None:
    async with store() as s:
        till = await s.signed_in()
        number = new_number()
        request: dict[str, Any] = {"number": number, "amount": "500", "barcode": "130000000000000002"}
        await till.post("/sales", **request)

        await till.post("/sales", **request)

        assert await s.orders() == 1


async def test_a_reload_comes_back_to_the_sale_until_it_is_put_aside() -> None:
    async with store() as s:
        till = await s.signed_in()
        sale = await till.sell()

        assert (await till.get("/")).path == f"/sale/{sale.number}"
        await s.world.pay(sale.qr_text)
        assert (await till.get("/")).path == f"/sale/{sale.number}", "paid while nobody looked: still to be seen"
        answer = await till.post(f"/sale/{sale.number}/dismiss")

        assert answer.document == {"go": "/cashier/?new=1"}
        assert (await till.get("/")).screen == "amount"
        assert not (await till.see(sale.number)).is_current


async def test_a_code_that_can_still_be_paid_is_not_put_aside() -> None:
    async with store() as s:
        till = await s.signed_in()
        sale = await till.sell()

        answer = await till.post(f"/sale/{sale.number}/dismiss")

        assert answer.document["name"] == "still_open"
        assert (await till.get("/")).path == f"/sale/{sale.number}"


@on_both_engines
@both_wallets
async def test_a_cancelled_sale_is_closed_at_its_wallet(engine: str, channel: int) -> None:
    async with store(engine) as s:
        till = await s.signed_in()
        sale = await till.sell(channel=channel)

        await till.post(f"/sale/{sale.number}/cancel")

        assert await till.status(sale) == "cancelled"
        status, _ = await s.world.ask_twin("POST", "/api/pay", qr_code=sale.qr_text)
        assert status == 200 if channel == 1 else status != 200, "an Alipay code nobody scanned has no trade to close"


@pytest.mark.parametrize(
    ("language", "what", "by"),
    [
        ("zh", "收银员要求取消收款", "操作人 小张 · 收银台 前台"),
        ("en", "Cashier asked to cancel the sale", "by 小张 · at till 前台"),
    ],
)
async def test_the_orders_timeline_in_the_console_names_who_cancelled_it(language: str, what: str, by: str) -> None:
    async with store() as s:
        sale = await (await s.signed_in()).sell()
        other = await s.signed_in(operator_id=await s.cashier("小张"))
        await other.post(f"/sale/{sale.number}/cancel")
        (order,) = await s.world.rows("SELECT order_no FROM orders")

        page = await Console(s.world, Cookies(s.world.deployment)).get(f"/orders/{order['order_no']}?lang={language}")

        assert re.search(rf"{what}</span>\s*<span class=\"when\">[^\n]* · {by}</span>", page.text)


async def test_a_sale_that_was_paid_meanwhile_is_not_cancelled_but_paid() -> None:
    async with store() as s:
        await s.world.ask_twin("POST", "/api/faults", wallet="alipay", operation="callback", fault="callback_never")
        till = await s.signed_in()
        sale = await till.sell()
        await s.world.pay(sale.qr_text)

        await till.post(f"/sale/{sale.number}/cancel")

        assert await till.status(sale) == "paid"


@both_wallets
async def test_paid_and_cancelled_at_the_same_instant_ends_as_the_wallet_has_it(channel: int) -> None:
    async with store() as s:
        till = await s.signed_in()
        for sale in [await till.sell(channel=channel) for _ in range(4)]:
            (status, _), _ = await asyncio.gather(
                s.world.ask_twin("POST", "/api/pay", qr_code=sale.qr_text), till.post(f"/sale/{sale.number}/cancel")
            )
            await s.world.settle()

            seen = await till.see(sale.number)
            assert seen.status == ("paid" if status == 200 else "cancelled")


@pytest.mark.parametrize("accident", [Accident.REPLY_LOST, Accident.ERROR_500])
async def test_a_cancel_without_an_answer_is_being_checked_and_never_called_cancelled(accident: Accident) -> None:
    async with faulty_road() as road, store(**road.settings) as s:
        road.leads_to(s.world)
        till = await s.signed_in()
        sale = await till.sell(channel=2)
        road.always = accident

        await till.post(f"/sale/{sale.number}/cancel")

        seen = await till.see(sale.number)
        assert seen.status == "cancelling"
        assert "核实" in seen.words
        assert seen.qr_text == "", "a code that is being cancelled is not shown again, whatever is reloaded"
        road.always = Accident.NONE
        await till.post(f"/sale/{sale.number}/cancel")
        assert await till.status(sale) == "cancelled"


async def test_a_wallet_that_does_not_answer_at_all_leaves_a_sale_that_is_being_checked() -> None:
    async with faulty_road() as road, store(**road.settings) as s:
        road.leads_to(s.world)
        till = await s.signed_in()
        road.always = Accident.REPLY_LOST

        sale = await till.sell()

        assert sale.status == "checking"
        assert "没有出示二维码" in sale.words
        assert (await till.post(f"/sale/{sale.number}/dismiss")).status == 200
        assert (await till.get("/")).screen == "amount", "the till is free; the worker closes the trade"


async def test_an_unknown_charge_is_waiting_for_the_customer_and_never_failed() -> None:
    async with faulty_road() as road, store(works=False, **road.settings) as s:
        road.leads_to(s.world)
        await s.world.ask_twin("POST", "/api/faults", wallet="alipay", operation="callback", fault="callback_never")
        till = await s.signed_in()
        road.always = Accident.REPLY_LOST

        sale = await till.sell(barcode="280000000000001234")

        assert sale.status == "confirming"
        assert "不要换付款码" in sale.words
        road.always = Accident.NONE
        s.world.clock.advance(3_000)
        await till.post(f"/sale/{sale.number}/ask")
        assert await till.status(sale) == "paid"


async def test_a_lost_callback_is_made_up_for_by_asking() -> None:
    async with store(works=False) as s:
        await s.world.ask_twin("POST", "/api/faults", wallet="alipay", operation="callback", fault="callback_never")
        till = await s.signed_in()
        sale = await till.sell()
        await s.world.pay(sale.qr_text)
        assert await till.status(sale) == "waiting"
        s.world.clock.advance(3_000)

        await till.post(f"/sale/{sale.number}/ask")

        assert await till.status(sale) == "paid"


async def test_a_code_lives_ten_minutes_and_is_closed_after_them() -> None:
    async with store() as s:
        till = await s.signed_in()
        sale = await till.sell(channel=2)
        s.world.clock.advance(599_000)
        assert await till.status(sale) == "waiting"
        s.world.clock.advance(1_000)
        assert await till.status(sale) in ("checking", "expired")

        await s.world.advance(1)

        assert await till.status(sale) == "expired"


async def test_the_screen_is_sent_again_only_when_it_changed() -> None:
    async with store() as s:
        till = await s.signed_in()
        sale = await till.sell()
        first = await till.live(sale.number)

        assert await till.live(sale.number, seen=first["version"]) == {}
        await s.world.pay(sale.qr_text)
        second = await till.live(sale.number, seen=first["version"])

        assert second["version"] != first["version"]
        assert "收款成功" in second["html"]


async def test_goods_are_stored_with_the_order_in_fen_and_printed() -> None:
    goods = (
        '[{"goods_name":"拿铁","sell_amount":"2","goods_price":"1850"},'
        '{"goods_name":"糖","sell_amount":"0.5","goods_price":"3"}]'
    )
    async with store() as s:
        till = await s.signed_in()
        sale = await till.sell("3702", goods=goods)

        await s.world.pay(sale.qr_text)

        words = (await till.see(sale.number)).words
        assert "拿铁 2 × ¥18.50 ¥37.00" in words
        assert "糖 0.5 × ¥0.03 ¥0.02" in words


async def test_the_timeline_tells_which_till_asked_and_no_payment_code() -> None:
    async with store() as s:
        till = await s.signed_in()
        await till.sell("500", barcode="280000000000001234")

        (row,) = await s.world.rows("SELECT detail FROM history WHERE kind = 'CREATED'")

        assert '"till":"前台"' in row["detail"]
        assert "barcode=28…1234" in row["detail"]
        for other in await s.world.rows("SELECT detail FROM history"):
            assert "280000000000001234" not in other["detail"]


async def test_nobody_is_notified_of_a_tills_order() -> None:
    async with store() as s:
        till = await s.signed_in()
        sale = await till.sell()

        await s.world.pay(sale.qr_text)

        assert await till.status(sale) == "paid"
        assert await s.world.number("SELECT count(*) FROM notifications") == 0


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"amount": "0"}, "AMOUNT_INVALID"), ({"amount": "10000000001"}, "AMOUNT_INVALID"),
    ({"amount": "1.5"}, "AMOUNT_INVALID"), ({"amount": ""}, "AMOUNT_INVALID"), ({"amount": 5}, "AMOUNT_INVALID"),
    ({"subject": "一" * 20}, "SUBJECT_INVALID"), ({"goods": "[{}]"}, "GOODS_LIST_INVALID"),
    ({"barcode": "123"}, "BARCODE_INVALID"), ({"barcode": "620000000000000000"}, "CHANNEL_NOT_AVAILABLE"),
    ({"channel": 3}, "CHANNEL_NOT_AVAILABLE"), ({"channel": "1"}, "CHANNEL_NOT_AVAILABLE"),
    ({"number": "short"}, "number"), ({"number": "A" * 32}, "number"),
)  # fmt: skip


async def test_what_cannot_be_sold_is_refused_in_the_cashiers_words() -> None:
    async with store() as s:
        till = await s.signed_in()
        for more, name in REFUSED:
            answer = await till.post("/sales", **{"number": new_number(), "amount": "1", "channel": 1, **more})

            assert (answer.status, answer.document["name"]) == (422, name), more
            assert answer.document["problem"]
        assert await s.orders() == 0


async def test_only_wallets_the_cashier_has_accounts_at_are_offered() -> None:
    async with store() as s:
        alipay_only = await s.cashier("只有支付宝", account_ids=(1,))
        nothing = await s.cashier("没有账户", account_ids=())

        till = await s.signed_in(operator_id=alipay_only)
        page = await till.get("/")
        assert 'data-channel="1"' in page.text
        assert 'data-channel="2"' not in page.text
        assert 'data-channel="0"' not in page.text, "one code for one wallet is no use"
        refused = await till.post("/sales", number=new_number(), amount="1", channel=2)
        assert refused.document["name"] == "CHANNEL_NOT_AVAILABLE"
        refused = await till.post("/sales", number=new_number(), amount="1", barcode="130000000000001234")
        assert refused.document["name"] == "CHANNEL_NOT_AVAILABLE"

        page = await (await s.signed_in(operator_id=nothing)).get("/")
        assert "还没有收款账户" in page.words


async def test_every_post_needs_the_token_of_the_page() -> None:
    async with store() as s:
        till = await s.signed_in()
        sale = await till.sell()

        of_sale = [f"/sale/{sale.number}/{each}" for each in ("ask", "cancel", "dismiss", "refund")]
        for path in ("/sales", "/lock", "/shift", *of_sale):
            answer = await till.post(path, token="0" * 64, number=new_number(), amount="1", channel=1)

            assert answer.status == 403, path
        assert await till.status(sale) == "waiting"
        assert await s.orders() == 1


async def test_pages_are_strict_about_scripts_and_allow_the_camera_to_themselves_alone() -> None:
    async with store() as s:
        answer = await (await s.signed_in()).get("/")

        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "camera=(self)" in answer.headers["Permissions-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
