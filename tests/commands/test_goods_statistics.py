"""Goods (protocol 5): sales counted when paid and taken back when refunded, single-item coupons, and who may see it."""

import asyncio
import json
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from typer.testing import CliRunner

from opentill.cli.main import app
from opentill.domain.order import GoodsLine, Order, OrderState, PaymentWay
from opentill.services.sales import count_refund
from tests.databases import on_both_engines
from tests.orders import ALIPAY, WECHAT, ask, on_each_wallet, paid, refunded_at_wallet, scanned
from tests.world import World, world

TEA = {"goods_id": "T", "goods_num": "6901", "goods_name": "茶", "sell_amount": "2", "goods_price": "12.50"}
APPLES = {"goods_sku_id": "SKU-9", "goods_id": "A", "goods_name": "苹果", "sell_amount": 0.355, "goods_price": 9.9}
BAG = {"goods_name": "袋子", "sell_amount": 1, "goods_price": "0.3"}
WALLET_NAMES = {ALIPAY: "alipay", WECHAT: "wechat"}


def goods(*lines: dict[str, Any]) -> str:
    return json.dumps(lines, ensure_ascii=False)


async def figures(w: World, query: str, **headers: str) -> dict[str, Any]:
    async with w.http.get(f"{w.base_url}/console/api/stats?{query}", headers=headers) as reply:
        assert reply.status == 200, await reply.text()
        document: dict[str, Any] = await reply.json()
        return document


async def sold(w: World) -> dict[str, tuple[str, int]]:
    """Quantity and fen by item."""
    found = await figures(w, "by=item")
    return {line["key"]: (line["quantity"], line["amount_fen"]) for line in found["lines"]}


@on_both_engines
async def test_a_line_counts_when_the_order_is_paid_and_not_before(engine: str) -> None:
    async with world(engine) as w:
        order = await scanned(w, amount=3000, goods_list=goods(TEA, APPLES, BAG))
        before = await sold(w)

        await w.pay(order.qr_code)
        await w.pay((await scanned(w, amount=1, goods_list=goods(TEA))).qr_code)

        # The key is the first of sku, id, num, name. 0.355 times 9.90 yuan is 351.45 fen.
        assert before == {}
        assert await sold(w) == {"T": ("4", 5000), "SKU-9": ("0.355", 351), "袋子": ("1", 30)}


@on_both_engines
async def test_random_refunds_take_every_line_back_to_exactly_zero(engine: str) -> None:
    chance = random.Random(7)
    async with world(engine) as w:
        order_no = await paid(w, amount=1009, goods_list=goods(TEA, APPLES, BAG))
        left, amounts = 1009, []
        while left:
            amounts.append(min(left, chance.randint(1, 250)))
            left -= amounts[-1]

        after_each = []
        for amount in amounts:
            await ask(w, "refund", order_no=order_no, refund_amount=amount)
            after_each.append(await sold(w))

        assert set(after_each[-1].values()) == {("0", 0)}
        teas = [Decimal(each["T"][0]) for each in after_each]
        assert teas == sorted(teas, reverse=True)
        assert all(teas[:-1])


_lines = st.builds(
    GoodsLine,
    quantity=st.decimals(min_value="0.001", max_value=999, places=3),
    unit_price_fen=st.integers(0, 10**7),
    name=st.just("x"),
)


@settings(max_examples=200, deadline=None)
@given(
    lines=st.lists(_lines, min_size=1, max_size=4),
    parts=st.lists(st.integers(1, 10**6), min_size=1, max_size=12),
)
def test_whatever_the_parts_all_of_them_take_all_of_it_back(lines: list[GoodsLine], parts: list[int]) -> None:
    order = _order(received_fen=sum(parts), goods=tuple(lines))
    taken: list[tuple[int, int]] = []

    for number, part in enumerate(parts):
        before = _order(received_fen=sum(parts), refunded_fen=sum(parts[:number]), goods=tuple(lines))
        # What a goods counter adds is its ninth and tenth argument: quantity and amount.
        steps = count_refund(before, amount_fen=part, now_ms=0)[1:]
        taken += [(int(str(step.args[8])), int(str(step.args[9]))) for step in steps]

    assert all(quantity <= 0 and amount <= 0 for quantity, amount in taken)
    assert sum(quantity for quantity, _ in taken) == -sum(line.quantity_milli for line in order.goods)
    assert sum(amount for _, amount in taken) == -sum(line.total_fen for line in order.goods)


