"""Faults of callbacks: late, never, twice, spoiled."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

from tests.twin.clients import opened, verified_notify, verify_wechat
from tests.twin.test_alipay_trades import qr_code
from tests.twin.test_wechat_trades import code_url
from tests.twin.world import Received, World, world

ALIPAY, WECHAT = "alipay", "wechat"
WALLETS = pytest.mark.parametrize("wallet", [ALIPAY, WECHAT])
FIRST_GAP_MS = {ALIPAY: 240_000, WECHAT: 15_000}


@asynccontextmanager
async def paid(folder: Path, wallet: str, fault: str, **more: Any) -> AsyncIterator[World]:
    """A payment was made on a bad day; its callback is due."""
    async with world(folder / "twin.sqlite3") as w:
        status, answer = await w.post("/api/faults", wallet=wallet, operation="callback", fault=fault, **more)
        assert status == 200, answer
        await w.pay(await (qr_code(w) if wallet == ALIPAY else code_url(w)))
        yield w


def verified(w: World, wallet: str, callback: Received) -> dict[str, Any]:
    """The content of a callback. Raises InvalidSignature."""
    if wallet == ALIPAY:
        return dict(verified_notify(w.twin.alipay_merchant(), callback.form()))
    verify_wechat(w.twin.wechat_merchant(), callback.headers, callback.body)
    return opened(w.twin.wechat_merchant(), callback.document()["resource"])


@WALLETS
async def test_a_callback_may_come_twice(tmp_path: Path, wallet: str) -> None:
    async with paid(tmp_path, wallet, "callback_twice") as w:
        first, second = w.shop.received

        assert verified(w, wallet, first) == verified(w, wallet, second)


@WALLETS
async def test_a_callback_may_come_late(tmp_path: Path, wallet: str) -> None:
    async with paid(tmp_path, wallet, "callback_late", delay_s=90) as w:
        before = len(w.shop.received)
        w.clock.advance(90_000)

        await w.twin.quiet()

        assert (before, len(w.shop.received)) == (0, 1)


@WALLETS
async def test_a_callback_may_never_come(tmp_path: Path, wallet: str) -> None:
    async with paid(tmp_path, wallet, "callback_never") as w:
        w.clock.advance(30 * 86_400_000)

        await w.twin.quiet()

        _, listed = await w.get("/api/trades")
        assert w.shop.received == []
        assert [callback["state"] for callback in listed["trades"][0]["callbacks"]] == ["NEVER"]


@WALLETS
@pytest.mark.parametrize("fault", ["bad_signature", "unsigned", "truncated"])
async def test_a_callback_that_cannot_be_verified_is_followed_by_the_genuine_one(
    tmp_path: Path, wallet: str, fault: str
) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        w.shop.answers = [(401, b'{"code":"FAIL"}')]
        await w.post("/api/faults", wallet=wallet, operation="callback", fault=fault)
        await w.pay(await (qr_code(w) if wallet == ALIPAY else code_url(w)))
        w.clock.advance(FIRST_GAP_MS[wallet])

        await w.twin.quiet()

        forged, genuine = w.shop.received
        with pytest.raises((InvalidSignature, KeyError, ValueError)):
            verified(w, wallet, forged)
        assert verified(w, wallet, genuine)


@WALLETS
async def test_a_well_signed_callback_may_tell_of_another_amount(tmp_path: Path, wallet: str) -> None:
    async with paid(tmp_path, wallet, "wrong_amount") as w:
        content = verified(w, wallet, w.shop.received[0])

        assert (content["total_amount"] if wallet == ALIPAY else content["amount"]["total"]) in ("12.31", 1231)


@WALLETS
async def test_a_well_signed_callback_may_be_somebody_elses(tmp_path: Path, wallet: str) -> None:
    async with paid(tmp_path, wallet, "wrong_app") as w:
        content = verified(w, wallet, w.shop.received[0])

        merchant = w.twin.alipay_merchant()
        if wallet == ALIPAY:
            assert content["app_id"] != merchant.app_id
            assert content["seller_id"] != merchant.seller_id
        else:
            assert content["mchid"] != w.twin.wechat_merchant().mchid


@WALLETS
async def test_a_callback_may_be_an_hour_old(tmp_path: Path, wallet: str) -> None:
    async with paid(tmp_path, wallet, "clock_skew") as w:
        (callback,) = w.shop.received

        verified(w, wallet, callback)
        if wallet == ALIPAY:
            assert callback.form()["notify_time"] == "2026-11-23 11:00:00"
        else:
            assert int(callback.headers["wechatpay-timestamp"]) == w.clock.now_ms() // 1000 - 3600


async def test_a_callback_may_be_signed_with_the_other_key(tmp_path: Path) -> None:
    async with paid(tmp_path, WECHAT, "key_rotated") as w:
        (callback,) = w.shop.received

        verified(w, WECHAT, callback)
        assert callback.headers["wechatpay-serial"] == w.twin.wechat_merchant().platform_certificate_serial


async def test_alipays_callback_may_be_signed_with_its_next_key(tmp_path: Path) -> None:
    async with paid(tmp_path, ALIPAY, "key_rotated") as w:
        with pytest.raises(InvalidSignature):
            verified(w, ALIPAY, w.shop.received[0])


async def test_faults_of_refund_callbacks_leave_payments_alone(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await w.post("/api/faults", wallet=ALIPAY, operation="refund_callback", fault="callback_never")
        await w.pay(await qr_code(w))
        await w.alipay().call("refund", {"out_trade_no": "T1", "refund_amount": "12.30"})

        await w.twin.quiet()

        _, listed = await w.get("/api/trades")
        assert [(one["kind"], one["state"]) for one in listed["trades"][0]["callbacks"]] == [
            ("pay", "DONE"),
            ("refund", "NEVER"),
        ]
