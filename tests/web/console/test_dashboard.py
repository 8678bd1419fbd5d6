"""The first page: what came in, against the time before, and what needs a person."""

import re

from opentill.domain.people import Role
from opentill.services import dashboard
from opentill.services.dashboard import Dashboard
from opentill.services.search import Scope
from opentill.storage.database import Database, Step
from opentill.storage.stats import HOUR_MS
from tests.databases import fresh_database, on_both_engines
from tests.orders import ALIPAY, CODES, WECHAT, ask, fault, paid, scanned
from tests.web.console.kit import OTHER_MERCHANT_ID, at, console

DAY_MS = 24 * HOUR_MS
TODAY_MS = 1_795_363_200_000  # 2026-11-23 00:00 in Shanghai
EVERYBODY = Scope((1,), None)


async def sold(database: Database, hour_ms: int, *, orders: int, received_fen: int, merchant_id: int = 1) -> None:
    step = Step(
        "INSERT INTO sales_hours VALUES (1, $1, 1, 'ann', 1, $2, $3, $4, $4, 0, 1, 100)",
        (merchant_id, hour_ms, orders, received_fen),
    )
    await database.write([step])


async def today(database: Database, scope: Scope = EVERYBODY, *, now_ms: int) -> Dashboard:
    return await dashboard.dashboard(
        database, scope, from_ms=TODAY_MS, to_ms=TODAY_MS + DAY_MS, now_ms=now_ms
    )  # fmt: skip


@on_both_engines
async def test_today_is_compared_with_yesterday_at_the_same_time_of_day(engine: str) -> None:
    async with fresh_database(engine) as (_, database):
        await sold(database, TODAY_MS + 9 * HOUR_MS, orders=10, received_fen=1_000)
        for hour, fen in ((9, 800), (10, 600), (11, 5_000)):
            await sold(database, TODAY_MS - DAY_MS + hour * HOUR_MS, orders=4, received_fen=fen)

        found = await today(database, now_ms=TODAY_MS + 10 * HOUR_MS + HOUR_MS // 2)

        assert (found.now.orders, found.now.received_fen, found.now.average_fen) == (10, 1_000, 100)
        assert (found.before.orders, found.before.received_fen, found.is_about) == (6, 1_100, True)
        assert [point.now.received_fen for point in found.points] == [0] * 9 + [1_000] + [0] * 14
        assert [point.before.received_fen for point in found.points][9:12] == [800, 600, 5_000]


@on_both_engines
async def test_longer_times_are_compared_with_the_same_length_before_by_day(engine: str) -> None:
    async with fresh_database(engine) as (_, database):
        await sold(database, TODAY_MS - 6 * DAY_MS, orders=1, received_fen=70)
        await sold(database, TODAY_MS - 7 * DAY_MS, orders=1, received_fen=30)

        found = await dashboard.dashboard(
            database, EVERYBODY, from_ms=TODAY_MS - 6 * DAY_MS, to_ms=TODAY_MS + DAY_MS, now_ms=TODAY_MS + DAY_MS
        )

        assert (found.now.received_fen, found.before.received_fen, found.is_about) == (70, 30, False)
        assert (found.is_by_day, len(found.points)) == (True, 7)


@on_both_engines
async def test_figures_are_of_the_merchants_in_scope(engine: str) -> None:
    async with fresh_database(engine) as (_, database):
        await sold(database, TODAY_MS, orders=1, received_fen=70, merchant_id=1)
        await sold(database, TODAY_MS, orders=1, received_fen=30, merchant_id=2)

        second = await today(database, Scope((1,), frozenset({2})), now_ms=TODAY_MS + HOUR_MS)
        nobodys = await today(database, Scope((), frozenset()), now_ms=TODAY_MS + HOUR_MS)

        assert (second.now.received_fen, nobodys.now.received_fen) == (30, 0)
        assert [each.received_fen for each in second.stores] == [30]


@on_both_engines
async def test_the_page_shows_money_ranks_and_success(engine: str) -> None:
    async with console(engine) as c:
        goods = '[{"goods_name":"拿铁","sell_amount":"2","goods_price":"10"}]'
        await paid(c.world, amount=2_000, goods_list=goods)
        await paid(c.world, amount=1_000, channel=WECHAT)
        await ask(c.world, "barcode", barcode=CODES[ALIPAY] + "0002", amount=1, local_order_no="T-1")

        page = (await c.get("/dashboard")).text

        for text in ("¥30.00", "¥15.00", "66.6%", "拿铁", c.texts["order"]["wallet_2"]):
            assert text in page, text


async def test_what_needs_a_person_leads_to_it() -> None:
    async with console() as c:
        w = c.world
        await fault(w, WECHAT, "pay", "wrong_amount")
        reply = await ask(w, "barcode", barcode=CODES[WECHAT] + "1234", amount=1000, local_order_no="T-1")
        await fault(w, ALIPAY, "create", "bad_signature", times=99)
        for _ in range(6):
            await w.scan()
        await paid(w, channel=WECHAT, notify_url=w.shop.url)
        await w.change("UPDATE notifications SET state = 'DEAD', due_at_ms = 0")

        page = (await c.get("/dashboard")).text
        theirs = (await c.get("/dashboard", as_=at(Role.READER, OTHER_MERCHANT_ID))).text

        assert reply.order_no in (await c.get("/orders?attention=1")).text
        assert 'href="/console/orders?attention=1"' in page
        assert 'href="/console/notifications?state=DEAD"' in page
        assert re.search(r"6/6</span>", page)
        assert "needs-list" not in theirs


async def test_a_fresh_install_says_what_will_be_here() -> None:
    async with console() as c:
        page = (await c.get("/dashboard")).text
        lists = [(await c.get(path)).text for path in ("/orders", "/notifications")]

        assert c.texts["dashboard"]["empty_title"] in page
        assert all('class="empty"' in text for text in lists)


async def test_the_merchant_of_the_address_is_chosen_only_among_ones_own() -> None:
    async with console() as c:
        await paid(c.world, amount=4_200)
        await scanned(c.world)

        chosen = [
            "¥42.00" in (await c.get(f"/dashboard?merchant={merchant}", as_=as_)).text
            for merchant, as_ in (
                (1, Role.OWNER), (2, Role.OWNER), (1, at(Role.READER, OTHER_MERCHANT_ID)), (2, Role.READER),
                (0, Role.READER),
            )
        ]  # fmt: skip

        assert chosen == [True, False, False, True, True]
