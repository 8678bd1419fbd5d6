"""Telling merchants: when, how often, what counts, and who must not wait for whom (protocol 6)."""

import asyncio

import pytest

from opentill.base.clock import MovableClock
from opentill.domain.notification import WAITS_MS
from opentill.services import notifications
from opentill.worker.notify import PER_RECEIVER
from tests.databases import on_both_engines
from tests.shops import Answer, Shop, open_shop
from tests.world import TEST_APP_ID, World, world

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
WAITS = [
    5 * SECOND, 15 * SECOND, 30 * SECOND, 1 * MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, 1 * HOUR,
    2 * HOUR, 6 * HOUR, 12 * HOUR,
]  # fmt: skip
NO = Answer(500, b"fail")


async def owed(w: World, url: str) -> str:
    """A paid order whose notification goes to `url`; its first attempt has been made. Returns the order's number."""
    order = await w.scan(notify_url=url)
    await w.pay(order.qr_code)
    return order.order_no


async def state_of(w: World, order_no: str) -> str:
    (told,) = await w.told(order_no)
    return told.notification.state.value


@on_both_engines
async def test_a_refused_notification_is_repeated_exactly_after_the_published_waits_and_then_dead(engine: str) -> None:
    async with world(engine) as w:
        w.shop.usually = NO
        order_no = await owed(w, w.shop.url)
        first_at_ms = w.clock.now_ms()

        for number, wait_ms in enumerate(WAITS, 1):
            await w.advance((wait_ms - 1) / 1000)
            assert len(w.shop.heard) == number, f"a millisecond before attempt {number + 1}"
            await w.advance(0.001)
            assert len(w.shop.heard) == number + 1, f"attempt {number + 1}"
        await w.advance(7 * 24 * 3600)

        assert len(w.shop.heard) == 13
        assert await state_of(w, order_no) == "DEAD"
        assert w.shop.heard[-1].at_ms - first_at_ms == sum(WAITS) == sum(WAITS_MS)
        assert await w.metric("opentill_alarms_total", kind="DEAD_NOTIFICATION") == 1
        assert [line["order_no"] for line in w.log_lines() if line["event"] == "dead"] == [order_no]


async def test_every_repeat_carries_the_same_bytes() -> None:
    async with world() as w:
        w.shop.answers = [NO] * 3
        await owed(w, w.shop.url)

        await w.advance(5)
        await w.advance(15)
        await w.advance(30)

        assert len(w.shop.heard) == 4
        assert len({heard.body for heard in w.shop.heard}) == 1


@on_both_engines
async def test_what_was_refused_and_then_accepted_is_not_sent_again(engine: str) -> None:
    async with world(engine) as w:
        w.shop.answers = [NO]
        order_no = await owed(w, w.shop.url)
        await w.advance(5)

        await w.advance(7 * 24 * 3600)

        (told,) = await w.told(order_no)
        assert (told.notification.state.value, told.notification.attempts, len(w.shop.heard)) == ("DELIVERED", 2, 2)
        assert [(attempt.status, attempt.body) for attempt in told.attempts] == [(500, "fail"), (200, "success")]


LARGE = b"success" + b" " * 5_000_000
# What a receiver says, and whether the merchant counts as told.
ANSWERS: dict[str, tuple[Answer, bool]] = {
    "success": (Answer(), True),
    "success with 201": (Answer(201), True),
    "success in GBK dress": (Answer(headers={"Content-Type": "text/html; charset=gbk"}), True),
    "success byte by byte": (Answer(drip=asyncio.Event()), True),
    "SUCCESS": (Answer(body=b"SUCCESS"), False),
    "a space before": (Answer(body=b" success"), False),
    "a line end after": (Answer(body=b"success\n"), False),
    "a byte order mark": (Answer(body=b"\xef\xbb\xbfsuccess"), False),
    "quoted": (Answer(body=b'"success"'), False),
    "nothing": (Answer(body=b""), False),
    "204 without a body": (Answer(204, b""), False),
    "fail": (Answer(body=b"fail"), False),
    "a redirect": (Answer(302, headers={"Location": "/elsewhere"}), False),
    "a redirect that keeps the method": (Answer(307, headers={"Location": "/elsewhere"}), False),
    "not found": (Answer(404), False),
    "an error": (Answer(500), False),
    "unavailable": (Answer(503), False),
    "five megabytes": (Answer(body=LARGE), False),
    "no text at all": (Answer(body=b"\x00\xff\xfe"), False),
    "a compressed success": (Answer(body=b"success", headers={"Content-Encoding": "gzip"}), True),
}


async def test_only_2xx_with_exactly_success_counts() -> None:
    async with world() as w:
        states: dict[str, str] = {}
        for name, (answer, _) in ANSWERS.items():
            if answer.drip is not None:
                answer.drip.set()
            w.shop.answers = [answer]

            order_no = await owed(w, w.shop.url)

            states[name] = await state_of(w, order_no)
            (told,) = await w.told(order_no)
            assert told.attempts[0].status == answer.status, name
            assert len(told.attempts[0].body) <= 2048, name

        assert states == {name: "DELIVERED" if is_told else "DUE" for name, (_, is_told) in ANSWERS.items()}
        assert {heard.path for heard in w.shop.heard} == {"/notify"}, "no redirect is followed"


