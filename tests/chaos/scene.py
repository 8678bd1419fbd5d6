"""The processes of a run, and a merchant with its accounts: what is there before anything happens."""

import asyncio
import json
import random
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from pydantic import SecretStr

from opentill.base.clock import MovableClock
from opentill.base.config import Settings
from opentill.base.sealing import new_master_key
from opentill.cli.wiring import open_administration
from opentill.domain.parties import ALIPAY, WECHAT, AppRules
from tests.chaos.load import Place
from tests.chaos.programs import Program, free_ports
from tests.chaos.receiver import BAD

WALLET_TIMEOUT_S = 2
"""Shorter than the default: a run has little time to wait for a wallet that hangs."""
SERVE = ["opentill.cli.main", "serve"]


class Ground(Protocol):
    """Where the database of a scene is, once it is open."""

    url: str

    async def open(self) -> None: ...


class Scene:
    """Gateways, worker, wallets and merchants, in `folder`; `gateways`: what more each is started with."""

    def __init__(
        self,
        ground: Ground,
        folder: Path,
        http: aiohttp.ClientSession,
        *,
        gateways: Sequence[Sequence[str]],
        has_worker: bool = False,
        more_settings: Mapping[str, str] | None = None,
    ) -> None:
        self.ground = ground
        self.folder = folder
        self.http = http
        self.deliveries = folder / "deliveries.jsonl"
        self.twin_books = folder / "twin" / "twin.sqlite3"
        self._master_key = new_master_key()
        self._arguments = gateways
        kinds = ("good", "dead", *BAD)
        twin_port, *ports = free_ports(1 + len(kinds) + len(gateways))
        self._receiver_ports = dict(zip(kinds, ports, strict=False))
        self._ports = ports[len(kinds) :]
        self._has_worker = has_worker
        self._more_settings = more_settings or {}
        self._twin_url = f"http://127.0.0.1:{twin_port}"
        self.twin = self._program(
            "wallets",
            ["opentill.cli.main", "twin", "--port", str(twin_port), "--data", str(folder / "twin")],
            healthy=f"{self._twin_url}/twin/api/clock",
        )
        self.receivers = self._program("receivers", self._receiving("good", *BAD), healthy=self._healthy("good"))
        self.dead_receiver = self._program("dead receiver", self._receiving("dead"), healthy=self._healthy("dead"))
        self.gateways: list[Program] = []
        self.worker: Program | None = None
        self.place: Place

    async def open(self) -> None:
        """Start everything; a merchant has accounts at both wallets."""
        await asyncio.gather(self.ground.open(), self.twin.start(self.http))
        self.place = await self._add_parties()
        environment = self._environment()
        for number, (port, arguments) in enumerate(zip(self._ports, self._arguments, strict=True), start=1):
            self.gateways.append(
                self._program(
                    f"gateway {number}",
                    [*SERVE, *arguments],
                    environment={**environment, "OPENTILL_PORT": str(port)},
                    healthy=f"http://127.0.0.1:{port}/healthz",
                )
            )
        for gateway in self.gateways:
            await gateway.start(self.http)
        if self._has_worker:
            self.worker = self._program("worker", ["opentill.cli.main", "worker"], environment=environment)
            await self.worker.start(self.http)

    async def close(self) -> None:
        """End what still runs."""
        everything = [*self.gateways, self.worker, self.twin, self.receivers, self.dead_receiver]
        for program in everything:
            if program is not None:
                await program.kill()

    async def command_line(self, *arguments: str) -> int:
        """Run `opentill` beside the gateways; its exit code."""
        command = ["opentill.cli.main", *arguments]
        program = self._program("command line", command, environment=self._environment())
        await program.start(self.http)
        return await program.ended()

    async def add_faults(self, chance: random.Random) -> None:
        """Both wallets misbehave now and then, until `clear_faults`."""
        for wallet in ("alipay", "wechat"):
            for fault, rate in WALLET_FAULTS.items():
                values = {"wallet": wallet, "operation": "*", "fault": fault, "rate": rate}
                values |= {"seed": chance.getrandbits(32), "delay_s": 1 if fault == "slow" else 600}
                await self._twin_api("POST", "/faults", values)

    async def never_call_back(self) -> None:
        for wallet in ("alipay", "wechat"):
            values = {"wallet": wallet, "operation": "*", "fault": "callback_never", "rate": 1}
            await self._twin_api("POST", "/faults", values)

    async def clear_faults(self) -> dict[str, int]:
        """How often each happened."""
        listed = await self._twin_api("GET", "/faults")
        await self._twin_api("DELETE", "/faults")
        hits: dict[str, int] = {}
        for fault in listed["faults"]:
            hits[fault["fault"]] = hits.get(fault["fault"], 0) + fault["hits"]
        return hits

    def move_wallets_to(self, shift_ms: int) -> None:
        """While the wallets are down, time goes on for them too."""
        with closing(sqlite3.connect(self.twin_books)) as books, books:
            books.execute("INSERT OR REPLACE INTO settings VALUES ('shift_ms', ?)", (str(shift_ms),))

    def move_gateway_to(self, shift_ms: int) -> Program:
        """The gateway as it runs when the clock is ahead: one process that answers and works."""
        self.gateways[0].change(["tests.chaos.moved", str(shift_ms)])
        return self.gateways[0]

    def _program(
        self, name: str, command: list[str], *, environment: dict[str, str] | None = None, healthy: str = ""
    ) -> Program:
        log = self.folder / f"{name.replace(' ', '-')}.log"
        return Program(name, command, log=log, environment=environment or {}, healthy=healthy)

    def _receiving(self, *kinds: str) -> list[str]:
        places = [f"{kind}={self._receiver_ports[kind]}" for kind in kinds]
        return ["tests.chaos.receiver", str(self.deliveries), *places]

    def _healthy(self, kind: str) -> str:
        return f"http://127.0.0.1:{self._receiver_ports[kind]}/healthz"

    def _environment(self) -> dict[str, str]:
        return {
            "OPENTILL_DATABASE_URL": self.ground.url,
            "OPENTILL_MASTER_KEY": self._master_key,
            "OPENTILL_HOST": "127.0.0.1",
            "OPENTILL_PUBLIC_BASE_URL": f"http://127.0.0.1:{self._ports[0]}",
            "OPENTILL_ALIPAY_BASE_URL": f"{self._twin_url}/twin/alipay",
            "OPENTILL_WECHAT_BASE_URL": f"{self._twin_url}/twin/wechat",
            "OPENTILL_NOTIFY_ALLOW_NETWORKS": "127.0.0.0/8",
            "OPENTILL_WALLET_TIMEOUT_S": str(WALLET_TIMEOUT_S),
            **self._more_settings,
        }

    async def _add_parties(self) -> Place:
        listed = await self._twin_api("GET", "/merchants")
        wanted = {ALIPAY: _alipay_settings(listed["alipay"][0]), WECHAT: _wechat_settings(listed["wechat"][0])}
        settings = Settings(database_url=self.ground.url, master_key=SecretStr(self._master_key))
        async with open_administration(settings, clock=MovableClock(), actor="chaos") as administration:
            merchant_id, store_id = await administration.add_merchant("Shop")
            account_ids = [
                await administration.add_account(
                    f"Account {channel}", merchant_id=merchant_id, channel=channel, settings=values
                )
                for channel, values in wanted.items()
            ]
            app = await administration.add_app("Till", [merchant_id], rules=AppRules())
            operator_id = await administration.add_operator(
                "Cashier", merchant_id=merchant_id, store_id=store_id, account_ids=account_ids
            )
        return Place(
            gateways=[f"http://127.0.0.1:{port}" for port in self._ports],
            twin=self._twin_url,
            notify_urls={kind: f"http://127.0.0.1:{port}/notify" for kind, port in self._receiver_ports.items()},
            app=app.app,
            key=app.key,
            operator_id=operator_id,
        )

    async def _twin_api(self, method: str, path: str, values: object = None) -> Any:
        async with self.http.request(method, f"{self._twin_url}/twin/api{path}", json=values) as reply:
            text = await reply.text()
            assert reply.status == 200, text
            return json.loads(text)


# Per call of a wallet.
WALLET_FAULTS = {
    "hang": 0.01, "slow": 0.01, "reset_before": 0.01, "reset_after": 0.01, "lost_reply": 0.01, "truncated": 0.01,
    "bad_signature": 0.01, "html": 0.01, "http_500": 0.01, "http_429": 0.005, "system_error": 0.01,
    "callback_twice": 0.03, "callback_late": 0.03, "callback_never": 0.03,
}  # fmt: skip


def _alipay_settings(merchant: dict[str, str]) -> dict[str, str]:
    return {
        "app_id": merchant["app_id"],
        "seller_id": merchant["seller_id"],
        "app_private_key": merchant["app_private_key_pem"],
        "alipay_public_key": merchant["alipay_public_key_pem"],
    }


def _wechat_settings(merchant: dict[str, str]) -> dict[str, str]:
    return {
        "appid": merchant["appid"],
        "mchid": merchant["mchid"],
        "merchant_serial": merchant["merchant_serial"],
        "merchant_private_key": merchant["merchant_private_key_pem"],
        "api_v3_key": merchant["api_v3_key"],
        "app_secret": merchant["app_secret"],
        "public_key_id": merchant["public_key_id"],
        "public_key": merchant["public_key_pem"],
    }