@on_both_engines
@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("item", ["T"]),
        ("operator", ["ccaaad2ba1f2a6baccb986d0a748dbb9"]),
        ("store", ["1"]),
        ("wallet", ["1", "2"]),
        ("day", ["2026-11-23", "2026-11-24"]),
        ("hour", ["2026-11-23 12:00", "2026-11-23 23:00", "2026-11-24 00:00"]),
    ],
)
async def test_shell_and_console_tell_the_same_figures(engine: str, by: str, keys: list[str]) -> None:
    async with world(engine) as w:
        await _two_days_of_sales(w)
        period = "from=2026-11-23&to=2026-11-24"

        shown = await figures(w, f"by={by}&{period}")
        told = await _shell(w, "--by", by, "--from", "2026-11-23", "--to", "2026-11-24", "--format", "json")

        assert json.loads(told) == shown
        assert [line["key"] for line in shown["lines"]] == keys
        if by == "item":
            assert shown["total"]["quantity"] == "3"
        else:
            assert {name: value for name, value in shown["total"].items() if name not in ("key", "name")} == {
                "orders": 3, "amount_fen": 6000, "received_fen": 6000, "discount_fen": 0,
                "refunds": 1, "refunded_fen": 500, "net_fen": 5500,
            }  # fmt: skip


async def test_a_day_is_shanghai_s_and_the_period_includes_both_ends() -> None:
    async with world() as w:
        await _two_days_of_sales(w)

        amounts = {
            period: (await figures(w, f"by=day&{period}"))["total"]["amount_fen"]
            for period in ("from=2026-11-23&to=2026-11-23", "from=2026-11-24", "to=2026-11-22&from=2026-11-22", "")
        }

        assert amounts == {
            "from=2026-11-23&to=2026-11-23": 3000,
            "from=2026-11-24": 3000,
            "to=2026-11-22&from=2026-11-22": 0,
            "": 3000,
        }


async def test_one_merchant_s_figures_are_its_own() -> None:
    async with world() as w:
        await paid(w, amount=1000)

        totals = [(await figures(w, f"merchant={merchant}"))["total"]["amount_fen"] for merchant in ("", "0", "1", "2")]

        assert totals == [1000, 1000, 1000, 0]


async def test_the_shell_writes_tables_in_yuan_and_csv_in_fen() -> None:
    async with world() as w:
        await _two_days_of_sales(w)
        period = ["--from", "2026-11-23", "--to", "2026-11-24"]

        table = await _shell(w, "--by", "wallet", *period)
        rows = (await _shell(w, "--by", "wallet", *period, "--format", "csv")).splitlines()

        assert "支付宝" in table
        assert "55.00" in table
        assert rows[0] == "key,name,orders,amount_fen,received_fen,discount_fen,refunds,refunded_fen,net_fen"
        assert rows[1] == "1,支付宝,2,3000,3000,0,1,500,2500"


@pytest.mark.parametrize(
    "query", ["by=cashier", "from=23.11.2026", "from=2026-11-24&to=2026-11-23", "merchant=all", "from=0001-01-01"]
)
async def test_an_unusable_question_is_refused(query: str) -> None:
    async with world() as w:
        status, body = await w.get(f"/console/api/stats?{query}")

        assert status == 400
        assert json.loads(body)["error"]["message"]


