"""WeChat Pay: close, refunds, their callbacks (channels B.6 to B.8)."""

from pathlib import Path
from typing import Any

import pytest

from opentill.twin.app import REFUND_DELAY_MS
from tests.twin.clients import WechatAnswer, opened, verify_wechat
from tests.twin.test_wechat_trades import NATIVE, by_order, code_url, order
from tests.twin.world import World, world

REFUNDS = "/v3/refund/domestic/refunds"


async def paid(w: World) -> None:
    await w.pay(await code_url(w))
    w.shop.received.clear()


async def refund(w: World, number: str = "R1", amount_fen: int = 230, **more: Any) -> WechatAnswer:
    document = {
        "out_trade_no": "T00001",
        "out_refund_no": number,
        "amount": {"refund": amount_fen, "total": 1230, "currency": "CNY"},
        "notify_url": w.shop.url + "/refund",
    }
    return await w.wechat().call("POST", REFUNDS, document | more)


async def refund_status(w: World, number: str = "R1") -> str:
    return str((await w.wechat().call("GET", f"{REFUNDS}/{number}")).document["status"])


async def later(w: World, by_ms: int = REFUND_DELAY_MS) -> None:
    w.clock.advance(by_ms)
    await w.twin.quiet()


async def close(w: World) -> WechatAnswer:
    target = "/v3/pay/transactions/out-trade-no/T00001/close"
    return await w.wechat().call("POST", target, {"mchid": w.twin.wechat_merchant().mchid})


