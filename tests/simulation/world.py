"""One simulated world: it lives through a scenario, and its auditor says what was broken."""

import asyncio
import base64
import gc
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from opentill.base.errors import GatewayError
from opentill.cli.wiring import sealer_of
from opentill.services import pauses
from opentill.services.decisions import By
from opentill.services.deployment import Deployment
from opentill.storage.database import DatabaseUnavailable, Step
from opentill.twin import app as twin_app
from opentill.twin import coupons, payers
from opentill.twin.app import Twin
from tests.simulation import cheap
from tests.simulation.auditor import Auditor, Broken
from tests.simulation.books import WORK, Books
from tests.simulation.chance import drawn_from
from tests.simulation.ground import TWIN, Ground
from tests.simulation.loop import NEVER_US, SimClock, SimLoop
from tests.simulation.memory import MemoryBooks, MemoryDatabase
from tests.simulation.network import AppHost, Connection, Network, Request, SimOutbound, Weather
from tests.simulation.people import BUYERS, Customers, Shop, SimTill
from tests.simulation.process import Process, Surroundings, Trouble
from tests.simulation.scenario import Drought, Pausing, Scenario
from tests.twin.world import NOON_MS

RESTART_S = (0, 1, 20, 70)
CALM = Weather(delay_ms=10)
OPEN_AT_MOST_MS = 30 * 60_000
"""In good weather every order has ended this long after the last thing that happened."""
LONGEST_LIFE_MS = 60 * 3_600_000
MAX_STEPS = 3_000_000
"""A world that goes on for ever is broken too."""
CRASHED = frozenset({"world", "loop"})
"""Rules under which a world that broke by itself is found; all others are the auditor's."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How a world ended. `broken` is empty when the auditor found nothing."""

    seed: int
    orders: int
    steps: int
    crashes: int
    broken: tuple[Broken, ...]
    story: tuple[str, ...]
    fingerprint: str


def run_world(on: Ground, scenario: Scenario, *, is_cheap: bool = True, tells: bool = False) -> Report:
    """Live through `scenario`. `tells`: keep the story of what happened."""
    loop = SimLoop(scenario.stream("schedule"))
    with drawn_from(scenario.seed), _collected_at_the_end():
        world = World(on, scenario, loop, is_cheap=is_cheap, tells=tells)
        try:
            loop.run_until_complete(world.live())
        except Exception as error:
            world.auditor.found("world", "", f"{type(error).__name__}: {error}")
        finally:
            world.close()
    return world.report()


