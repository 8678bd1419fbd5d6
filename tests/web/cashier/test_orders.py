"""The store's orders at a till: found by day, state, number, amount or words; other stores' do not exist."""

from typing import Any

import pytest

from opentill.domain.parties import AppRules
from opentill.services.not_possible import NotPossible
from opentill.services.till_days import SHOWN, today
from opentill.storage.tills import names_of
from tests.clients import Till
from tests.databases import on_both_engines
from tests.orders import scanned
from tests.web.cashier.kit import Browser, OnScreen, Store, new_number, store

DAY_S = 86_400


async def finished(s: Store, till: Browser, amount: str, *, is_paid: bool = True, **more: Any) -> OnScreen:
    sale = await till.sell(amount, **more)
    if is_paid:
        await s.world.pay(sale.qr_text)
    else:
        await till.post(f"/sale/{sale.number}/cancel")
    await till.post(f"/sale/{sale.number}/dismiss")
    return sale


async def found(till: Browser, query: str = "") -> list[str]:
    """The numbers that the list leads to, newest first."""
    text = (await till.get(f"/orders{query}")).text
    return [part.split('"')[0] for part in text.split('href="/cashier/sale/')[1:]]


@on_both_engines
async def test_todays_orders_are_listed_newest_first(engine: str) -> None:
    async with store(engine) as s:
        till = await s.signed_in()
        first = await finished(s, till, "100")
        s.world.clock.advance(1_000)
        second = await finished(s, till, "200")

        assert await found(till) == [second.number, first.number]


@on_both_engines
async def test_the_list_names_who_sold_and_asks_for_nobody_else(engine: str) -> None:
    async with store(engine) as s:
        till = await s.signed_in()
        await finished(s, await s.signed_in(operator_id=await s.cashier("小张")), "100")
        absent = await s.cashier("不在")

        page, names = await till.get("/orders"), await names_of(s.world.database, {absent, "nobody"})

        assert "小张" in page.words
        assert "不在" not in page.words
        assert names == {absent: "不在"}
        assert await names_of(s.world.database, set()) == {}


@on_both_engines
async def test_orders_are_found_by_state_amount_words_and_number(engine: str) -> None:
    async with store(engine) as s:
        till = await s.signed_in()
        paid = await finished(s, till, "1250", subject="Latte 大杯")
        s.world.clock.advance(1_000)
        cancelled = await finished(s, till, "800", is_paid=False)
        s.world.clock.advance(1_000)
        refunded = await finished(s, till, "900")
        await till.give_back(refunded.number, "100")
        order_no = (await s.world.rows("SELECT order_no FROM orders WHERE amount_fen = 1250"))[0]["order_no"]

        for query, expected in {
            "?state=paid": [refunded, paid],
            "?state=refunded": [refunded],
            "?state=unpaid": [cancelled],
            "?state=open": [],
            "?q=12.5": [paid],
            "?q=%EF%BF%A512.50": [paid],
            "?q=latte": [paid],
            f"?q={order_no[-9:]}": [paid],
            f"?q={order_no}": [paid],
            f"?q={paid.number}": [paid],
            "?q=nothing": [],
        }.items():
            assert await found(till, query) == [each.number for each in expected], query


async def test_yesterdays_orders_are_found_by_day_or_by_their_whole_number() -> None:
    async with store() as s:
        till = await s.signed_in()
        sale = await finished(s, till, "100")
        order_no = (await s.world.rows("SELECT order_no FROM orders"))[0]["order_no"]
        day = today(s.world.clock.now_ms())
        await s.world.change("UPDATE shifts SET seen_at_ms = seen_at_ms + 86400000")
        s.world.clock.advance(DAY_S * 1000)

        assert await found(till) == []
        assert "还没有订单" in (await till.get("/orders")).words
        assert await found(till, f"?q={order_no}") == [sale.number]
        assert await found(till, f"?q={order_no}01") == [sale.number], "as a wallet prints a further attempt"
        assert await found(till, f"?day={day}") == [sale.number]


