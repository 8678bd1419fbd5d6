"""A week of a coffee shop: invented, and the same every time but for the numbers that are drawn."""

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from opentill.base.money import yuan_text
from opentill.services import devices, shifts
from opentill.services.devices import Actor
from tests.clients import TEST_OPERATOR, Till
from tests.shops import Answer
from tests.web.cashier.kit import Browser, Store
from tests.world import World, ground, running

MONDAY_MS = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1000) - 8 * 3_600_000
"""Midnight in Shanghai."""
DAYS = 7
LAST_MS = MONDAY_MS + 6 * 86_400_000 + 18 * 3_600_000 + 20 * 60_000
"""Sunday, twenty past six: when the pictures are taken."""
PIN = "2580"

GOODS = (
    ("拿铁 Latte", 2_800), ("美式 Americano", 2_200), ("澳白 Flat white", 3_000), ("可颂 Croissant", 1_600),
    ("燕麦拿铁 Oat latte", 3_200), ("柠檬塔 Lemon tart", 2_600), ("冷萃 Cold brew", 2_900), ("司康 Scone", 1_500),
)  # fmt: skip
# Sales of a day by the hour from 8 to 21.
HOURS = {8: 3, 9: 4, 10: 3, 11: 2, 12: 4, 13: 3, 14: 3, 15: 4, 16: 3, 17: 3, 18: 2, 19: 2, 20: 1}
STORES = ("人民路店 Renmin Rd", "大学城店 Campus")
CASHIERS = (("陈晓 Chen Xiao", 0), ("林安 Lin An", 0), ("周悦 Zhou Yue", 1))
CANCELLED, REFUNDED, UNHEARD = 0.05, 0.05, 0.03
"""Shares of the sales."""

_ACTOR = Actor("owner")


@dataclass
class CoffeeShop:
    """The shop at the end of its week. `till` is a paired device; `operators` by name."""

    world: World
    store: Store
    operators: dict[str, str] = field(default_factory=dict)
    tills: list[Browser] = field(default_factory=list)


@asynccontextmanager
async def lived_week() -> AsyncIterator[CoffeeShop]:
    """The shop after its week, on a clock that stands still at `LAST_MS`."""
    draw = random.Random(7)
    async with ground("sqlite", now_ms=MONDAY_MS + 7 * 3_600_000) as on, running(on) as world:
        shop = await _opened(world)
        try:
            for at_ms, place in _moments(draw):
                await world.advance_to(max(at_ms, world.clock.now_ms()))
                await _sell(shop, draw, place)
            await _trouble(shop)
            await world.advance_to(LAST_MS)
            yield shop
        finally:
            for http in shop.store.browsers:
                await http.close()


async def _opened(world: World) -> CoffeeShop:
    """The test merchant under a nicer name, with a second store and more cashiers."""
    for table, key, row, name in (
        ("merchants", "merchant_id", 1, "山茶咖啡 Camellia"),
        ("stores", "store_id", 1, STORES[0]),
        ("apps", "app_id", 1, "点单小程序 Ordering"),
        ("operators", "operator_id", TEST_OPERATOR, CASHIERS[0][0]),
        ("channel_accounts", "account_id", 1, "支付宝 Alipay"),
        ("channel_accounts", "account_id", 2, "微信支付 WeChat Pay"),
    ):
        await world.change(f"UPDATE {table} SET name = $2 WHERE {key} = $1", row, name)
    stores = [1, await world.administration.add_store(1, STORES[1])]
    shop = CoffeeShop(world, Store(world))
    for name, place in CASHIERS:
        operator_id = TEST_OPERATOR
        if name != CASHIERS[0][0]:
            operator_id = await world.administration.add_operator(
                name, merchant_id=1, store_id=stores[place], account_ids=[1, 2]
            )
        await shifts.set_pin(world.deployment, operator_id, PIN, actor=_ACTOR)
        await shifts.set_may_refund(world.deployment, operator_id, may_refund=place == 0, actor=_ACTOR)
        shop.operators[name] = operator_id
    world.deployment.parties.forget()
    for place, name in enumerate(("前台 Front desk", "吧台 Bar")):
        device_id = await devices.add(world.deployment, merchant_id=1, store_id=stores[place], name=name, actor=_ACTOR)
        till = shop.store.browser()
        await till.pair((await devices.offer_code(world.deployment, device_id, actor=_ACTOR)).code)
        shop.tills.append(till)
    return shop


