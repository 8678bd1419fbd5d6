"""What `open.pay.scan` answers, to the byte (protocol 1, 3, 4.1)."""

import json
import re

import msgspec
import pytest

from opentill.base.numbers import app_id_of, is_order_no
from tests.clients import is_signed
from tests.databases import on_both_engines
from tests.world import TEST_APP_ID, world

FIELDS_1_0 = ["qrCode", "localOrderNo", "cbOrderNo", "totalAmount", "paymentChannel", "timestamp", "sign"]
FIELDS_1_1 = [*FIELDS_1_0, "subject", "paymentWay"]
SIGNED = ["qrCode", "localOrderNo", "cbOrderNo", "totalAmount", "paymentChannel", "timestamp"]


@pytest.mark.parametrize(
    ("version", "fields"), [(None, FIELDS_1_0), ("", FIELDS_1_0), ("1.0", FIELDS_1_0), ("1.1", FIELDS_1_1)]
)
async def test_a_version_has_exactly_its_fields(version: str | None, fields: list[str]) -> None:
    async with world() as w:
        reply = await w.scan(version=version, subject="一杯咖啡")

        assert sorted(reply.data) == sorted(fields)
        assert is_signed({name: reply.data[name] for name in SIGNED}, reply.data["sign"], w.public_key)


async def test_1_1_adds_subject_and_way_which_are_not_signed() -> None:
    async with world() as w:
        data = (await w.scan(version="1.1", subject="一杯咖啡")).data

        assert (data["subject"], data["paymentWay"]) == ("一杯咖啡", "SCAN")


async def test_a_success_looks_as_clients_know_it() -> None:
    async with world() as w:
        reply = await w.scan(local_order_no="T-1", channel=2, amount=100, version="1.1")

        assert (reply.status, reply.headers["content-type"]) == (200, "application/json;charset=UTF-8")
        assert reply.body.startswith(b'{"result":{"success":true,"errorCode":"0","errorMsg":""},"data":{')
        assert all(type(value) is str for value in reply.document["data"].values())
        assert reply.data | {"qrCode": "", "cbOrderNo": "", "sign": ""} == {
            "qrCode": "", "localOrderNo": "T-1", "cbOrderNo": "", "totalAmount": "100", "paymentChannel": "2",
            "timestamp": str(w.clock.now_ms()), "subject": "", "paymentWay": "SCAN", "sign": "",
        }  # fmt: skip


@pytest.mark.parametrize(("channel", "text"), [(1, r"https?://.+"), (2, r"(weixin|https?)://.+")])
async def test_the_qr_code_is_the_wallets_own_text(channel: int, text: str) -> None:
    async with world() as w:
        reply = await w.scan(channel=channel)

        assert re.fullmatch(text, reply.qr_code)
        assert (await w.order(reply.order_no)).qr_text == reply.qr_code


async def test_our_number_is_30_digits_and_leads_to_the_app() -> None:
    async with world() as w:
        reply = await w.scan()

        assert is_order_no(reply.order_no)
        assert app_id_of(reply.order_no) == TEST_APP_ID


async def test_a_failure_looks_as_clients_know_it() -> None:
    async with world() as w:
        reply = await w.till.post({"app": "A"})

        assert (reply.status, reply.headers["content-type"]) == (200, "application/json;charset=UTF-8")
        assert (
            reply.body
            == '{"result":{"success":false,"errorCode":"10","errorMsg":"command参数为空"},"data":{}}'.encode()
        )


@pytest.mark.parametrize("command", ["open.pay.scan", "caibao.pay.scan", " open.pay.scan "])
async def test_the_older_name_means_the_same(command: str) -> None:
    async with world() as w:
        form = w.till.form(command, **w.till.scan_params())

        assert (await w.till.post(form)).is_success


@on_both_engines
async def test_everything_the_till_sent_is_kept_with_the_order(engine: str) -> None:
    line = {
        "goods_id": 7, "goods_num": "6901234567892", "goods_name": "咖啡🍵", "sell_amount": 1.5, "goods_price": "12.3",
        "goods_sku_id": "s",
    }  # fmt: skip
    async with world(engine) as w:
        reply = await w.scan(
            local_order_no="单 号/1", amount=10_000_000_000, un_discount_amount=0, subject="汉" * 19 + "a",
            goods_list=json.dumps([line], ensure_ascii=False), notify_url=w.shop.url, device_create_ip="2001:DB8::1",
        )  # fmt: skip
        order = await w.order(reply.order_no)

        assert (order.local_order_no, order.amount_fen, order.un_discount_fen) == ("单 号/1", 10_000_000_000, 0)
        assert (order.subject, order.notify_url) == ("汉" * 19 + "a", w.shop.url)
        assert order.device_create_ip == "2001:db8::1"
        assert list(msgspec.to_builtins(order.goods)) == [
            {
                "quantity": "1.5", "unit_price_fen": 1230, "goods_id": "7", "goods_num": "6901234567892",
                "name": "咖啡🍵", "sku_id": "s",
            }
        ]  # fmt: skip
        assert order.expires_at_ms - order.created_at_ms == 2 * 3_600_000


async def test_without_a_subject_the_wallet_shows_the_configured_one() -> None:
    async with world(default_subject="门店消费") as w:
        reply = await w.scan(channel=2)

        (trade,) = await w.wallet_trades(reply.order_no)
        assert trade["subject"] == "门店消费"
        assert (await w.order(reply.order_no)).subject == ""


async def test_without_a_notify_url_the_apps_default_is_told() -> None:
    async with world() as w:
        await w.set_rules(w.till, default_notify_url=w.shop.url)

        await w.pay((await w.scan()).qr_code)

        assert len(w.shop.heard) == 1


async def test_without_any_notify_url_nobody_is_told() -> None:
    async with world() as w:
        reply = await w.scan()

        await w.pay(reply.qr_code)

        assert await w.state(reply.order_no) == "PAID"
        assert await w.told(reply.order_no) == []


@pytest.mark.parametrize(("unit", "price_fen"), [("yuan", 100), ("fen", 1)])
async def test_an_app_says_in_which_unit_its_goods_prices_are(unit: str, price_fen: int) -> None:
    async with world() as w:
        await w.set_rules(w.till, goods_price_unit=unit)

        reply = await w.scan(goods_list='[{"goods_name": "茶", "sell_amount": "1", "goods_price": "1"}]')

        assert (await w.order(reply.order_no)).goods[0].unit_price_fen == price_fen
