"""A town for tests: wallets, gateways as processes on addresses of their own, one database, and a shop."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from opentill.base.clock import real_now_ms
from opentill.storage.database import open_database
from tests.chaos.programs import Program
from tests.chaos.scene import Scene
from tests.clients import Reply, Till
from tests.databases import fresh_url
from tests.shops import Shop, open_shop

PATIENCE_S = 60.0
LOOK_EVERY_S = 0.05


class _Borrowed:
    """A database that others open and close."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def open(self) -> None:
        pass


class Town:
    """`tills`: one at each gateway; `shop` is told of payments."""

    def __init__(self, scene: Scene, http: aiohttp.ClientSession, shop: Shop) -> None:
        self.scene = scene
        self.http = http
        self.shop = shop
        place = scene.place
        self.tills = [
            Till(http, gateway, real_now_ms, app=place.app, key=place.key, operator_id=place.operator_id)
            for gateway in place.gateways
        ]

    @property
    def gateways(self) -> Sequence[Program]:
        return self.scene.gateways

    def till(self, number: int) -> Till:
        """A till at the gateway of that number; with fewer gateways at one there is."""
        return self.tills[number % len(self.tills)]

    async def pay(self, qr_code: str) -> None:
        """A customer scans the code and pays."""
        async with self.http.post(f"{self.scene.place.twin}/twin/api/pay", json={"qr_code": qr_code}) as reply:
            assert reply.status == 200, await reply.text()

    async def slow_wallets(self, *wallets: str, delay_s: int) -> None:
        """From now on these wallets take so long for each call."""
        for wallet in wallets:
            values = {"wallet": wallet, "operation": "*", "fault": "slow", "rate": 1, "delay_s": delay_s}
            async with self.http.post(f"{self.scene.place.twin}/twin/api/faults", json=values) as reply:
                assert reply.status == 200, await reply.text()

    async def slowed_calls(self) -> int:
        """How many calls the slow wallets have been given."""
        async with self.http.get(f"{self.scene.place.twin}/twin/api/faults") as reply:
            return sum(fault["hits"] for fault in json.loads(await reply.text())["faults"])

    async def quick_wallets(self) -> None:
        """Calls that come from now on are answered at once."""
        async with self.http.delete(f"{self.scene.place.twin}/twin/api/faults") as reply:
            assert reply.status == 200, await reply.text()

    async def wallet_trades(self) -> list[dict[str, Any]]:
        """What the wallets' books hold, newest first."""
        async with self.http.get(f"{self.scene.place.twin}/twin/api/trades?limit=200") as reply:
            trades: list[dict[str, Any]] = json.loads(await reply.text())["trades"]
            return trades

    async def becomes(self, till: Till, order_no: str, status: str) -> Reply:
        """Ask until the order has that status; the last answer."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                reply = await till.call("open.pay.query", order_no=order_no)
                if reply.is_success and reply.data["orderStatus"] == status:
                    return reply
                await asyncio.sleep(LOOK_EVERY_S)

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        """What the database answers."""
        database = await open_database(self.scene.ground.url, connections=2)
        try:
            return [dict(row) for row in await database.read(sql)]
        finally:
            await database.close()


@asynccontextmanager
async def town(
    engine: str, *gateways: Sequence[str], has_worker: bool = False, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Town]:
    """One gateway per element of `gateways`, which are more arguments of `opentill serve`."""
    with TemporaryDirectory(prefix="opentill-town-") as folder:
        async with (
            fresh_url(engine) as url,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
            open_shop(real_now_ms) as shop,
        ):
            scene = Scene(
                _Borrowed(url), Path(folder), http, gateways=gateways, has_worker=has_worker, more_settings=settings
            )
            try:
                await scene.open()
                yield Town(scene, http, shop)
            finally:
                await scene.close()
