"""The whole world in one process, over real HTTP: gateway, worker, both wallets (the twin), tills and shops.

    async def test_a_paid_order_is_notified(engine):
        async with world(engine) as w:
            order = await w.scan(notify_url=w.shop.url)

            await w.pay(order.qr_code)

            assert w.shop.heard[0].fields["orderStatus"] == "PAY_SUC"

Time stands still but for `advance`. `settle` waits until nothing is due, under way or on its way; `pay` and `advance`
end with it. What outlives a process (database, the wallets' books, shop, clock) is the `Ground`; `running` starts the
processes on it, once or, for a restart, again:

    async with ground(engine) as g:
        async with running(g, works=False) as w: ...     # no worker: what is owed stays owed
        async with running(g) as w: ...
"""

import asyncio
import atexit
import dataclasses
import io
import json
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec
from pydantic import SecretStr

from opentill.base import logs
from opentill.base.clock import MovableClock, frozen
from opentill.base.config import Settings
from opentill.cli.sandbox import LOOPBACK_NETWORKS, PRIVATE_NETWORKS, sandbox_app
from opentill.cli.seed import ensure_test_parties
from opentill.cli.wiring import open_administration, open_deployment, worker_of
from opentill.commands.registry import load_commands
from opentill.domain.order import Order
from opentill.domain.parties import AppRules
from opentill.services import orders
from opentill.services.administration import Administration
from opentill.services.deployment import Deployment
from opentill.services.notifications import Told, of_order
from opentill.services.replies import REPLIED
from opentill.storage.database import Database, Row, Step, Value, open_database
from opentill.storage.history import Event
from opentill.twin.app import Twin
from opentill.web.app import build_app
from opentill.worker.loop import Worker
from tests.clients import TEST_OPERATOR, Reply, Till
from tests.databases import fresh_url
from tests.shops import Shop, open_shop
from tests.twin.world import NOON_MS, serving

MASTER_KEY = "dGhlIG1hc3RlciBrZXkgb2YgdGhlIHRlc3Qgd29ybGQ="
TEST_APP_ID = 1
"""The integer id of the public test app in every world."""
MERCHANT_ID = 1
STORE_ID = 1
DUE_TIMES = {
    "notifications": "due_at_ms",
    "orders": "poll_at_ms",
    "refunds": "due_at_ms",
    "receiver_pauses": "due_at_ms",
}
LONGEST_SETTLING_S = 60.0
"""Real seconds after which a world that does not come to rest fails the test."""

T = TypeVar("T")

NUDGE_AFTER_S = 0.02

# In the order in which rows can be inserted.
_PARTY_TABLES = (
    "merchants", "stores", "apps", "app_merchants", "channel_accounts", "operators", "operator_accounts",
    "platform_keys",
)  # fmt: skip


class ObservedClock(MovableClock):
    """A clock that knows who waits for nothing but time."""

    def __init__(self, *, now_ms: int) -> None:
        super().__init__(source=frozen(now_ms))
        self._waits: list[int] = []

    @property
    def waits(self) -> int:
        """How many wait so."""
        return len(self._waits)

    def earliest_wait_ms(self) -> int | None:
        return min(self._waits, default=None)

    async def wait_until(self, at_ms: int, wake: asyncio.Event | None = None) -> None:
        if wake is None:
            self._waits.append(at_ms)
        try:
            await super().wait_until(at_ms, wake)
        finally:
            if wake is None:
                self._waits.remove(at_ms)


@dataclass
class Ground:
    """What is left when every process is gone."""

    database_url: str
    folder: Path
    clock: ObservedClock
    shop: Shop
    log: io.StringIO = field(default_factory=io.StringIO)
    """Everything the gateway and the worker logged, as JSON lines."""


