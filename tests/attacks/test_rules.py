"""What an app's owner may forbid (protocol 8.2), and stale, future and foreign calls. Each refusal is written down."""

from typing import Any

import pytest

from opentill.domain.parties import AppRules
from tests.clients import Till
from tests.databases import on_both_engines
from tests.orders import ask, audited, other_operator, paid, refunded_at_wallet, refunds_of, scanned, strict_till
from tests.world import TEST_APP_ID, World, world

DAY_MS = 86_400_000
TOLERANCE_MS = 600_000


@on_both_engines
async def test_a_till_that_never_refunds_can_not_be_made_to(engine: str) -> None:
    async with world(engine) as w:
        order_no = await paid(w, amount=1000)
        await w.set_rules(w.till, commands=["open.pay.scan", "open.pay.query"])

        replies = [
            await ask(w, "refund", order_no=order_no),
            await ask(w, "reverse", order_no=order_no),
            await w.till.call("caibao.pay.refund", order_no=order_no),
        ]

        assert [(reply.code, "没有调用open.pay.re" in reply.message) for reply in replies] == [("28", True)] * 3
        assert await audited(w) == ["COMMAND_NOT_ALLOWED"] * 3
        assert (await ask(w, "query", order_no=order_no)).data["orderStatus"] == "2"


@on_both_engines
async def test_money_goes_back_only_on_request_of_listed_sources(engine: str) -> None:
    async with world(engine) as w:
        order_no = await paid(w, amount=1000)
        open_order = await scanned(w)
        await w.set_rules(w.till, refund_sources=["203.0.113.0/24", "2001:db8::/32"])

        refused = [
            await ask(w, "refund", order_no=order_no),
            await ask(w, "reverse", order_no=open_order.order_no),
        ]
        await w.set_rules(w.till, refund_sources=["203.0.113.0/24", "127.0.0.1"])
        allowed = await ask(w, "refund", order_no=order_no, refund_amount=1)

        assert [(reply.code, "127.0.0.1" in reply.message) for reply in refused] == [("30", True)] * 2
        assert await audited(w) == ["SOURCE_NOT_ALLOWED"] * 2
        assert allowed.data["refundStatus"] == "5"


async def test_a_source_can_not_be_made_up_in_a_header() -> None:
    async with world() as w:
        order_no = await paid(w)
        await w.set_rules(w.till, refund_sources=["203.0.113.7"])
        form = w.till.form("open.pay.refund", order_no=order_no)
        headers = dict.fromkeys(("X-Forwarded-For", "X-Real-IP", "Forwarded"), "203.0.113.7")

        async with w.http.post(w.till.url, data=form, headers=headers) as reply:
            document = await reply.json()

        assert document["result"]["errorCode"] == "30"


async def test_a_stolen_key_empties_no_more_than_the_ceiling() -> None:
    async with world() as w:
        orders = [await paid(w, amount=400) for _ in range(3)]
        await w.set_rules(w.till, refund_ceiling_fen=1000)

        replies = [await ask(w, "refund", order_no=order_no) for order_no in orders]

        assert [reply.code for reply in replies] == ["0", "0", "74"]
        assert await audited(w) == ["REFUND_CEILING"]
        assert await refunds_of(w, orders[2]) == []


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1/elsewhere", "48"),
        ("http://shop.example.evil.example/", "48"),
        ("http://evil.example/?shop.example", "48"),
        ("http://SHOP.example:8080/notify", "0"),
        ("https://shop.example/notify", "0"),
    ],
)
async def test_a_changed_notify_url_leads_to_listed_hosts_only(url: str, code: str) -> None:
    async with world() as w:
        await w.set_rules(w.till, notify_hosts=["shop.example"])
        form = w.till.form("open.pay.scan", **w.till.scan_params(notify_url="https://shop.example/notify"))

        reply = await w.till.post({**form, "notify_url": url})  # not signed by the published table

        assert reply.code == code
        assert await audited(w) == (["NOTIFY_HOST_NOT_ALLOWED"] if code == "48" else [])


