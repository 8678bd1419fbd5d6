"""Alipay: QR codes and trades (channels A.7, A.8)."""

from pathlib import Path
from typing import Any

import pytest

from tests.twin.world import World, world

BIZ: dict[str, Any] = {"out_trade_no": "T1", "total_amount": "12.30", "subject": "茶"}


async def qr_code(w: World, **more: Any) -> str:
    answer = await w.alipay(notify_url=w.shop.url).call("precreate", BIZ | more)
    assert answer.node["code"] == "10000", answer.node
    return str(answer.node["qr_code"])


async def test_a_code_is_issued_and_no_trade_exists_before_the_scan(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        issued = await w.alipay().call("precreate", BIZ)

        asked = await w.alipay().call("query", {"out_trade_no": "T1"})

        assert issued.name == "alipay_trade_precreate_response"
        assert issued.sign
        assert issued.node["out_trade_no"] == "T1"
        assert issued.node["qr_code"].startswith("https://qr.alipay.com/bax")
        assert asked.sign
        assert asked.node == {
            "code": "40004",
            "msg": "Business Failed",
            "sub_code": "ACQ.TRADE_NOT_EXIST",
            "sub_msg": "交易不存在",
            "buyer_pay_amount": "0.00",
            "invoice_amount": "0.00",
            "point_amount": "0.00",
            "receipt_amount": "0.00",
            "out_trade_no": "T1",
        }


async def test_a_scanned_and_paid_code_is_a_successful_trade(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await qr_code(w, store_id="S1", passback_params="a%3Db")

        paid = await w.pay(code)

        node = (await w.alipay().call("query", {"out_trade_no": "T1"})).node
        assert paid["status"] == "TRADE_SUCCESS"
        assert paid["total_fen"] == 1230
        assert paid["wallet"] == "alipay"
        assert node["trade_no"] == paid["trade_no"]
        assert node["trade_status"] == "TRADE_SUCCESS"
        assert (node["total_amount"], node["receipt_amount"], node["buyer_pay_amount"]) == ("12.30", "12.30", "12.30")
        assert node["send_pay_date"] == "2026-11-23 12:00:00"
        assert node["fund_bill_list"] == [{"fund_channel": "ALIPAYACCOUNT", "amount": "12.30"}]
        assert node["store_id"] == "S1"
        assert node["passback_params"] == "a%3Db"
        assert node["buyer_user_id"].startswith("2088")


async def test_the_trade_number_finds_the_trade_and_wins_over_the_order_number(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        paid = await w.pay(await qr_code(w))

        asked = await w.alipay().call("query", {"trade_no": paid["trade_no"], "out_trade_no": "other"})

        assert asked.node["out_trade_no"] == "T1"


async def test_a_failed_payment_leaves_the_trade_waiting(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await qr_code(w)

        answer = await w.pay(code, result="fail", reason="wrong password")

        node = (await w.alipay().call("query", {"out_trade_no": "T1"})).node
        _, listed = await w.get("/api/trades?out_trade_no=T1")
        assert answer["status"] == "WAIT_BUYER_PAY"
        assert node["trade_status"] == "WAIT_BUYER_PAY"
        assert node["buyer_pay_amount"] == "0.00"
        assert "send_pay_date" not in node
        assert [a["reason"] for a in listed["trades"][0]["attempts"]] == ["wrong password"]
        assert w.shop.received == []


async def test_before_the_scan_the_same_number_may_ask_for_other_terms(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await qr_code(w)

        again = await qr_code(w, total_amount="9.99")

        assert (await w.pay(again))["total_fen"] == 999


@pytest.mark.parametrize(
    ("result", "more", "code"),
    [
        ("fail", {}, "10000"),
        ("fail", {"timeout_express": "5m"}, "10000"),
        ("fail", {"total_amount": "9.99"}, "ACQ.CONTEXT_INCONSISTENT"),
        ("success", {}, "ACQ.TRADE_HAS_SUCCESS"),
    ],
)
async def test_after_the_scan_a_further_code_depends_on_the_trade(
    tmp_path: Path, result: str, more: dict[str, Any], code: str
) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await w.pay(await qr_code(w), result=result)

        answer = await w.alipay(notify_url=w.shop.url).call("precreate", BIZ | more)

        assert answer.code == code


@pytest.mark.parametrize(
    ("more", "left_ms", "expected"),
    [
        ({}, 1, "paid"),
        ({}, 0, "CODE_EXPIRED"),
        ({"timeout_express": "1d"}, 1, "paid"),
        ({"timeout_express": "1d"}, 0, "CODE_EXPIRED"),
    ],
)
async def test_a_code_lives_two_hours_whatever_the_other_times_say(
    tmp_path: Path, more: dict[str, Any], left_ms: int, expected: str
) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await qr_code(w, **more)
        w.clock.advance(2 * 3_600_000 - left_ms)

        status, answer = await w.post("/api/pay", qr_code=code)

        assert (answer["error"]["code"] if status == 409 else "paid") == expected


@pytest.mark.parametrize(
    ("times", "life_s"),
    [
        ({"timeout_express": "5m"}, 300),
        ({"qr_code_timeout_express": "10m"}, 600),
        ({"time_expire": "2026-11-23 12:30:00"}, 1800),
        ({"time_expire": "2026-11-23 12:30:00", "timeout_express": "5m"}, 1800),
    ],
)
async def test_shorter_times_end_the_code_earlier(tmp_path: Path, times: dict[str, str], life_s: int) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await qr_code(w, **times)
        w.clock.advance(life_s * 1000)

        status, answer = await w.post("/api/pay", qr_code=code)

        assert (status, answer["error"]["code"]) == (409, "CODE_EXPIRED")


async def test_an_unpaid_trade_is_closed_in_silence_when_its_time_is_over(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await w.pay(await qr_code(w, timeout_express="5m"), result="fail")
        w.clock.advance(300_000)

        asked = await w.alipay().call("query", {"out_trade_no": "T1"})

        await w.twin.quiet()
        again = await w.alipay(notify_url=w.shop.url).call("precreate", BIZ)
        assert asked.node["trade_status"] == "TRADE_CLOSED"
        assert again.code == "ACQ.TRADE_HAS_CLOSE"
        assert w.shop.received == []


async def test_a_paid_trade_is_finished_after_a_year(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await w.pay(await qr_code(w))
        w.clock.advance(365 * 86_400_000)

        asked = await w.alipay().call("query", {"out_trade_no": "T1"})

        assert asked.node["trade_status"] == "TRADE_FINISHED"


async def test_the_trade_belongs_to_the_first_who_scans(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await qr_code(w)
        await w.pay(code, payer="Li", result="fail")

        status, answer = await w.post("/api/pay", qr_code=code, payer="Wang")

        assert (status, answer["error"]["code"]) == (409, "OTHER_PAYER")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"out_trade_no": ""}, "ACQ.INVALID_PARAMETER"),
        ({"out_trade_no": "A" * 64}, "10000"),
        ({"out_trade_no": "A" * 65}, "ACQ.INVALID_PARAMETER"),
        ({"out_trade_no": "A-1"}, "ACQ.INVALID_PARAMETER"),
        ({"total_amount": "0.01"}, "10000"),
        ({"total_amount": "0.00"}, "ACQ.INVALID_PARAMETER"),
        ({"total_amount": "1.001"}, "ACQ.INVALID_PARAMETER"),
        ({"total_amount": "100000000"}, "10000"),
        ({"total_amount": "100000000.01"}, "ACQ.INVALID_PARAMETER"),
        ({"total_amount": 0.01}, "10000"),
        ({"subject": "茶" * 256}, "10000"),
        ({"subject": "茶" * 257}, "ACQ.INVALID_PARAMETER"),
        ({"subject": "a=b"}, "ACQ.INVALID_PARAMETER"),
        ({"subject": 'a}b{"sign":"'}, "10000"),
        ({"timeout_express": "15d"}, "10000"),
        ({"timeout_express": "16d"}, "ACQ.INVALID_PARAMETER"),
        ({"timeout_express": "1c"}, "10000"),
        ({"timeout_express": "0m"}, "ACQ.INVALID_PARAMETER"),
        ({"time_expire": "2026-11-23 12:00:00"}, "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR"),
        ({"discountable_amount": "2.30", "undiscountable_amount": "10.00"}, "10000"),
        ({"discountable_amount": "2.30", "undiscountable_amount": "9.00"}, "ACQ.TOTAL_FEE_EXCEED"),
        ({"enable_pay_channels": "balance", "disable_pay_channels": "credit"}, "ACQ.INVALID_PARAMETER"),
        ({"goods_detail": [{"goods_id": "1", "goods_name": "n", "quantity": 1, "price": "1.00"}]}, "10000"),
        ({"goods_detail": [{"goods_id": "1", "goods_name": "n", "quantity": 1}]}, "ACQ.INVALID_PARAMETER"),
        ({"seller_id": "2088000000000000"}, "ACQ.INVALID_RECEIVE_ACCOUNT"),
        ({"passback_params": "x" * 513}, "ACQ.INVALID_PARAMETER"),
    ],
)
async def test_fields_are_checked_at_their_limits(tmp_path: Path, more: dict[str, Any], code: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await w.alipay().call("precreate", BIZ | more)

        assert answer.code == code


async def test_trades_and_codes_outlive_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await qr_code(w)
        app_id = w.twin.alipay_merchant().app_id

    async with world(tmp_path / "twin.sqlite3") as w:
        paid = await w.pay(code)

        assert paid["out_trade_no"] == "T1"
        assert w.twin.alipay_merchant().app_id == app_id
