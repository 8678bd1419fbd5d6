"""What the gateway says when it, its database or a caller is at the end of its means (protocol 1)."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from opentill.cli.sandbox import sandbox_app
from opentill.storage.database import DatabaseOverloaded, DatabaseUnavailable, OutcomeUnknown
from tests.clients import Till
from tests.databases import on_both_engines
from tests.faulty_databases import FaultyDatabase
from tests.twin.world import serving
from tests.world import World, world


@asynccontextmanager
async def troubled(engine: str = "sqlite") -> AsyncIterator[tuple[World, FaultyDatabase, Till]]:
    """A world with a second gateway whose database fails as told, and a till that calls it."""
    async with world(engine) as w, w.free_listener() as (listener, base_url):
        database = FaultyDatabase(w.database)
        deployment = dataclasses.replace(w.deployment, database=database)  # type: ignore[arg-type]
        async with serving(sandbox_app(deployment, w.twin), listener):
            yield w, database, Till(w.http, base_url, w.clock.now_ms)


async def until(is_so: Callable[[], Awaitable[object]]) -> None:
    """Ask again and again; a minute of nothing fails the test."""
    async with asyncio.timeout(60):
        while not await is_so():
            pass


async def has_code(w: World, code: str) -> bool:
    """Whether a scan is answered with that number."""
    return (await w.scan()).code == code


@pytest.mark.parametrize(
    ("error", "code"),
    [(DatabaseOverloaded("full"), "2"), (DatabaseUnavailable("gone"), "3"), (OutcomeUnknown("lost"), "3")],
)
async def test_when_the_number_cannot_be_taken_the_error_says_whether_to_repeat(error: Exception, code: str) -> None:
    async with troubled() as (w, database, till):
        database.before = lambda sql: error if "INSERT INTO orders" in sql else None

        reply = await till.scan()

        assert (reply.code, await w.wallet_trades()) == (code, [])


@pytest.mark.parametrize("error", [DatabaseOverloaded("full"), DatabaseUnavailable("gone"), OutcomeUnknown("lost")])
@pytest.mark.parametrize("channel", [1, 2])
async def test_once_the_wallet_was_asked_nobody_is_told_to_simply_repeat(error: Exception, channel: int) -> None:
    async with troubled() as (_, database, till):
        database.before = lambda sql: error if "UPDATE orders" in sql else None

        reply = await till.scan(channel=channel, local_order_no="T-1")

        assert reply.code == "3"
        assert "查询" in reply.message
        database.before = lambda _: None
        assert (await till.scan(local_order_no="T-1")).code == "60"


@on_both_engines
async def test_an_answer_of_the_database_that_was_lost_loses_no_order(engine: str) -> None:
    async with troubled(engine) as (w, database, till):
        database.after = lambda sql: OutcomeUnknown("lost") if "INSERT INTO orders" in sql else None

        reply = await till.scan(channel=2)

        assert reply.code == "3"
        (row,) = await w.rows("SELECT order_no, state FROM orders")
        assert row["state"] == "CREATED"
        await w.advance(30)
        await w.advance_to((await w.order(row["order_no"])).expires_at_ms + 120_000)
        assert await w.state(row["order_no"]) == "CLOSED"


@pytest.mark.parametrize("error", [DatabaseOverloaded("full"), DatabaseUnavailable("gone")])
async def test_the_health_page_says_503_while_the_database_does_not_answer(error: Exception) -> None:
    async with troubled() as (w, database, till):
        url = till.url.replace("/gatewayOpen.htm", "/healthz")
        database.before = lambda sql: error if "SELECT 1" in sql else None
        async with w.http.get(url) as reply:
            during = (reply.status, await reply.text())

        database.before = lambda _: None
        async with w.http.get(url) as reply:
            after = (reply.status, await reply.text())

        assert (during, after) == ((503, "database unavailable"), (200, "ok"))


async def test_a_refusal_is_answered_although_it_cannot_be_kept() -> None:
    async with troubled() as (w, database, till):
        database.before = lambda sql: DatabaseUnavailable("gone") if "refused_calls" in sql else None

        reply = await till.scan(sign="0" * 32)

        assert reply.code == "22"
        assert [line for line in w.log_lines() if line["event"] == "refusal not kept"]


async def test_a_long_query_is_read_and_one_beyond_all_measure_is_no_request_at_all() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params())

        assert (await w.till.get(form | {"remark": "x" * 50_000})).is_success
        async with w.http.get(w.till.url + "?remark=" + "x" * 200_000) as reply:
            assert reply.status == 400
        assert (await w.scan()).is_success


async def test_a_till_that_hangs_up_in_the_middle_of_its_request_harms_nobody() -> None:
    async with world() as w:
        host, port = w.base_url.removeprefix("http://").split(":")
        for _ in range(20):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"POST /gatewayOpen.htm HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\ncommand=")
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        assert (await w.scan()).is_success
        assert not [line for line in w.log_lines() if line["event"] == "fault"]


async def test_a_till_that_hangs_up_before_the_reply_leaves_a_whole_order() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params(channel=2))
        call = asyncio.create_task(w.till.post(form))
        await until(lambda: w.number("SELECT count(*) FROM orders"))
        call.cancel()

        await until(lambda: w.number("SELECT count(*) FROM orders WHERE state <> 'CREATED'"))

        (row,) = await w.rows("SELECT state, qr_text FROM orders")
        assert row["state"] == "WAITING"
        assert row["qr_text"]


async def test_a_hundred_requests_that_hang_do_not_stop_the_busy_answer_nor_health() -> None:
    async with world(max_open_requests=100) as w:
        host, port = w.base_url.removeprefix("http://").split(":")
        writers = []
        for _ in range(100):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"POST /gatewayOpen.htm HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\ncommand=")
            await writer.drain()
            writers.append(writer)
        await until(lambda: has_code(w, "2"))

        assert (await w.get("/healthz"))[0] == 200
        for writer in writers:
            writer.close()
        await until(lambda: has_code(w, "0"))
