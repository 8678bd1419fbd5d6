"""What every world starts from: a migrated database with three merchants, and wallets' books that know them.

Made once per run; a world copies both.
"""

import asyncio
import contextlib
import gc
import logging
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec
import structlog
from pydantic import SecretStr

from opentill.base.clock import MovableClock, frozen
from opentill.base.config import Settings
from opentill.cli.wiring import open_administration, open_deployment
from opentill.commands.registry import Command, load_commands
from opentill.domain.parties import AppRules
from opentill.storage.database import ensure_schema
from opentill.twin.app import Twin
from opentill.twin.merchants import AlipayAccount, WechatAccount
from tests.simulation.chance import drawn_from
from tests.simulation.memory import image_of
from tests.twin.world import NOON_MS

MERCHANTS = 3
MASTER_KEY = "dGhlIG1hc3RlciBrZXkgb2YgdGhlIHRlc3Qgd29ybGQ="
GATEWAY, TWIN = "http://gateway", "http://twin"

# The auditor's own record of every move, made by the database itself, whoever the writer is.
_WATCHERS = """
CREATE TABLE sim_changes (n INTEGER PRIMARY KEY, kind TEXT, app_id INT, order_no TEXT, before TEXT, after TEXT);
CREATE TRIGGER sim_1 AFTER INSERT ON orders BEGIN
    INSERT INTO sim_changes (kind, app_id, order_no, before, after)
    VALUES ('order', new.app_id, new.order_no, '', new.state); END;
CREATE TRIGGER sim_2 AFTER UPDATE OF state ON orders WHEN old.state <> new.state BEGIN
    INSERT INTO sim_changes (kind, app_id, order_no, before, after)
    VALUES ('order', new.app_id, new.order_no, old.state, new.state); END;
CREATE TRIGGER sim_3 AFTER UPDATE OF refunding_fen, refunded_fen, received_fen ON orders BEGIN
    INSERT INTO sim_changes (kind, app_id, order_no, before, after)
    VALUES ('money', new.app_id, new.order_no, '', ''); END;
CREATE TRIGGER sim_4 AFTER INSERT ON payments BEGIN
    INSERT INTO sim_changes (kind, app_id, order_no, before, after)
    VALUES ('payment', new.app_id, new.order_no, '', new.role); END;
CREATE TRIGGER sim_5 AFTER INSERT ON refunds BEGIN
    INSERT INTO sim_changes (kind, app_id, order_no, before, after)
    VALUES ('refund', new.app_id, new.order_no, '', new.state); END;
CREATE TRIGGER sim_6 AFTER UPDATE OF state, refund_no, amount_fen, wallet_fen ON refunds BEGIN
    INSERT INTO sim_changes (kind, app_id, order_no, before, after)
    VALUES ('refund', new.app_id, new.order_no, old.state, new.state); END;
CREATE TRIGGER sim_7 AFTER INSERT ON notifications BEGIN
    INSERT INTO sim_changes (kind, app_id, order_no, before, after)
    VALUES ('notification', new.app_id, new.order_no, '', new.state); END;
CREATE TRIGGER sim_8 AFTER UPDATE OF state ON notifications WHEN old.state <> new.state BEGIN
    INSERT INTO sim_changes (kind, app_id, order_no, before, after)
    VALUES ('notification', new.app_id, new.order_no, old.state, new.state); END;
"""

# What the wallets think that we know: we have answered success.
_WALLET_WATCHERS = """
CREATE TABLE sim_told (n INTEGER PRIMARY KEY, trade_id INT);
CREATE TRIGGER sim_1 AFTER UPDATE OF state ON callbacks WHEN new.state = 'DONE' AND new.kind = 'pay' BEGIN
    INSERT INTO sim_told (trade_id) VALUES (new.trade_id); END;
"""


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """A merchant as its till knows it, and its numbers at the wallets."""

    app_id: int
    app: str
    key: str
    operator_id: str
    alipay_app_id: str
    mchid: str
    appid: str

    def account_number(self, channel: int) -> str:
        return self.alipay_app_id if channel == 1 else self.mchid


@dataclass(frozen=True)
class Ground:
    """`database` and `books` are images of both files."""

    parties: tuple[Party, ...]
    settings: Settings
    commands: dict[str, Command]
    platform_key: Any
    database: bytes
    books: bytes


