"""The gateway as it serves, on the benchmark's database and wallets: `python -m bench.gateway PORT KEYS URL STUB`."""

import asyncio
import json
import sys
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

import uvloop
from pydantic import SecretStr

from bench.keys import PUBLIC_KEY_ID
from opentill.base import logs
from opentill.base.clock import MovableClock
from opentill.base.config import Settings
from opentill.base.sealing import new_master_key
from opentill.cli.server import bind, serve
from opentill.cli.wiring import open_administration, open_deployment, worker_of
from opentill.commands.registry import load_commands
from opentill.domain.parties import ALIPAY, WECHAT, AppRules
from opentill.services.access import TEST_APP, TEST_KEY, TEST_OPERATOR
from opentill.services.administration import NotPossible
from opentill.storage.database import ensure_schema
from opentill.web.app import build_app


async def _serve(port: int, keys_file: Path, database_url: str, stub_url: str) -> None:
    settings = Settings(
        database_url=database_url,
        master_key=SecretStr(_master_key(keys_file)),
        public_base_url=f"http://127.0.0.1:{port}",
        alipay_base_url=stub_url,
        wechat_base_url=stub_url,
        notify_allow_networks=(ip_network("127.0.0.0/8"),),
        log_level="warning",
    )
    logs.configure(level=settings.log_level)
    await ensure_schema(database_url)
    clock = MovableClock()
    listener = bind("127.0.0.1", port)
    await _seed(settings, clock, json.loads(keys_file.read_text()))
    async with open_deployment(
        settings, clock=clock, public_base_url=settings.public_base_url, is_sandbox=True
    ) as deployment:
        worker = worker_of(deployment)
        worker.start()
        try:
            await serve(build_app(deployment, load_commands()), listener)
        finally:
            await asyncio.shield(worker.stop())


async def _seed(settings: Settings, clock: MovableClock, keys: dict[str, str]) -> None:
    async with open_administration(settings, clock=clock, actor="bench") as administration:
        with suppress(NotPossible):
            merchant_id, store_id = await administration.add_merchant("bench")
            alipay = {
                "app_id": "2021000000000000",
                "app_private_key": keys["merchant_private"],
                "alipay_public_key": keys["wallet_public"],
            }
            wechat = {
                "appid": "wx0000000000000000",
                "mchid": "1900000000",
                "merchant_serial": "0" * 40,
                "merchant_private_key": keys["merchant_private"],
                "api_v3_key": "0" * 32,
                "public_key_id": PUBLIC_KEY_ID,
                "public_key": keys["wallet_public"],
            }
            accounts = [
                await administration.add_account("bench", merchant_id=merchant_id, channel=channel, settings=values)
                for channel, values in ((ALIPAY, alipay), (WECHAT, wechat))
            ]
            await administration.add_app("bench", [merchant_id], rules=AppRules(), app=TEST_APP, key=TEST_KEY)
            await administration.add_operator(
                "bench", merchant_id=merchant_id, store_id=store_id, account_ids=accounts, operator_id=TEST_OPERATOR
            )


def _master_key(keys_file: Path) -> str:
    """One per run, kept beside the keys, so that a second process opens the same database."""
    path = keys_file.with_suffix(".master")
    with suppress(FileExistsError), path.open("x") as file:
        file.write(new_master_key())
    return path.read_text()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]))