@dataclass
class World:
    """Running processes. `deployment` is the gateway's inside; `database` a connection of the test's own use."""

    ground: Ground
    deployment: Deployment
    worker: Worker
    twin: Twin
    base_url: str
    http: aiohttp.ClientSession
    till: Till
    """The public test integrator."""
    administration: Administration
    public_key: str
    """What `/public-key` answers: verifies replies and notifications."""
    workers: list[Worker] = field(default_factory=list)

    @property
    def clock(self) -> ObservedClock:
        return self.ground.clock

    @property
    def shop(self) -> Shop:
        return self.ground.shop

    @property
    def database(self) -> Database:
        return self.deployment.database

    # --- what the parties do

    async def scan(self, **params: object) -> Reply:
        """`open.pay.scan` by the test integrator: one fen by Alipay under a new number, unless told otherwise."""
        return await self.till.scan(**params)

    async def pay(self, qr_code: str, **more: object) -> dict[str, Any]:
        """Scan the code with the phone and pay; everything that follows at once has happened when this returns.

        `more`: `payer`, `result="fail"`, `total_fen`, ... (the twin's `/api/pay`).
        """
        status, answer = await self.ask_twin("POST", "/api/pay", qr_code=qr_code, **more)
        assert status == 200, answer
        await self.settle()
        return answer

    async def ask_twin(self, method: str, path: str, **values: object) -> tuple[int, dict[str, Any]]:
        """A call of the twin's own API, e.g. `("POST", "/api/pay", qr_code=...)`."""
        async with self.http.request(method, f"{self.base_url}/twin{path}", json=values or None) as reply:
            return reply.status, await reply.json()

    async def wallet_trades(self, order_no: str = "") -> list[dict[str, Any]]:
        """What both wallets' books say, newest first; of one order only when given its number."""
        _, answer = await self.ask_twin("GET", f"/api/trades?limit=200&out_trade_no={order_no}")
        return list(answer["trades"])

    async def get(self, path: str) -> tuple[int, str]:
        """Any page of the gateway."""
        async with self.http.get(self.base_url + path) as reply:
            return reply.status, await reply.text()

    # --- time

    async def advance(self, seconds: float) -> None:
        """Let that much time pass, all at once, and wait for what it brings."""
        self.clock.advance(round(seconds * 1000))
        await self.settle()

    async def advance_to(self, at_ms: int) -> None:
        """Let time pass until `at_ms`."""
        await self.advance((at_ms - self.clock.now_ms()) / 1000)

    async def meanwhile(self, call: Coroutine[Any, Any, T]) -> T:
        """What `call` returns; time passes as far as somebody waits for nothing else."""
        task = asyncio.create_task(call)
        while not task.done():
            if self._waits_for_time_only():
                await self.settle()
                if self._waits_for_time_only():  # settling takes a while in which another call may have begun
                    await self.advance_to(max(self.clock.earliest_wait_ms() or 0, self.clock.now_ms()))
            await asyncio.wait([task], timeout=0.002)
        return await task

    def _waits_for_time_only(self) -> bool:
        """Whether somebody waits for time and nobody else, with a place at a wallet, still waits for its answer.

        Who waits for time has a place too: a refund that is looked at again, or a call that a slow wallet makes wait.
        """
        return self.clock.waits > 0 and self.deployment.wallet_places._taken.total() <= self.clock.waits

    async def settle(self) -> None:
        """Return when no callback, notification, question or other job is due now or under way."""
        try:
            async with asyncio.timeout(LONGEST_SETTLING_S):
                # What ends between two looks may have begun something else: look twice.
                quiet_looks = 0
                while quiet_looks < 2:
                    await self.twin.quiet()
                    quiet_looks = quiet_looks + 1 if await self._is_quiet() else 0
        except TimeoutError:
            raise AssertionError(f"the world does not come to rest: {await self._due()}") from None

    async def _is_quiet(self) -> bool:
        if not self._is_idle():
            await asyncio.sleep(0)
            return False
        if self.workers and await self._due():
            # Wakes come at once. Else a worker looks every five seconds; here time stands still, so it is made to.
            await asyncio.sleep(NUDGE_AFTER_S)
            if self._is_idle():
                self._nudge()
            return False
        return self._is_idle()

    def _nudge(self) -> None:
        for worker in self.workers:
            for runner in worker._runners:
                runner._wake.set()

    def _is_idle(self) -> bool:
        return all(worker.is_idle for worker in self.workers)

    async def _due(self) -> dict[str, int]:
        """How many rows are due now, by table."""
        now_ms = self.clock.now_ms()
        counts = {
            table: await self.number(f"SELECT count(*) FROM {table} WHERE {at} > 0 AND {at} <= $1", now_ms)
            for table, at in DUE_TIMES.items()
        }
        return {table: count for table, count in counts.items() if count}

    # --- what is known afterwards

    async def order(self, order_no: str, *, app_id: int = TEST_APP_ID) -> Order:
        """An order as it is stored."""
        found = await orders.find_order(self.deployment, app_id, order_no=order_no)
        assert found is not None, f"there is no order {order_no}"
        return found

    async def state(self, order_no: str) -> str:
        return (await self.order(order_no)).state.value

    async def timeline(self, order_no: str, *, app_id: int = TEST_APP_ID) -> list[Event]:
        """What happened to an order; our replies, which are written when there is time, are apart (`replies`)."""
        events = await orders.timeline(self.deployment, app_id, order_no)
        return [event for event in events if event.kind != REPLIED]

    async def replies(self, order_no: str, *, app_id: int = TEST_APP_ID) -> list[Event]:
        """What we replied about an order, all of it."""
        await self.deployment.replies.settled()
        events = await orders.timeline(self.deployment, app_id, order_no)
        return [event for event in events if event.kind == REPLIED]

    async def told(self, order_no: str, *, app_id: int = TEST_APP_ID) -> list[Told]:
        """The order's notifications with their attempts."""
        return await of_order(self.deployment, app_id, order_no)

    async def rows(self, sql: str, *args: Value) -> list[Row]:
        return await self.database.read(sql, *args)

    async def change(self, sql: str, *args: Value) -> None:
        """Change rows behind everybody's back."""
        await self.database.write([Step(sql, args)])

    async def number(self, sql: str, *args: Value) -> int:
        """The one number that a SELECT returns."""
        row = await self.database.read_one(sql, *args)
        assert row is not None
        return int(dict(row).popitem()[1])

    async def metric(self, name: str, **labels: str) -> float:
        """A sample of `/metrics`, e.g. `("opentill_alarms_total", kind="LATE")`; 0 when there is none."""
        return self.deployment.metrics.registry.get_sample_value(name, labels) or 0.0

    def log_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ground.log.getvalue().splitlines()]

    # --- more parties

    async def add_till(self, *, rules: AppRules | None = None, operator_id: str = TEST_OPERATOR, **more: Any) -> Till:
        """Another integrator for the test merchant (compatible, unless its `rules` say otherwise)."""
        made = await self.administration.add_app("another", [MERCHANT_ID], rules=rules or AppRules(), **more)
        self.deployment.parties.forget()
        return Till(self.http, self.base_url, self.clock.now_ms, app=made.app, key=made.key, operator_id=operator_id)

    async def set_rules(self, till: Till, **changes: object) -> None:
        """Change an app's rules; felt at once."""
        await self.administration.set_app_rules(till.app, changes)
        self.deployment.parties.forget()

    async def app_id(self, till: Till) -> int:
        """The integer id of a till's app."""
        return await self.number("SELECT app_id FROM apps WHERE app = $1", till.app)

    @asynccontextmanager
    async def free_listener(self) -> AsyncIterator[tuple[socket.socket, str]]:
        """An open socket for a further server, and its base URL."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"

    @asynccontextmanager
    async def another_worker(self) -> AsyncIterator[Worker]:
        """A second worker with a deployment of its own on the same database: another process as far as it can tell."""
        async with self._another_deployment() as deployment:
            worker = worker_of(deployment)
            worker.start()
            self.workers.append(worker)
            try:
                yield worker
            finally:
                self.workers.remove(worker)
                await worker.stop()

    @asynccontextmanager
    async def another_gateway(self) -> AsyncIterator[Till]:
        """A second gateway on the same database, another process as far as it can tell: the test integrator's till."""
        async with (
            self._another_deployment() as deployment,
            self.free_listener() as (listener, base_url),
            serving(build_app(deployment, load_commands()), listener),
            _client() as http,
        ):
            yield Till(http, base_url, self.clock.now_ms)

    def _another_deployment(self) -> AbstractAsyncContextManager[Deployment]:
        settings = self.deployment.settings
        return open_deployment(
            settings,
            clock=self.clock,
            public_base_url=settings.public_base_url,
            is_sandbox=self.deployment.is_sandbox,
        )


