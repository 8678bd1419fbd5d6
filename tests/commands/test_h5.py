"""`open.pay.h5`: one link for both wallets, from the till's request to money, and what becomes of everything else."""

import pytest

from opentill.domain.order import DEAD_MARGIN_MS
from tests.clients import Reply, is_signed
from tests.databases import on_both_engines
from tests.phones import bridge, link, look, open_in, pay_in
from tests.shops import Heard
from tests.world import World, world

LIFE_MS = 2 * 3_600_000
CHANNELS = {"wechat": "2", "alipay": "1"}
WORDS = {"wechat": "WECHAT", "alipay": "ALIPAY"}
WALLETS = pytest.mark.parametrize("wallet", ["wechat", "alipay"])


async def query(w: World, order_no: str, **params: object) -> Reply:
    w.clock.advance(1)
    reply = await w.till.call("open.pay.query", order_no=order_no, **params)
    assert reply.is_success, reply.message
    return reply


def wallet_states(trades: list[dict[str, str]]) -> dict[str, str]:
    """Payer and what the wallet says of their trade."""
    return {trade["payer"]: trade["status"] for trade in trades}


# --- the call


async def test_the_reply_has_the_documented_fields_and_is_signed() -> None:
    async with world() as w:
        reply = await link(w, amount=1234, subject="一杯咖啡", version="1.1", local_order_no="L1")

        assert list(reply.data) == [
            "url", "localOrderNo", "cbOrderNo", "totalAmount", "paymentChannel", "subject", "paymentWay", "timestamp",
            "sign",
        ]  # fmt: skip
        assert reply.data["url"] == f"{w.base_url}/pay/{reply.order_no}"
        assert reply.data["localOrderNo"] == "L1"
        assert reply.data["totalAmount"] == "1234"
        assert reply.data["paymentChannel"] == ""
        assert (reply.data["subject"], reply.data["paymentWay"]) == ("一杯咖啡", "QRCODE")
        signed = {name: reply.data[name] for name in ("url", "localOrderNo", "cbOrderNo", "totalAmount", "timestamp")}
        assert is_signed(signed, reply.data["sign"], w.public_key)


async def test_version_1_0_leaves_out_what_came_later() -> None:
    async with world() as w:
        reply = await link(w)

        assert {"subject", "paymentWay"}.isdisjoint(reply.data)


async def test_without_a_number_of_the_integrators_own_the_gateways_stands_in() -> None:
    async with world() as w:
        one, other = await link(w), await link(w, amount=2)

        assert one.data["localOrderNo"] == one.order_no
        assert other.data["localOrderNo"] == other.order_no != one.order_no
        found = await w.till.call("open.pay.query", local_order_no=one.order_no)
        assert found.order_no == one.order_no


async def test_a_number_is_used_once() -> None:
    async with world() as w:
        await link(w, local_order_no="L1")

        again = await w.till.call("open.pay.h5", local_order_no="L1", amount=1)

        assert again.code == "60"


async def test_a_byte_identical_repeat_is_replayed_where_the_app_wants_it() -> None:
    async with world() as w:
        await w.set_rules(w.till, idempotent_replay=True)
        form = w.till.form("open.pay.h5", local_order_no="L1", amount=1)
        first = await w.till.post(form)
        w.clock.advance(1000)

        again = await w.till.post(form)
        changed = await w.till.call("open.pay.h5", local_order_no="L1", amount=2)

        assert again.body == first.body
        assert again.headers["x-opentill-replayed"] == "true"
        assert changed.code == "60"


async def test_an_order_waits_at_once_though_nobody_was_asked() -> None:
    async with world() as w:
        reply = await link(w)

        assert [(event.kind, event.detail.get("code")) for event in await w.timeline(reply.order_no)] == [
            ("CREATED", None),
            ("WAITING", "LINK"),
        ]
        assert await w.wallet_trades() == []


async def test_redirect_url_is_not_signed() -> None:
    async with world() as w:
        form = w.till.form("open.pay.h5", amount=1)

        reply = await w.till.post(form | {"redirect_url": "https://shop.example/done"})

        assert reply.is_success
        assert (await w.order(reply.order_no)).redirect_url == "https://shop.example/done"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"redirect_url": "javascript:alert(1)"}, "50"),
        ({"redirect_url": "//shop.example"}, "50"),
        ({"redirect_url": "https://a@shop.example"}, "50"),
        ({"redirect_url": "https://shop.example/" + "x" * 492}, "50"),
        ({"redirect_url": "https://shop.example/" + "x" * 491}, "0"),
        ({"notify_url": "ftp://shop.example"}, "46"),
        ({"amount": 0}, "42"),
        ({"amount": None}, "17"),
        ({"subject": "咖" * 20}, "44"),
        ({"un_discount_amount": 2}, "43"),
        ({"goods_list": "[]x"}, "45"),
        ({"local_order_no": "x" * 65}, "40"),
        ({"device_create_ip": "1.2.3"}, "47"),
        ({"channel": 3}, "0"),
    ],
)
async def test_parameters_are_checked(params: dict[str, object], code: str) -> None:
    async with world() as w:
        reply = await w.till.call("open.pay.h5", **({"amount": 1} | params))

        assert reply.code == code, reply.message