async def test_what_an_integrator_took_for_the_store_is_not_the_tills_and_the_cashier_is_told_where_it_is() -> None:
    async with store() as s:
        till = await s.signed_in()
        order = await s.world.order((await scanned(s.world)).order_no)

        page = await till.get(f"/orders?q={order.order_no}")

        assert 'href="/cashier/sale/' not in page.text
        assert "其他系统（点餐、网店等）经本网关收的款请在那个系统里查；店长可在控制台里查到全部订单。" in page.words
        refund = await till.post(f"/sale/{order.local_order_no}/refund", number=new_number(), amount="1", reason="x")
        assert refund.document["name"] == "missing"


async def test_a_long_day_is_read_page_by_page() -> None:
    async with store(works=False) as s:
        till = await s.signed_in()
        sale = await till.sell()
        await _copy_order(s, SHOWN + 5)

        first = await till.get("/orders")
        more = first.text.split('data-go href="/cashier/orders?')[1].split('"')[0].replace("&amp;", "&")
        second = await found(till, f"?{more}")

        assert first.text.count('href="/cashier/sale/') == SHOWN
        assert len(second) == 6
        assert sale.number in second


async def _copy_order(s: Store, times: int) -> None:
    """The same order again and again, a millisecond later each."""
    (row,) = await s.world.rows("SELECT * FROM orders")
    values = dict(row)
    for number in range(1, times + 1):
        copy = values | {
            "order_no": str(int(values["order_no"][:14]) + number) + values["order_no"][14:],
            "local_order_no": f"{number:032x}",
            "created_at_ms": values["created_at_ms"] + number,
        }
        columns = ", ".join(copy)
        places = ", ".join(f"${place}" for place in range(1, len(copy) + 1))
        await s.world.change(f"INSERT INTO orders ({columns}) VALUES ({places})", *copy.values())


@pytest.mark.parametrize("where", ["another merchant", "another store"])
async def test_orders_of_other_places_do_not_exist_here(where: str) -> None:
    async with store() as s:
        till = await s.signed_in()
        sale = await finished(s, till, "1000")
        (row,) = await s.world.rows("SELECT order_no FROM orders")
        merchant_id, store_id = 1, await s.world.administration.add_store(1, "分店")
        if where == "another merchant":
            merchant_id, store_id = await s.world.administration.add_merchant("别家")
        stranger = await s.cashier("别人", may_refund=True, account_ids=(), merchant_id=merchant_id, store_id=store_id)
        other = await s.signed_in(operator_id=stranger, merchant_id=merchant_id, store_id=store_id)

        assert await found(other) == []
        assert await found(other, f"?q={row['order_no']}") == []
        assert (await other.get(f"/sale/{sale.number}")).status == 404
        assert (await other.get(f"/sale/{sale.number}/live")).status == 422
        for action in ("ask", "cancel", "dismiss", "refund"):
            answer = await other.post(f"/sale/{sale.number}/{action}", number=new_number(), amount="1", reason="x")
            assert answer.document["name"] == "missing", action
        assert await till.status(sale) == "paid"


@on_both_engines
async def test_nobody_can_call_as_the_tills_app(engine: str) -> None:
    async with store(engine) as s:
        sale = await (await s.signed_in()).sell()
        (row,) = await s.world.rows("SELECT app, key_sealed, is_disabled FROM apps WHERE app LIKE 'till-%'")
        assert (row["app"], row["key_sealed"]) == ("till-1", "")

        for key in ("", "0" * 32):
            caller = Till(s.world.http, s.world.base_url, s.world.clock.now_ms, app="till-1", key=key)
            reply = await caller.call("open.pay.query", local_order_no=sale.number)
            assert (reply.code, reply.is_success) == ("20", False)


async def test_an_integrator_cannot_ask_about_a_tills_order() -> None:
    async with store() as s:
        sale = await (await s.signed_in()).sell()

        reply = await s.world.till.call("open.pay.query", local_order_no=sale.number)

        assert reply.code == "64"


async def test_nobody_makes_or_rotates_an_app_of_that_name() -> None:
    async with store() as s:
        await (await s.signed_in()).sell()
        administration = s.world.administration

        for change in (
            administration.add_app("x", [1], rules=AppRules(), app="till-2"),
            administration.add_app("x", [1], rules=AppRules(), app="till-1", exist_ok=True),
            administration.rotate_app_key("till-1", overlap_ms=0),
        ):
            with pytest.raises(NotPossible):
                await change
