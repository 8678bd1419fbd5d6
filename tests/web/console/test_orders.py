"""The list of orders and the page of one order."""

import re
from pathlib import Path

from opentill.domain.people import Role
from opentill.services import archives
from opentill.storage.database import Step
from opentill.storage.history import add_event, events_of_order
from opentill.web.timeline import SHOWN
from tests.databases import on_both_engines
from tests.orders import ask, fault, paid, refunded_at_wallet, scanned
from tests.web.console.kit import OTHER_MERCHANT_ID, Console, at, console
from tests.world import TEST_APP_ID

_ATTEMPT = (
    "INSERT INTO notification_attempts (app_id, notification_id, attempt, at_ms, elapsed_ms, status, body, problem) "
    "VALUES ($1, $2, $3, $4, 10, 500, 'oops', 'answer')"
)


def order_links(text: str) -> list[str]:
    """The orders of a list, as their links name them."""
    return re.findall(r'<th scope="row"><a href="/console/orders/(\d{30})"', text)


async def listed(c: Console, query: str = "") -> list[str]:
    page = await c.get(f"/orders{query}")
    assert page.status == 200, page.text
    return order_links(page.text)


def field(text: str, name: str) -> str:
    """What a form of the page carries along."""
    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert found is not None, name
    return found[1]


# --- the list


@on_both_engines
async def test_the_list_has_the_newest_first_and_filters_in_the_address(engine: str) -> None:
    async with console(engine) as c:
        first = (await scanned(c.world, channel=2, amount=100)).order_no
        second = await paid(c.world, channel=1, amount=2500)

        found = {
            query: await listed(c, query)
            for query in (
                "", "?state=open", "?state=received", "?wallet=1", "?least=10&most=25", "?least=25.01", "?way=H5",
                "?attention=1", "?merchant=1", "?merchant=2", "?from=2026-11-23T12:00&to=2026-11-23T12:00", "?app=1",
                "?to=2026-11-22T00:00", "?period=yesterday", f"?before={second}", "?cashier=nobody", "?store=1",
            )
        }  # fmt: skip

        assert found == {
            "": [second, first], "?state=open": [first], "?state=received": [second], "?wallet=1": [second],
            "?least=10&most=25": [second], "?least=25.01": [], "?way=H5": [], "?attention=1": [],
            "?merchant=1": [second, first], "?merchant=2": [], "?from=2026-11-23T12:00&to=2026-11-23T12:00":
            [second, first], "?app=1": [second, first], "?to=2026-11-22T00:00": [], "?period=yesterday": [],
            f"?before={second}": [first], "?cashier=nobody": [], "?store=1": [second, first],
        }  # fmt: skip


async def test_what_makes_no_sense_is_left_out_and_named() -> None:
    async with console() as c:
        order_no = (await scanned(c.world)).order_no

        page = await c.get("/orders?least=ten&wallet=x&way=WALK&state=lost&period=ever&from=monday&before=x&app=-1")

        assert order_links(page.text) == [order_no]
        assert page.text.count('aria-invalid="true"') == 2


async def test_one_number_leads_straight_to_its_order() -> None:
    async with console() as c:
        order_no = await paid(c.world, local_order_no="MY-1")
        trade_no = (await c.world.order(order_no)).channel_trade_no

        found = [(await c.get(f"/orders?number={number}")).location for number in ("MY-1", order_no, trade_no, "MY-2")]

        assert found == [f"/orders/{order_no}"] * 3 + [""]


async def test_the_next_page_goes_on_with_the_same_filters() -> None:
    async with console() as c:
        made = [(await scanned(c.world)).order_no for _ in range(52)]

        first = await c.get("/orders?state=open")
        following = re.search(r'href="/console(/orders\?[^"]+)" rel="next"', first.text)
        assert following is not None
        second = await c.get(following[1].replace("&amp;", "&"))

        assert "state=open" in following[1]
        assert order_links(first.text) + order_links(second.text) == made[::-1]


