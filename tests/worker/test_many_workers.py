"""Any number of workers may run on one database; a restart loses nothing (design 6)."""

import asyncio
from collections import Counter

import pytest

from tests.databases import on_both_engines
from tests.shops import Answer
from tests.world import World, ground, running, world

MANY = 30
both_wallets = pytest.mark.parametrize("channel", [1, 2])


async def paid_orders(w: World, count: int) -> list[str]:
    """Orders that are paid and, while no worker runs, not told."""
    replies = await asyncio.gather(*(w.scan(channel=1 + n % 2, notify_url=w.shop.url) for n in range(count)))
    for reply in replies:
        await w.pay(reply.qr_code)
    return [reply.order_no for reply in replies]


def times_told(w: World) -> Counter[str]:
    return Counter(heard.fields["cbOrderNo"] for heard in w.shop.heard)


@on_both_engines
async def test_what_is_owed_when_the_process_ends_is_told_by_the_next_one(engine: str) -> None:
    async with ground(engine) as g:
        async with running(g, works=False) as w:
            order_nos = await paid_orders(w, 3)
            assert [await w.state(order_no) for order_no in order_nos] == ["PAID"] * 3
            assert w.shop.heard == []

        async with running(g) as w:
            await w.settle()

            assert times_told(w) == Counter(order_nos)


@on_both_engines
async def test_an_order_that_was_open_when_the_process_ended_is_asked_about_by_the_next_one(engine: str) -> None:
    async with ground(engine) as g:
        async with running(g, works=False, public_base_url="http://127.0.0.1:1") as w:
            order = await w.scan(notify_url=w.shop.url)
            await w.pay(order.qr_code)
            assert await w.state(order.order_no) == "WAITING"

        async with running(g) as w:
            await w.advance(5)

            assert (await w.state(order.order_no), len(w.shop.heard)) == ("PAID", 1)


@on_both_engines
async def test_a_process_that_died_while_sending_leaves_a_lease_and_then_the_next_one_sends(engine: str) -> None:
    async with ground(engine) as g:
        async with running(g, works=False) as w:
            (order_no,) = await paid_orders(w, 1)
            # As it looks when the process dies between claiming and storing the attempt.
            await w.change("UPDATE notifications SET due_at_ms = due_at_ms + 60000")

        async with running(g) as w:
            await w.settle()
            during_the_lease = len(w.shop.heard)
            await w.advance(60)

            assert (during_the_lease, times_told(w)) == (0, Counter([order_no]))


@on_both_engines
async def test_a_stop_waits_for_what_is_being_sent(engine: str) -> None:
    async with ground(engine) as g:
        release = asyncio.Event()
        g.shop.answers = [Answer(until=release)]
        async with running(g) as w:
            order = await w.scan(notify_url=w.shop.url)
            await w.ask_twin("POST", "/api/pay", qr_code=order.qr_code)
            await w.shop.arrived(1)
            stopping = asyncio.create_task(w.worker.stop())
            await asyncio.sleep(0)

            release.set()
            await stopping

            (told,) = await w.told(order.order_no)
            assert told.notification.state.value == "DELIVERED"


@on_both_engines
async def test_three_workers_on_one_database_tell_each_merchant_once(engine: str) -> None:
    async with world(engine, works=False) as w:
        order_nos = await paid_orders(w, MANY)

        async with w.another_worker(), w.another_worker(), w.another_worker():
            await w.settle()

        assert times_told(w) == Counter(order_nos)
        assert await w.number("SELECT count(*) FROM notification_attempts") == MANY


@on_both_engines
async def test_three_workers_ask_about_an_order_once(engine: str) -> None:
    async with world(engine, works=False) as w:
        await asyncio.gather(*(w.scan(channel=2) for _ in range(MANY)))

        async with w.another_worker(), w.another_worker(), w.another_worker():
            await w.advance(5)

        assert await w.number("SELECT sum(polls) FROM orders") == MANY


@on_both_engines
async def test_three_workers_close_overdue_orders_once(engine: str) -> None:
    async with world(engine, works=False) as w:
        replies = await asyncio.gather(*(w.scan(channel=2) for _ in range(10)))
        expires_at_ms = (await w.order(replies[0].order_no)).expires_at_ms

        async with w.another_worker(), w.another_worker(), w.another_worker():
            await w.advance_to(expires_at_ms)

        assert await w.number("SELECT count(*) FROM orders WHERE state = 'CLOSED'") == 10
        assert await w.number("SELECT count(*) FROM history WHERE kind = 'CLOSED'") == 10


@on_both_engines
async def test_a_merchant_is_told_at_once_without_any_look_by_the_clock(engine: str) -> None:
    async with world(engine) as w:
        order = await w.scan(notify_url=w.shop.url)

        await w.ask_twin("POST", "/api/pay", qr_code=order.qr_code)

        await w.shop.arrived(1)


async def test_a_wake_of_one_process_reaches_the_workers_of_another() -> None:
    async with world("postgresql", works=False) as w, w.another_worker():
        order = await w.scan(notify_url=w.shop.url)

        await w.ask_twin("POST", "/api/pay", qr_code=order.qr_code)

        # Time stands still: no look by the clock would find it within the hour, the wake does.
        await w.shop.arrived(1)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_work_that_another_process_made_is_found_without_a_wake(engine: str) -> None:
    async with world(engine, works=False) as w, w.another_worker():
        order = await w.scan(notify_url=w.shop.url)
        await w.ask_twin("POST", "/api/pay", qr_code=order.qr_code)
        await w.twin.quiet()

        w.clock.advance(5_000)

        await w.shop.arrived(1)
