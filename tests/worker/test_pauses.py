"""Receivers that a person has paused: nothing is sent, nothing is spent, nothing is lost."""

import pytest

from opentill.domain.notification import receiver_of
from opentill.services import notifications, pauses
from opentill.services.decisions import By
from opentill.services.pauses import SETTLED_MS, read_receiver
from opentill.storage import notifications as rows
from opentill.storage.pauses import Pause, lasting
from tests.databases import on_both_engines, on_postgres
from tests.orders import paid
from tests.shops import Answer
from tests.storage.statements import recorded
from tests.world import TEST_APP_ID, World, ground, running, world

BY = By("ann", "192.0.2.1")
NO = Answer(500, b"down")


async def pause(w: World, *, app_id: int = TEST_APP_ID) -> bool:
    return await pauses.pause(w.deployment, app_id, receiver_of(w.shop.url), reason="maintenance", by=BY)


async def resume(w: World, *, app_id: int = TEST_APP_ID) -> bool:
    return await pauses.resume(w.deployment, app_id, receiver_of(w.shop.url), by=BY)


async def attempts(w: World, order_no: str) -> tuple[str, int]:
    (told,) = await w.told(order_no)
    return told.notification.state.value, told.notification.attempts


@on_both_engines
async def test_while_a_receiver_is_paused_nothing_is_sent_and_no_attempt_is_spent(engine: str) -> None:
    async with world(engine) as w:
        w.shop.usually = NO
        before = await paid(w, notify_url=w.shop.url)
        await pause(w)

        meanwhile = await paid(w, notify_url=w.shop.url)
        await w.advance(3 * 86_400)

        assert (len(w.shop.heard), await attempts(w, before), await attempts(w, meanwhile)) == (
            1,
            ("DUE", 1),
            ("DUE", 0),
        )


@on_both_engines
async def test_when_it_goes_on_all_that_waited_is_delivered(engine: str) -> None:
    async with world(engine) as w:
        w.shop.usually = NO
        order_nos = [await paid(w, notify_url=w.shop.url)]
        for wait_s in (5, 15, 30, 60, 120, 300):
            await w.advance(wait_s)
        await pause(w)
        order_nos += [await paid(w, notify_url=w.shop.url) for _ in range(3)]
        w.shop.usually = Answer()

        await resume(w)
        await w.settle()

        assert [await attempts(w, order_no) for order_no in order_nos] == [("DELIVERED", 8)] + [("DELIVERED", 1)] * 3
        assert await w.number("SELECT count(*) FROM notifications WHERE due_at_ms < 0") == 0


async def test_other_receivers_and_other_apps_are_told_as_ever() -> None:
    async with world() as w:
        another = await w.add_till()
        await pause(w)

        order = await another.scan(notify_url=w.shop.url)
        await w.pay(order.qr_code)

        assert await attempts_of_app(w, await w.app_id(another)) == ["DELIVERED"]


async def attempts_of_app(w: World, app_id: int) -> list[str]:
    found = await w.rows("SELECT state FROM notifications WHERE app_id = $1", app_id)
    return [row["state"] for row in found]


@on_both_engines
async def test_it_is_paused_once_and_goes_on_once_and_the_audit_log_has_both(engine: str) -> None:
    async with world(engine) as w:
        said = [await pause(w), await pause(w), await resume(w), await resume(w), await pause(w)]

        assert said == [True, False, True, False, True]
        links = await w.rows("SELECT action, actor, source_ip, subject FROM audit_events ORDER BY link_no")
        host = receiver_of(w.shop.url)
        assert [tuple(dict(row).values()) for row in links[-3:]] == [
            (f"receiver.{deed}", "ann", "192.0.2.1", host) for deed in ("pause", "resume", "pause")
        ]


