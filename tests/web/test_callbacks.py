"""What the wallets tell us: believed only when it is theirs, applied once, answered as they expect (design 4, 5)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.databases import on_both_engines
from tests.letters import Answered, Letter, caught, caught_letters
from tests.world import World, ground, running

both_wallets = pytest.mark.parametrize("channel", [1, 2])

YES = {1: Answered(200, b"success"), 2: Answered(204, b"")}
NO = {1: Answered(200, b"fail"), 2: Answered(500, '{"code":"FAIL","message":"失败"}'.encode())}
PATHS = {1: "/callbacks/alipay/1", 2: "/callbacks/wechat/2"}


@asynccontextmanager
async def paid_at_the_wallet(
    channel: int, engine: str = "sqlite", *, amount: int = 100
) -> AsyncIterator[tuple[World, str, Letter]]:
    """An order that was paid at the wallet, whose callback has been caught: the gateway knows nothing yet."""
    async with ground(engine) as g, running(g, **caught(g)) as w:
        order = await w.scan(channel=channel, amount=amount, notify_url=w.shop.url)
        await w.pay(order.qr_code)
        (letter,) = caught_letters(w)
        assert letter.path == PATHS[channel]
        yield w, order.order_no, letter


def notified(w: World) -> int:
    return len([heard for heard in w.shop.heard if heard.path == "/notify"])


async def payments_of(w: World, order_no: str) -> list[str]:
    return [row["role"] for row in await w.rows("SELECT role FROM payments WHERE order_no = $1", order_no)]


@on_both_engines
@both_wallets
async def test_a_genuine_callback_pays_the_order_and_is_answered_as_the_wallet_expects(
    engine: str, channel: int
) -> None:
    async with paid_at_the_wallet(channel, engine) as (w, order_no, letter):
        before = await w.state(order_no)

        answer = await letter.deliver(w)

        await w.settle()
        assert (before, answer, await w.state(order_no), notified(w)) == ("WAITING", YES[channel], "PAID", 1)
        assert await payments_of(w, order_no) == ["EFFECTIVE"]
        assert (await w.timeline(order_no))[-1].detail["source"] == "callback"


@on_both_engines
@both_wallets
async def test_a_callback_that_comes_twenty_times_at_once_changes_the_order_once(engine: str, channel: int) -> None:
    async with paid_at_the_wallet(channel, engine) as (w, order_no, letter):
        answers = await asyncio.gather(*(letter.deliver(w) for _ in range(20)))

        await w.settle()
        assert answers == [YES[channel]] * 20
        assert [event.kind for event in await w.timeline(order_no)] == ["CREATED", "WAITING", "PAID"]
        assert (await payments_of(w, order_no), notified(w)) == (["EFFECTIVE"], 1)
        assert await w.number("SELECT sum(orders) FROM sales_hours") == 1


@both_wallets
async def test_a_callback_that_comes_again_later_changes_nothing(channel: int) -> None:
    async with paid_at_the_wallet(channel) as (w, order_no, letter):
        await letter.deliver(w)
        await w.settle()
        before = await w.order(order_no)
        w.clock.advance(200_000)

        answer = await letter.deliver(w)

        await w.settle()
        assert (answer, await w.order(order_no), notified(w)) == (YES[channel], before, 1)


def tampered(w: World, letter: Letter) -> dict[str, Letter]:
    """Letters that the wallet did not write so."""
    flipped = letter.body.replace(b"1", b"2", 1)
    spoilt = {
        "another body": replace(letter, body=flipped),
        "a byte more": replace(letter, body=letter.body + b" "),
        "a cut body": replace(letter, body=letter.body[:-10]),
        "an empty body": replace(letter, body=b""),
        "nonsense": replace(letter, body=b"\xff\x00\xfe"),
    }
    if letter.is_alipay:
        form = letter.values(w)
        return spoilt | {
            "another amount": replace(letter, body=letter.body.replace(b"total_amount=1.00", b"total_amount=9.00")),
            "another signature": replace(letter, body=letter.body.replace(b"&sign=", b"&sign=A")),
            "no signature": replace(letter, body=letter.body.split(b"&sign=")[0]),
            "an empty signature": replace(letter, body=letter.body.split(b"&sign=")[0] + b"&sign="),
            "another app": letter.with_values(w, app_id=form["app_id"][:-1] + "x"),
            "another seller": letter.with_values(w, seller_id="2088000000000000"),
            "no seller": letter.with_values(w, seller_id=None),
            "no order": letter.with_values(w, out_trade_no=None),
        }
    old = letter.signed_by_wechat(w, letter.body, at_ms=w.clock.now_ms() - 301_000)
    early = letter.signed_by_wechat(w, letter.body, at_ms=w.clock.now_ms() + 301_000)
    return spoilt | {
        "another signature": letter.changed(
            wechatpay_signature="A" + letter.headers["wechatpay-signature"][1:-1] + "A"
        ),
        "no signature": letter.changed(wechatpay_signature=None),
        "an empty signature": letter.changed(wechatpay_signature=""),
        "another time": letter.changed(wechatpay_timestamp=str(int(letter.headers["wechatpay-timestamp"]) + 1)),
        "no time": letter.changed(wechatpay_timestamp=None),
        "another nonce": letter.changed(wechatpay_nonce="x" * 32),
        "an unknown key": letter.changed(wechatpay_serial="PUB_KEY_ID_0100000000000000000000000000"),
        "no key": letter.changed(wechatpay_serial=None),
        "five minutes old": old,
        "five minutes early": early,
        "another merchant": letter.with_values(w, mchid="1600000000"),
        "no order": letter.with_values(w, out_trade_no=None),
    }


@both_wallets
async def test_a_tampered_callback_is_refused_and_changes_nothing(channel: int) -> None:
    async with paid_at_the_wallet(channel) as (w, order_no, letter):
        letters = tampered(w, letter)
        assert all(each != letter for each in letters.values())

        answers = {name: await each.deliver(w) for name, each in letters.items()}

        await w.settle()
        assert answers == dict.fromkeys(letters, NO[channel])
        assert (await w.state(order_no), await payments_of(w, order_no), notified(w)) == ("WAITING", [], 0)
        name = w.deployment.channels[channel].name
        assert await w.metric("opentill_callbacks_total", channel=name, result="refused") == len(letters)
        assert await letter.deliver(w) == YES[channel], "the genuine one still counts"


@on_both_engines
@both_wallets
@pytest.mark.parametrize("paid_fen", [99, 101, 1])
async def test_a_payment_of_another_amount_is_held_and_alarmed_and_never_paid(
    engine: str, channel: int, paid_fen: int
) -> None:
    async with paid_at_the_wallet(channel, engine) as (w, order_no, letter):
        yuan = f"{paid_fen / 100:.2f}"
        amount = letter.values(w).get("amount")
        wrong = (
            letter.with_values(w, total_amount=yuan, receipt_amount=yuan)
            if letter.is_alipay
            else letter.with_values(w, amount={**(amount or {}), "total": paid_fen, "payer_total": paid_fen})
        )

        answers = [await wrong.deliver(w) for _ in range(2)]

        await w.settle()
        order = await w.order(order_no)
        assert answers == [YES[channel]] * 2
        assert (order.state.value, order.attention, order.received_fen) == ("WAITING", "WRONG_AMOUNT", 0)
        assert (await payments_of(w, order_no), notified(w)) == (["WRONG_AMOUNT"], 0)
        assert await w.metric("opentill_alarms_total", kind="WRONG_AMOUNT") == 1
        assert [line for line in w.log_lines() if line["level"] == "error" and line.get("why") == "WRONG_AMOUNT"]
        await w.advance(3 * 3600)
        assert await w.state(order_no) != "PAID"
        assert notified(w) == 0


@both_wallets
async def test_a_second_payment_of_one_order_is_surplus_and_held(channel: int) -> None:
    async with paid_at_the_wallet(channel) as (w, order_no, letter):
        await letter.deliver(w)
        field = "trade_no" if letter.is_alipay else "transaction_id"
        second = letter.with_values(w, **{field: "2026112322001400000000000001"})

        answer = await second.deliver(w)

        await w.settle()
        order = await w.order(order_no)
        assert (answer, order.state.value, order.attention) == (YES[channel], "PAID", "SURPLUS")
        assert (order.received_fen, sorted(await payments_of(w, order_no))) == (100, ["EFFECTIVE", "SURPLUS"])
        assert notified(w) == 1
        assert await w.metric("opentill_alarms_total", kind="SURPLUS") == 1


FOREIGN = ["179540640000000000001000000000", "SOMEBODY-ELSES-1", "1" * 30, "订单", "0"]


@both_wallets
async def test_a_genuine_callback_about_an_order_we_do_not_know_is_refused_and_logged(channel: int) -> None:
    async with paid_at_the_wallet(channel) as (w, order_no, letter):
        letters = [letter.with_values(w, out_trade_no=trade_no) for trade_no in FOREIGN]

        answers = [await each.deliver(w) for each in letters]

        assert answers == [NO[channel]] * len(FOREIGN)
        assert await w.state(order_no) == "WAITING"
        logged = [line for line in w.log_lines() if line["event"] == "unknown order" and line["level"] == "error"]
        assert [line["trade_no"] for line in logged] == FOREIGN


@both_wallets
async def test_a_callback_for_another_account_of_the_same_merchant_is_refused(channel: int) -> None:
    async with paid_at_the_wallet(channel) as (w, order_no, letter):
        settings = await w.administration.account_settings(channel)
        twin_account = await w.administration.add_account(
            "same keys", merchant_id=1, channel=channel, settings=settings
        )
        path = letter.path.rsplit("/", 1)[0] + f"/{twin_account}"

        answer = await replace(letter, path=path).deliver(w)

        assert (answer, await w.state(order_no)) == (NO[channel], "WAITING")


@both_wallets
async def test_a_callback_at_the_other_wallets_address_leads_nowhere(channel: int) -> None:
    async with paid_at_the_wallet(channel) as (w, order_no, letter):
        paths = [
            PATHS[3 - channel], "/callbacks/alipay/2", "/callbacks/wechat/1", "/callbacks/nobody/1",
            "/callbacks/alipay/0", "/callbacks/alipay/9223372036854775808", "/callbacks/alipay/" + "9" * 40,
            "/callbacks/alipay/x", "/callbacks/alipay/-1", "/callbacks/alipay/", "/callbacks/",
        ]  # fmt: skip

        answers = {path: await replace(letter, path=path).deliver(w) for path in paths}

        assert [path for path, answer in answers.items() if answer.is_accepted or answer.status >= 502] == []
        assert {answer.status for path, answer in answers.items() if path not in PATHS.values()} == {404}
        assert await w.state(order_no) == "WAITING"
        assert not [line for line in w.log_lines() if line["event"] == "fault"]


@both_wallets
async def test_a_callback_over_the_limit_is_refused(channel: int) -> None:
    async with paid_at_the_wallet(channel) as (w, order_no, letter):
        large = replace(letter, body=letter.body + b"&x=" + b"x" * 131_072)

        assert (await large.deliver(w), await w.state(order_no)) == (NO[channel], "WAITING")


@both_wallets
async def test_a_callback_is_a_post(channel: int) -> None:
    async with paid_at_the_wallet(channel) as (w, order_no, letter):
        async with w.http.get(w.base_url + letter.path + "?" + letter.body.decode()) as reply:
            assert reply.status == 405

        assert await w.state(order_no) == "WAITING"


@both_wallets
async def test_a_callback_works_while_the_cashier_and_the_app_are_disabled(channel: int) -> None:
    async with paid_at_the_wallet(channel) as (w, order_no, letter):
        await w.administration.set_disabled("operator", w.till.operator_id, is_disabled=True)
        await w.administration.set_disabled("app", w.till.app, is_disabled=True)
        await w.administration.set_disabled("account", channel, is_disabled=True)
        w.deployment.parties.forget()

        answer = await letter.deliver(w)

        await w.settle()
        assert (answer, await w.state(order_no), notified(w)) == (YES[channel], "PAID", 1)


async def test_alipays_news_that_a_paid_trade_is_finished_or_closed_changes_nothing() -> None:
    async with paid_at_the_wallet(1) as (w, order_no, letter):
        await letter.deliver(w)

        answers = [
            await letter.with_values(w, trade_status=status).deliver(w) for status in ("TRADE_FINISHED", "TRADE_CLOSED")
        ]

        assert answers == [YES[1]] * 2
        assert (await w.state(order_no), await payments_of(w, order_no)) == ("PAID", ["EFFECTIVE"])


@both_wallets
async def test_while_the_database_is_away_the_wallet_hears_no_and_comes_again(channel: int) -> None:
    async with paid_at_the_wallet(channel, "postgresql") as (w, order_no, letter):
        await w.change("ALTER TABLE payments RENAME TO payments_away")
        refused = await letter.deliver(w)
        await w.change("ALTER TABLE payments_away RENAME TO payments")

        again = await letter.deliver(w)

        assert not refused.is_accepted
        assert (again, await w.state(order_no)) == (YES[channel], "PAID")