async def test_with_a_token_only_its_bearer_sees_figures() -> None:
    async with world(console_token=SecretStr("figures-for-me")) as w:
        headers = [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic figures-for-me"}]
        refused = []
        for each in headers:
            async with w.http.get(f"{w.base_url}/console/api/stats", headers=each) as reply:
                refused.append((reply.status, reply.headers["WWW-Authenticate"]))

        allowed = await figures(w, "", Authorization="Bearer figures-for-me")

        assert refused == [(401, "Bearer")] * 3
        assert allowed["total"]["orders"] == 0


async def test_without_a_token_the_figures_are_open_in_the_sandbox_only() -> None:
    async with world(is_sandbox=False) as w:
        status, _ = await w.get("/console/api/stats")

        assert status == 401


@on_both_engines
@on_each_wallet
@pytest.mark.parametrize(("funded_by", "received"), [("merchant", 2200), ("wallet", 2500)])
async def test_a_coupon_for_one_item_comes_back_as_a_discount(
    engine: str, channel: int, funded_by: str, received: int
) -> None:
    async with world(engine) as w:
        await _hand_out(w, channel, 300, funded_by)

        order_no = await paid(w, channel=channel, amount=2500, goods_list=goods(TEA), notify_url=w.shop.url)

        asked = await ask(w, "query", order_no=order_no, version="1.1")
        wanted = {"totalAmount": "2500", "receiveAmount": str(received), "discountAmount": "300"}
        assert {name: asked.data[name] for name in wanted} == wanted
        assert {name: w.shop.heard[0].fields[name] for name in wanted} == wanted
        row = (await w.rows("SELECT line_discounts FROM payments"))[0]  # found out by asking where the news is brief
        assert json.loads(row["line_discounts"]) == [{"goods_num": "6901", "discount_fen": 300}]


@on_each_wallet
async def test_a_full_refund_of_a_discounted_order_leaves_nothing_on_either_side(channel: int) -> None:
    async with world() as w:
        await _hand_out(w, channel, 300, "merchant")
        order_no = await paid(w, channel=channel, amount=2500, goods_list=goods(TEA))

        reply = await ask(w, "refund", order_no=order_no)

        assert (reply.data["refundStatus"], reply.data["refundAmount"]) == ("5", "2200")
        assert await refunded_at_wallet(w, order_no) == [2500]
        assert (await ask(w, "query", order_no=order_no)).data["orderStatus"] == "7"
        assert await sold(w) == {"T": ("0", 0)}


@on_each_wallet
async def test_so_do_its_parts_together(channel: int) -> None:
    async with world() as w:
        await _hand_out(w, channel, 333, "merchant")
        order_no = await paid(w, channel=channel, amount=2500, goods_list=goods(TEA))

        parts = []
        for amount in (1, 700, None):
            parts.append(await ask(w, "refund", order_no=order_no, refund_amount=amount))
            await w.advance(64)  # WeChat wants a minute between them, and two seconds for each
            await w.advance(3)

        assert [reply.data["refundAmount"] for reply in parts] == ["1", "700", "1466"]
        # Shares of the total: 1/2167 and 701/2167 of 2500, rounded down, and what is left.
        assert await refunded_at_wallet(w, order_no) == [1, 807, 1692]
        order = await w.order(order_no)
        assert (order.received_fen, order.refunded_fen, order.refunding_fen) == (2167, 2167, 0)


async def _hand_out(w: World, channel: int, amount_fen: int, funded_by: str) -> None:
    values = {"wallet": WALLET_NAMES[channel], "goods_num": "6901", "amount_fen": amount_fen, "funded_by": funded_by}
    answered, _ = await w.ask_twin("POST", "/api/coupons", **values)
    assert answered == 200


async def _two_days_of_sales(w: World) -> None:
    """Monday noon by Alipay, Monday 23:30 and Tuesday 00:30 (Shanghai); a part of the first goes back on Tuesday."""
    first = await paid(w, amount=1000, goods_list=goods(TEA))
    await w.advance(11.5 * 3600)
    await paid(w, amount=2000, goods_list=goods(TEA))
    await w.advance(3600)
    await paid(w, amount=3000, channel=WECHAT)
    await ask(w, "refund", order_no=first, refund_amount=500)


async def _shell(w: World, *arguments: str) -> str:
    """What `opentill stats` prints. It runs in a thread with an event loop of its own."""
    environment = {"OPENTILL_DATABASE_URL": w.ground.database_url, "COLUMNS": "200"}
    done = await asyncio.to_thread(CliRunner().invoke, app, ["stats", *arguments], env=environment)
    assert done.exit_code == 0, done.output
    return done.output


def _order(*, received_fen: int, refunded_fen: int = 0, goods: tuple[GoodsLine, ...]) -> Order:
    return Order(
        app_id=1, order_no="1", local_order_no="1", attempt=1, merchant_id=1, store_id=1, operator_id="o", account_id=1,
        channel=1, way=PaymentWay.SCAN, state=OrderState.PAID, amount_fen=received_fen, un_discount_fen=None,
        subject="", goods=goods, notify_url="", device_create_ip="", created_at_ms=0, expires_at_ms=0,
        received_fen=received_fen, refunded_fen=refunded_fen,
    )  # fmt: skip