@on_both_engines
async def test_an_attempt_under_way_when_the_pause_begins_is_recorded(engine: str) -> None:
    async with ground(engine) as g, running(g, works=False) as w:
        w.shop.usually = NO
        order_no = await paid(w, notify_url=w.shop.url)
        (due,) = await rows.due(w.database, now_ms=w.clock.now_ms(), limit=9)
        claimed = rows.claim(due, lease_until_ms=w.clock.now_ms() + notifications.LEASE_MS)
        await w.database.write([claimed])
        await pause(w)

        # The worker that had claimed it died. Its lease runs out.
        w.clock.advance(notifications.LEASE_MS)
        (again,) = await rows.due(w.database, now_ms=w.clock.now_ms(), limit=9)
        outcome = await notifications.deliver(w.deployment, again)

        assert (outcome, w.shop.heard, await attempts(w, order_no)) == (None, [], ("DUE", 0))
        assert await rows.due(w.database, now_ms=w.clock.now_ms() + 10**10, limit=9) == []


@on_both_engines
async def test_what_a_slow_claim_holds_after_the_pause_has_ended_is_let_go_too(engine: str) -> None:
    async with world(engine) as w:
        await pause(w)
        (pausing,) = await lasting(w.database)
        order_no = await paid(w, notify_url=w.shop.url)
        await resume(w)
        await w.settle()
        # As by a claim of another process that had begun before the pause ended.
        await w.change(
            "UPDATE notifications SET state = 'DUE', due_at_ms = $1 WHERE order_no = $2", -pausing.pause_id, order_no
        )

        await w.advance(SETTLED_MS / 1000)

        assert (await attempts(w, order_no))[0] == "DELIVERED"
        assert await w.number("SELECT count(*) FROM receiver_pauses") == 0


@pytest.mark.parametrize("steps", range(4))
async def test_whoever_dies_while_letting_go_leaves_nothing_behind(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "AT_ONCE", 1)
    async with ground() as g:
        async with running(g) as w:
            await pause(w)
            for _ in range(3):
                await paid(w, notify_url=w.shop.url)
        async with running(g, works=False) as w:
            await resume(w)
            for _ in range(steps):
                ended = await _ended(w)
                await pauses.let_go(w.deployment, ended)

        async with running(g) as w:
            await w.settle()

            assert await attempts_of_app(w, TEST_APP_ID) == ["DELIVERED"] * 3


async def _ended(w: World) -> Pause:
    (row,) = await w.rows("SELECT * FROM receiver_pauses")
    return Pause(**dict(row))


@on_postgres
async def test_a_worker_elsewhere_learns_of_both_at_once(engine: str) -> None:
    async with ground(engine) as g, running(g, works=False) as w, w.another_worker():
        await pause(w)
        order_no = await paid(w, notify_url=w.shop.url)
        assert w.shop.heard == []

        await resume(w)
        await w.settle()

        assert await attempts(w, order_no) == ("DELIVERED", 1)


@on_both_engines
async def test_what_is_held_is_looked_at_once_however_often_a_worker_looks(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ground(engine) as g, recorded(g.database_url, monkeypatch) as statements:
        async with running(g) as w:
            await pause(w)
            await paid(w, notify_url=w.shop.url)
            for _ in range(20):
                await w.advance(60)

        assert len([each for each in statements() if "SET due_at_ms = coalesce" in each]) == 1


RECEIVERS = {
    "shop.example": "shop.example",
    " Shop.Example:8443 ": "shop.example:8443",
    "https://shop.example/notify?x=1": "shop.example",
    "http://[2001:db8::1]:80/": "[2001:db8::1]:80",
    "": "",
    "https://": "",
    "http://ann:secret@shop.example/": "",
    "two words": "",
    "shop.example:99999": "",
    "x" * 300: "",
}


@pytest.mark.parametrize(("text", "receiver"), RECEIVERS.items())
def test_a_receiver_is_named_by_its_host_or_by_any_url_of_it(text: str, receiver: str) -> None:
    assert read_receiver(text) == receiver