@pytest.mark.parametrize("kind", ["says nothing", "never ends", "drips"])
async def test_a_slow_receiver_is_given_up_after_its_time(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "TOTAL_TIMEOUT_S", 0.3)
    async with world() as w:
        never = asyncio.Event()
        w.shop.answers = [Answer(until=never) if kind == "says nothing" else Answer(drip=never)]

        order_no = await owed(w, w.shop.url)

        (told,) = await w.told(order_no)
        assert told.notification.state.value == "DUE"
        assert told.attempts[0].problem.startswith("no reply")
        await w.advance(5)
        assert await state_of(w, order_no) == "DELIVERED"


async def test_a_receiver_that_is_not_there_is_tried_again() -> None:
    async with world() as w:
        async with open_shop(w.clock.now_ms) as gone:
            pass

        order_no = await owed(w, gone.url)

        (told,) = await w.told(order_no)
        assert (told.notification.state.value, told.attempts[0].status) == ("DUE", 0)
        assert told.attempts[0].problem.startswith("not sent")


NOWHERE = [
    "http://a..b/n", "http://" + "x" * 64 + ".example/n", "http://.example/n", "http://nowhere.invalid/n",
    "http://127.0.0.1:1/n", "https://127.0.0.1:1/n",
]  # fmt: skip


async def test_an_address_that_leads_nowhere_ends_dead_like_any_other() -> None:
    async with world() as w:
        order_nos = {url: await owed(w, url) for url in NOWHERE}

        for wait_ms in WAITS:
            await w.advance(wait_ms / 1000)

        ends = {url: (await w.told(order_no))[0].notification for url, order_no in order_nos.items()}
        assert {url: (end.state.value, end.attempts) for url, end in ends.items()} == dict.fromkeys(
            NOWHERE, ("DEAD", 13)
        )


@on_both_engines
async def test_a_dead_notification_is_sent_again_by_hand_and_only_a_dead_one(engine: str) -> None:
    async with world(engine) as w:
        w.shop.usually = NO
        order_no = await owed(w, w.shop.url)
        (told,) = await w.told(order_no)
        number = told.notification.notification_id
        too_early = await notifications.resend(w.deployment, TEST_APP_ID, number)
        for wait_ms in WAITS:
            await w.advance(wait_ms / 1000)
        w.shop.usually = Answer()

        is_due = await notifications.resend(w.deployment, TEST_APP_ID, number)

        await w.settle()
        assert (too_early, is_due, await state_of(w, order_no)) == (False, True, "DELIVERED")
        assert len({heard.body for heard in w.shop.heard}) == 1
        assert await notifications.resend(w.deployment, TEST_APP_ID, number) is False
        assert await notifications.resend(w.deployment, TEST_APP_ID, 1) is False


async def shops_hear(w: World, shop: Shop, count: int) -> None:
    await shop.arrived(count)
    assert len({heard.fields["cbOrderNo"] for heard in shop.heard}) == count


async def pay_all(w: World, url: str, count: int) -> None:
    """That many paid orders, told to `url`, without waiting for the telling."""
    replies = await asyncio.gather(*(w.scan(notify_url=url) for _ in range(count)))
    for reply in replies:
        status, _ = await w.ask_twin("POST", "/api/pay", qr_code=reply.qr_code)
        assert status == 200
    await w.twin.quiet()


@on_both_engines
async def test_a_receiver_that_never_answers_delays_nobody_elses(engine: str) -> None:
    async with world(engine) as w, open_shop(w.clock.now_ms) as dead:
        dead.usually = Answer(until=asyncio.Event())
        await pay_all(w, dead.url, 40)
        await dead.arrived(PER_RECEIVER)

        await pay_all(w, w.shop.url, 40)

        await shops_hear(w, w.shop, 40)
        assert len(dead.heard) == PER_RECEIVER, "at most so many attempts at one receiver at a time"
        dead.close()
        dead.usually = Answer()
        await w.settle()
        assert len(dead.heard) == 40


@on_both_engines
async def test_a_backlog_longer_than_one_look_hides_nobody_elses(engine: str) -> None:
    async with world(engine) as w, open_shop(w.clock.now_ms) as dead:
        dead.usually = Answer(until=asyncio.Event())
        await pay_all(w, dead.url, 1)
        await dead.arrived(1)
        # A thousand more to the same receiver, older than the one that matters.
        await w.change(
            "INSERT INTO notifications (app_id, notification_id, order_no, kind, url, fields, state, due_at_ms, "
            "created_at_ms) SELECT app_id, notification_id + 1000 * n.n, order_no, kind, url, fields, 'DUE', "
            "created_at_ms - 1000, created_at_ms FROM notifications, "
            "(WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000) SELECT n FROM n) n"
        )

        await pay_all(w, w.shop.url, 1)

        await w.shop.arrived(1)
        assert await w.number("SELECT count(*) FROM notifications WHERE state = 'DUE'") >= 1001


async def test_a_fault_with_one_notification_stops_no_other() -> None:
    async with world() as w:
        poisoned = await w.scan(notify_url=w.shop.url)
        w.shop.answers = [NO]
        await w.pay(poisoned.qr_code)
        await w.change("UPDATE notifications SET fields = 'broken'")
        w.clock.advance(5_000)

        good = await owed(w, w.shop.url)

        assert await state_of(w, good) == "DELIVERED"
        assert [line for line in w.log_lines() if line["event"] == "fault" and line["job"] == "notify"]


async def test_time_decides_by_the_injected_clock_alone() -> None:
    async with world() as w:
        assert isinstance(w.deployment.clock, MovableClock)
        w.shop.answers = [NO]
        order_no = await owed(w, w.shop.url)

        for _ in range(3):
            await w.settle()

        assert (len(w.shop.heard), await state_of(w, order_no)) == (1, "DUE")
