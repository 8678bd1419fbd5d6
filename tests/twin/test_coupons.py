"""Coupons for single items: what the payer gives, what the seller receives, and how each wallet words it."""

from pathlib import Path
from typing import Any

import pytest

from tests.twin.clients import opened, verified_notify
from tests.twin.test_alipay_trades import qr_code
from tests.twin.test_wechat_trades import by_order, code_url
from tests.twin.world import World, world

ALIPAY_GOODS = [{"goods_id": "A1", "goods_name": "茶", "quantity": 2, "price": "6.15"}]
WECHAT_GOODS = {"goods_detail": [{"merchant_goods_id": "A1", "goods_name": "茶", "quantity": 2, "unit_price": 615}]}


async def coupon(w: World, wallet: str, **more: Any) -> None:
    status, answer = await w.post("/api/coupons", **({"wallet": wallet, "goods_num": "A1", "amount_fen": 230} | more))
    assert status == 200, answer


@pytest.mark.parametrize(
    ("funded_by", "receipt", "discount", "mdiscount", "channel"),
    [("merchant", "10.00", "0.00", "2.30", "MDISCOUNT"), ("wallet", "12.30", "2.30", "0.00", "DISCOUNT")],
)
async def test_alipay_takes_the_coupon_off_what_the_buyer_pays(
    tmp_path: Path, funded_by: str, receipt: str, discount: str, mdiscount: str, channel: str
) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await coupon(w, "alipay", funded_by=funded_by)

        paid = await w.pay(await qr_code(w, goods_detail=ALIPAY_GOODS))

        node = (await w.alipay().call("query", {"out_trade_no": "T1"})).node
        content = verified_notify(w.twin.alipay_merchant(), w.shop.received[0].form())
        assert (paid["total_fen"], paid["payer_fen"]) == (1230, 1000)
        assert (node["total_amount"], node["buyer_pay_amount"], node["receipt_amount"]) == ("12.30", "10.00", receipt)
        assert (node["discount_amount"], node["mdiscount_amount"]) == (discount, mdiscount)
        assert node["fund_bill_list"][1] == {"fund_channel": channel, "amount": "2.30"}
        assert node["voucher_detail_list"][0]["amount"] == "2.30"
        assert (content["buyer_pay_amount"], content["receipt_amount"]) == ("10.00", receipt)
        assert '"merchantContribute"' in content["voucher_detail_list"]


@pytest.mark.parametrize(("funded_by", "kind"), [("merchant", "NOCASH"), ("wallet", "CASH")])
async def test_wechat_takes_the_coupon_off_what_the_payer_gives(tmp_path: Path, funded_by: str, kind: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await coupon(w, "wechat", funded_by=funded_by, name="满减")

        await w.pay(await code_url(w, detail=WECHAT_GOODS))

        asked = (await w.wechat().call("GET", by_order(w))).document
        resource = w.shop.received[0].document()["resource"]
        assert (asked["amount"]["total"], asked["amount"]["payer_total"]) == (1230, 1000)
        (promotion,) = asked["promotion_detail"]
        assert (promotion["type"], promotion["scope"], promotion["amount"]) == (kind, "SINGLE", 230)
        assert promotion["name"] == "满减"
        assert promotion["goods_detail"][0]["goods_id"] == "A1"
        assert opened(w.twin.wechat_merchant(), resource) == asked


async def test_a_coupon_is_used_up_and_belongs_to_its_item_and_wallet(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await coupon(w, "alipay")
        await coupon(w, "alipay", goods_num="OTHER")
        await coupon(w, "wechat")
        await w.pay(await qr_code(w, goods_detail=ALIPAY_GOODS))

        again = await w.pay(await qr_code(w, out_trade_no="T2", goods_detail=ALIPAY_GOODS))

        assert again["payer_fen"] == 1230


async def test_the_payer_gives_at_least_one_fen(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await coupon(w, "alipay", amount_fen=99_999)

        paid = await w.pay(await qr_code(w, goods_detail=ALIPAY_GOODS))

        assert paid["payer_fen"] == 1


async def test_amounts_that_take_no_discount_keep_their_price(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await coupon(w, "alipay", amount_fen=99_999)

        paid = await w.pay(await qr_code(w, goods_detail=ALIPAY_GOODS, undiscountable_amount="10.00"))

        assert paid["payer_fen"] == 1000


async def test_refunds_return_the_payers_share_to_the_last_fen(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await coupon(w, "alipay")
        await w.pay(await qr_code(w, goods_detail=ALIPAY_GOODS))

        parts = [("4.11", "R1"), ("4.09", "R2"), ("4.10", "R3")]
        answers = [
            await w.alipay().call("refund", {"out_trade_no": "T1", "refund_amount": amount, "out_request_no": number})
            for amount, number in parts
        ]

        back = [answer.node["send_back_fee"] for answer in answers]
        assert back == ["3.34", "3.32", "3.34"]
        assert answers[-1].node["refund_fee"] == "12.30"


@pytest.mark.parametrize(
    "more", [{"wallet": "paypal"}, {"goods_num": ""}, {"amount_fen": 0}, {"amount_fen": -1}, {"funded_by": "me"}]
)
async def test_a_coupon_must_make_sense(tmp_path: Path, more: dict[str, Any]) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        status, answer = await w.post(
            "/api/coupons", **({"wallet": "alipay", "goods_num": "A", "amount_fen": 1} | more)
        )

        assert status == 400
        assert answer["error"]["code"]


async def test_coupons_are_listed_and_cleared(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await coupon(w, "alipay", times=3)
        _, listed = await w.get("/api/coupons")

        async with w.http.delete(w.base_url + "/api/coupons") as reply:
            cleared = await reply.json()

        assert [one["times_left"] for one in listed["coupons"]] == [3]
        assert cleared == {"coupons": []}