async def test_a_cashier_needs_an_account_that_can_recognise_payers() -> None:
    async with world() as w:
        accounts = await w.administration.accounts_of_operator(w.till.operator_id)
        assert accounts is not None
        await w.administration.set_disabled("account", accounts[1], is_disabled=True)
        w.deployment.parties.forget()
        with_wechat = await w.till.call("open.pay.h5", amount=1)

        settings = await w.administration.account_settings(accounts[2])
        await w.administration.replace_account_settings(accounts[2], settings | {"app_secret": ""})
        w.deployment.parties.forget()
        with_none = await w.till.call("open.pay.h5", amount=1)

        assert with_wechat.is_success
        assert with_none.code == "61"
        assert await w.number("SELECT count(*) FROM orders") == 1


# --- from the link to the money


@on_both_engines
@WALLETS
async def test_a_link_is_paid_and_the_merchant_is_told(engine: str, wallet: str) -> None:
    async with world(engine) as w:
        order = await link(w, amount=1234, notify_url=w.shop.url)
        before = await query(w, order.order_no)

        await pay_in(w, wallet, order.data["url"])

        after = await query(w, order.order_no)
        assert (before.data["orderStatus"], before.data["paymentChannel"]) == ("1", "")
        assert (after.data["orderStatus"], after.data["paymentChannel"]) == ("2", CHANNELS[wallet])
        assert (after.data["receiveAmount"], after.data["paymentWay"]) == ("1234", "QRCODE")
        (heard,) = w.shop.heard
        check_notification(heard, w.public_key)
        assert heard.fields["paymentChannel"] == WORDS[wallet]
        assert (heard.fields["paymentWay"], heard.fields["orderStatus"]) == ("QRCODE", "PAY_SUC")


def check_notification(heard: Heard, public_key: str) -> None:
    fields = heard.fields
    sign = fields.pop("sign")
    assert is_signed(fields, sign, public_key)


@WALLETS
async def test_a_lost_callback_is_found_out_by_polling(wallet: str) -> None:
    async with world() as w:
        order = await link(w, amount=1234)
        await open_in(w, wallet, order.data["url"], payer="Li")
        page = await open_in(w, wallet, order.data["url"], payer="Wang")
        await lose_callbacks(w, wallet)
        await w.pay(await bridge(w, wallet, page.values), payer="Wang")
        assert await w.state(order.order_no) == "WAITING"

        await w.advance(5)

        found = await w.order(order.order_no)
        assert (found.state, found.trade_no) == ("PAID", order.order_no + "02")


async def lose_callbacks(w: World, wallet: str) -> None:
    await add_fault(w, wallet, operation="callback", fault="callback_never")


async def add_fault(w: World, wallet: str, **fault: object) -> None:
    status, answer = await w.ask_twin("POST", "/api/faults", wallet=wallet, **fault)
    assert status == 200, answer


@WALLETS
async def test_an_unknown_answer_is_asked_for_once_more_under_the_same_number(wallet: str) -> None:
    async with world() as w:
        order = await link(w)
        await add_fault(w, wallet, operation="create", fault="lost_reply")

        page = await open_in(w, wallet, order.data["url"])

        assert page.view == "pay"
        assert [trade["out_trade_no"] for trade in await w.wallet_trades()] == [order.order_no + "01"]


@WALLETS
async def test_a_wallet_that_does_not_answer_can_be_tried_again_under_the_same_number(wallet: str) -> None:
    async with world() as w:
        order = await link(w)
        await add_fault(w, wallet, operation="create", fault="lost_reply", times=2)

        silent = await open_in(w, wallet, order.data["url"])
        again = await open_in(w, wallet, order.data["url"])

        assert (silent.status, silent.view) == (503, "problem")
        assert "values" not in silent.config
        assert again.view == "pay"
        assert [trade["out_trade_no"] for trade in await w.wallet_trades()] == [order.order_no + "01"]
        assert "TRADE_UNKNOWN" in [event.kind for event in await w.timeline(order.order_no)]