async def test_closing_answers_204_with_a_signature_over_nothing_and_may_be_repeated(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await code_url(w)
        first = await close(w)

        second = await close(w)

        asked = await w.wechat().call("GET", by_order(w))
        scanned, answer = await w.post("/api/pay", qr_code=code)
        again = await w.wechat().call("POST", NATIVE, order(w))
        assert [(one.status, one.body) for one in (first, second)] == [(204, b""), (204, b"")]
        verify_wechat(w.twin.wechat_merchant(), first.headers, b"")
        assert asked.document["trade_state"] == "CLOSED"
        assert (scanned, answer["error"]["code"]) == (409, "TRADE_CLOSED")
        assert again.code == "ORDER_CLOSED"


async def test_a_paid_or_unknown_order_is_not_closed(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        unknown = await close(w)
        await paid(w)

        refused = await close(w)

        assert (unknown.status, unknown.code) == (404, "ORDER_NOT_EXIST")
        assert (refused.status, refused.code) == (400, "ORDERPAID")


async def test_a_refund_is_accepted_first_and_succeeds_later(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await paid(w)

        accepted = await refund(w)

        order_state = (await w.wechat().call("GET", by_order(w))).document["trade_state"]
        before = await refund_status(w)
        await later(w, REFUND_DELAY_MS - 1)
        callbacks_before = len(w.shop.received)
        await later(w, 1)
        assert accepted.status == 200
        assert accepted.document["status"] == "PROCESSING"
        assert "success_time" not in accepted.document
        assert accepted.document["amount"]["refund"] == 230
        assert accepted.document["amount"]["payer_refund"] == 230
        assert order_state == "REFUND"
        assert before == "PROCESSING"
        assert (callbacks_before, len(w.shop.received)) == (0, 1)
        assert await refund_status(w) == "SUCCESS"


async def test_the_end_of_a_refund_is_announced(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await paid(w)
        accepted = (await refund(w)).document

        await later(w)

        (callback,) = w.shop.received
        merchant = w.twin.wechat_merchant()
        verify_wechat(merchant, callback.headers, callback.body)
        document = callback.document()
        assert callback.path == "/shop/refund"
        assert document["event_type"] == "REFUND.SUCCESS"
        assert document["resource"]["original_type"] == "refund"
        assert opened(merchant, document["resource"]) == {
            "mchid": merchant.mchid,
            "transaction_id": accepted["transaction_id"],
            "out_trade_no": "T00001",
            "refund_id": accepted["refund_id"],
            "out_refund_no": "R1",
            "refund_status": "SUCCESS",
            "success_time": "2026-11-23T12:00:02+08:00",
            "user_received_account": "支付用户零钱",
            "amount": {"total": 1230, "refund": 230, "payer_total": 1230, "payer_refund": 230},
        }


@pytest.mark.parametrize(("status", "left_fen"), [("ABNORMAL", 1000), ("CLOSED", 1230)])
async def test_a_refund_may_also_end_badly(tmp_path: Path, status: str, left_fen: int) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await paid(w)
        await refund(w)

        await w.post("/api/refunds", out_refund_no="R1", status=status)

        await later(w)
        _, listed = await w.get("/api/trades")
        assert await refund_status(w) == status
        assert [callback.document()["event_type"] for callback in w.shop.received] == [f"REFUND.{status}"]
        assert listed["trades"][0]["total_fen"] - listed["trades"][0]["refunded_fen"] == left_fen


async def test_an_abnormal_refund_can_be_directed_elsewhere(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await paid(w)
        refund_id = (await refund(w)).document["refund_id"]
        await w.post("/api/refunds", out_refund_no="R1", status="ABNORMAL")

        document = {"out_refund_no": "R1", "type": "MERCHANT_BANK_CARD"}
        answer = await w.wechat().call("POST", f"{REFUNDS}/{refund_id}/apply-abnormal-refund", document)

        await later(w)
        assert answer.document["status"] == "PROCESSING"
        assert await refund_status(w) == "SUCCESS"


async def test_the_same_refund_again_tells_what_became_of_it(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await paid(w)
        first = await refund(w)
        await later(w)

        again = await refund(w)

        _, listed = await w.get("/api/trades")
        assert again.document["refund_id"] == first.document["refund_id"]
        assert again.document["status"] == "SUCCESS"
        assert listed["trades"][0]["refunded_fen"] == 230


async def test_a_refund_number_belongs_to_one_refund(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await paid(w)
        await refund(w)

        answer = await refund(w, amount_fen=231)

        assert (answer.status, answer.code) == (400, "INVALID_REQUEST")


async def test_refunds_of_one_order_keep_a_minute_apart(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await paid(w)
        await refund(w)
        await later(w, 59_999)
        early = await refund(w, "R2", 1000)
        await later(w, 1)

        answer = await refund(w, "R2", 1000)

        assert (early.status, early.code) == (429, "FREQUENCY_LIMITED")
        assert answer.status == 200


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"amount": {"refund": 1230, "total": 1230, "currency": "CNY"}}, 200, ""),
        ({"amount": {"refund": 1231, "total": 1230, "currency": "CNY"}}, 400, "INVALID_REQUEST"),
        ({"amount": {"refund": 1, "total": 1231, "currency": "CNY"}}, 400, "INVALID_REQUEST"),
        ({"amount": {"refund": 0, "total": 1230, "currency": "CNY"}}, 400, "PARAM_ERROR"),
        ({"amount": {"refund": 1, "total": 1230}}, 400, "PARAM_ERROR"),
        ({"out_refund_no": "R" * 64}, 200, ""),
        ({"out_refund_no": "R" * 65}, 400, "PARAM_ERROR"),
        ({"out_refund_no": "R 1"}, 400, "PARAM_ERROR"),
        ({"reason": "x" * 81}, 400, "PARAM_ERROR"),
        ({"reason": None}, 400, "PARAM_ERROR"),
        ({"out_trade_no": "NOSUCH"}, 404, "RESOURCE_NOT_EXISTS"),
        ({"out_trade_no": ""}, 400, "PARAM_ERROR"),
    ],
)
async def test_fields_are_checked(tmp_path: Path, more: dict[str, Any], status: int, code: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await paid(w)

        answer = await refund(w, **more)

        assert (answer.status, answer.document.get("code", "")) == (status, code)


@pytest.mark.parametrize(("passed_days", "status"), [(365, 200), (366, 400)])
async def test_refunds_are_possible_for_a_year(tmp_path: Path, passed_days: int, status: int) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await paid(w)
        w.clock.advance(passed_days * 86_400_000)

        answer = await refund(w)

        assert answer.status == status


async def test_an_unpaid_order_is_not_refunded_and_an_unknown_refund_not_found(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await code_url(w)

        answer = await refund(w)

        asked = await w.wechat().call("GET", f"{REFUNDS}/R1")
        assert (answer.status, answer.code) == (400, "INVALID_REQUEST")
        assert (asked.status, asked.code) == (404, "RESOURCE_NOT_EXISTS")


async def test_at_most_fifty_refunds_per_order(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await paid(w)
        for number in range(50):
            assert (await refund(w, f"R{number}", 1)).status == 200
            await later(w, 60_000)

        answer = await refund(w, "R50", 1)

        assert (answer.status, answer.code) == (400, "INVALID_REQUEST")