@asynccontextmanager
async def world(
    engine: str = "sqlite", *, works: bool = True, is_sandbox: bool = True, **settings: Any
) -> AsyncIterator[World]:
    """A fresh world with the seeded test merchant. Arguments as for `running`."""
    async with ground(engine) as fresh, running(fresh, works=works, is_sandbox=is_sandbox, **settings) as started:
        yield started


@asynccontextmanager
async def ground(engine: str = "sqlite", *, now_ms: int = NOON_MS) -> AsyncIterator[Ground]:
    """A database with the test parties, books of the wallets, an open shop and a clock that stands still."""
    seed = await _seed()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(fresh_url(engine))
        database = await open_database(url, connections=1)
        try:
            await database.write(seed.steps)
        finally:
            await database.close()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="opentill-world-")))
        shutil.copyfile(seed.books, folder / "twin.sqlite3")
        clock = ObservedClock(now_ms=now_ms)
        yield Ground(url, folder, clock, await stack.enter_async_context(open_shop(clock.now_ms)))


@asynccontextmanager
async def running(on: Ground, *, works: bool = True, is_sandbox: bool = True, **settings: Any) -> AsyncIterator[World]:
    """Gateway, twin and worker on `on`, at a new port.

    `works=False`: without the worker (`world.worker.start()` starts it; say so in `world.workers`). `is_sandbox=False`:
    the gateway believes that the money is real. `settings`: fields of `Settings` to replace; the wallets send their
    callbacks to `public_base_url`, by default the gateway.
    """
    logs.configure(stream=on.log)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        given = Settings(**_settings(on, base_url) | settings)
        twin = Twin(data_file=on.folder / "twin.sqlite3", clock=on.clock, base_url=f"{base_url}/twin")
        await twin.start()
        stack.push_async_callback(twin.stop)
        deployment = await stack.enter_async_context(
            open_deployment(given, clock=on.clock, public_base_url=given.public_base_url, is_sandbox=True)
        )
        deployment = dataclasses.replace(deployment, is_sandbox=is_sandbox)
        administration = await stack.enter_async_context(open_administration(given, clock=on.clock, actor="test"))
        await stack.enter_async_context(serving(sandbox_app(deployment, twin), listener))
        http = await stack.enter_async_context(_client())
        worker = worker_of(deployment)
        stack.push_async_callback(worker.stop)
        started = World(
            ground=on,
            deployment=deployment,
            worker=worker,
            twin=twin,
            base_url=base_url,
            http=http,
            till=Till(http, base_url, on.clock.now_ms),
            administration=administration,
            public_key="",
        )
        _, started.public_key = await started.get("/public-key")
        if works:
            worker.start()
            started.workers.append(worker)
        yield started


