"""The official alipay-sdk-python against the twin (channels D.2).

It alone splits a request: what all methods have in common goes in the query, the rest in the body.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from opentill.twin import times
from opentill.twin.merchants import AlipayMerchant
from tests.oracles.oracle import Oracle, Refused, needs_official, opened
from tests.oracles.worlds import real_world
from tests.twin.test_bills import unzipped
from tests.twin.world import World

pytestmark = needs_official
ORDER = {"subject": "绿茶 two {cups", "out_trade_no": "T1", "total_amount": "12.30"}
GOODS = [{"goods_id": "G1", "goods_name": "绿茶 {大}", "quantity": 2, "price": "6.15"}]


@asynccontextmanager
async def shop(folder: Path) -> AsyncIterator[tuple[World, Oracle]]:
    async with real_world(folder) as w:
        merchant = w.twin.alipay_merchant()
        values = {
            "app_id": merchant.app_id,
            "app_private_key": pkcs1(merchant.app_private_key_pem),
            "alipay_public_key": merchant.alipay_public_key_pem,
        }
        async with opened("official alipay", w.base_url + "/alipay/gateway.do", **values) as oracle:
            yield w, oracle


def pkcs1(private_pem: str) -> str:
    """The only form in which this SDK takes a private key."""
    key = serialization.load_pem_private_key(private_pem.encode(), password=None, unsafe_skip_rsa_key_validation=True)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


async def asked(sdk: Oracle, operation: str, *, notify_url: str = "", **biz: Any) -> Any:
    return await sdk.call("execute", method=f"alipay.trade.{operation}", biz=biz, notify_url=notify_url)


async def ordered(w: World, sdk: Oracle) -> str:
    answer = await asked(sdk, "precreate", notify_url=w.shop.url, goods_detail=GOODS, **ORDER)
    return str(answer["qr_code"])


async def test_a_code_is_ordered_scanned_paid_and_found_paid(tmp_path: Path) -> None:
    async with shop(tmp_path) as (w, sdk):
        before = await asked(sdk, "query", out_trade_no="T1")
        await w.pay(await ordered(w, sdk))

        after = await asked(sdk, "query", out_trade_no="T1")

        assert (before["code"], before["sub_code"]) == ("40004", "ACQ.TRADE_NOT_EXIST")
        assert (after["code"], after["trade_status"]) == ("10000", "TRADE_SUCCESS")
        assert (after["total_amount"], after["buyer_pay_amount"]) == ("12.30", "12.30")


async def test_refunds_are_cumulative_announced_and_can_be_asked_for(tmp_path: Path) -> None:
    async with shop(tmp_path) as (w, sdk):
        await w.pay(await ordered(w, sdk))

        refund = {"out_trade_no": "T1", "refund_amount": "2.30", "out_request_no": "R1", "refund_reason": "凉了"}
        answers = [await asked(sdk, "refund", **refund) for _ in range(2)]

        found = await asked(sdk, "fastpay.refund.query", out_trade_no="T1", out_request_no="R1")
        await w.twin.quiet()
        callbacks = [callback.form() for callback in w.shop.received]
        verdicts = [await sdk.call("is_callback", form=form) for form in callbacks]
        forged = [await sdk.call("is_callback", form=form | {"total_amount": "0.01"}) for form in callbacks]
        assert [(answer["fund_change"], answer["refund_fee"]) for answer in answers] == [("Y", "2.30"), ("N", "2.30")]
        assert found["refund_status"] == "REFUND_SUCCESS"
        assert [form.get("refund_fee") for form in callbacks] == [None, "2.30"]
        assert (verdicts, forged) == ([True, True], [False, False])


async def test_a_payment_code_is_charged_and_cancelled(tmp_path: Path) -> None:
    async with shop(tmp_path) as (_, sdk):
        charged = await asked(sdk, "pay", scene="bar_code", auth_code="281234567890123456", **ORDER)
        cancelled = await asked(sdk, "cancel", out_trade_no="T1")

        after = await asked(sdk, "query", out_trade_no="T1")

        assert (charged["code"], charged["total_amount"]) == ("10000", "12.30")
        assert (cancelled["action"], cancelled["retry_flag"]) == ("refund", "N")
        assert after["trade_status"] == "TRADE_CLOSED"


async def test_a_waiting_trade_is_closed(tmp_path: Path) -> None:
    async with shop(tmp_path) as (w, sdk):
        await w.pay(await ordered(w, sdk), result="fail")

        closed = await asked(sdk, "close", out_trade_no="T1")

        after = await asked(sdk, "query", out_trade_no="T1")
        assert (closed["code"], after["trade_status"]) == ("10000", "TRADE_CLOSED")


async def test_a_bill_is_offered_and_downloaded(tmp_path: Path) -> None:
    async with shop(tmp_path) as (w, sdk):
        await w.pay(await ordered(w, sdk))
        day = times.china(w.clock.now_ms()).strftime("%Y-%m-%d")
        w.clock.advance(34 * times.HOUR_MS)  # past nine o'clock of the next day, whatever time it is

        method = "alipay.data.dataservice.bill.downloadurl.query"
        offered = await sdk.call("execute", method=method, biz={"bill_type": "trade", "bill_date": day})

        async with w.http.get(offered["bill_download_url"]) as reply:
            files = unzipped(await reply.read())
        assert any("T1" in text and "12.30" in text for text in files.values())


@pytest.mark.parametrize("fault", ["bad_signature", "key_rotated", "unsigned"])
async def test_a_wrong_signature_is_noticed(tmp_path: Path, fault: str) -> None:
    async with shop(tmp_path) as (w, sdk):
        await w.post("/api/faults", wallet="alipay", operation="create", fault=fault)

        with pytest.raises(Refused, match=r"ResponseException: .*(sign verify failed|shape maybe illegal)"):
            await ordered(w, sdk)


async def test_a_request_signed_with_another_key_is_refused_by_the_wallet(tmp_path: Path) -> None:
    async with shop(tmp_path) as (w, _):
        strange: AlipayMerchant = w.twin.alipay_merchant()
        values = {
            "app_id": strange.app_id,
            "app_private_key": pkcs1(w.twin.wechat_merchant().merchant_private_key_pem),
            "alipay_public_key": strange.alipay_public_key_pem,
        }

        async with opened("official alipay", w.base_url + "/alipay/gateway.do", **values) as sdk:
            with pytest.raises(Refused, match=r"isv\.invalid-signature"):
                await ordered(w, sdk)
