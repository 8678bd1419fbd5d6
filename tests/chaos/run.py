"""One run: load and accidents, a calm, an hour without wallets, and the comparison of the books."""

import asyncio
import os
import random
import shutil
import signal
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from opentill.base.clock import real_now_ms
from opentill.domain.notification import TOTAL_TIMEOUT_S
from tests.chaos.checker import WRONG, Broken, Verdict, check, our_books, wallet_trades
from tests.chaos.grounds import GROUNDS, Ground
from tests.chaos.load import Load
from tests.chaos.programs import Program
from tests.chaos.receiver import Delivery, read_deliveries
from tests.chaos.scene import Scene

RATE = 30.0
"""Orders a second."""
WALLETS_GONE_S = 3.0
"""Real seconds of load that meets no wallet."""
HOUR_MS = 3_600_000
STEP_S = 3.0
"""Real seconds that the gateway runs at each step of the hour."""
AFTER_MS = 10 * 60_000
"""Moved on while something is still open after the hour: retries wait for their time."""
MAX_AFTER = 12
QUIET_S = 6.0
LOOK_EVERY_S = 1.0
FREEZE_S = 2.0
GAP_S = (0.2, 1.6)
PROMPT_MS = round(TOTAL_TIMEOUT_S * 1000)
"""A good merchant hears of a payment sooner than one that hangs has used up its attempt, on a busy machine too."""

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much of everything. `accidents_s`: seconds under load and accidents; `calm_s`: without; the hour in steps.

    On a busy machine accidents go on until the gateway was killed `kills` times and `paid` orders were paid.
    """

    accidents_s: float
    kills: int = 0
    paid: int = 0
    calm_s: float = 8.0
    steps_ms: Sequence[int] = (20 * 60_000, 40 * 60_000, HOUR_MS)


@dataclass
class Report:
    """What a run did and found."""

    engine: str
    disk: str
    accidents: Counter[str] = field(default_factory=Counter)
    recoveries_s: list[float] = field(default_factory=list)
    asked: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    heard_after_ms: list[int] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    folder: Path | None = None
    """Where the data was kept, because something was broken."""

    @property
    def is_good(self) -> bool:
        return not self.verdict.broken


async def run(engine: str, plan: Plan, *, seed: int, tell: Tell) -> Report:
    """Live through everything once."""
    folder = Path(tempfile.mkdtemp(prefix=f"opentill-chaos-{engine}-", dir="/tmp"))
    chance = random.Random(f"{seed} {engine}")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        ground = GROUNDS[engine](folder)
        is_many = engine == "postgresql"
        # With PostgreSQL the first gateway is several processes, the second is one, and one only works.
        gateways = [["--workers", "2"], []] if is_many else [[]]
        scene = Scene(ground, folder, http, gateways=gateways, has_worker=is_many)
        report = Report(engine, ground.disk)
        try:
            await asyncio.gather(scene.open(), scene.receivers.start(http))
            await _Play(plan, scene, ground, report, chance, tell).live()
            if not report.is_good:
                report.folder = folder
                ground.keep(folder)
        except BaseException:
            report.folder = folder
            tell(f"the data is kept in {folder}")
            raise
        finally:
            await scene.close()
            ground.close()
            if report.folder is None:
                shutil.rmtree(folder)
    return report


class _Play:
    def __init__(
        self, plan: Plan, scene: Scene, ground: Ground, report: Report, chance: random.Random, tell: Tell
    ) -> None:
        self._plan = plan
        self._scene = scene
        self._ground = ground
        self._report = report
        self._chance = chance
        self._tell = tell
        # Tills and accidents draw apart: how fast replies come must not change which accidents happen.
        self._load = Load(scene.http, scene.place, rate=RATE, chance=random.Random(chance.getrandbits(64)))

    async def live(self) -> None:
        living = asyncio.create_task(self._load.run())
        try:
            await self._scene.add_faults(self._chance)
            await self._have_accidents()
            self._report.accidents.update(
                {f"wallet: {name}": n for name, n in (await self._scene.clear_faults()).items()}
            )
            if self._plan.calm_s:
                await self._be_calm()
            await self._lose_wallets()
            self._load.stop()
            await living
        finally:
            living.cancel()
        await self._live_an_hour_without_wallets()
        await self._settle()
        self._report.asked, self._report.calls = len(self._load.asked), self._load.calls

    async def _have_accidents(self) -> None:
        accidents = self._accidents()
        until = time.monotonic() + self._plan.accidents_s
        deck: list[str] = []
        while time.monotonic() < until or not self._is_enough():
            if not deck:
                deck = [*accidents, *["gateway killed"] * 3]
                self._chance.shuffle(deck)
            await asyncio.sleep(self._chance.uniform(*GAP_S))
            name = deck.pop()
            began = time.monotonic()
            await accidents[name]()
            self._report.accidents[name] += 1
            self._tell(f"{name} ({time.monotonic() - began:.1f} s), {len(self._load.asked)} orders asked for")

    def _is_enough(self) -> bool:
        paid = sum(order.paid_at_ms > 0 for order in self._load.asked)
        return self._report.accidents["gateway killed"] >= self._plan.kills and paid >= self._plan.paid

    def _accidents(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        scene = self._scene
        found: dict[str, Callable[[], Awaitable[object]]] = {}
        found.update(self._ground.accidents(lambda: scene.gateways[0].pid))
        found["gateway killed"] = self._kill_gateway
        found["gateway frozen"] = lambda: self._any_gateway().freeze(FREEZE_S)
        found["command line beside it"] = self._use_command_line
        found["wallets frozen"] = lambda: scene.twin.freeze(FREEZE_S)
        if scene.worker is not None:
            worker = scene.worker
            found["worker killed"] = lambda: self._kill(worker)
            found["process of several killed"] = self._kill_child
        return found

    def _any_gateway(self) -> Program:
        return self._chance.choice(self._scene.gateways)

    async def _kill_gateway(self) -> None:
        self._report.recoveries_s.append(await self._kill(self._any_gateway()))

    async def _kill(self, program: Program) -> float:
        await program.kill()
        await asyncio.sleep(self._chance.uniform(0, 0.5))
        return await program.start(self._scene.http)

    async def _use_command_line(self) -> None:
        """Another process opens the database, reads and closes it while the gateway writes."""
        code = await self._scene.command_line("admin", "merchant", "list")
        if code != 0:
            self._report.verdict.broken.append(Broken(WRONG, "-", f"the command line ended with {code}"))

    async def _kill_child(self) -> None:
        """A web process or the worker of the gateway that is several; its parent starts another one."""
        with suppress(ProcessLookupError):
            os.kill(self._chance.choice(self._scene.gateways[0].children()), signal.SIGKILL)

    async def _be_calm(self) -> None:
        """Nothing happens but that some merchants hang; the good ones must not feel it."""
        await asyncio.sleep(2)  # what the last accident left
        began_ms = real_now_ms()
        await asyncio.sleep(self._plan.calm_s)
        ended_ms = real_now_ms()
        await asyncio.sleep(PROMPT_MS / 1000)
        heard_ms: dict[str, int] = {}
        for delivery in read_deliveries(self._scene.deliveries):
            heard_ms.setdefault(delivery.order_no, delivery.at_ms)
        for order in self._load.asked:
            if order.receiver != "good" or not began_ms < order.paid_at_ms < ended_ms:
                continue
            (order_no,) = order.order_nos
            after_ms = heard_ms.get(order_no, real_now_ms()) - order.paid_at_ms
            self._report.heard_after_ms.append(after_ms)
            if after_ms > PROMPT_MS:
                text = f"a good merchant heard after {after_ms} ms while others hang"
                self._report.verdict.broken.append(Broken(WRONG, order_no, text))
        waits = self._report.heard_after_ms
        self._tell(f"calm: {len(waits)} payments, merchants heard after {statistics.median(waits or [0]):.0f} ms")

    async def _lose_wallets(self) -> None:
        """Payments whose callbacks never come, and then there are no wallets."""
        await self._scene.never_call_back()
        await asyncio.sleep(WALLETS_GONE_S / 2)
        await self._scene.twin.stop()
        self._report.accidents["wallets down for an hour"] += 1
        await asyncio.sleep(WALLETS_GONE_S)
        self._tell("the wallets are gone")

    async def _live_an_hour_without_wallets(self) -> None:
        for program in (*self._scene.gateways, *([self._scene.worker] if self._scene.worker else [])):
            code = await program.stop()
            if code != 0:
                self._report.verdict.broken.append(Broken(WRONG, "-", f"{program.name} stopped with {code}"))
        for shift_ms in self._plan.steps_ms:
            gateway = self._scene.move_gateway_to(shift_ms)
            await gateway.start(self._scene.http)
            await asyncio.sleep(STEP_S)
            await gateway.kill()
            self._report.accidents["gateway killed"] += 1
        self._scene.move_wallets_to(HOUR_MS)
        self._report.recoveries_s.append(await self._scene.move_gateway_to(HOUR_MS).start(self._scene.http))
        await self._scene.twin.start(self._scene.http)
        await self._scene.dead_receiver.start(self._scene.http)
        self._tell("an hour later the wallets are back, and so is the dead merchant")

    async def _settle(self) -> None:
        """Let time pass until nothing is open, and compare; what is still open after two hours is lost."""
        shift_ms = HOUR_MS
        early = self._report.verdict.broken
        for _ in range(MAX_AFTER):
            verdict = await self._quiet()
            if not verdict.broken:
                break
            shift_ms += AFTER_MS
            self._tell(f"{len(verdict.broken)} things are still open; ten minutes later ...")
            await self._scene.gateways[0].kill()
            await self._scene.twin.stop()
            self._scene.move_wallets_to(shift_ms)
            await self._scene.twin.start(self._scene.http)
            await self._scene.move_gateway_to(shift_ms).start(self._scene.http)
        await self._scene.gateways[0].stop()
        self._report.verdict = await self._compare()
        self._report.verdict.broken += early
        for kind in self._scene.place.notify_urls:
            met = sum(delivery.kind == kind and not delivery.is_accepted for delivery in self._deliveries())
            if met:
                self._report.accidents[f"merchant {kind}"] += met

    async def _quiet(self) -> Verdict:
        """Wait until the books agree, or until they come no nearer: the rest is due only later."""
        verdict = await self._compare()
        until = time.monotonic() + QUIET_S
        while verdict.broken and time.monotonic() < until:
            await asyncio.sleep(LOOK_EVERY_S)
            open_before, verdict = len(verdict.broken), await self._compare()
            if len(verdict.broken) < open_before:
                until = time.monotonic() + QUIET_S
        return verdict

    async def _compare(self) -> Verdict:
        ours = await our_books(self._scene.ground.url)
        return check(self._load.asked, ours, wallet_trades(self._scene.twin_books), self._deliveries())

    def _deliveries(self) -> list[Delivery]:
        return read_deliveries(self._scene.deliveries)