@WALLETS
async def test_a_wallet_that_refuses_leaves_the_order_to_the_other_wallet(wallet: str) -> None:
    other = {"wechat": "alipay", "alipay": "wechat"}[wallet]
    async with world() as w:
        order = await link(w)
        await add_fault(w, wallet, operation="create", fault="http_429" if wallet == "wechat" else "unsigned")

        refused = await open_in(w, wallet, order.data["url"])
        await pay_in(w, other, order.data["url"])

        assert refused.view == ("problem" if wallet == "wechat" else "pay")
        assert await w.state(order.order_no) == "PAID"


@on_both_engines
@pytest.mark.parametrize("wallets", [("wechat", "wechat"), ("wechat", "alipay"), ("alipay", "wechat")], ids="-".join)
async def test_a_second_payment_is_surplus_and_held_for_a_person(engine: str, wallets: tuple[str, str]) -> None:
    async with world(engine) as w:
        order = await link(w, amount=1234, notify_url=w.shop.url)
        pages = [await open_in(w, wallet, order.data["url"], payer=f"payer{n}") for n, wallet in enumerate(wallets)]

        for number, (wallet, page) in enumerate(zip(wallets, pages, strict=True)):
            await w.pay(await bridge(w, wallet, page.values), payer=f"payer{number}")

        found = await w.order(order.order_no)
        assert (found.state, found.received_fen, found.attention) == ("PAID", 1234, "SURPLUS")
        assert found.trade_no == order.order_no + "01"
        payments = await w.rows("SELECT trade_no, role FROM payments ORDER BY trade_no")
        assert [(row["trade_no"][-2:], row["role"]) for row in payments] == [("01", "EFFECTIVE"), ("02", "SURPLUS")]
        assert len(w.shop.heard) == 1
        assert await w.metric("opentill_alarms_total", kind="SURPLUS") == 1
        assert await w.rows("SELECT * FROM refunds") == []


@WALLETS
async def test_a_second_payment_whose_callback_is_lost_is_found_by_asking(wallet: str) -> None:
    async with world() as w:
        order = await link(w, amount=1234)
        first = await open_in(w, "wechat", order.data["url"], payer="Wang")
        second = await open_in(w, wallet, order.data["url"], payer="Li")
        await w.pay(await bridge(w, "wechat", first.values), payer="Wang")
        await add_fault(w, wallet, operation="callback", fault="callback_never")

        await w.pay(await bridge(w, wallet, second.values), payer="Li")
        await w.advance(60)

        assert (await w.order(order.order_no)).attention == "SURPLUS"


@WALLETS
async def test_once_paid_the_trades_of_the_others_are_closed_at_their_wallets(wallet: str) -> None:
    async with world() as w:
        order = await link(w, amount=1234)
        paid = await open_in(w, "wechat", order.data["url"], payer="Wang")
        await open_in(w, wallet, order.data["url"], payer="Li")

        await w.pay(await bridge(w, "wechat", paid.values), payer="Wang")
        await w.advance(60)

        assert wallet_states(await w.wallet_trades())["Li"] in ("CLOSED", "TRADE_CLOSED")


@on_both_engines
@WALLETS
async def test_a_second_payment_goes_back_where_the_app_wants_it(engine: str, wallet: str) -> None:
    async with world(engine) as w:
        await w.set_rules(w.till, surplus_payment="refund")
        order = await link(w, amount=1234, notify_url=w.shop.url)
        first = await open_in(w, "alipay", order.data["url"], payer="Wang")
        second = await open_in(w, wallet, order.data["url"], payer="Li")

        await w.pay(await bridge(w, "alipay", first.values), payer="Wang")
        await w.pay(await bridge(w, wallet, second.values), payer="Li")
        await w.advance(30)

        back = {trade["payer"]: trade["refunded_fen"] for trade in await w.wallet_trades()}
        assert back == {"Wang": 0, "Li": 1234}
        found = await w.order(order.order_no)
        assert (found.state, found.received_fen, found.refunded_fen) == ("PAID", 1234, 0)
        assert len(w.shop.heard) == 1


@WALLETS
async def test_a_refund_goes_to_the_trade_that_was_paid(wallet: str) -> None:
    async with world() as w:
        order = await link(w, amount=1234)
        await open_in(w, "wechat", order.data["url"], payer="Li")
        await open_in(w, "alipay", order.data["url"], payer="Zhao")
        await pay_in(w, wallet, order.data["url"], payer="Wang")

        reply = await w.meanwhile(w.till.call("open.pay.refund", order_no=order.order_no, refund_amount=234))

        assert reply.data["refundStatus"] == "5", reply.message
        back = {trade["payer"]: trade["refunded_fen"] for trade in await w.wallet_trades()}
        assert back == {"Wang": 234, "Li": 0, "Zhao": 0}