async def test_people_see_the_orders_of_their_merchants_only() -> None:
    async with console() as c:
        order_no = (await scanned(c.world)).order_no
        theirs = at(Role.READER, OTHER_MERCHANT_ID)

        page = await c.get("/orders", as_=theirs)
        by_number = await c.get(f"/orders?number={order_no}", as_=theirs)
        one = await c.get(f"/orders/{order_no}", as_=theirs)

        assert order_links(page.text) == []
        assert by_number.location == ""
        assert one.status == 404


# --- one order


async def test_an_order_s_page_tells_everything_that_happened() -> None:
    async with console() as c:
        c.world.shop.answers = []
        order_no = await paid(c.world, amount=1234, notify_url=c.world.shop.url, local_order_no="MY-1")
        await ask(c.world, "refund", order_no=order_no, refund_amount=34)
        await c.world.deployment.replies.settled()

        page = (await c.get(f"/orders/{order_no}")).text

        for text in (
            "¥12.34", "MY-1", c.texts["event"]["PAID"], c.texts["event"]["TOLD"], c.texts["event"]["REFUND_SUCCEEDED"],
            c.texts["order_status"]["part_refunded"], "notify_url", "out_trade_no", c.world.shop.url,
            c.texts["event"]["REPLIED"], c.texts["order"]["our_reply"], "refundStatus", "refund_amount",
        ):  # fmt: skip
            assert text in page, text


async def test_the_page_of_an_archived_order_names_the_file(tmp_path: Path) -> None:
    async with console() as c:
        w = c.world
        order_no = await paid(w)
        await w.advance((archives.DEFAULT_DAYS + 1) * 86_400)
        totals = await archives.run(w.database, w.clock, tmp_path, days=archives.DEFAULT_DAYS)

        page = (await c.get(f"/orders/{order_no}")).text

        assert c.texts["event"]["ARCHIVED"] in page
        assert totals.files[0] in page
        assert c.texts["event"]["PAID"] not in page


@on_both_engines
async def test_a_long_timeline_shows_its_first_and_latest_and_leads_to_the_rest(engine: str) -> None:
    async with console(engine) as c:
        order_no = await paid(c.world, notify_url=c.world.shop.url)
        (told,) = await c.world.rows("SELECT app_id, notification_id FROM notifications")
        steps = []
        for number in range(2, 1_002):
            at_ms = c.world.clock.now_ms() + 1_000 * number
            steps += [
                add_event(TEST_APP_ID, order_no, now_ms=at_ms, kind="ASKED", detail={"note": f"asked {number}"}),
                Step(_ATTEMPT, (told["app_id"], told["notification_id"], number, at_ms)),
            ]
        await c.world.database.write(steps)

        page, seen = (await c.get(f"/orders/{order_no}?lang=en")).text, ""

        assert page.count('<span class="what">') == SHOWN
        assert page.index("Order recorded") < page.index("more in between") < page.index("asked 1001<")
        assert "attempt 1001<" in page
        assert "asked 500<" not in page
        while later := re.search(r'(\?entries=\d+)#history">(?:[\d,]+ more|Later)', page):
            page = (await c.get(f"/orders/{order_no}{later[1]}&lang=en")).text
            assert page.count('<span class="what">') <= SHOWN
            seen += page
        assert [int(each) for each in re.findall(r"asked (\d+)<", seen)][-900:] == list(range(102, 1_002))
        assert [int(each) for each in re.findall(r"attempt (\d+)<", seen)][-900:] == list(range(102, 1_002))


async def test_what_is_no_place_in_a_timeline_shows_it_from_the_beginning() -> None:
    async with console() as c:
        order_no = await paid(c.world)

        for query in ("?entries=x", "?entries=-1", "?entries=1e3", f"?entries={'9' * 40}", "?entries=999999999"):
            page = await c.get(f"/orders/{order_no}{query}")

            assert page.status == 200, query
            assert '<span class="what">' in page.text, query


