"""WeChat Pay: native orders and queries (channels B.4, B.5)."""

from pathlib import Path
from typing import Any

import pytest

from tests.twin.world import World, world

NATIVE = "/v3/pay/transactions/native"


def order(w: World, **more: Any) -> dict[str, Any]:
    merchant = w.twin.wechat_merchant()
    return {
        "appid": merchant.appid,
        "mchid": merchant.mchid,
        "description": "茶",
        "out_trade_no": "T00001",
        "notify_url": w.shop.url,
        "amount": {"total": 1230, "currency": "CNY"},
    } | more


async def code_url(w: World, **more: Any) -> str:
    answer = await w.wechat().call("POST", NATIVE, order(w, **more))
    assert answer.status == 200, answer.body
    return str(answer.document["code_url"])


def by_order(w: World, out_trade_no: str = "T00001") -> str:
    return f"/v3/pay/transactions/out-trade-no/{out_trade_no}?mchid={w.twin.wechat_merchant().mchid}"


async def test_an_order_exists_at_once_and_waits(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await code_url(w, attach="a,b")

        asked = await w.wechat().call("GET", by_order(w))

        merchant = w.twin.wechat_merchant()
        assert code.startswith("weixin://wxpay/bizpayurl?pr=")
        assert asked.document == {
            "appid": merchant.appid,
            "mchid": merchant.mchid,
            "out_trade_no": "T00001",
            "trade_state": "NOTPAY",
            "trade_state_desc": "订单未支付",
            "amount": {"total": 1230, "currency": "CNY"},
            "attach": "a,b",
        }


async def test_a_paid_order_tells_who_paid_what_and_when(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        paid = await w.pay(await code_url(w, scene_info={"payer_client_ip": "10.0.0.1", "device_id": "D1"}))

        asked = (await w.wechat().call("GET", by_order(w))).document

        target = f"/v3/pay/transactions/id/{paid['trade_no']}?mchid={w.twin.wechat_merchant().mchid}"
        by_number = (await w.wechat().call("GET", target)).document
        assert paid["status"] == "SUCCESS"
        assert asked == by_number
        assert asked["trade_state"] == "SUCCESS"
        assert asked["trade_type"] == "NATIVE"
        assert asked["transaction_id"] == paid["trade_no"]
        assert len(asked["transaction_id"]) == 28
        assert asked["success_time"] == "2026-11-23T12:00:00+08:00"
        assert asked["amount"] == {"total": 1230, "currency": "CNY", "payer_total": 1230, "payer_currency": "CNY"}
        assert len(asked["payer"]["openid"]) == 28
        assert asked["scene_info"] == {"device_id": "D1"}


async def test_a_failed_payment_leaves_the_order_unpaid(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await w.pay(await code_url(w), result="fail", reason="no money")

        asked = await w.wechat().call("GET", by_order(w))

        assert answer["status"] == "NOTPAY"
        assert asked.document["trade_state"] == "NOTPAY"
        assert w.shop.received == []


@pytest.mark.parametrize("target", ["out-trade-no/NOSUCH1", "id/4200000000000000000000000000"])
async def test_what_does_not_exist_is_not_found(tmp_path: Path, target: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        mchid = w.twin.wechat_merchant().mchid

        asked = await w.wechat().call("GET", f"/v3/pay/transactions/{target}?mchid={mchid}")

        assert (asked.status, asked.code) == (404, "ORDER_NOT_EXIST")
        assert asked.headers["request-id"].endswith("268512771")


async def test_a_percent_encoded_order_number_is_signed_as_sent(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await code_url(w, out_trade_no="T|0*01")

        asked = await w.wechat().call("GET", by_order(w, "T%7C0%2A01"))

        assert asked.document["out_trade_no"] == "T|0*01"


async def test_the_same_order_again_gives_a_new_code_and_kills_the_old(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        old = await code_url(w)
        new = await code_url(w, time_expire="2026-11-23T13:00:00+08:00")

        status, answer = await w.post("/api/pay", qr_code=old)

        assert (status, answer["error"]["code"]) == (409, "CODE_REPLACED")
        assert (await w.pay(new))["status"] == "SUCCESS"


async def test_another_order_under_the_same_number_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await code_url(w)

        answer = await w.wechat().call("POST", NATIVE, order(w, amount={"total": 1}))

        assert (answer.status, answer.code) == (403, "OUT_TRADE_NO_USED")
        assert answer.headers["request-id"].endswith("268498688")


async def test_a_paid_order_cannot_be_ordered_again(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await w.pay(await code_url(w))

        answer = await w.wechat().call("POST", NATIVE, order(w))

        assert (answer.status, answer.code) == (400, "ORDERPAID")


@pytest.mark.parametrize(
    ("time_expire", "life_s"),
    [
        ("2026-11-23T12:00:30+08:00", 60),
        ("2026-11-23T12:10:00+08:00", 600),
        ("2027-11-23T12:00:00+08:00", 90 * 86_400),
        (None, 7 * 86_400),
    ],
)
async def test_an_order_closes_in_silence_when_its_time_is_over(
    tmp_path: Path, time_expire: str | None, life_s: int
) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await code_url(w, **({"time_expire": time_expire} if time_expire else {}))
        w.clock.advance(life_s * 1000 - 1)
        before = await w.wechat().call("GET", by_order(w))
        w.clock.advance(1)

        after = await w.wechat().call("GET", by_order(w))

        again = await w.wechat().call("POST", NATIVE, order(w))
        assert (before.document["trade_state"], after.document["trade_state"]) == ("NOTPAY", "CLOSED")
        assert (again.status, again.code) == (400, "ORDER_CLOSED")
        assert w.shop.received == []


@pytest.mark.parametrize(("left_ms", "expected"), [(1, "paid"), (0, "CODE_EXPIRED")])
async def test_a_code_lives_two_hours(tmp_path: Path, left_ms: int, expected: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await code_url(w)
        w.clock.advance(2 * 3_600_000 - left_ms)

        status, answer = await w.post("/api/pay", qr_code=code)

        assert (answer["error"]["code"] if status == 409 else "paid") == expected


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"out_trade_no": "A" * 5}, 400, "PARAM_ERROR"),
        ({"out_trade_no": "A" * 6}, 200, ""),
        ({"out_trade_no": "A" * 32}, 200, ""),
        ({"out_trade_no": "A" * 33}, 400, "PARAM_ERROR"),
        ({"out_trade_no": "A中00000"}, 400, "PARAM_ERROR"),
        ({"description": "茶" * 127}, 200, ""),
        ({"description": "茶" * 128}, 400, "PARAM_ERROR"),
        ({"description": ""}, 400, "PARAM_ERROR"),
        ({"description": "🍵"}, 400, "PARAM_ERROR"),
        ({"attach": None}, 400, "PARAM_ERROR"),
        ({"attach": "x" * 128}, 200, ""),
        ({"attach": "x" * 129}, 400, "PARAM_ERROR"),
        ({"amount": {"total": 0}}, 400, "PARAM_ERROR"),
        ({"amount": {"total": "1"}}, 400, "PARAM_ERROR"),
        ({"amount": {"total": 1, "currency": "USD"}}, 400, "PARAM_ERROR"),
        ({"notify_url": "http://a.example/x?y=1"}, 400, "PARAM_ERROR"),
        ({"notify_url": "/x"}, 400, "PARAM_ERROR"),
        ({"notify_url": "http://a.example/" + "x" * 239}, 400, "PARAM_ERROR"),
        ({"time_expire": "2026-11-23 13:00:00"}, 400, "PARAM_ERROR"),
        ({"time_expire": "2026-11-23T11:00:00+08:00"}, 400, "PARAM_ERROR"),
        ({"scene_info": {"device_id": "D"}}, 400, "PARAM_ERROR"),
        ({"detail": {"goods_detail": [{"merchant_goods_id": "1", "quantity": 1, "unit_price": 2}]}}, 200, ""),
        ({"detail": {"goods_detail": [{"merchant_goods_id": "1", "quantity": 1}]}}, 400, "PARAM_ERROR"),
        ({"mchid": "1600000000"}, 400, "PARAM_ERROR"),
        ({"appid": "wx0000000000000000"}, 400, "APPID_MCHID_NOT_MATCH"),
    ],
)
async def test_fields_are_checked_at_their_limits(tmp_path: Path, more: dict[str, Any], status: int, code: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await w.wechat().call("POST", NATIVE, order(w, **more))

        assert (answer.status, answer.document.get("code", "")) == (status, code)