def _moments(draw: random.Random) -> list[tuple[int, int]]:
    """When something is sold, and in which store, until the pictures are taken."""
    moments = []
    for day in range(DAYS):
        busy = 1.4 if day >= 5 else 1.0
        for hour, usual in HOURS.items():
            for _ in range(round(usual * busy)):
                at_ms = MONDAY_MS + day * 86_400_000 + hour * 3_600_000 + draw.randrange(3_600_000)
                moments.append((at_ms, int(draw.random() < 0.35)))
    return sorted(moment for moment in moments if moment[0] < LAST_MS)


async def _sell(shop: CoffeeShop, draw: random.Random, place: int) -> None:
    """One sale by the ordering app or at the store's till; sometimes cancelled, refunded, or its notice not heard."""
    lines = [(*draw.choice(GOODS), draw.choice((1, 1, 1, 2))) for _ in range(draw.choice((1, 1, 2)))]
    amount = sum(price * count for _, price, count in lines)
    channel = 1 if draw.random() < 0.45 else 2
    luck = draw.random()
    if draw.random() < 0.5:
        await _sell_by_app(shop, lines, amount, channel, place, luck)
    else:
        await _sell_at_till(shop, lines, amount, channel, place, luck)


async def _sell_by_app(
    shop: CoffeeShop, lines: list[tuple[str, int, int]], amount: int, channel: int, place: int, luck: float
) -> None:
    world = shop.world
    goods = [
        {"goods_name": name, "sell_amount": str(count), "goods_price": yuan_text(price)} for name, price, count in lines
    ]
    operator_id = shop.operators[CASHIERS[2 if place else 1][0]]
    order = await world.till.call(
        "open.pay.scan",
        operator_id=operator_id,
        local_order_no=f"W{world.clock.now_ms()}",
        channel=channel,
        amount=amount,
        subject=lines[0][0],
        goods_list=json.dumps(goods, ensure_ascii=False),
        notify_url=world.shop.url + ("/old" if luck > 1 - UNHEARD else ""),
    )
    assert order.is_success, order.message
    if luck < CANCELLED:
        await world.till.call("open.pay.reverse", operator_id=operator_id, order_no=order.order_no)
        return
    if luck > 1 - UNHEARD:
        world.shop.answers = [Answer(status=404, body=b"Not Found")] * 2
    await world.pay(order.qr_code)
    world.shop.answers = []
    if luck < CANCELLED + REFUNDED:
        refund = {"order_no": order.order_no, "refund_amount": lines[0][1], "reason": "缺货"}
        # The gateway waits for certainty, and here time only passes when somebody lets it.
        await world.meanwhile(world.till.call("open.pay.refund", operator_id=operator_id, **refund))


async def _sell_at_till(
    shop: CoffeeShop, lines: list[tuple[str, int, int]], amount: int, channel: int, place: int, luck: float
) -> None:
    till = shop.tills[place]
    if (await till.get("/")).screen == "signin":
        await till.sign_in(PIN, operator_id=shop.operators[CASHIERS[2 if place else 0][0]])
    goods = [{"goods_name": name, "sell_amount": str(count), "goods_price": str(price)} for name, price, count in lines]
    sale = await till.sell(
        str(amount), channel=channel, subject=lines[0][0], goods=json.dumps(goods, ensure_ascii=False)
    )
    if luck < CANCELLED:
        await till.post(f"/sale/{sale.number}/cancel")
    else:
        await shop.world.pay(sale.qr_text)
        if CANCELLED < luck < CANCELLED + REFUNDED and place == 0:
            await shop.world.meanwhile(till.give_back(sale.number, str(lines[0][1]), reason="金额收错"))
    await till.post(f"/sale/{sale.number}/dismiss")


async def _trouble(shop: CoffeeShop) -> None:
    """What a console is for: money that came late, and a call that was signed with another key."""
    world = shop.world
    late = await world.till.call(
        "open.pay.scan", local_order_no=f"W{world.clock.now_ms()}L", channel=1, amount=2_800, subject=GOODS[0][0]
    )
    await world.till.call("open.pay.reverse", order_no=late.order_no)
    await world.pay(late.qr_code)
    stranger = Till(world.http, world.base_url, world.clock.now_ms, key="0" * 32)
    await stranger.scan(amount=2_800, subject=GOODS[0][0])