@pytest.mark.parametrize("command", ["query", "refund", "reverse"])
@pytest.mark.parametrize(
    ("off_ms", "code"),
    # The clock was moved by a few milliseconds, and strangers may use the time it was moved from.
    [
        (-TOLERANCE_MS, "0"),
        (-TOLERANCE_MS - 99, "24"),
        (TOLERANCE_MS - 99, "0"),
        (TOLERANCE_MS + 1, "24"),
        (-DAY_MS, "24"),
    ],
)
async def test_stale_and_future_requests_are_refused(command: str, off_ms: int, code: str) -> None:
    async with world() as w:
        order = await scanned(w)
        order_no = order.order_no if command != "refund" else await paid(w)

        reply = await w.meanwhile(
            w.till.call(f"open.pay.{command}", order_no=order_no, timestamp=w.clock.now_ms() + off_ms)
        )

        assert reply.code == code
        assert await audited(w) == ([] if code == "0" else ["TIMESTAMP_OUT_OF_RANGE"])


@pytest.mark.parametrize(
    ("command", "timestamp", "code"),
    [
        ("query", "seconds", "0"),
        ("query", "constant", "0"),
        ("refund", "seconds", "23"),
        ("refund", "constant", "24"),
        ("refund", "a day and a second old", "24"),
        ("refund", "a day and a second ahead", "24"),
        ("refund", "a day old", "0"),
        ("reverse", "seconds", "23"),
        ("reverse", "constant", "24"),
        ("reverse", "fresh", "80"),
    ],
)
async def test_without_a_tolerance_money_still_goes_back_for_a_day_only(
    command: str, timestamp: str, code: str
) -> None:
    async with world() as w:
        await w.set_rules(w.till, tolerance_ms=0)
        order_no = await paid(w)
        w.clock.advance(1)
        now_ms = w.clock.now_ms()
        sent = {
            "seconds": now_ms // 1000, "constant": 1_460_512_556_270, "fresh": now_ms, "a day old": now_ms - DAY_MS,
            "a day and a second old": now_ms - DAY_MS - 1000, "a day and a second ahead": now_ms + DAY_MS + 1000,
        }  # fmt: skip

        reply = await w.meanwhile(w.till.call(f"open.pay.{command}", order_no=order_no, timestamp=sent[timestamp]))

        assert reply.code == code
        wanted = {"23": ["TIMESTAMP_INVALID"], "24": ["TIMESTAMP_OUT_OF_RANGE"], "80": ["REVERSE_PAID"]}
        assert await audited(w) == wanted.get(code, [])