def _settings(on: Ground, base_url: str) -> dict[str, Any]:
    return {
        "database_url": on.database_url,
        "master_key": SecretStr(MASTER_KEY),
        "public_base_url": base_url,
        "alipay_base_url": f"{base_url}/twin/alipay",
        "wechat_base_url": f"{base_url}/twin/wechat",
        "alipay_oauth_base_url": f"{base_url}/twin/alipay",
        "wechat_oauth_base_url": f"{base_url}/twin/wechat",
        "wechat_api_base_url": f"{base_url}/twin/wechat",
        "notify_allow_networks": (*LOOPBACK_NETWORKS, *PRIVATE_NETWORKS),
    }


def _client() -> aiohttp.ClientSession:
    # A hundred tills at once are a hundred connections.
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)


class _Seed(msgspec.Struct, frozen=True):
    """Parties as rows, and the wallets' books: making keys takes longer than a test, so it is done once per run."""

    books: Path
    steps: Sequence[Step]


_SEEDS: list[_Seed] = []


async def _seed() -> _Seed:
    if not _SEEDS:
        folder = Path(tempfile.mkdtemp(prefix="opentill-seed-"))
        atexit.register(shutil.rmtree, folder)
        books = folder / "twin.sqlite3"
        clock = MovableClock(source=frozen(NOON_MS))
        twin = Twin(data_file=books, clock=clock, base_url="http://twin.invalid")
        await twin.start()
        async with fresh_url("sqlite") as url:
            settings = Settings(database_url=url, master_key=SecretStr(MASTER_KEY))
            async with open_administration(settings, clock=clock, actor="seed") as administration:
                await ensure_test_parties(administration, twin)
            async with open_deployment(settings, clock=clock, public_base_url="", is_sandbox=True) as deployment:
                steps = [step for table in _PARTY_TABLES for step in await _copied(deployment.database, table)]
        await twin.stop()
        _SEEDS.append(_Seed(books, steps))
    return _SEEDS[0]


async def _copied(database: Database, table: str) -> list[Step]:
    """What inserts the rows of a table into another database."""
    found = [dict(row) for row in await database.read(f"SELECT * FROM {table}")]
    return [
        Step(
            f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f'${n}' for n in range(1, len(row) + 1))})",
            tuple(row.values()),
            rows=1,
        )
        for row in found
    ]
