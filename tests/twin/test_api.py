"""The twin's own JSON API and pages."""

from pathlib import Path

import pytest

from tests.twin.test_alipay_trades import qr_code
from tests.twin.test_wechat_trades import code_url
from tests.twin.world import world


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b'{"qr_code": "nosuch"}', "application/json", 404, "UNKNOWN_CODE"),
        (b"{}", "application/json", 404, "UNKNOWN_CODE"),
        (b"[]", "application/json", 400, "BAD_JSON"),
        (b"{", "application/json", 400, "BAD_JSON"),
        (b'{"qr_code": "x", "result": "maybe"}', "application/json", 400, "BAD_RESULT"),
        (b'{"qr_code": "x", "total_fen": "1.5"}', "application/json", 400, "BAD_NUMBER"),
        (b"qr_code=nosuch", "application/x-www-form-urlencoded", 404, "UNKNOWN_CODE"),
        (b"\xff", "application/x-www-form-urlencoded", 400, "BAD_FORM"),
    ],
)
async def test_what_cannot_be_done_is_told_in_json(
    tmp_path: Path, body: bytes, content_type: str, status: int, code: str
) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        async with w.http.post(w.base_url + "/api/pay", data=body, headers={"Content-Type": content_type}) as reply:
            answer = await reply.json()

        assert (reply.status, answer["error"]["code"]) == (status, code)
        assert answer["error"]["message"]


async def test_a_form_pays_as_well_as_json(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await code_url(w)

        async with w.http.post(w.base_url + "/api/pay", data={"qr_code": code, "result": "success"}) as reply:
            answer = await reply.json()

        assert (reply.status, answer["status"], answer["result"]) == (200, "SUCCESS", "success")


@pytest.mark.parametrize("wallet", ["alipay", "wechat"])
async def test_a_paid_code_is_not_paid_twice(tmp_path: Path, wallet: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await (qr_code(w) if wallet == "alipay" else code_url(w))
        await w.pay(code)

        status, answer = await w.post("/api/pay", qr_code=code)

        await w.twin.quiet()
        assert (status, answer["error"]["code"]) == (409, "ALREADY_PAID")
        assert len(w.shop.received) == 1


async def test_a_payer_who_expects_another_amount_does_not_pay(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await code_url(w)

        status, answer = await w.post("/api/pay", qr_code=code, total_fen=1229)

        assert (status, answer["error"]["code"]) == (409, "AMOUNT_DIFFERS")
        assert (await w.pay(code, total_fen=1230))["status"] == "SUCCESS"


async def test_scanning_without_paying_opens_the_trade(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        code = await qr_code(w)

        status, answer = await w.post("/api/scan", qr_code=code)

        assert (status, answer["status"], answer["total_fen"]) == (200, "WAIT_BUYER_PAY", 1230)


async def test_trades_are_listed_newest_first_and_filtered(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        for number in ("T00001", "T00002", "T00003"):
            await code_url(w, out_trade_no=number)
        await w.pay(await qr_code(w))

        _, everything = await w.get("/api/trades")
        _, one_wallet = await w.get("/api/trades?wallet=wechat&limit=2")
        _, one_order = await w.get("/api/trades?out_trade_no=T00001")
        bad, _ = await w.get("/api/trades?limit=201")

        assert [trade["out_trade_no"] for trade in everything["trades"]] == ["T1", "T00003", "T00002", "T00001"]
        assert [trade["out_trade_no"] for trade in one_wallet["trades"]] == ["T00003", "T00002"]
        assert [trade["out_trade_no"] for trade in one_order["trades"]] == ["T00001"]
        assert bad == 400


@pytest.mark.parametrize(
    ("path", "content_type"),
    [("/phone", "text/html"), ("/cashier", "text/html"), ("/bridge.js", "text/javascript")],
)
async def test_the_pages_are_there(tmp_path: Path, path: str, content_type: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w, w.http.get(w.base_url + path) as reply:
        assert (reply.status, reply.headers["Content-Type"].startswith(content_type)) == (200, True)


async def test_who_opens_a_code_is_told_whom_and_what_it_pays(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        item = {"goods_id": "6901", "goods_name": "茶", "quantity": 2, "price": "5.50"}
        code = await qr_code(w, goods_detail=[item], total_amount="11.00")

        _, shown = await w.post("/api/scan", qr_code=code)

        assert shown["goods"] == [{"name": "茶", "quantity": "2", "price_fen": 550}]
        assert shown["merchant_name"]
