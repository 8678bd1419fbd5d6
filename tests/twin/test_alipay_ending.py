"""Alipay: close and cancel (channels A.9, A.10)."""

from pathlib import Path
from typing import Any

import pytest

from tests.twin.test_alipay_barcode import ASKS_PASSWORD, charge, status
from tests.twin.test_alipay_trades import qr_code
from tests.twin.world import World, world

NAMED = {"out_trade_no": "T1"}


async def brought_to(w: World, state: str) -> str:
    """The trade T1 in a state; its QR code."""
    code = await qr_code(w)
    if state in ("waiting", "closed"):
        await w.pay(code, result="fail")
    if state in ("paid", "refunded"):
        await w.pay(code)
    if state == "closed":
        await w.alipay().call("close", NAMED)
    if state == "refunded":
        await w.alipay().call("refund", NAMED | {"refund_amount": "12.30"})
    await w.twin.quiet()
    w.shop.received.clear()
    return code


@pytest.mark.parametrize(
    ("state", "code", "then"),
    [
        ("unscanned", "ACQ.TRADE_NOT_EXIST", "None"),
        ("waiting", "10000", "TRADE_CLOSED"),
        ("closed", "ACQ.REASON_TRADE_STATUS_INVALID", "TRADE_CLOSED"),
        ("paid", "ACQ.TRADE_STATUS_ERROR", "TRADE_SUCCESS"),
    ],
)
async def test_only_waiting_trades_are_closed_and_nobody_is_told(
    tmp_path: Path, state: str, code: str, then: str
) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await brought_to(w, state)

        answer = await w.alipay(notify_url=w.shop.url).call("close", NAMED)

        await w.twin.quiet()
        assert answer.code == code
        assert await status(w) == then
        assert w.shop.received == []


async def test_a_closed_trade_cannot_be_paid(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await brought_to(w, "closed")

        answer = await w.post("/api/pay", qr_code=code)

        assert (answer[0], answer[1]["error"]["code"]) == (409, "TRADE_CLOSED")


async def test_a_payment_waiting_for_the_password_can_be_closed(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await charge(w, ASKS_PASSWORD)

        answer = await w.alipay().call("close", NAMED)

        code, _ = await w.post("/api/password", out_trade_no="T1")
        assert (answer.code, code) == ("10000", 404)


@pytest.mark.parametrize(
    ("state", "action", "then", "callbacks"),
    [
        ("unscanned", None, "None", 0),
        ("waiting", "close", "TRADE_CLOSED", 0),
        ("closed", "close", "TRADE_CLOSED", 0),
        ("paid", "refund", "TRADE_CLOSED", 1),
        ("refunded", "refund", "TRADE_CLOSED", 0),
    ],
)
async def test_cancel_closes_what_is_unpaid_and_refunds_what_is_paid(
    tmp_path: Path, state: str, action: str | None, then: str, callbacks: int
) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await brought_to(w, state)

        answer = await w.alipay().call("cancel", NAMED)

        await w.twin.quiet()
        assert answer.code == "10000"
        assert answer.node.get("action") == action
        assert answer.node["retry_flag"] == "N"
        assert ("trade_no" in answer.node) == (state != "unscanned")
        assert await status(w) == then
        assert len(w.shop.received) == callbacks


async def test_cancel_does_not_kill_a_code_nobody_scanned(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await brought_to(w, "unscanned")
        await w.alipay().call("cancel", NAMED)

        paid = await w.pay(code)

        assert paid["status"] == "TRADE_SUCCESS"


async def test_cancel_by_an_unknown_trade_number_is_a_failure(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await w.alipay().call("cancel", {"trade_no": "2026112322001000000000000000"})

        assert answer.code == "ACQ.TRADE_NOT_EXIST"


async def test_cancel_after_a_part_refund_returns_the_rest(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await brought_to(w, "paid")
        part: dict[str, Any] = {"refund_amount": "2.30", "out_request_no": "R1"}
        await w.alipay().call("refund", NAMED | part)

        await w.alipay().call("cancel", NAMED)

        _, listed = await w.get("/api/trades")
        assert listed["trades"][0]["refunded_fen"] == 1230
        assert [refund["amount_fen"] for refund in listed["trades"][0]["refunds"]] == [230, 1000]


@pytest.mark.parametrize(("passed_ms", "code"), [(86_400_000, "10000"), (86_400_001, "ACQ.TRADE_CANCEL_TIME_OUT")])
async def test_cancel_works_within_a_day(tmp_path: Path, passed_ms: int, code: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await brought_to(w, "paid")
        w.clock.advance(passed_ms)

        answer = await w.alipay().call("cancel", NAMED)

        assert answer.code == code


async def test_a_finished_trade_cannot_be_cancelled(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await brought_to(w, "paid")
        w.clock.advance(366 * 86_400_000)

        answer = await w.alipay().call("cancel", NAMED)

        assert answer.code == "ACQ.TRADE_HAS_FINISHED"
