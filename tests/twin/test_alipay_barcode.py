"""Alipay: the seller reads the payer's code (channels A.13)."""

from pathlib import Path
from typing import Any

import pytest

from tests.twin.clients import AlipayAnswer, verified_notify
from tests.twin.world import World, world

PAYS = "281234567890123456"
ASKS_PASSWORD = "281234567890120001"
LACKS_MONEY = "281234567890120002"
LEAVES_UNKNOWN = "281234567890120003"
BIZ: dict[str, Any] = {"out_trade_no": "T1", "total_amount": "12.30", "subject": "茶", "scene": "bar_code"}


async def charge(w: World, auth_code: str = PAYS, **more: Any) -> AlipayAnswer:
    return await w.alipay(notify_url=w.shop.url).call("pay", BIZ | {"auth_code": auth_code} | more)


async def status(w: World) -> str:
    return str((await w.alipay().call("query", {"out_trade_no": "T1"})).node.get("trade_status"))


async def test_most_payers_pay_at_once(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await charge(w)

        await w.twin.quiet()
        (callback,) = w.shop.received
        assert answer.node["code"] == "10000"
        assert answer.node["out_trade_no"] == "T1"
        assert answer.node["total_amount"] == "12.30"
        assert answer.node["receipt_amount"] == "12.30"
        assert answer.node["gmt_payment"] == "2026-11-23 12:00:00"
        assert answer.node["fund_bill_list"] == [{"fund_channel": "ALIPAYACCOUNT", "amount": "12.30"}]
        assert await status(w) == "TRADE_SUCCESS"
        content = verified_notify(w.twin.alipay_merchant(), callback.form())
        assert content["trade_no"] == answer.node["trade_no"]


@pytest.mark.parametrize(("result", "expected"), [("success", "TRADE_SUCCESS"), ("fail", "WAIT_BUYER_PAY")])
async def test_a_code_ending_0001_asks_for_the_password(tmp_path: Path, result: str, expected: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        asked = await charge(w, ASKS_PASSWORD)
        before = await status(w)

        code, answer = await w.post("/api/password", out_trade_no="T1", result=result)

        assert (asked.node["code"], asked.node["msg"]) == ("10003", "order success pay inprocess")
        assert before == "WAIT_BUYER_PAY"
        assert (code, answer["status"]) == (200, expected)
        assert await status(w) == expected


async def test_asking_again_while_the_password_is_typed_changes_nothing(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        first = await charge(w, ASKS_PASSWORD)

        again = await charge(w, ASKS_PASSWORD)

        assert (again.node["code"], again.node["trade_no"]) == ("10003", first.node["trade_no"])


async def test_a_code_ending_0002_lacks_money_and_another_code_may_follow(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        failed = await charge(w, LACKS_MONEY)
        before = await status(w)

        again = await charge(w, PAYS)

        assert failed.code == "ACQ.BUYER_BALANCE_NOT_ENOUGH"
        assert failed.sign
        assert before == "WAIT_BUYER_PAY"
        assert again.code == "10000"


async def test_a_code_ending_0003_pays_but_the_answer_leaves_it_unknown(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await charge(w, LEAVES_UNKNOWN)

        assert answer.node["code"] == "20000"
        assert answer.code == "isp.unknow-error"
        assert await status(w) == "TRADE_SUCCESS"


async def test_a_charged_order_is_not_charged_twice(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await charge(w)

        again = await charge(w, "289999999999999999")

        assert again.code == "ACQ.TRADE_HAS_SUCCESS"


@pytest.mark.parametrize(
    ("auth_code", "code"),
    [
        ("25" + "1" * 14, "10000"),
        ("30" + "1" * 22, "10000"),
        ("25" + "1" * 13, "ACQ.PAYMENT_AUTH_CODE_INVALID"),
        ("30" + "1" * 23, "ACQ.PAYMENT_AUTH_CODE_INVALID"),
        ("24" + "1" * 16, "ACQ.PAYMENT_AUTH_CODE_INVALID"),
        ("31" + "1" * 16, "ACQ.PAYMENT_AUTH_CODE_INVALID"),
        ("fp" + "a" * 33, "10000"),
        ("", "ACQ.PAYMENT_AUTH_CODE_INVALID"),
    ],
)
async def test_codes_have_a_shape(tmp_path: Path, auth_code: str, code: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await charge(w, auth_code)

        assert answer.code == code


async def test_a_password_nobody_asked_for_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await charge(w)

        code, answer = await w.post("/api/password", out_trade_no="T1")

        assert (code, answer["error"]["code"]) == (404, "NO_PASSWORD_ASKED")
