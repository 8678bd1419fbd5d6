"""From the till's request to the merchant's notification: both wallets on both databases, over real HTTP (design 4)."""

import pytest

from tests.clients import is_signed
from tests.databases import on_both_engines
from tests.world import world

both_wallets = pytest.mark.parametrize("channel", [1, 2])

# protocol 6, in the order of the published page.
NOTIFIED = [
    "cbOrderNo", "appOrderNo", "outOrderNo", "orderStatus", "totalAmount", "receiveAmount", "paymentChannel", "subject",
    "discountAmount", "paymentWay", "payTime", "sign",
]  # fmt: skip


@on_both_engines
@both_wallets
async def test_a_scanned_order_is_paid_and_the_merchant_is_told(engine: str, channel: int) -> None:
    async with world(engine) as w:
        order = await w.scan(
            channel=channel, amount=1234, subject="一杯咖啡 & 茶", notify_url=w.shop.url + "?shop=1&x=%20"
        )
        await w.advance(30)
        before = await w.state(order.order_no)

        trade = await w.pay(order.qr_code)

        assert (before, await w.state(order.order_no)) == ("WAITING", "PAID")
        (heard,) = w.shop.heard
        assert heard.headers["content-type"].startswith("application/x-www-form-urlencoded")
        assert list(heard.fields) == NOTIFIED
        assert heard.fields | {"sign": ""} == {
            "cbOrderNo": order.order_no,
            "appOrderNo": order.data["localOrderNo"],
            "outOrderNo": trade["trade_no"],
            "orderStatus": "PAY_SUC",
            "totalAmount": "1234",
            "receiveAmount": "1234",
            "paymentChannel": {1: "ALIPAY", 2: "WECHAT"}[channel],
            "subject": "一杯咖啡 & 茶",
            "discountAmount": "0",
            "paymentWay": "SCAN",
            "payTime": str(w.clock.now_ms()),
            "sign": "",
        }


@both_wallets
async def test_the_notification_is_signed_over_every_field_with_the_published_key(channel: int) -> None:
    async with world() as w:
        await w.pay((await w.scan(channel=channel, notify_url=w.shop.url)).qr_code)

        fields = w.shop.heard[0].fields
        sign = fields.pop("sign")

        assert is_signed(fields, sign, w.public_key)
        for name in fields:
            assert not is_signed({**fields, name: fields[name] + "0"}, sign, w.public_key)


@on_both_engines
@both_wallets
async def test_everything_of_a_payment_is_written_in_one_transaction(engine: str, channel: int) -> None:
    goods = '[{"goods_num": "69", "goods_name": "茶", "sell_amount": "2.5", "goods_price": "4.00"}]'
    async with world(engine) as w:
        order = await w.scan(channel=channel, amount=1000, goods_list=goods, notify_url=w.shop.url)
        await w.pay(order.qr_code)

        (hour,) = await w.rows("SELECT orders, amount_fen, received_fen, discount_fen FROM sales_hours")
        (sold,) = await w.rows("SELECT goods_key, quantity_milli, amount_fen FROM sales_goods")
        kinds = [event.kind for event in await w.timeline(order.order_no)]

        assert dict(hour) == {"orders": 1, "amount_fen": 1000, "received_fen": 1000, "discount_fen": 0}
        assert dict(sold) == {"goods_key": "69", "quantity_milli": 2500, "amount_fen": 1000}
        assert kinds == ["CREATED", "WAITING", "PAID"]


@both_wallets
async def test_when_a_part_cannot_be_written_nothing_is(channel: int) -> None:
    async with world("postgresql") as w:
        order = await w.scan(channel=channel, notify_url=w.shop.url)
        await w.change("ALTER TABLE notifications ADD CONSTRAINT none CHECK (app_id < 0) NOT VALID")

        await w.pay(order.qr_code)

        assert await w.state(order.order_no) == "WAITING"
        assert await w.number("SELECT count(*) FROM payments") == 0
        assert await w.number("SELECT count(*) FROM sales_hours") == 0
        assert [event.kind for event in await w.timeline(order.order_no)] == ["CREATED", "WAITING"]
        await w.change("ALTER TABLE notifications DROP CONSTRAINT none")
        await w.advance(60)
        assert await w.state(order.order_no) == "PAID"
        assert len(w.shop.heard) == 1


@both_wallets
async def test_a_failed_attempt_of_the_customer_leaves_the_order_payable(channel: int) -> None:
    async with world() as w:
        order = await w.scan(channel=channel, notify_url=w.shop.url)
        await w.pay(order.qr_code, result="fail", reason="余额不足")
        await w.advance(60)
        after_failure = (await w.state(order.order_no), len(w.shop.heard))

        await w.pay(order.qr_code)

        assert after_failure == ("WAITING", 0)
        assert (await w.state(order.order_no), len(w.shop.heard)) == ("PAID", 1)


@both_wallets
async def test_what_a_wallet_refuses_in_a_subject_is_replaced_for_the_wallet_only(channel: int) -> None:
    async with world() as w:
        subject = {1: "a/b=c&d", 2: "a/b=c&d🍵"}[channel]
        order = await w.scan(channel=channel, subject=subject)

        await w.pay(order.qr_code)

        (trade,) = await w.wallet_trades(order.order_no)
        assert (await w.order(order.order_no)).subject == subject
        assert trade["subject"] == {1: "a／b＝c＆d", 2: "a/b=c&d"}[channel]


@both_wallets
async def test_the_largest_amount_goes_all_the_way(channel: int) -> None:
    async with world() as w:
        order = await w.scan(channel=channel, amount=10_000_000_000, notify_url=w.shop.url)

        if order.is_success:
            await w.pay(order.qr_code)

            assert w.shop.heard[0].fields["totalAmount"] == "10000000000"
        else:
            assert order.code == "62", "a wallet's own limit is the wallet's refusal"