async def test_a_timestamp_in_seconds_is_told_so() -> None:
    async with world() as w:
        reply = await w.till.call("open.pay.query", order_no="1" * 30, timestamp=w.clock.now_ms() // 1000)

        assert (reply.code, "收到的是秒" in reply.message) == ("23", True)
        assert await audited(w) == ["TIMESTAMP_INVALID"]


async def test_an_app_acts_for_its_own_merchants_cashiers_only() -> None:
    async with world() as w:
        other = await w.add_till()
        foreign = await other_operator(w, other)  # `other` serves two merchants, the test app one
        intruder = Till(w.http, w.base_url, w.clock.now_ms, operator_id=foreign.operator_id)

        reply = await intruder.scan()

        assert reply.code == "25"
        assert await audited(w) == ["OPERATOR_UNKNOWN"]
        assert await w.number("SELECT count(*) FROM orders WHERE app_id = $1", TEST_APP_ID) == 0


@pytest.mark.parametrize(
    ("kind", "code", "name"), [("operator", "26", "OPERATOR_DISABLED"), ("app", "21", "APP_DISABLED")]
)
async def test_who_is_disabled_moves_nothing(kind: str, code: str, name: str) -> None:
    async with world() as w:
        order_no = await paid(w)
        key = w.till.operator_id if kind == "operator" else w.till.app
        await w.administration.set_disabled(kind, key, is_disabled=True)
        w.deployment.parties.forget()

        replies = [await ask(w, "refund", order_no=order_no), await ask(w, "query", order_no=order_no)]

        assert [reply.code for reply in replies] == [code, code]
        assert await audited(w) == [name] * 2
        assert await refunded_at_wallet(w, order_no) == []


@on_both_engines
async def test_changed_rules_are_felt_by_every_process_within_two_seconds(engine: str) -> None:
    async with world(engine) as w, w.another_gateway() as other:
        order_no = await paid(w, amount=1000)
        before = await other.call("open.pay.query", order_no=order_no)
        await w.administration.set_app_rules(w.till.app, {"commands": ["open.pay.scan"]})

        w.clock.advance(2_000)
        here = await w.till.call("open.pay.refund", order_no=order_no)
        there = await other.call("open.pay.refund", order_no=order_no)

        assert (before.code, here.code, there.code) == ("0", "28", "28")


@pytest.mark.parametrize("rules", [{}, {"commands": ("open.pay.scan", "open.pay.query", "open.pay.refund")}])
async def test_old_clients_work_as_ever(rules: dict[str, Any]) -> None:
    async with world() as w:
        till = await w.add_till(rules=AppRules(**rules))
        order_no = await paid(w, till=till, amount=1000)

        asked = [await ask(w, "query", till=till, order_no=order_no) for _ in range(3)]
        part = await ask(w, "refund", till=till, order_no=order_no, refund_amount=400)
        rest = await ask(w, "refund", till=till, order_no=order_no)

        assert [reply.data["orderStatus"] for reply in asked] == ["2"] * 3
        assert [part.data["refundStatus"], rest.data["refundStatus"]] == ["5", "5"]
        assert await audited(w) == []


# Every parameter of a strict refund, changed after signing.
TAMPERED = {
    "command": "open.pay.reverse", "version": "1.1", "operator_id": "another", "timestamp": "1795406400002",
    "order_no": "1" * 30, "refund_amount": "900", "reason": "other", "local_refund_no": "R-2", "notify_url": "http://x/",
    "redirect_url": "http://x/", "extra": "1",
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
async def test_a_strict_app_signs_whatever_is_sent(name: str) -> None:
    async with world() as w:
        till = await strict_till(w)
        order_no = await paid(w, till=till, amount=1000)
        form = till.form(
            "open.pay.refund", version="1.0", order_no=order_no, refund_amount=100, reason="r", local_refund_no="R-1",
            notify_url="http://y/", redirect_url="http://y/",
        )  # fmt: skip

        reply = await till.post({**form, name: TAMPERED[name]})

        assert reply.code == "22"
        assert await audited(w) == ["SIGN_INVALID"]
        assert await refunded_at_wallet(w, order_no) == []


async def test_a_strict_app_may_not_fall_back_to_md5() -> None:
    async with world() as w:
        strict = await strict_till(w)
        order_no = await paid(w, till=strict)
        weak = Till(w.http, w.base_url, w.clock.now_ms, app=strict.app, key=strict.key)

        reply = await weak.call("open.pay.refund", order_no=order_no, sign_type="MD5")

        assert reply.code in {"12", "22"}  # sign_type is a mark of the other generation
        assert await refunded_at_wallet(w, order_no) == []
        assert (await weak.call("open.pay.refund", order_no=order_no)).code == "22"


async def test_refusals_of_one_kind_are_written_down_twenty_times_a_minute() -> None:
    async with world() as w:
        await _refused_often(w, 25)
        within_a_minute = len(await audited(w))
        w.clock.advance(60_000)
        await _refused_often(w, 1)

        assert (within_a_minute, len(await audited(w))) == (20, 21)


async def _refused_often(w: World, times: int) -> None:
    for _ in range(times):
        reply = await w.till.call("open.pay.query", order_no="1" * 30, sign="0" * 32)
        assert reply.code == "22"