async def test_every_event_has_words_in_both_languages() -> None:
    async with console() as c:
        w = c.world
        for order_no in [(await scanned(w)).order_no, await paid(w)]:
            await c.post(f"/orders/{order_no}/ask")
            await c.post(f"/orders/{order_no}/reverse")

            kinds = {event.kind for event in await events_of_order(w.database, TEST_APP_ID, order_no)}

            assert kinds <= c.texts["event"].keys()


async def test_numbers_of_no_order_lead_to_no_page() -> None:
    async with console() as c:
        await scanned(c.world)

        answers = [
            (await c.get(f"/orders/{number}")).status for number in ("1", "1" * 30, "x", "117954064000010000001")
        ]

        assert answers == [404] * 4


# --- deeds


@on_both_engines
async def test_a_refund_is_shown_before_it_happens_and_happens_once(engine: str) -> None:
    async with console(engine) as c:
        order_no = await paid(c.world, amount=1000)
        path = f"/orders/{order_no}/refund"
        form = {"amount": "3.00", "reason": "broken", "token": field((await c.get(path)).text, "token")}

        shown = await c.post(path, form)
        before = await refunded_at_wallet(c.world, order_no)
        clicks = [await c.post(path, form | {"confirmed": "1"}) for _ in range(2)]

        assert (shown.status, before) == (200, [])
        assert [click.location for click in clicks] == [f"/orders/{order_no}"] * 2
        assert await refunded_at_wallet(c.world, order_no) == [300]


async def test_amounts_that_cannot_be_refunded_are_refused() -> None:
    async with console() as c:
        order_no = await paid(c.world, amount=1000)
        path = f"/orders/{order_no}/refund"

        answers = {
            amount: (await c.post(path, {"amount": amount, "token": "t", "confirmed": "1"})).status
            for amount in ("", "0", "-1", "10.01", "1.001", "ten", "1e1")
        }

        assert answers == dict.fromkeys(answers, 422)
        assert await refunded_at_wallet(c.world, order_no) == []


async def test_who_may_not_refund_cannot() -> None:
    async with console() as c:
        order_no = await paid(c.world, amount=1000)
        form = {"amount": "1", "token": "t", "confirmed": "1"}

        answers = [
            (await c.post(f"/orders/{order_no}/refund", form, as_=role)).status
            for role in (Role.CASHIER, Role.DEVELOPER, Role.READER)
        ]

        assert answers == [403, 403, 403]
        assert await refunded_at_wallet(c.world, order_no) == []


async def test_held_money_is_placed_on_the_order_s_page() -> None:
    async with console() as c:
        w = c.world
        await fault(w, 2, "pay", "wrong_amount")
        reply = await ask(w, "barcode", barcode="130123456789011234", amount=1000, local_order_no="T-1")
        listed_before = await listed(c, "?attention=1")
        payment = field((await c.get(f"/orders/{reply.order_no}")).text, "payment")

        answer = await c.post(f"/orders/{reply.order_no}/decide", {"payment": payment, "choice": "accept"})

        assert listed_before == [reply.order_no]
        assert answer.location == f"/orders/{reply.order_no}"
        assert await w.state(reply.order_no) == "PAID"
        again = await c.post(f"/orders/{reply.order_no}/decide", {"payment": payment, "choice": "accept"})
        assert again.status == 409


async def test_a_decision_about_no_payment_changes_nothing() -> None:
    async with console() as c:
        await fault(c.world, 2, "pay", "wrong_amount")
        reply = await ask(c.world, "barcode", barcode="130123456789011234", amount=1000, local_order_no="T-1")

        answers = [
            (await c.post(f"/orders/{reply.order_no}/decide", {"payment": payment, "choice": choice})).status
            for payment, choice in (("nothing", "refund"), ("", "keep"), ("x", "burn"))
        ]

        assert answers == [409, 409, 409]
        assert (await c.world.order(reply.order_no)).attention == "WRONG_AMOUNT"


async def test_reversing_a_paid_order_is_refused_with_the_reason() -> None:
    async with console() as c:
        order_no = await paid(c.world)

        answer = await c.post(f"/orders/{order_no}/reverse")

        assert answer.status == 409
        assert c.texts["order_problem"]["REVERSE_PAID"] in answer.text
