"""An order's timeline tells what was asked for and what the wallet said, and nothing that could be misused."""

import msgspec

from opentill.services.words import MAX_WORDS, wallet_words
from tests.clients import TEST_KEY
from tests.orders import ALIPAY, CODES, PAYS, WECHAT, ask, on_each_wallet, paid, scanned
from tests.world import World, world


async def details(w: World, order_no: str) -> dict[str, dict[str, str]]:
    """By kind of event."""
    return {event.kind: event.detail for event in await w.timeline(order_no)}


async def test_it_begins_with_the_request_as_it_was_read() -> None:
    async with world(works=False) as w:
        goods = '[{"goods_name":"拿铁","sell_amount":"1","goods_price":"10"}]'

        reply = await scanned(w, amount=1000, subject="一杯拿铁", goods_list=goods, local_order_no="A-1")

        created = (await details(w, reply.order_no))["CREATED"]
        assert created["request"].splitlines() == [
            "local_order_no=A-1",
            "channel=1",
            "amount=1000",
            "subject=一杯拿铁",
            f"goods_list={goods}",
        ]
        assert (created["version"], created["source_ip"]) == ("1.0", "127.0.0.1")
        assert TEST_KEY not in str(created)


async def test_a_payment_code_is_shortened() -> None:
    async with world(works=False) as w:
        code = CODES[ALIPAY] + PAYS

        reply = await ask(w, "barcode", barcode=code, amount=1, local_order_no="B-1")

        request = (await details(w, reply.data["cbOrderNo"]))["CREATED"]["request"]
        assert f"barcode={code[:2]}…{code[-4:]}" in request
        assert code not in request


@on_each_wallet
async def test_the_wallet_s_own_words_are_kept_without_the_payer(channel: int) -> None:
    async with world() as w:
        order_no = await paid(w, channel=channel, amount=1234)

        events = await details(w, order_no)

        said = msgspec.json.decode(events["PAID"]["said"])
        payer = {ALIPAY: lambda: said["buyer_id"], WECHAT: lambda: said["payer"]["openid"]}[channel]()
        assert said["out_trade_no"] == order_no
        assert payer.startswith("…")
        assert len(payer) <= 5
        assert {ALIPAY: "qr_code", WECHAT: "code_url"}[channel] in events["WAITING"]["said"]


async def test_what_the_wallet_said_of_a_refund_is_kept() -> None:
    async with world() as w:
        order_no = await paid(w, amount=500)

        await ask(w, "refund", order_no=order_no)

        said = msgspec.json.decode((await details(w, order_no))["REFUND_SUCCEEDED"]["said"])
        assert said["fund_change"] == "Y"


def test_words_are_bounded_and_masked_wherever_they_stand() -> None:
    said = {"payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9"}, "list": [{"buyer_id": "x"}], "attach": "字" * 5_000}

    words = wallet_words(said)

    assert len(words) == MAX_WORDS
    assert words.startswith('{"payer":{"openid":"…b1Q9"},"list":[{"buyer_id":"…"}],')
    assert wallet_words({}) == ""