# --- the end of a link


@on_both_engines
async def test_a_link_that_nobody_opened_closes_without_asking_anybody(engine: str) -> None:
    async with world(engine) as w:
        order = await link(w)

        await w.advance_to((await w.order(order.order_no)).created_at_ms + LIFE_MS - 1)
        before = await w.state(order.order_no)
        await w.advance(1)

        assert (before, await w.state(order.order_no)) == ("WAITING", "CLOSED")
        assert (await query(w, order.order_no)).data["orderStatus"] == "-1"
        assert "opentill_wallet_calls_total{" not in w.deployment.metrics.text().decode()


@on_both_engines
async def test_at_its_end_every_trade_of_a_link_is_closed(engine: str) -> None:
    async with world(engine) as w:
        order = await link(w)
        for payer, wallet in {"Wang": "wechat", "Li": "alipay", "Zhao": "wechat"}.items():
            await open_in(w, wallet, order.data["url"], payer=payer)

        await w.advance(LIFE_MS / 1000)
        await w.advance(DEAD_MARGIN_MS / 1000)

        assert await w.state(order.order_no) == "CLOSED"
        states = wallet_states(await w.wallet_trades())
        assert states == {"Wang": "CLOSED", "Li": "TRADE_CLOSED", "Zhao": "CLOSED"}


@on_both_engines
async def test_a_reverse_closes_every_trade_of_a_link(engine: str) -> None:
    async with world(engine) as w:
        order = await link(w)
        for payer, wallet in {"Wang": "wechat", "Li": "alipay", "Zhao": "wechat"}.items():
            await open_in(w, wallet, order.data["url"], payer=payer)

        reply = await w.till.call("open.pay.reverse", order_no=order.order_no)

        assert reply.is_success, reply.message
        assert (await query(w, order.order_no)).data["orderStatus"] == "8"
        states = wallet_states(await w.wallet_trades())
        assert states == {"Wang": "CLOSED", "Li": "TRADE_CLOSED", "Zhao": "CLOSED"}


async def test_a_link_that_nobody_opened_can_be_reversed() -> None:
    async with world() as w:
        order = await link(w)

        first = await w.till.call("open.pay.reverse", order_no=order.order_no)
        w.clock.advance(1)
        again = await w.till.call("open.pay.reverse", order_no=order.order_no)

        assert first.is_success
        assert again.is_success
        assert (await look(w, order.order_no))["status"] == "cancelled"


async def test_a_paid_link_cannot_be_reversed_whichever_trade_was_paid() -> None:
    async with world() as w:
        order = await link(w)
        await open_in(w, "wechat", order.data["url"], payer="Li")
        await pay_in(w, "alipay", order.data["url"], payer="Wang")

        reply = await w.till.call("open.pay.reverse", order_no=order.order_no)

        assert reply.code == "80"


@WALLETS
async def test_money_that_comes_after_the_end_is_late(wallet: str) -> None:
    async with world() as w:
        order = await link(w, amount=1234, notify_url=w.shop.url)
        page = await open_in(w, wallet, order.data["url"], payer="Wang")
        await w.change("UPDATE orders SET state = 'CLOSED', poll_at_ms = 0 WHERE order_no = $1", order.order_no)

        await w.pay(await bridge(w, wallet, page.values), payer="Wang")

        found = await w.order(order.order_no)
        assert (found.state, found.is_late, found.attention) == ("PAID", True, "LATE")
        assert (found.trade_no, found.channel) == (order.order_no + "01", int(CHANNELS[wallet]))
        assert len(w.shop.heard) == 1


@WALLETS
async def test_an_unpaid_trade_that_ends_leaves_the_link_open_for_others(wallet: str) -> None:
    async with world() as w:
        order = await link(w)
        await open_in(w, wallet, order.data["url"], payer="Wang")
        await close_first_trade(w, order.order_no)

        await w.advance(60)

        assert await w.state(order.order_no) == "WAITING"
        await pay_in(w, wallet, order.data["url"], payer="Li")
        assert await w.state(order.order_no) == "PAID"


async def close_first_trade(w: World, order_no: str) -> None:
    """As a person does in the wallet's own console."""
    (row,) = await w.rows("SELECT channel, account_id FROM trades WHERE order_no = $1", order_no)
    account = await w.deployment.parties.account(row["account_id"])
    assert account is not None
    await w.deployment.channels[row["channel"]].close(account.opened, order_no + "01")