@contextmanager
def _collected_at_the_end() -> Iterator[None]:
    """When garbage is collected depends on what ran before; it must not decide anything inside a world."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class World:
    """Wires everybody up and moves them through the scenario."""

    def __init__(self, on: Ground, scenario: Scenario, loop: SimLoop, *, is_cheap: bool, tells: bool) -> None:
        self._on = on
        self._scenario = scenario
        self._loop = loop
        self.database, self.books = MemoryDatabase(on.database), MemoryBooks(on.books)
        self._is_cheap = is_cheap
        self._story: list[str] | None = [] if tells else None
        self._chance = scenario.stream("world")
        self._names = itertools.count(1)
        self._processes: list[Process] = []
        self._is_calm = False
        self._crashes = 0
        self.clock = SimClock(loop, start_ms=NOON_MS)
        self.network = Network(loop, scenario.stream("network"), scenario.weather, tell=self.tell if tells else None)
        _set_rules(self.database, on, scenario)
        self.trouble = Trouble(scenario.stream("trouble"), scenario.database_unavailable, scenario.database_unknown)
        self._around = Surroundings(
            loop=loop,
            clock=self.clock,
            network=self.network,
            settings=on.settings,
            sealer=sealer_of(on.settings),
            commands=on.commands,
            trouble=self.trouble,
            database=self.database,
            platform_key=cheap.private("platform") if is_cheap else on.platform_key,
            is_cheap=is_cheap,
            committed=self._committed,
            when_crashed=self._restart,
        )
        with (
            patch.object(twin_app, "Outbound", lambda: SimOutbound(self.network, "twin")),
            patch.object(twin_app, "Books", lambda _: self.books),
        ):
            self.twin = Twin(data_file=Path(), clock=self.clock, base_url=TWIN)
        till_road = SimOutbound(self.network, "till")
        self.shops = [
            Shop(self, party, merchant, scenario.stream(f"shop {party.app_id}"), NOON_MS)
            for party, merchant in zip(on.parties, scenario.merchants, strict=True)
        ]
        self.tills = [
            SimTill(self, party, merchant, till_road)
            for party, merchant in zip(on.parties, scenario.merchants, strict=True)
        ]
        self.network.hosts |= {"gateway": _Balancer(self), "twin": AppHost(loop, self.twin.app)}
        self.network.hosts |= {shop.name: shop for shop in self.shops}
        self.auditor = Auditor(
            Books(self.database.connection, self.books.connection),
            loop=loop,
            now_ms=self.clock.now_ms,
            shops=self.shops,
            tills=self.tills,
            tell=self.tell,
            platform_key=None if is_cheap else _text_of(on.platform_key.public_key()),
        )
        self.observer = self.auditor
        loop.when_idle = self._when_idle
        loop.next_due_us = self._next_due_us
        _capture_logs(self.auditor.logged)

    # --- what people need

    def now_ms(self) -> int:
        return self.clock.now_ms()

    async def sleep_until(self, at_ms: int) -> None:
        await self.clock.wait_until(at_ms)

    def twin_app(self) -> Any:
        return self.twin.app

    def tell(self, text: str) -> None:
        if self._story is not None:
            now_us = self._loop.now_us
            self._story.append(f"{now_us // 60_000_000:4d}:{now_us % 60_000_000 / 1e6:09.6f}  {text}")

    def watch(self, task: "asyncio.Task[Any]") -> None:
        self._loop.watch(task)

    async def ask_gateway(self, call: Callable[[Deployment], Coroutine[Any, Any, Any]]) -> Any:
        process = self.serving()
        if process is None:
            return None
        task = self._loop.create_task(call(process.deployment), context=process.context)
        try:
            return await task
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
        except (GatewayError, DatabaseUnavailable):
            pass
        return None

    def serving(self) -> Process | None:
        """One of the processes that answer calls, if any lives."""
        alive = [process for process in self._processes if process.serves and not process.is_dead]
        return alive[int(self._chance.random() * len(alive))] if alive else None

    # --- its life

    async def live(self) -> None:
        scenario = self._scenario
        await self.twin.start()
        if self._is_cheap:
            cheap.give_twin(self.twin)
        self._prepare_twin()
        for kind in scenario.processes:
            self._start(kind)
        customers = [
            Customers(self, deal, self.tills[deal.merchant], self.shops[deal.merchant]) for deal in scenario.deals
        ]
        happenings: list[Awaitable[None]] = [each.live() for each in customers]
        happenings += [self._jump(NOON_MS + at_ms, by_ms) for at_ms, by_ms in scenario.jumps]
        happenings += [self._drought(drought) for drought in scenario.droughts]
        happenings += [self._pause(pausing) for pausing in scenario.pauses]
        await asyncio.gather(*happenings)
        await self._calm_down()
        await self._come_to_rest()
        for process in self._processes:
            if not process.is_dead:
                await process.stop()
        await self.twin.stop()
        self.auditor.final()

    def close(self) -> None:
        for process in self._processes:
            process.database.fence()
        self.database.close()
        self.books.connection.close()
        for problem in self._loop.problems:
            self.auditor.found("loop", "", problem)
        for task in asyncio.all_tasks(self._loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._loop.close()

    def report(self) -> Report:
        return Report(
            seed=self._scenario.seed,
            orders=self.auditor.orders,
            steps=self._loop.steps,
            crashes=self._crashes,
            broken=tuple(self.auditor.broken),
            story=tuple(self._story or ()),
            fingerprint=f"{self._loop.steps}-{self._loop.now_us}-{self.auditor.orders}-{self.auditor.changes}",
        )

    def _start(self, kind: str) -> None:
        steps_to_live = 0
        if self._scenario.steps_to_live and not self._is_calm:
            steps_to_live = 1 + int(self._chance.expovariate(1 / self._scenario.steps_to_live))
        name = f"{kind}{next(self._names)}"
        self.tell(f"{name} starts")
        process = Process(
            name, self._around, serves=kind != "works", works=kind != "serves", steps_to_live=steps_to_live
        )
        self._processes.append(process)

    def _restart(self, process: Process) -> None:
        self._crashes += 1
        self.tell(f"{process.name} crashes")
        self.auditor.after_crash()
        kind = process.name.rstrip("0123456789")
        delay_s = self._chance.choice(RESTART_S)
        self._loop.call_later(delay_s, self._start, kind, context=Context())

    def _prepare_twin(self) -> None:
        scenario = self._scenario
        for payer, buyer_id in BUYERS.items():
            payers.remember(self.twin._context.books, wallet="alipay", identifiers=(buyer_id,), payer=payer)
            payers.remember(self.twin._context.books, wallet="wechat", identifiers=(f"openid-{payer}",), payer=payer)
        for fault in scenario.twin_faults:
            self.twin.faults.add(
                wallet=fault.wallet, operation=fault.operation, fault=fault.fault, rate=fault.rate, seed=fault.seed,
                acts=fault.acts,
            )  # fmt: skip
        for number, coupon in enumerate(scenario.coupons):
            given = coupons.Coupon(
                id=0,
                goods_num=f"N{number % 3}",
                name="coupon",
                amount_fen=coupon.amount_fen,
                funded_by=coupon.funded_by,
            )
            coupons.add(self.twin._context.books, wallet=coupon.wallet, coupon=given, times=coupon.times)

    async def _jump(self, at_ms: int, by_ms: int) -> None:
        await self.sleep_until(at_ms)
        self.tell(f"the machine sleeps for {by_ms / 1000} s")
        self._loop.jump(by_ms * 1000)
        self.auditor.jumped(by_ms)

    async def _drought(self, drought: Drought) -> None:
        merchants = self.twin._context.merchants
        wallet = "alipay" if drought.channel == 1 else "wechat"
        number = self._on.parties[drought.merchant].account_number(drought.channel)
        await self.sleep_until(NOON_MS + drought.from_ms)
        merchants.set_out_of_money(wallet, number, is_out=True)
        await self.sleep_until(NOON_MS + drought.to_ms)
        merchants.set_out_of_money(wallet, number, is_out=False)

    async def _pause(self, pausing: Pausing) -> None:
        shop = self.shops[pausing.merchant]
        app_id, by = shop.party.app_id, By("operator", "")
        await self.sleep_until(NOON_MS + pausing.from_ms)
        await self._insist(lambda at: pauses.pause(at, app_id, shop.name, reason="maintenance", by=by))
        self.tell(f"{shop.name} is paused")
        if pausing.to_ms:
            await self.sleep_until(NOON_MS + pausing.to_ms)
            await self._insist(lambda at: pauses.resume(at, app_id, shop.name, by=by))
            self.tell(f"{shop.name} goes on")

    async def _insist(self, call: Callable[[Deployment], Coroutine[Any, Any, bool]]) -> None:
        """Somebody presses the button until the page says that it is done."""
        is_done = None
        while is_done is None:
            is_done = await self.ask_gateway(call)
            await asyncio.sleep(1)

    async def _calm_down(self) -> None:
        """From now on nothing goes wrong any more."""
        self._is_calm = True
        self.tell("the weather clears")
        self.twin.faults.clear()
        self.network.weather = CALM
        self.trouble.unavailable = self.trouble.unknown = 0.0
        for process in self._processes:
            process.live_on()
        await asyncio.sleep(max(RESTART_S) + 1)

    async def _come_to_rest(self) -> None:
        """Let time pass until nothing is due any more."""
        last_ms = self.now_ms()
        is_late = False
        while self.now_ms() < last_ms + LONGEST_LIFE_MS:
            if self._loop.steps > MAX_STEPS:
                self.auditor.found("rest", "", "the world does not come to rest")
                return
            due_us = min(self._twin_due_us(), *(self._next_due_us(kind) for kind in WORK))
            if due_us >= NEVER_US:
                return
            if not is_late and self.now_ms() > last_ms + OPEN_AT_MOST_MS:
                is_late = True
                self.auditor.check_no_order_open()
            await asyncio.sleep(max(due_us - self._loop.now_us, 0) / 1e6 + 1)

    def _next_due_us(self, kind: str) -> int:
        at_ms = self.auditor.next_due_ms(kind) if kind in WORK else None
        return NEVER_US if at_ms is None else max((at_ms - NOON_MS) * 1000, 0)

    def _twin_due_us(self) -> int:
        at_ms = self.auditor.twin_next_due_ms()
        return NEVER_US if at_ms is None else max((at_ms - NOON_MS) * 1000, 0)

    def _committed(self) -> None:
        self.auditor.committed()

    def _when_idle(self) -> None:
        self.auditor.look()


class _Balancer:
    """The gateway's address: any process that serves may get a call."""

    def __init__(self, world: World) -> None:
        self._world = world

    def serve(self, request: Request, connection: Connection) -> bool:
        process = self._world.serving()
        return process is not None and process.serve(request, connection)


def _text_of(key: rsa.RSAPublicKey) -> str:
    """As `/public-key` answers it."""
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def _set_rules(database: MemoryDatabase, on: Ground, scenario: Scenario) -> None:
    for party, merchant in zip(on.parties, scenario.merchants, strict=True):
        rules = msgspec.json.encode(msgspec.structs.replace(merchant.rules, default_notify_url="")).decode()
        database.write([Step("UPDATE apps SET rules = $1 WHERE app_id = $2", (rules, party.app_id))])


def _capture_logs(logged: Callable[[dict[str, Any]], None]) -> None:
    """Errors are the auditor's affair; the rest is not said at all."""

    def keep(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        logged(dict(event))
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, keep],
        wrapper_class=structlog.make_filtering_bound_logger(40),
        cache_logger_on_first_use=False,
    )
