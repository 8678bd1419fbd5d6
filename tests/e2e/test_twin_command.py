"""`opentill twin`: both wallets alone for somebody else's integration, and the clock of a sandbox."""

import json
import signal
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from opentill.base.clock import real_now_ms
from opentill.domain.notification import WAITS_MS
from opentill.twin.merchants import AlipayMerchant, WechatMerchant
from tests.e2e.processes import Process, run, sandbox, twin
from tests.shops import Answer, open_shop
from tests.twin.clients import AlipayClient, WechatClient, opened, verified_notify, verify_wechat

NATIVE = "/v3/pay/transactions/native"
DAY_S = 86_400
ANSWER_S = 15.0
"""A day of thirteen attempts takes a second or two; this leaves room for a busy machine."""


async def merchant(process: Process, wallet: str) -> dict[str, Any]:
    """What an integrator of that wallet is given."""
    _, text = await process.get("/twin/api/merchants")
    listed: dict[str, list[dict[str, Any]]] = json.loads(text)
    (found,) = listed[wallet]
    return found


async def alipay(process: Process, **common: str) -> AlipayClient:
    account = msgspec.convert(await merchant(process, "alipay"), AlipayMerchant)
    return AlipayClient(process.http, process.base_url + "/twin/alipay/gateway.do", account, real_now_ms, common)


async def wechat(process: Process) -> WechatClient:
    account = msgspec.convert(await merchant(process, "wechat"), WechatMerchant)
    return WechatClient(process.http, process.base_url + "/twin/wechat", account, real_now_ms, account.public_key_id)


async def clock(process: Process) -> dict[str, int]:
    _, text = await process.get("/twin/api/clock")
    told: dict[str, int] = json.loads(text)
    return told


async def test_an_integration_with_alipay_is_paid_and_the_books_outlive_a_restart(tmp_path: Path) -> None:
    async with open_shop(real_now_ms) as shop:
        async with twin(tmp_path) as first:
            client = await alipay(first, notify_url=shop.url)
            issued = await client.call("precreate", {"out_trade_no": "T1", "total_amount": "0.01", "subject": "tea"})
            paid = await first.post("/twin/api/pay", qr_code=issued.node["qr_code"])
            (heard,) = await shop.arrived(1)
            ended = await first.interrupt()

        async with twin(tmp_path) as second:
            asked = await (await alipay(second)).call("query", {"out_trade_no": "T1"})

        assert paid[0] == 200
        assert verified_notify(client.merchant, heard.fields)["trade_status"] == "TRADE_SUCCESS"
        assert ended == (0, "\nStopped. The books are kept.\n")
        assert (asked.node["trade_status"], asked.node["total_amount"]) == ("TRADE_SUCCESS", "0.01")
    assert "Traceback" not in (tmp_path / "twin.log").read_text()


async def test_an_integration_with_wechat_pay_is_paid_and_the_books_outlive_a_restart(tmp_path: Path) -> None:
    async with open_shop(real_now_ms) as shop:
        async with twin(tmp_path) as first:
            client = await wechat(first)
            account = client.merchant
            order = {
                "appid": account.appid,
                "mchid": account.mchid,
                "description": "tea",
                "out_trade_no": "T00001",
                "notify_url": shop.url,
                "amount": {"total": 1},
            }
            issued = await client.call("POST", NATIVE, order)
            paid = await first.post("/twin/api/pay", qr_code=issued.document["code_url"])
            (heard,) = await shop.arrived(1)
            ended = await first.interrupt(signal.SIGTERM)

        async with twin(tmp_path) as second:
            target = f"/v3/pay/transactions/out-trade-no/T00001?mchid={account.mchid}"
            asked = await (await wechat(second)).call("GET", target)

        assert paid[0] == 200
        verify_wechat(account, heard.headers, heard.body)
        assert opened(account, json.loads(heard.body)["resource"])["trade_state"] == "SUCCESS"
        assert ended[0] == 0
        assert (asked.document["trade_state"], asked.document["amount"]["total"]) == ("SUCCESS", 1)


async def test_the_start_page_of_the_twin_alone_is_the_phone(tmp_path: Path) -> None:
    async with twin(tmp_path) as process, process.http.get(process.base_url) as page:
        assert (page.status, page.url.path) == (200, "/twin/phone")


async def test_a_port_that_is_taken_is_a_plain_message(tmp_path: Path) -> None:
    async with twin(tmp_path / "one") as first:
        port = urlsplit(first.base_url).port

        code, said = await run("twin", "--port", str(port), "--data", str(tmp_path / "two"))

        assert code == 1
        assert "Not started" in said
        assert "Traceback" not in said


@pytest.mark.parametrize("command", [sandbox, twin], ids=["sandbox", "twin"])
async def test_how_far_the_clock_was_moved_outlives_a_restart(command: Any, tmp_path: Path) -> None:
    async with command(tmp_path) as first:
        await first.post("/twin/api/clock", advance_s=DAY_S)
        moved = await clock(first)
        await first.interrupt()

    async with command(tmp_path) as second:
        told = await clock(second)

    # A little less than a day: the real clock went on while things happened on the way.
    assert told["shift_ms"] == moved["shift_ms"] > (DAY_S - 60) * 1000
    assert told["now_ms"] > moved["now_ms"]


async def test_in_a_day_of_the_moved_clock_an_unaccepted_notification_is_sent_thirteen_times(tmp_path: Path) -> None:
    async with open_shop(real_now_ms) as shop, sandbox(tmp_path) as process:
        shop.usually = Answer(body=b"fail")
        order = await process.till.scan(notify_url=shop.url)
        await process.post("/twin/api/pay", qr_code=order.qr_code)
        await shop.arrived(1)

        began = time.monotonic()
        status, _ = await process.post("/twin/api/clock", advance_s=DAY_S)
        took_s = time.monotonic() - began

        _, text = await process.get(f"/test/api/status?app={process.till.app}&order_no={order.order_no}")
        (told,) = json.loads(text)["notifications"]
        assert status == 200
        assert took_s < ANSWER_S
        assert len(shop.heard) == len(WAITS_MS) + 1 == 13
        assert len({heard.body for heard in shop.heard}) == 1, "the same bytes each time"
        assert told["state"] == "DEAD"
        print(f"\na day took {took_s:.2f} s")
