"""wechatpayv3 against the twin: what it signs is accepted, what it verifies is signed (channels D.3)."""

import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from opentill.twin import times
from opentill.twin.app import REFUND_DELAY_MS
from tests.oracles.oracle import Oracle, Refused, opened
from tests.oracles.worlds import real_world
from tests.twin.world import World

SDKS = ("wechatpayv3", "async wechatpayv3")
MODES = pytest.mark.parametrize(("mode", "sdk_name"), [(m, s) for m in ("public key", "certificate") for s in SDKS])
BOTH = pytest.mark.parametrize("sdk_name", SDKS)
ORDER: dict[str, Any] = {
    "description": "绿茶",
    "out_trade_no": "T00001",
    "amount": {"total": 1230, "currency": "CNY"},
    "attach": "a,b",
}


@asynccontextmanager
async def shop(
    folder: Path, sdk_name: str, mode: str = "public key", *, kind: str = "NATIVE", **more: Any
) -> AsyncIterator[tuple[World, Oracle]]:
    async with real_world(folder) as w:
        merchant = w.twin.wechat_merchant()
        keys = {"public_key": merchant.public_key_pem, "public_key_id": merchant.public_key_id}
        values = {
            "type": kind,
            "mchid": merchant.mchid,
            "private_key": merchant.merchant_private_key_pem,
            "cert_serial_no": merchant.merchant_serial,
            "appid": merchant.appid,
            "apiv3_key": merchant.api_v3_key,
            "notify_url": w.shop.url,
        }
        sealed = keys if mode == "public key" else {}
        async with opened(sdk_name, w.base_url + "/wechat", **values, **sealed, **more) as oracle:
            yield w, oracle


async def told(sdk: Oracle, method: str, **values: Any) -> tuple[int, Any]:
    """Status and document; the SDK has verified what is 2xx."""
    status, text = await sdk.call(method, **values)
    return status, json.loads(text) if isinstance(text, str) and text else text


async def paid(w: World, sdk: Oracle) -> None:
    _, ordered = await told(sdk, "pay", **ORDER)
    await w.pay(ordered["code_url"])


@MODES
async def test_an_order_is_scanned_paid_and_found_paid(tmp_path: Path, mode: str, sdk_name: str) -> None:
    async with shop(tmp_path, sdk_name, mode) as (w, sdk):
        unknown = await told(sdk, "query", out_trade_no="T00001")
        await paid(w, sdk)

        status, asked = await told(sdk, "query", out_trade_no="T00001")

        assert (unknown[0], unknown[1]["code"]) == (404, "ORDER_NOT_EXIST")
        assert (status, asked["trade_state"], asked["amount"]["payer_total"]) == (200, "SUCCESS", 1230)


@MODES
async def test_callbacks_verify_and_open(tmp_path: Path, mode: str, sdk_name: str) -> None:
    async with shop(tmp_path, sdk_name, mode) as (w, sdk):
        await paid(w, sdk)
        amount = {"refund": 230, "total": 1230, "currency": "CNY"}
        refund = {"out_trade_no": "T00001", "out_refund_no": "R1", "amount": amount, "notify_url": w.shop.url}
        _, accepted = await told(sdk, "refund", **refund)
        w.clock.advance(REFUND_DELAY_MS)
        await w.twin.quiet()

        payment, refunded = [
            await sdk.call("callback", headers=callback.headers, body=callback.body.decode())
            for callback in w.shop.received
        ]
        forged = await sdk.call(
            "callback", headers=w.shop.received[0].headers, body=w.shop.received[0].body.decode() + " "
        )

        _, asked = await told(sdk, "query_refund", out_refund_no="R1")
        assert payment["event_type"] == "TRANSACTION.SUCCESS"
        assert payment["resource"]["trade_state"] == "SUCCESS"
        assert refunded["event_type"] == "REFUND.SUCCESS"
        assert refunded["resource"]["out_refund_no"] == "R1"
        assert (accepted["status"], asked["status"]) == ("PROCESSING", "SUCCESS")
        assert forged is None


@MODES
async def test_an_order_is_closed(tmp_path: Path, mode: str, sdk_name: str) -> None:
    async with shop(tmp_path, sdk_name, mode) as (_, sdk):
        await told(sdk, "pay", **ORDER)

        closed = await told(sdk, "close", out_trade_no="T00001")

        _, asked = await told(sdk, "query", out_trade_no="T00001")
        assert (closed[0], asked["trade_state"]) == (204, "CLOSED")


@BOTH
async def test_a_payment_code_is_charged_and_reversed(tmp_path: Path, sdk_name: str) -> None:
    async with shop(tmp_path, sdk_name, kind="CODEPAY") as (_, sdk):
        scene = {"store_info": {"id": "S1"}}
        charge = ORDER | {"payer": {"auth_code": "131234567890123456"}, "scene_info": scene}

        status, charged = await told(sdk, "pay", **charge)

        reversed_status, _ = await told(sdk, "codepay_reverse", out_trade_no="T00001")
        _, asked = await told(sdk, "query", out_trade_no="T00001")
        assert (status, charged["trade_state"]) == (200, "SUCCESS")
        assert (reversed_status, asked["trade_state"]) == (200, "REVOKED")


@MODES
@pytest.mark.parametrize("tar_type", ["GZIP", ""])
async def test_a_bill_is_downloaded_and_its_hash_is_right(
    tmp_path: Path, mode: str, sdk_name: str, tar_type: str
) -> None:
    async with shop(tmp_path, sdk_name, mode) as (w, sdk):
        await paid(w, sdk)
        day = times.china(w.clock.now_ms()).strftime("%Y-%m-%d")
        w.clock.advance(34 * 3_600_000)  # past ten o'clock of the next day, whatever time it is

        _, offered = await told(sdk, "trade_bill", bill_date=day, tar_type=tar_type)
        status, file = await sdk.call("download_bill", url=offered["download_url"])

        content = file["latin-1"].encode("latin-1")
        plain = gzip.decompress(content) if tar_type else content
        assert status == 200
        assert hashlib.sha1(plain).hexdigest() == offered["hash_value"]
        assert "`T00001" in plain.decode()


@BOTH
async def test_a_partner_orders_for_whom_it_serves(tmp_path: Path, sdk_name: str) -> None:
    async with shop(tmp_path, sdk_name, partner_mode=True) as (w, sdk):
        _, served = await w.post("/api/sub_merchants", wallet="wechat")
        _, ordered = await told(sdk, "pay", sub_mchid=served["sub_mchid"], **ORDER)
        await w.pay(ordered["code_url"])

        status, asked = await told(sdk, "query", out_trade_no="T00001", sub_mchid=served["sub_mchid"])

        assert (status, asked["sub_mchid"], asked["trade_state"]) == (200, served["sub_mchid"], "SUCCESS")


@BOTH
@pytest.mark.parametrize("fault", ["bad_signature", "unsigned"])
async def test_a_wrong_signature_is_noticed(tmp_path: Path, sdk_name: str, fault: str) -> None:
    async with shop(tmp_path, sdk_name) as (w, sdk):
        await w.post("/api/faults", wallet="wechat", operation="create", fault=fault)

        with pytest.raises(Refused):
            await sdk.call("pay", **ORDER)


@BOTH
async def test_a_change_of_keys_in_the_middle_is_followed(tmp_path: Path, sdk_name: str) -> None:
    async with shop(tmp_path, sdk_name) as (w, sdk):
        await w.post("/api/faults", wallet="wechat", operation="create", fault="key_rotated")

        status, ordered = await told(sdk, "pay", **ORDER)

        assert (status, ordered["code_url"][:9]) == (200, "weixin://")
