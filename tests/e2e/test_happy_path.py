"""From the till's request to the merchant's notification, with both wallets on both databases."""

import pytest

from tests.databases import on_both_engines
from tests.world import world


@on_both_engines
@pytest.mark.parametrize("channel", [1, 2])
async def test_a_scanned_order_is_paid_and_the_merchant_is_told(engine: str, channel: int) -> None:
    async with world(engine) as w:
        order = await w.scan(channel=channel, amount=1234, notify_url=w.shop.url)
        assert order.is_success, order.message

        await w.pay(order.qr_code)

        assert await w.state(order.order_no) == "PAID"
        assert [heard.fields["orderStatus"] for heard in w.shop.heard] == ["PAY_SUC"]
