"""Notifications: what was told, receivers in trouble, sending again."""

import re

import pytest

from opentill.domain.notification import receiver_of
from opentill.domain.people import Role
from opentill.services import doctor_books
from opentill.services.findings import Level
from tests.databases import on_both_engines
from tests.doctor.patients import only, patient_of
from tests.orders import paid
from tests.shops import Answer
from tests.web.console.kit import OTHER_MERCHANT_ID, Console, at, console
from tests.web.console.things import their_notification
from tests.world import MERCHANT_ID, TEST_APP_ID


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


WHY_NOT = (
    ("answer", "应答的内容不是 success", "The answer is not exactly success"),
    ("the answer is not exactly `success`", "应答的内容不是 success", "The answer is not exactly success"),
    ("address: the address 10.0.0.1 is not allowed", "不允许发往这个地址", "This address may not be sent to"),
    ("not sent: Connection refused", "没有连上对方", "The receiver could not be reached"),
    ("no reply: TimeoutError", "没有收到完整的应答", "No whole answer came back"),
    ("of another time", "of another time", "of another time"),
)  # as it is stored, also by earlier versions


async def test_why_an_attempt_failed_is_told_in_the_reader_s_language() -> None:
    async with console() as c:
        (order_no,) = await refusing(c)
        assert (await c.world.rows("SELECT problem FROM notification_attempts"))[0]["problem"] == "answer"
        (one,) = links((await c.get("/notifications")).text)

        for stored, zh, en in WHY_NOT:
            await c.world.change("UPDATE notification_attempts SET problem = $1, status = 0", stored)

            for page in (f"/orders/{order_no}", one, "/notifications"):
                assert zh in (await c.get(f"{page}?lang=zh")).text, (stored, page)
                in_english = (await c.get(f"{page}?lang=en")).text
                assert en in in_english, (stored, page)
                assert stored.partition(": ")[2] in in_english, "what the network said stays readable"


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


@pytest.mark.parametrize("is_script", ["false", "true"])
async def test_where_somebody_came_from_adds_no_header(is_script: str) -> None:
    async with console() as c:
        answer = await c.post("/notifications/resend", {"back": "/orders/茶\r\nX-Evil: 1"}, hx_request=is_script)

        told = answer.headers["HX-Redirect" if is_script == "true" else "Location"]
        assert (told, "X-Evil" in answer.headers) == ("/console/orders/%E8%8C%B6%0D%0AX-Evil:%201", False)


async def test_other_merchants_notifications_do_not_exist() -> None:
    async with console() as c:
        path = await their_notification(c)
        await given_up(c)

        mine = await c.get("/notifications", as_=Role.DEVELOPER)
        theirs = await c.get("/notifications", as_=at(Role.DEVELOPER, OTHER_MERCHANT_ID))
        await c.post("/notifications/resend-all", as_=at(Role.DEVELOPER, OTHER_MERCHANT_ID))

        assert (path in links(mine.text), links(theirs.text)) == (False, [path])
        assert await c.world.number("SELECT count(*) FROM notifications WHERE state = 'DEAD'") == 1


def receiver_form(c: Console, **more: str) -> dict[str, str]:
    return {"app_id": str(TEST_APP_ID), "receiver": receiver_of(c.world.shop.url), **more}


@on_both_engines
async def test_a_receiver_in_trouble_is_shown_with_since_when_how_many_wait_and_what_it_answered(engine: str) -> None:
    async with console(engine) as c:
        c.world.shop.usually = Answer(503, body=b"<b>down</b>")
        await paid(c.world, notify_url=c.world.shop.url)
        await c.world.advance(5)

        page = await c.get("/notifications")

        words = c.texts["notifications"]
        assert receiver_of(c.world.shop.url) in page.text
        assert "HTTP 503 <code>&lt;b&gt;down&lt;/b&gt;</code>" in page.text
        assert words["fails_since"] in page.text
        assert "2026-11-23 12:00:00" in page.text


@on_both_engines
async def test_a_receiver_is_paused_and_resumed_by_hand_with_who_when_and_why(engine: str) -> None:
    async with console(engine) as c:
        await c.post("/notifications/pause", receiver_form(c, reason="ERP <maintenance>"), as_=Role.MANAGER)
        order_no = await paid(c.world, notify_url=c.world.shop.url)
        page, held = await c.get("/notifications"), await c.get("/notifications?state=HELD")
        first, order = await c.get("/dashboard"), await c.get(f"/orders/{order_no}")
        finding = await only(doctor_books.check_pauses, patient_of(c.world))
        assert c.world.shop.heard == []

        answer = await c.post("/notifications/resume", receiver_form(c), as_=Role.MANAGER)
        await c.world.settle()

        words, host = c.texts["notifications"], receiver_of(c.world.shop.url)
        assert words["paused_by"].format(actor="manager") in page.text
        assert "ERP &lt;maintenance&gt;" in page.text
        assert len(links(held.text)) == 1
        assert c.texts["dashboard"]["paused"].format(receiver=host) in first.text
        assert words["state_HELD"] in order.text
        assert (finding.level, "1 notifications wait" in finding.text) == (Level.WARN, True)
        assert (answer.location, len(c.world.shop.heard)) == ("/notifications", 1)
        assert (await only(doctor_books.check_pauses, patient_of(c.world))).level is Level.OK


async def test_what_a_pause_holds_is_not_sent_by_hand_either_and_what_is_held_by_none_is() -> None:
    async with console() as c:
        await c.post("/notifications/pause", receiver_form(c))
        await paid(c.world, notify_url=c.world.shop.url)
        (key,) = keys((await c.get("/notifications?state=HELD")).text)
        await c.post("/notifications/resend", {"one": key})
        await c.world.settle()
        assert c.world.shop.heard == []
        await c.world.change("DELETE FROM receiver_pauses")
        finding = await only(doctor_books.check_pauses, patient_of(c.world))

        await c.post("/notifications/resend", {"one": key})
        await c.world.settle()

        assert (finding.level, len(c.world.shop.heard)) == (Level.FAIL, 1)


@pytest.mark.parametrize("receiver", ["", "two words", "x" * 10_000, "http://ann:secret@shop.example/"])
async def test_what_is_no_receiver_is_not_paused(receiver: str) -> None:
    async with console() as c:
        answer = await c.post("/notifications/pause", receiver_form(c, receiver=receiver))

        assert (answer.status, c.texts["notifications"]["receiver_wrong"] in answer.text) == (400, True)
        assert await c.world.number("SELECT count(*) FROM receiver_pauses") == 0


async def test_who_is_at_one_merchant_of_an_app_pauses_nothing_for_the_others() -> None:
    async with console() as c:
        await c.world.change("INSERT INTO app_merchants VALUES ($1, $2)", TEST_APP_ID, OTHER_MERCHANT_ID)

        one = await c.post("/notifications/pause", receiver_form(c), as_=at(Role.MANAGER, MERCHANT_ID))
        both = await c.post("/notifications/pause", receiver_form(c), as_=at(Role.MANAGER, 1, OTHER_MERCHANT_ID))

        assert (one.status, both.status) == (404, 303)
        seen = [(await c.get("/notifications", as_=at(Role.MANAGER, each))).text for each in (1, OTHER_MERCHANT_ID)]
        assert [receiver_of(c.world.shop.url) in each for each in seen] == [False, False], "nothing of theirs waits"
