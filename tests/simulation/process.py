"""A process of the gateway: it serves calls, works, or both, and may crash between any two of its steps."""

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from starlette.applications import Starlette

from opentill.base.config import Settings
from opentill.base.metrics import Metrics
from opentill.base.sealing import Sealer
from opentill.channels.base import Channel
from opentill.channels.registry import load_channels
from opentill.cli.wiring import worker_of
from opentill.commands.registry import Command
from opentill.services.access import Parties
from opentill.services.deployment import Deployment
from opentill.services.replies import ReplyLog
from opentill.storage.database import DatabaseUnavailable, OutcomeUnknown, Row, Step, Value
from opentill.web import callbacks
from opentill.web.gateway import Gateway
from tests.simulation import cheap
from tests.simulation.loop import OWNER, SimClock, SimLoop, WorkEvent
from tests.simulation.memory import MemoryDatabase
from tests.simulation.network import Connection, Network, Request, SimOutbound, context_of, run_app


class SimDatabase:
    """A process's handle on the database: others come between before and after each call; fenced, it refuses all."""

    dialect: Literal["sqlite"] = "sqlite"

    def __init__(self, inner: MemoryDatabase, loop: SimLoop, trouble: "Trouble", committed: Callable[[], None]) -> None:
        self._inner = inner
        self._loop = loop
        self._trouble = trouble
        self._committed = committed
        self._events: dict[str, WorkEvent] = {}
        self._is_fenced = False

    async def write(self, unit: Sequence[Step], *, wakes: Sequence[str] = ()) -> list[list[Row]]:
        await self._loop.io()
        self._check()
        is_unknown = self._trouble.is_outcome_unknown()
        if is_unknown and self._trouble.is_undone():
            raise OutcomeUnknown("the connection was lost before the commit")
        try:
            answer = self._inner.write(unit)
        finally:
            self._committed()
            await self._loop.io()
        if is_unknown:
            raise OutcomeUnknown("the connection was lost after the commit")
        for name in wakes:
            self.wake_event(name).set()
        return answer

    async def read(self, sql: str, *args: Value) -> list[Row]:
        await self._loop.io()
        self._check()
        return self._inner.read(sql, args)

    async def read_one(self, sql: str, *args: Value) -> Row | None:
        rows = await self.read(sql, *args)
        return rows[0] if rows else None

    def wake_event(self, name: str) -> WorkEvent:
        return self._events.setdefault(name, WorkEvent(name))

    async def close(self) -> None:
        self.fence()

    def fence(self) -> None:
        """From now on every call is refused."""
        self._is_fenced = True

    def _check(self) -> None:
        if self._is_fenced:
            raise DatabaseUnavailable("the process is dead")
        if self._trouble.is_unavailable():
            raise DatabaseUnavailable("the database is away")


@dataclass
class Trouble:
    """Bad days of the database, as chances per call."""

    chance: Random
    unavailable: float = 0.0
    unknown: float = 0.0
    """The connection is lost during a commit: done or not, nobody is told."""

    def is_unavailable(self) -> bool:
        return self.unavailable > 0 and self.chance.random() < self.unavailable

    def is_outcome_unknown(self) -> bool:
        return self.unknown > 0 and self.chance.random() < self.unknown

    def is_undone(self) -> bool:
        return self.chance.random() < 0.5


@dataclass(frozen=True)
class Surroundings:
    """What processes share."""

    loop: SimLoop
    clock: SimClock
    network: Network
    settings: Settings
    sealer: Sealer
    commands: dict[str, Command]
    trouble: Trouble
    database: MemoryDatabase
    platform_key: Any
    is_cheap: bool
    committed: Callable[[], None]
    when_crashed: Callable[["Process"], None]


class Process:
    """`serves` calls of merchants and wallets, `works` at what time drives. Dies after `steps_to_live` steps."""

    def __init__(self, name: str, around: Surroundings, *, serves: bool, works: bool, steps_to_live: int) -> None:
        self.name = name
        self.is_dead = False
        self.serves = serves
        self.works = works
        self._around = around
        self._steps_left = steps_to_live
        self._tasks: list[asyncio.Task[Any]] = []
        self._connections: dict[Connection, None] = {}
        self.context: Context = context_of(self, OWNER)
        self.database = SimDatabase(around.database, around.loop, around.trouble, around.committed)
        self.outbound = SimOutbound(around.network, name)
        self.deployment = self._deployment()
        self.worker = worker_of(self.deployment)
        routes = [*Gateway(self.deployment, around.commands).routes(), *callbacks.routes(self.deployment)]
        self._app = Starlette(routes=routes)
        if works:
            self.context.run(self.worker.start)

    # --- for the loop

    def before_step(self) -> None:
        if self._steps_left > 0 and not self.is_dead:
            self._steps_left -= 1
            if self._steps_left == 0:
                self.crash()

    def owns(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.append(task)
        if len(self._tasks) > 512:
            self._tasks = [each for each in self._tasks if not each.done()]

    # --- what happens to it

    def live_on(self) -> None:
        """It will not crash any more."""
        self._steps_left = 0

    def crash(self) -> None:
        """All of it ends here; what is committed remains."""
        self.is_dead = True
        self.database.fence()
        self.outbound.fence()
        connections, self._connections = self._connections, {}
        for connection in connections:
            connection.abort()
        for task in self._tasks:
            task.cancel()
        self._around.when_crashed(self)

    async def stop(self) -> None:
        """An orderly end: what was begun is finished."""
        await self.worker.stop()
        await self.deployment.replies.close()
        self.database.fence()

    # --- what others want of it

    def serve(self, request: Request, connection: Connection) -> bool:
        if self.is_dead or not self.serves:
            return False
        self._connections[connection] = None
        task = self._around.loop.create_task(run_app(self._app, request, connection), context=self.context)
        task.add_done_callback(lambda _: self._connections.pop(connection, None))
        self._around.loop.watch(task)
        return True

    def _deployment(self) -> Deployment:
        around = self._around
        channels = load_channels(around.settings, self.outbound, around.clock)
        if around.is_cheap:
            _open_cheaply(channels)
        metrics = Metrics()
        return Deployment(
            settings=around.settings,
            database=self.database,
            sealer=around.sealer,
            clock=around.clock,
            parties=Parties(self.database, around.sealer, channels, around.clock),
            channels=channels,
            platform_key=around.platform_key,
            outbound=self.outbound,
            metrics=metrics,
            replies=ReplyLog(self.database, around.clock, metrics),
            public_base_url=around.settings.public_base_url,
            is_sandbox=True,
        )


def _open_cheaply(channels: dict[int, Channel[Any]]) -> None:
    for number, open_account in ((1, cheap.open_alipay_account), (2, cheap.open_wechat_account)):
        setattr(channels[number], "open_account", open_account)  # noqa: B010 - a method is replaced on purpose
