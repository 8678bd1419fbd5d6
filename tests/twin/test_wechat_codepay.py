"""WeChat Pay: payment by code and its reversal (channels B.10)."""

from pathlib import Path
from typing import Any

import pytest

from tests.twin.clients import WechatAnswer
from tests.twin.test_wechat_trades import by_order, code_url, order
from tests.twin.world import World, world

PAYS = "131234567890123456"
ASKS_PASSWORD = "131234567890120001"
LACKS_MONEY = "131234567890120002"
LEAVES_UNKNOWN = "131234567890120003"


async def charge(w: World, auth_code: str = PAYS, **more: Any) -> WechatAnswer:
    scene = {"store_info": {"id": "S1"}, "device_id": "D1"}
    document = order(w, payer={"auth_code": auth_code}, scene_info=scene, **more)
    document.pop("notify_url")
    return await w.wechat().call("POST", "/v3/pay/transactions/codepay", document)


async def state(w: World) -> str:
    return str((await w.wechat().call("GET", by_order(w))).document["trade_state"])


async def reverse(w: World) -> WechatAnswer:
    merchant = w.twin.wechat_merchant()
    target = "/v3/pay/transactions/out-trade-no/T00001/reverse"
    return await w.wechat().call("POST", target, {"appid": merchant.appid, "mchid": merchant.mchid})


async def test_most_payers_pay_at_once_and_no_callback_tells_of_it(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await charge(w)

        await w.twin.quiet()
        assert answer.status == 200
        assert (answer.document["trade_state"], answer.document["trade_type"]) == ("SUCCESS", "MICROPAY")
        assert answer.document["scene_info"] == {"device_id": "D1"}
        assert await state(w) == "SUCCESS"
        assert w.shop.received == []


@pytest.mark.parametrize(("result", "expected"), [("success", "SUCCESS"), ("fail", "PAYERROR")])
async def test_a_code_ending_0001_asks_for_the_password(tmp_path: Path, result: str, expected: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        asked = await charge(w, ASKS_PASSWORD)
        before = await state(w)

        await w.post("/api/password", out_trade_no="T00001", result=result)

        assert (asked.status, asked.document["trade_state"], before) == (200, "USERPAYING", "USERPAYING")
        assert await state(w) == expected


@pytest.mark.parametrize(
    ("auth_code", "status", "code", "then"),
    [(LACKS_MONEY, 403, "NOT_ENOUGH", "PAYERROR"), (LEAVES_UNKNOWN, 500, "SYSTEM_ERROR", "SUCCESS")],
)
async def test_codes_that_do_not_simply_pay(tmp_path: Path, auth_code: str, status: int, code: str, then: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await charge(w, auth_code)

        assert (answer.status, answer.code) == (status, code)
        assert await state(w) == then


@pytest.mark.parametrize(
    ("auth_code", "status"),
    [
        ("10" + "1" * 16, 200),
        ("15" + "1" * 16, 200),
        ("16" + "1" * 16, 400),
        ("10" + "1" * 15, 400),
        ("10" + "1" * 17, 400),
        ("", 400),
    ],
)
async def test_codes_have_a_shape(tmp_path: Path, auth_code: str, status: int) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await charge(w, auth_code)

        assert answer.status == status


async def test_a_charged_order_is_not_charged_twice(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await charge(w)

        again = await charge(w)

        assert (again.status, again.code) == (400, "ORDERPAID")


@pytest.mark.parametrize(("auth_code", "refunded"), [(PAYS, [1230]), (ASKS_PASSWORD, []), (LACKS_MONEY, [])])
async def test_a_reversal_ends_the_order_and_returns_what_was_paid(
    tmp_path: Path, auth_code: str, refunded: list[int]
) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await charge(w, auth_code)

        first = await reverse(w)

        again = await reverse(w)
        _, listed = await w.get("/api/trades")
        assert (first.status, again.status) == (200, 200)
        assert first.document["out_trade_no"] == "T00001"
        assert await state(w) == "REVOKED"
        assert [refund["amount_fen"] for refund in listed["trades"][0]["refunds"]] == refunded


async def test_only_payments_by_code_are_reversed_and_only_the_others_closed(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await code_url(w)
        await charge(w, ASKS_PASSWORD, out_trade_no="T00002")
        mchid = w.twin.wechat_merchant().mchid

        reversal = await reverse(w)
        closing = await w.wechat().call("POST", "/v3/pay/transactions/out-trade-no/T00002/close", {"mchid": mchid})

        assert (reversal.status, reversal.code) == (400, "INVALID_REQUEST")
        assert (closing.status, closing.code) == (400, "INVALID_REQUEST")