@contextlib.contextmanager
def ground() -> Iterator["Ground"]:
    """The ground of this run."""
    with tempfile.TemporaryDirectory(prefix="opentill-sim-") as name:
        folder = Path(name)
        settings = Settings(
            database_url=f"sqlite:///{folder / 'opentill.sqlite3'}",
            master_key=SecretStr(MASTER_KEY),
            public_base_url=GATEWAY,
            alipay_base_url=f"{TWIN}/alipay",
            wechat_base_url=f"{TWIN}/wechat",
            alipay_oauth_base_url=f"{TWIN}/alipay",
            wechat_oauth_base_url=f"{TWIN}/wechat",
            wechat_api_base_url=f"{TWIN}/wechat",
            notify_allow_networks=(ip_network("127.0.0.0/8"),),
        )
        # What the administration tells is nobody's affair here.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
        with drawn_from(0):
            parties, platform_key = asyncio.run(_prepare(folder, settings))
        for name, watchers in (("opentill", _WATCHERS), ("twin", _WALLET_WATCHERS)):
            with contextlib.closing(sqlite3.connect(folder / f"{name}.sqlite3")) as connection:
                connection.executescript(watchers)
        database, books = (image_of(folder / f"{name}.sqlite3") for name in ("opentill", "twin"))
    made = Ground(parties, settings, load_commands(), platform_key, database, books)
    # What is here before the first world outlives them all: nobody need look for garbage in it after each.
    gc.collect()
    gc.freeze()
    try:
        yield made
    finally:
        gc.unfreeze()


async def _prepare(folder: Path, settings: Settings) -> tuple[tuple[Party, ...], Any]:
    clock = MovableClock(source=frozen(NOON_MS))
    await ensure_schema(settings.database_url)
    twin = Twin(data_file=folder / "twin.sqlite3", clock=clock, base_url=TWIN)
    await twin.start()
    try:
        _open_more_merchants(twin)
        async with open_administration(settings, clock=clock, actor="simulation") as administration:
            parties = [await _party(administration, twin, number) for number in range(MERCHANTS)]
        async with open_deployment(settings, clock=clock, public_base_url=GATEWAY, is_sandbox=True) as deployment:
            return tuple(parties), deployment.platform_key
    finally:
        await twin.stop()


def _open_more_merchants(twin: Twin) -> None:
    """Further merchants at both wallets, with the first one's keys: making keys takes long."""
    merchants, books = twin._context.merchants, twin._context.books
    alipay: AlipayAccount = merchants.alipay.all()[0]
    wechat: WechatAccount = merchants.wechat.all()[0]
    for number in range(1, MERCHANTS):
        app_id, seller_id = f"20210000000{number:05d}", f"20880000000{number:05d}"
        same = msgspec.structs.replace(alipay.merchant, app_id=app_id, seller_id=seller_id)
        merchants.alipay.add(books, app_id, msgspec.structs.replace(alipay, merchant=same))
        mchid, appid = f"15000000{number:02d}", f"wx00000000000000{number:02d}"
        other = msgspec.structs.replace(wechat.merchant, mchid=mchid, appid=appid)
        merchants.wechat.add(books, mchid, msgspec.structs.replace(wechat, merchant=other))


async def _party(administration: Any, twin: Twin, number: int) -> Party:
    alipay = twin._context.merchants.alipay.all()[number].merchant
    wechat = twin._context.merchants.wechat.all()[number].merchant
    merchant_id, store_id = await administration.add_merchant(f"merchant {number}")
    accounts = [
        await administration.add_account("alipay", merchant_id=merchant_id, channel=1, settings=_alipay(alipay)),
        await administration.add_account("wechat", merchant_id=merchant_id, channel=2, settings=_wechat(wechat)),
    ]
    made = await administration.add_app(
        f"app {number}", [merchant_id], rules=AppRules(), app=f"A{number:014d}", key=f"{number:032x}"
    )
    operator_id = await administration.add_operator(
        f"cashier {number}",
        merchant_id=merchant_id,
        store_id=store_id,
        account_ids=accounts,
        operator_id=f"{number:032x}",
    )
    return Party(
        app_id=made.app_id,
        app=made.app,
        key=made.key,
        operator_id=operator_id,
        alipay_app_id=alipay.app_id,
        mchid=wechat.mchid,
        appid=wechat.appid,
    )


def _alipay(merchant: Any) -> Mapping[str, str]:
    return {
        "app_id": merchant.app_id,
        "seller_id": merchant.seller_id,
        "app_private_key": merchant.app_private_key_pem,
        "alipay_public_key": merchant.alipay_public_key_pem,
    }


def _wechat(merchant: Any) -> Mapping[str, str]:
    return {
        "appid": merchant.appid,
        "mchid": merchant.mchid,
        "merchant_serial": merchant.merchant_serial,
        "merchant_private_key": merchant.merchant_private_key_pem,
        "api_v3_key": merchant.api_v3_key,
        "app_secret": merchant.app_secret,
        "public_key_id": merchant.public_key_id,
        "public_key": merchant.public_key_pem,
    }
