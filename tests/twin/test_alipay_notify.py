"""Alipay: callbacks and their repeats (channels A.15)."""

from pathlib import Path
from typing import Any

import pytest

from tests.twin.clients import verified_notify
from tests.twin.world import World, world

BIZ: dict[str, Any] = {"out_trade_no": "T1", "total_amount": "12.30", "subject": "茶", "body": "绿茶"}
GAPS_S = [240, 600, 600, 3600, 7200, 21_600, 54_000]


async def paid(w: World, **more: Any) -> dict[str, Any]:
    answer = await w.alipay(notify_url=w.shop.url + "/alipay").call("precreate", BIZ | more)
    return await w.pay(answer.node["qr_code"])


async def test_a_payment_is_announced_once_it_happened(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        trade = await paid(w, passback_params="x%3D1")

        (callback,) = w.shop.received
        content = verified_notify(w.twin.alipay_merchant(), callback.form())
        merchant = w.twin.alipay_merchant()
        assert callback.path == "/shop/alipay"
        assert callback.headers["content-type"].startswith("application/x-www-form-urlencoded")
        assert callback.form()["sign_type"] == "RSA2"
        assert "" not in content.values()
        expected = {
            "notify_type": "trade_status_sync",
            "notify_time": "2026-11-23 12:00:00",
            "charset": "utf-8",
            "version": "1.0",
            "app_id": merchant.app_id,
            "auth_app_id": merchant.app_id,
            "seller_id": merchant.seller_id,
            "trade_no": trade["trade_no"],
            "out_trade_no": "T1",
            "trade_status": "TRADE_SUCCESS",
            "total_amount": "12.30",
            "receipt_amount": "12.30",
            "buyer_pay_amount": "12.30",
            "subject": "茶",
            "body": "绿茶",
            "gmt_create": "2026-11-23 12:00:00",
            "gmt_payment": "2026-11-23 12:00:00",
            "fund_bill_list": '[{"amount":"12.30","fundChannel":"ALIPAYACCOUNT"}]',
            "passback_params": "x%3D1",
        }
        assert {name: content[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"fail"), (200, b"success\n"), (200, b"SUCCESS"), (200, b""), (302, b"success"), (500, b"success")],
)
async def test_anything_but_exactly_success_is_repeated(tmp_path: Path, status: int, body: bytes) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        w.shop.answers = [(status, body)]
        await paid(w)
        w.clock.advance(GAPS_S[0] * 1000)

        await w.twin.quiet()

        assert len(w.shop.received) == 2


async def test_repeats_follow_the_schedule_and_then_end(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        w.shop.answers = [(200, b"fail")] * 9
        await paid(w)
        for number, gap_s in enumerate(GAPS_S, start=1):
            w.clock.advance(gap_s * 1000 - 1)
            await w.twin.quiet()
            assert len(w.shop.received) == number, "not a moment too early"
            w.clock.advance(1)
            await w.twin.quiet()
            assert len(w.shop.received) == number + 1

        w.clock.advance(30 * 86_400_000)
        await w.twin.quiet()

        _, listed = await w.get("/api/trades")
        forms = [verified_notify(w.twin.alipay_merchant(), callback.form()) for callback in w.shop.received]
        assert len(forms) == 8
        assert len({form["notify_id"] for form in forms}) == 1
        assert len({form["notify_time"] for form in forms}) == 8
        assert listed["trades"][0]["callbacks"][0]["state"] == "GIVEN_UP"


async def test_success_ends_the_repeats(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await paid(w)
        w.clock.advance(2 * 86_400_000)

        await w.twin.quiet()

        _, listed = await w.get("/api/trades")
        assert len(w.shop.received) == 1
        assert listed["trades"][0]["callbacks"] == [
            {
                "kind": "pay",
                "state": "DONE",
                "sent": 1,
                "due_at": "2026-11-23T12:00:00+08:00",
                "last_answer": "200 success",
            }
        ]


async def test_without_a_notify_url_nothing_is_sent(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await w.alipay().call("precreate", BIZ)

        await w.pay(answer.node["qr_code"])

        assert w.shop.received == []


async def test_a_callback_that_was_due_is_sent_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        dead = "http://127.0.0.1:9/"
        answer = await w.alipay(notify_url=dead).call("precreate", BIZ)
        await w.pay(answer.node["qr_code"])
        now_ms = w.clock.now_ms()

    async with world(tmp_path / "twin.sqlite3", now_ms=now_ms + 240_000) as w:
        await w.twin.quiet()

        _, listed = await w.get("/api/trades")
        (callback,) = listed["trades"][0]["callbacks"]
        assert callback["sent"] == 2
        assert callback["last_answer"].startswith("NotSent")
