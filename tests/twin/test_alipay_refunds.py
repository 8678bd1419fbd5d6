"""Alipay: refunds, their query and their callbacks (channels A.11, A.12, A.15)."""

from pathlib import Path
from typing import Any

import pytest

from tests.twin.clients import AlipayAnswer, verified_notify
from tests.twin.test_alipay_ending import brought_to
from tests.twin.world import World, world


async def refund(w: World, amount: str, number: str = "", **more: Any) -> AlipayAnswer:
    biz = {"out_trade_no": "T1", "refund_amount": amount} | ({"out_request_no": number} if number else {})
    return await w.alipay().call("refund", biz | more)


async def refund_query(w: World, number: str, **more: Any) -> dict[str, Any]:
    biz = {"out_trade_no": "T1", "out_request_no": number} | more
    return (await w.alipay().call("alipay.trade.fastpay.refund.query", biz)).node


async def test_parts_add_up_and_the_answer_tells_the_sum(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await brought_to(w, "paid")
        first = await refund(w, "2.30", "R1")

        second = await refund(w, "4.00", "R2", refund_reason="坏了")

        query = (await w.alipay().call("query", {"out_trade_no": "T1"})).node
        assert (first.node["fund_change"], first.node["refund_fee"]) == ("Y", "2.30")
        assert (second.node["fund_change"], second.node["refund_fee"]) == ("Y", "6.30")
        assert (first.node["send_back_fee"], second.node["send_back_fee"]) == ("2.30", "4.00")
        assert second.node["gmt_refund_pay"] == "2026-11-23 12:00:00"
        assert query["trade_status"] == "TRADE_SUCCESS"


async def test_the_same_request_again_moves_no_money_and_says_so(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await brought_to(w, "paid")
        await refund(w, "2.30", "R1")
        await refund(w, "1.00", "R2")

        again = await refund(w, "2.30", "R1")

        assert (again.node["code"], again.node["fund_change"], again.node["refund_fee"]) == ("10000", "N", "3.30")


@pytest.mark.parametrize(
    ("state", "amount", "number", "code"),
    [
        ("paid", "12.30", "", "10000"),
        ("paid", "12.29", "", "ACQ.INVALID_PARAMETER"),
        ("paid", "12.31", "R2", "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"),
        ("paid", "0", "R2", "ACQ.INVALID_PARAMETER"),
        ("paid", "1.001", "R2", "ACQ.INVALID_PARAMETER"),
        ("paid", "1.00", "R" * 64, "10000"),
        ("paid", "1.00", "R" * 65, "ACQ.INVALID_PARAMETER"),
        ("unscanned", "1.00", "R2", "ACQ.TRADE_NOT_EXIST"),
        ("waiting", "1.00", "R2", "ACQ.TRADE_STATUS_ERROR"),
        ("closed", "1.00", "R2", "ACQ.TRADE_STATUS_ERROR"),
        ("refunded", "1.00", "R2", "ACQ.TRADE_HAS_CLOSE"),
        ("refunded", "12.30", "", "10000"),
    ],
)
async def test_what_can_be_refunded(tmp_path: Path, state: str, amount: str, number: str, code: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await brought_to(w, state)

        answer = await refund(w, amount, number)

        assert answer.code == code


async def test_the_same_number_with_another_amount_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await brought_to(w, "paid")
        await refund(w, "2.30", "R1")

        answer = await refund(w, "2.31", "R1")

        assert answer.code == "ACQ.DISCORDANT_REPEAT_REQUEST"


async def test_a_part_more_than_what_is_left_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await brought_to(w, "paid")
        await refund(w, "10.00", "R1")

        answer = await refund(w, "2.31", "R2")

        assert answer.code == "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"


async def test_after_a_year_nothing_is_refunded(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await brought_to(w, "paid")
        w.clock.advance(365 * 86_400_000)

        answer = await refund(w, "1.00", "R1")

        assert answer.code == "ACQ.TRADE_HAS_FINISHED"


async def test_only_a_status_says_that_a_refund_succeeded(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await brought_to(w, "paid")
        await refund(w, "2.30", "R1")

        done, unknown = await refund_query(w, "R1", query_options=["gmt_refund_pay"]), await refund_query(w, "R9")

        assert done["refund_status"] == "REFUND_SUCCESS"
        assert (done["refund_amount"], done["total_amount"]) == ("2.30", "12.30")
        assert done["gmt_refund_pay"] == "2026-11-23 12:00:00"
        assert unknown == {"code": "10000", "msg": "Success"}


async def test_refunds_are_announced_where_the_payment_was(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await brought_to(w, "paid")
        await refund(w, "2.30", "R1")
        await refund(w, "10.00", "R2")

        await w.twin.quiet()

        contents = [verified_notify(w.twin.alipay_merchant(), callback.form()) for callback in w.shop.received]
        contents.sort(key=lambda content: content["out_biz_no"])
        assert [content["out_biz_no"] for content in contents] == ["R1", "R2"]
        assert [content["trade_status"] for content in contents] == ["TRADE_SUCCESS", "TRADE_CLOSED"]
        assert [content["refund_fee"] for content in contents] == ["2.30", "12.30"]
        assert contents[0]["gmt_refund"].startswith("2026-11-23 12:00:00")
        assert contents[0]["notify_id"] != contents[1]["notify_id"]
