"""Several processes and one database: what each of them does when another one dies, hangs or is replaced."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from opentill.base.clock import real_now_ms
from opentill.base.sealing import new_master_key
from tests.chaos.programs import Program, free_ports
from tests.chaos.scene import SERVE
from tests.clients import Till
from tests.databases import PostgresCluster
from tests.e2e.towns import town

CALLERS = 8
PATIENCE_S = 60.0
"""For what takes three processes and all cores a few seconds on a machine of its own."""


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def gone(pids: list[int]) -> None:
    """Return when none of these processes is there any more."""
    await until(lambda: not any(map(is_there, pids)))


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 - processes that are not our children: no event
            await asyncio.sleep(0.02)


async def test_a_parent_killed_leaves_the_port_to_the_next_although_its_worker_still_hangs() -> None:
    async with town("postgresql", ["--workers", "2"]) as t:
        *serving, worker = t.gateways[0].children()
        os.kill(worker, signal.SIGSTOP)
        try:
            await t.gateways[0].kill()
            await gone(serving)

            await asyncio.wait_for(t.gateways[0].start(t.http), PATIENCE_S)

            assert (await t.tills[0].scan()).is_success
        finally:
            os.kill(worker, signal.SIGKILL)


@dataclass
class Caller:
    """A client that keeps its connection and scans without a pause; `replies` and `failures` are what it got."""

    till: Till
    replies: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    goodbyes: int = 0

    async def call(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                reply = await self.till.scan()
            except aiohttp.ClientError as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                continue
            self.replies[reply.code] += 1
            self.goodbyes += reply.headers.get("connection") == "close"


async def test_a_gateway_that_starts_while_postgresql_is_away_waits_for_it(tmp_path: Path) -> None:
    cluster, (port,), log = PostgresCluster(), free_ports(1), tmp_path / "gateway.log"
    try:
        async with cluster.database() as url, aiohttp.ClientSession() as http:
            place = f"http://127.0.0.1:{port}"
            settings = {
                "DATABASE_URL": url,
                "MASTER_KEY": new_master_key(),
                "PORT": str(port),
                "PUBLIC_BASE_URL": place,
            }
            environment = {f"OPENTILL_{name}": value for name, value in settings.items()}
            gateway = Program("gateway", SERVE, log=log, environment=environment, healthy=f"{place}/healthz")
            cluster.stop_server()
            starting = asyncio.create_task(gateway.start(http))
            await until(lambda: log.exists() and "Waiting for the database" in log.read_text())

            cluster.start()

            await starting
            assert await gateway.stop() == 0
    finally:
        cluster.stop()


async def test_a_rolling_restart_of_two_web_processes_under_load_drops_no_request() -> None:
    async with town("postgresql", ["--workers", "2"]) as t, AsyncExitStack() as stack:
        place = t.scene.place
        callers = []
        for _ in range(CALLERS):
            http = await stack.enter_async_context(aiohttp.ClientSession())  # with connections of its own
            till = Till(
                http, place.gateways[0], real_now_ms, app=place.app, key=place.key, operator_id=place.operator_id
            )
            callers.append(Caller(till))
        stopping = asyncio.Event()
        calling = [asyncio.create_task(caller.call(stopping)) for caller in callers]
        await until(lambda: all(caller.replies for caller in callers))
        before = t.gateways[0].children()

        os.kill(t.gateways[0].pid, signal.SIGHUP)
        await gone(before)
        stopping.set()
        await asyncio.gather(*calling)

        assert [failure for caller in callers for failure in caller.failures] == []
        replies = sum((caller.replies for caller in callers), Counter())
        assert set(replies) == {"0"}
        assert replies["0"] > 20 * CALLERS
        assert sum(caller.goodbyes for caller in callers) >= CALLERS, "every client was told to come back anew"
        assert len(t.gateways[0].children()) == 3
        assert not set(before) & set(t.gateways[0].children())
        (row,) = await t.rows("SELECT COUNT(*) AS orders FROM orders")
        assert row["orders"] == replies["0"]


async def test_a_process_asked_to_stop_still_answers_on_a_kept_connection_and_then_closes_it() -> None:
    async with town("sqlite", []) as t, aiohttp.ClientSession() as http:
        place = t.scene.place
        till = Till(http, place.gateways[0], real_now_ms, app=place.app, key=place.key, operator_id=place.operator_id)
        first = await till.scan()
        stopping = asyncio.create_task(t.gateways[0].stop())
        await refused(place.gateways[0])

        last = await till.scan()

        assert (first.code, first.headers.get("connection")) == ("0", None)
        assert (last.code, last.headers.get("connection")) == ("0", "close")
        assert await stopping == 0


async def test_a_stop_finishes_what_was_begun() -> None:
    async with town("sqlite", []) as t:
        await t.slow_wallets("alipay", delay_s=1)
        calls = [asyncio.create_task(t.tills[0].scan(local_order_no=f"S{number}")) for number in range(10)]
        async with asyncio.timeout(PATIENCE_S):
            while len(await t.rows("SELECT order_no FROM orders")) < len(calls):
                pass

        code = await t.gateways[0].stop(signal.SIGINT)

        replies = await asyncio.gather(*calls)
        assert [reply.code for reply in replies] == ["0"] * len(calls)
        assert code == 0
        assert {row["state"] for row in await t.rows("SELECT state FROM orders")} == {"WAITING"}


async def refused(base_url: str) -> None:
    """Return when nobody accepts connections there any more."""
    host, port = base_url.removeprefix("http://").split(":")
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except (ConnectionRefusedError, ConnectionResetError):
                return
            writer.close()
