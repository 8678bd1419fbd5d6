"""Notifications: what was told, receivers in trouble, sending again."""

import re

from opentill.domain.people import Role
from tests.databases import on_both_engines
from tests.orders import paid
from tests.shops import Answer
from tests.web.console.kit import OTHER_MERCHANT_ID, Console, at, console
from tests.web.console.things import their_notification


def links(text: str) -> list[str]:
    return re.findall(r'href="/console(/notifications/\d+/\d+)"', text)


def keys(text: str) -> list[str]:
    return re.findall(r'name="one" value="(\d+-\d+)"', text)


async def refusing(c: Console, count: int = 1) -> list[str]:
    """Paid orders whose shop answers something else, for ever."""
    c.world.shop.usually = Answer(body=b"oops")
    return [await paid(c.world, notify_url=c.world.shop.url) for _ in range(count)]


async def given_up(c: Console, count: int = 1) -> list[str]:
    order_nos = await refusing(c, count)
    await c.world.change("UPDATE notifications SET state = 'DEAD', due_at_ms = 0, ended_at_ms = 1")
    return order_nos


@on_both_engines
async def test_lists_by_state_and_the_receiver_s_answer(engine: str) -> None:
    async with console(engine) as c:
        await paid(c.world, notify_url=c.world.shop.url)
        await refusing(c)

        counts = {
            state: len(links((await c.get(f"/notifications?state={state}")).text))
            for state in ("", "DUE", "DEAD", "DELIVERED")
        }
        waiting = await c.get("/notifications?state=DUE")
        one = await c.get(links(waiting.text)[0])

        assert counts == {"": 2, "DUE": 1, "DEAD": 0, "DELIVERED": 1}
        assert "oops" in one.text
        assert "HTTP 200" in one.text
        assert "PAY_SUC" in one.text


@on_both_engines
async def test_what_is_given_up_is_sent_again_once_the_shop_is_well(engine: str) -> None:
    async with console(engine) as c:
        await given_up(c, 2)
        c.world.shop.usually = Answer()
        first, second = keys((await c.get("/notifications?state=DEAD")).text)

        answer = await c.post("/notifications/resend", {"one": first, "back": "/notifications?state=DEAD"})
        await c.world.settle()

        assert answer.location == "/notifications?state=DEAD"
        assert keys((await c.get("/notifications?state=DEAD")).text) == [second]
        assert await c.world.number("SELECT count(*) FROM notifications WHERE state = 'DELIVERED'") == 1
        assert await c.world.number("SELECT count(*) FROM audit_events WHERE action = 'notification.resend'") == 1


async def test_all_that_a_receiver_is_owed_goes_out_at_once() -> None:
    async with console() as c:
        await refusing(c, 2)
        for _ in range(6):  # until the next attempt is longer away than one takes
            await c.world.advance(200)
        page = await c.get("/notifications")
        host = c.world.shop.url.split("/")[2]
        c.world.shop.usually = Answer()

        answer = await c.post("/notifications/resend-all", {"host": host})
        await c.world.settle()

        assert host in page.text
        assert answer.location == "/notifications"
        assert await c.world.number("SELECT count(*) FROM notifications WHERE state = 'DELIVERED'") == 2
        assert "troubled" not in (await c.get("/notifications")).text


async def test_what_is_delivered_or_under_way_is_not_sent_again() -> None:
    async with console() as c:
        await paid(c.world, notify_url=c.world.shop.url)
        app_id, notification_id = links((await c.get("/notifications")).text)[0].split("/")[2:]

        await c.post("/notifications/resend", {"one": f"{app_id}-{notification_id}"})
        await c.world.settle()

        assert len(c.world.shop.heard) == 1


async def test_nobody_is_led_to_another_site_after_sending_again() -> None:
    async with console() as c:
        backs = ["https://evil.example", "//evil.example", "/orders//evil.example", "/users"]

        answers = [(await c.post("/notifications/resend", {"back": back})).location for back in backs]

        assert answers == ["/notifications"] * 4


async def test_other_merchants_notifications_do_not_exist() -> None:
    async with console() as c:
        path = await their_notification(c)
        await given_up(c)

        mine = await c.get("/notifications", as_=Role.DEVELOPER)
        theirs = await c.get("/notifications", as_=at(Role.DEVELOPER, OTHER_MERCHANT_ID))
        await c.post("/notifications/resend-all", as_=at(Role.DEVELOPER, OTHER_MERCHANT_ID))

        assert (path in links(mine.text), links(theirs.text)) == (False, [path])
        assert await c.world.number("SELECT count(*) FROM notifications WHERE state = 'DEAD'") == 1
