"""python-alipay-sdk against the twin: what it signs is accepted, what it verifies is signed (channels D.1)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from opentill.twin import times
from tests.oracles.oracle import Oracle, Refused, opened
from tests.oracles.worlds import real_world
from tests.twin.clients import certificate_names
from tests.twin.test_bills import unzipped
from tests.twin.world import World

BILL = "alipay.data.dataservice.bill.downloadurl.query"
MODES = pytest.mark.parametrize("mode", ["keys", "certificates"])
ORDER = {"subject": "绿茶 two {cups", "out_trade_no": "T1", "total_amount": "12.30"}
ORDER_IN_PLAIN_WORDS = ORDER | {"subject": "绿茶 two cups"}


@asynccontextmanager
async def shop(folder: Path, mode: str = "keys", **more: Any) -> AsyncIterator[tuple[World, Oracle]]:
    async with real_world(folder) as w:
        merchant = w.twin.alipay_merchant()
        keys: dict[str, Any] = {"alipay_public_key_string": merchant.alipay_public_key_pem}
        if mode == "certificates":
            keys = {
                "app_public_key_cert_string": merchant.app_cert_pem,
                "alipay_public_key_cert_string": merchant.alipay_cert_pem,
                "alipay_root_cert_string": merchant.alipay_root_cert_pem,
            }
        values = {
            "appid": merchant.app_id,
            "app_notify_url": w.shop.url,
            "app_private_key_string": merchant.app_private_key_pem,
        }
        url = w.base_url + "/alipay/gateway.do"
        async with opened("python-alipay-sdk", url, **values, **keys, **more) as oracle:
            yield w, oracle


async def opener(w: World) -> str:
    """The user id of somebody who opened a page in the wallet; orders for anybody else are refused."""
    merchant = w.twin.alipay_merchant()
    query = {"app_id": merchant.app_id, "scope": "auth_base", "redirect_uri": w.shop.url, "state": "s"}
    url = w.base_url + "/alipay/oauth2/publicAppAuthorize.htm"
    async with w.http.get(url, params=query, allow_redirects=False) as reply:
        code = dict(parse_qsl(urlsplit(reply.headers["Location"]).query))["auth_code"]
    told = await w.alipay().call("alipay.system.oauth.token", grant_type="authorization_code", code=code)
    return str(told.node["user_id"])


@MODES
async def test_a_code_is_ordered_scanned_paid_and_found_paid(tmp_path: Path, mode: str) -> None:
    async with shop(tmp_path, mode) as (w, sdk):
        before = await sdk.call("api_alipay_trade_query", out_trade_no="T1")
        ordered = await sdk.call("api_alipay_trade_precreate", **ORDER_IN_PLAIN_WORDS)
        await w.pay(ordered["qr_code"])

        after = await sdk.call("api_alipay_trade_query", out_trade_no="T1")

        assert (before["code"], before["sub_code"]) == ("40004", "ACQ.TRADE_NOT_EXIST")
        assert (after["code"], after["trade_status"]) == ("10000", "TRADE_SUCCESS")
        assert (after["total_amount"], after["buyer_pay_amount"]) == ("12.30", "12.30")


@MODES
async def test_callbacks_verify_when_paid_partly_refunded_and_wholly_refunded(tmp_path: Path, mode: str) -> None:
    async with shop(tmp_path, mode) as (w, sdk):
        ordered = await sdk.call("api_alipay_trade_precreate", **ORDER)
        await w.pay(ordered["qr_code"])
        for number, amount in (("R1", "2.30"), ("R2", "10.00")):
            refund = {"out_trade_no": "T1", "refund_amount": amount, "out_request_no": number}
            await sdk.call("api_alipay_trade_refund", **refund)
            await w.twin.quiet()

        verdicts = []
        for callback in w.shop.received:
            form = callback.form()
            good = await sdk.call("is_callback", form=form)
            forged = await sdk.call("is_callback", form=form | {"total_amount": "0.01"})
            verdicts.append((form["trade_status"], good, forged))

        assert verdicts == [
            ("TRADE_SUCCESS", True, False),
            ("TRADE_SUCCESS", True, False),
            ("TRADE_CLOSED", True, False),
        ]


@MODES
async def test_refunds_are_cumulative_and_can_be_asked_for(tmp_path: Path, mode: str) -> None:
    async with shop(tmp_path, mode) as (w, sdk):
        ordered = await sdk.call("api_alipay_trade_precreate", **ORDER_IN_PLAIN_WORDS)
        await w.pay(ordered["qr_code"])
        refund = {"out_trade_no": "T1", "refund_amount": "2.30", "out_request_no": "R1"}

        answers = [await sdk.call("api_alipay_trade_refund", **refund) for _ in range(2)]
        asked = await sdk.call("api_alipay_trade_fastpay_refund_query", out_request_no="R1", out_trade_no="T1")

        assert [(answer["fund_change"], answer["refund_fee"]) for answer in answers] == [("Y", "2.30"), ("N", "2.30")]
        assert asked["refund_status"] == "REFUND_SUCCESS"


@MODES
async def test_a_payment_code_is_charged_and_cancelled(tmp_path: Path, mode: str) -> None:
    async with shop(tmp_path, mode) as (_, sdk):
        charge = ORDER_IN_PLAIN_WORDS | {"scene": "bar_code", "auth_code": "281234567890123456"}
        charged = await sdk.call("api_alipay_trade_pay", **charge)
        cancelled = await sdk.call("api_alipay_trade_cancel", out_trade_no="T1")

        after = await sdk.call("api_alipay_trade_query", out_trade_no="T1")

        assert (charged["code"], charged["total_amount"]) == ("10000", "12.30")
        assert (cancelled["action"], cancelled["retry_flag"]) == ("refund", "N")
        assert after["trade_status"] == "TRADE_CLOSED"


@MODES
async def test_a_trade_for_a_known_buyer_is_created_and_waits(tmp_path: Path, mode: str) -> None:
    async with shop(tmp_path, mode) as (w, sdk):
        payer = await opener(w)
        created = await sdk.call("api_alipay_trade_create", buyer_id=payer, **ORDER_IN_PLAIN_WORDS)

        asked = await sdk.call("api_alipay_trade_query", trade_no=created["trade_no"])

        assert (asked["out_trade_no"], asked["trade_status"]) == ("T1", "WAIT_BUYER_PAY")


@MODES
async def test_a_bill_is_offered_and_downloaded(tmp_path: Path, mode: str) -> None:
    async with shop(tmp_path, mode) as (w, sdk):
        ordered = await sdk.call("api_alipay_trade_precreate", **ORDER_IN_PLAIN_WORDS)
        await w.pay(ordered["qr_code"])
        day = times.china(w.clock.now_ms()).strftime("%Y-%m-%d")
        w.clock.advance(34 * 3_600_000)  # past nine o'clock of the next day, whatever time it is

        # The SDK has no method of its own for bills, but one for anything.
        biz = {"bill_type": "trade", "bill_date": day}
        offered = await sdk.call("server_api", api_name=BILL, biz_content=biz)

        async with w.http.get(offered["bill_download_url"]) as reply:
            files = unzipped(await reply.read())
        assert any(",T1" in text.replace("\t", "") for text in files.values())


@MODES
async def test_a_waiting_trade_is_closed(tmp_path: Path, mode: str) -> None:
    async with shop(tmp_path, mode) as (w, sdk):
        ordered = await sdk.call("api_alipay_trade_precreate", **ORDER_IN_PLAIN_WORDS)
        await w.pay(ordered["qr_code"], result="fail")

        closed = await sdk.call("api_alipay_trade_close", out_trade_no="T1")

        assert closed["code"] == "10000"


async def test_an_isvs_token_is_signed_along(tmp_path: Path) -> None:
    async with real_world(tmp_path) as w:
        _, authorised = await w.post("/api/sub_merchants", wallet="alipay")
        merchant = w.twin.alipay_merchant()
        values = {
            "appid": merchant.app_id,
            "app_notify_url": w.shop.url,
            "app_private_key_string": merchant.app_private_key_pem,
            "alipay_public_key_string": merchant.alipay_public_key_pem,
            "app_auth_token": authorised["app_auth_token"],
        }

        async with opened("python-alipay-sdk", w.base_url + "/alipay/gateway.do", **values) as sdk:
            ordered = await sdk.call("api_alipay_trade_precreate", **ORDER_IN_PLAIN_WORDS)
            await w.pay(ordered["qr_code"])

        assert w.shop.received[0].form()["auth_app_id"] == authorised["auth_app_id"]


async def test_the_names_of_certificates_are_computed_alike(tmp_path: Path) -> None:
    async with shop(tmp_path, "certificates") as (w, sdk):
        body = await sdk.call("build_body", method="alipay.trade.query", biz_content={})

        named = {name: body[name] for name in ("app_cert_sn", "alipay_root_cert_sn")}
        assert named == certificate_names(w.twin.alipay_merchant())


@pytest.mark.parametrize("fault", ["bad_signature", "key_rotated"])
async def test_a_wrong_signature_is_noticed(tmp_path: Path, fault: str) -> None:
    async with shop(tmp_path) as (w, sdk):
        await w.post("/api/faults", wallet="alipay", operation="create", fault=fault)

        with pytest.raises(Refused, match="AliPayValidationError"):
            await sdk.call("api_alipay_trade_precreate", **ORDER_IN_PLAIN_WORDS)
