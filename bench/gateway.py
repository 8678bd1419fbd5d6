"""The gateway as it serves, on the benchmark's database and wallets: `python -m bench.gateway PORT KEYS URL STUB`.

A further argument is a number of merchants beside the first. The worker begins at SIGUSR1: what time drives must not
come between while requests are measured.
"""

import asyncio
import json
import signal
import sys
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

import uvloop
from pydantic import SecretStr

from bench.keys import ALIPAY_APP_ID, API_V3_KEY, PUBLIC_KEY_ID, WECHAT_APPID, WECHAT_MCHID
from opentill.base import logs
from opentill.base.clock import MovableClock
from opentill.base.config import Settings
from opentill.base.sealing import new_master_key
from opentill.cli.server import bind, serve
from opentill.cli.wiring import open_administration, open_deployment, worker_of
from opentill.commands.registry import load_commands
from opentill.domain.parties import ALIPAY, WECHAT, AppRules
from opentill.services.access import TEST_APP, TEST_KEY, TEST_OPERATOR
from opentill.services.administration import Administration
from opentill.services.not_possible import NotPossible
from opentill.storage.database import ensure_schema
from opentill.web.app import build_app


async def _serve(port: int, keys_file: Path, database_url: str, stub_url: str, merchants: int) -> None:
    settings = Settings(
        database_url=database_url,
        master_key=SecretStr(_master_key(keys_file)),
        public_base_url=f"http://127.0.0.1:{port}",
        alipay_base_url=stub_url,
        wechat_base_url=stub_url,
        notify_allow_networks=(ip_network("127.0.0.0/8"),),
    )
    with keys_file.with_suffix(".log").open("a") as log:
        logs.configure(level=settings.log_level, stream=log)
        await ensure_schema(database_url)
        clock = MovableClock()
        listener = bind("127.0.0.1", port)
        await _seed(settings, clock, json.loads(keys_file.read_text()), merchants)
        async with open_deployment(
            settings, clock=clock, public_base_url=settings.public_base_url, is_sandbox=True
        ) as deployment:
            worker = worker_of(deployment)
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, worker.start)
            try:
                await serve(build_app(deployment, load_commands()), listener)
            finally:
                await asyncio.shield(worker.stop())


async def _seed(settings: Settings, clock: MovableClock, keys: dict[str, str], merchants: int) -> None:
    """The first merchant has accounts of both wallets, the others of one, in turns."""
    async with open_administration(settings, clock=clock, actor="bench") as administration:
        with suppress(NotPossible):
            await _add(administration, keys, TEST_APP, TEST_OPERATOR, (ALIPAY, WECHAT))
            for number in range(1, merchants + 1):
                channel = ALIPAY if number % 2 else WECHAT
                await _add(administration, keys, f"M{number:05d}", f"O{number:05d}", (channel,))


async def _add(
    administration: Administration, keys: dict[str, str], app: str, operator_id: str, channels: tuple[int, ...]
) -> None:
    merchant_id, store_id = await administration.add_merchant(app)
    settings = {
        ALIPAY: {
            "app_id": ALIPAY_APP_ID,
            "app_private_key": keys["merchant_private"],
            "alipay_public_key": keys["wallet_public"],
        },
        WECHAT: {
            "appid": WECHAT_APPID,
            "mchid": WECHAT_MCHID,
            "merchant_serial": "0" * 40,
            "merchant_private_key": keys["merchant_private"],
            "api_v3_key": API_V3_KEY,
            "public_key_id": PUBLIC_KEY_ID,
            "public_key": keys["wallet_public"],
        },
    }
    accounts = [
        await administration.add_account(app, merchant_id=merchant_id, channel=channel, settings=settings[channel])
        for channel in channels
    ]
    await administration.add_app(app, [merchant_id], rules=AppRules(), app=app, key=TEST_KEY)
    await administration.add_operator(
        app, merchant_id=merchant_id, store_id=store_id, account_ids=accounts, operator_id=operator_id
    )


def _master_key(keys_file: Path) -> str:
    """One per run, kept beside the keys, so that a second process opens the same database."""
    path = keys_file.with_suffix(".master")
    with suppress(FileExistsError), path.open("x") as file:
        file.write(new_master_key())
    return path.read_text()


if __name__ == "__main__":
    _, given_port, given_keys, given_url, given_stub, *more = sys.argv
    uvloop.run(_serve(int(given_port), Path(given_keys), given_url, given_stub, int(more[0]) if more else 0))
