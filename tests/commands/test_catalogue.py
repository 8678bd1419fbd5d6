"""Every number of the catalogue is reached through HTTP by somebody who does what its advice warns of (protocol 1)."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from opentill.base.errors import CATALOGUE
from opentill.domain.parties import AppRules
from tests.clients import FORM, Reply, Till
from tests.orders import ask, lacks_money, paid, scanned
from tests.wallets import WALLET_TIMEOUT_S, Accident, Call, faulty_road
from tests.world import World, world

Case = Callable[[World], Awaitable[Reply]]
CASES: dict[str, Case] = {}


def case(name: str) -> Callable[[Case], Case]:
    """Declare how the error `name` is reached in a fresh world."""

    def declare(reach: Case) -> Case:
        CASES[name] = reach
        return reach

    return declare


def scanning(name: str, **params: object) -> None:
    """An error that one bad parameter of a scan reaches."""
    CASES[name] = lambda w: w.scan(**params)


scanning("VERSION_UNSUPPORTED", version="1.2")
scanning("PARAMETER_MISSING", amount=None)
scanning("APP_UNKNOWN", app="A00000000000000")
scanning("SIGN_INVALID", sign="0" * 32)
scanning("TIMESTAMP_INVALID", timestamp="1795406400")
scanning("TIMESTAMP_OUT_OF_RANGE", timestamp="1460512556270")
scanning("OPERATOR_UNKNOWN", operator_id="nobody")
scanning("LOCAL_ORDER_NO_INVALID", local_order_no="x" * 65)
scanning("CHANNEL_INVALID", channel=5)
scanning("AMOUNT_INVALID", amount=0)
scanning("UN_DISCOUNT_AMOUNT_INVALID", amount=1, un_discount_amount=2)
scanning("SUBJECT_INVALID", subject="汉" * 20)
scanning("GOODS_LIST_INVALID", goods_list="{}")
scanning("NOTIFY_URL_INVALID", notify_url="ftp://example.com/")
scanning("DEVICE_CREATE_IP_INVALID", device_create_ip="localhost")
scanning("CHANNEL_NOT_AVAILABLE", channel=3)


# --- the gateway itself


@case("SYSTEM_ERROR")
async def _(w: World) -> Reply:
    await w.change("ALTER TABLE orders RENAME TO orders_away")
    return await w.scan()


@case("BUSY")
async def _(_: World) -> Reply:
    async with faulty_road() as road, world(**road.settings, max_open_requests=1) as small:
        road.leads_to(small)
        replies: list[Reply] = []

        async def call_meanwhile(_: Call) -> None:
            if not replies:
                replies.append(await small.scan())

        road.before = call_meanwhile
        assert (await small.scan()).is_success, "the first one is not disturbed"
        return replies[0]


@case("STORAGE_UNAVAILABLE")
async def _(w: World) -> Reply:
    await w.database.close()
    return await w.scan()


# --- reading the request


@case("COMMAND_MISSING")
async def _(w: World) -> Reply:
    return await w.till.post({"app": w.till.app})


@case("COMMAND_UNKNOWN")
async def _(w: World) -> Reply:
    return await w.till.call("open.pay.scam")


@case("OTHER_GENERATION")
async def _(w: World) -> Reply:
    return await w.till.call("open.api.pay")


@case("BODY_UNREADABLE")
async def _(w: World) -> Reply:
    return await w.till.post_json("not json")


@case("BODY_TOO_LARGE")
async def _(w: World) -> Reply:
    return await w.till.post({"remark": "x" * 131_072})


@case("PARAMETER_REPEATED")
async def _(w: World) -> Reply:
    return await w.till.send("POST", body=b"command=a&command=b", content_type=FORM)


@case("METHOD_NOT_ALLOWED")
async def _(w: World) -> Reply:
    return await w.till.send("PUT", body=b"", content_type=FORM)


# --- who calls


@case("APP_DISABLED")
async def _(w: World) -> Reply:
    await w.administration.set_disabled("app", w.till.app, is_disabled=True)
    return await w.scan()


@case("OPERATOR_DISABLED")
async def _(w: World) -> Reply:
    await w.administration.set_disabled("operator", w.till.operator_id, is_disabled=True)
    return await w.scan()


@case("TEST_IDENTITY_REFUSED")
async def _(_: World) -> Reply:
    async with world(is_sandbox=False) as real:
        return await real.scan()


@case("COMMAND_NOT_ALLOWED")
async def _(w: World) -> Reply:
    return await (await w.add_till(rules=AppRules(commands=("open.pay.query",)))).scan()


@case("SIGN_REUSED")
async def _(w: World) -> Reply:
    form = w.till.form("open.pay.query", order_no=await paid(w))
    await w.till.post(form)
    return await w.till.post({**form, "command": "open.pay.refund"})


@case("SOURCE_NOT_ALLOWED")
async def _(w: World) -> Reply:
    till = await w.add_till(rules=AppRules(refund_sources=("203.0.113.0/24",)))
    return await ask(w, "refund", till=till, order_no=await paid(w, till=till))


# --- parameters


@case("NOTIFY_HOST_NOT_ALLOWED")
async def _(w: World) -> Reply:
    till = await w.add_till(rules=AppRules(notify_hosts=("pay.example.com",)))
    return await till.scan(notify_url="http://example.com/")


@case("BARCODE_INVALID")
async def _(w: World) -> Reply:
    return await ask(w, "barcode", local_order_no="B-1", amount=1, barcode="123")


@case("REDIRECT_URL_INVALID")
async def _(w: World) -> Reply:
    return await ask(w, "h5", amount=1, redirect_url="javascript:alert(1)")


@case("WALLET_ID_INVALID")
async def _(w: World) -> Reply:
    return await ask(w, "mp", amount=1, sub_app_id="wx 1", open_id="o1")


@case("REFUND_AMOUNT_INVALID")
async def _(w: World) -> Reply:
    return await ask(w, "refund", order_no=await paid(w), refund_amount=0)


@case("REASON_INVALID")
async def _(w: World) -> Reply:
    return await ask(w, "refund", order_no=await paid(w), reason="汉" * 81)


@case("LOCAL_REFUND_NO_INVALID")
async def _(w: World) -> Reply:
    return await ask(w, "refund", order_no=await paid(w), local_refund_no="x" * 65)


@case("ORDER_NO_INVALID")
async def _(w: World) -> Reply:
    return await ask(w, "query", order_no="1" * 29)


# --- orders and wallets


@case("DUPLICATE_ORDER")
async def _(w: World) -> Reply:
    await w.scan(local_order_no="T-1")
    return await w.scan(local_order_no="T-1")


@case("CHANNEL_REFUSED")
async def _(w: World) -> Reply:
    settings = await w.administration.account_settings(2)
    await w.administration.replace_account_settings(2, {**settings, "mchid": "1600000000"})
    return await w.scan(channel=2)


@case("CHANNEL_TIMEOUT")
async def _(_: World) -> Reply:
    async with faulty_road() as road, world(**road.settings) as faulty:
        road.leads_to(faulty)
        road.always = Accident.REPLY_LOST
        return await faulty.scan()


@case("ORDER_NOT_FOUND")
async def _(w: World) -> Reply:
    return await ask(w, "query", local_order_no="nobody's")


@case("ORDER_NUMBER_MISSING")
async def _(w: World) -> Reply:
    return await ask(w, "query")


# --- refunds and reversals


@case("ORDER_NOT_PAID")
async def _(w: World) -> Reply:
    return await ask(w, "refund", order_no=(await scanned(w)).order_no)


@case("REFUND_EXCEEDS_PAYMENT")
async def _(w: World) -> Reply:
    return await ask(w, "refund", order_no=await paid(w, amount=100), refund_amount=101)


@case("REFUND_IN_PROGRESS")
async def _(w: World) -> Reply:
    order_no = await paid(w, channel=2, amount=100)
    lacks_money(w, 2)
    await ask(w, "refund", order_no=order_no, refund_amount=1)
    return await ask(w, "refund", order_no=order_no, refund_amount=1)


@case("REFUND_REPEAT_DIFFERS")
async def _(w: World) -> Reply:
    order_no = await paid(w, amount=100)
    await ask(w, "refund", order_no=order_no, refund_amount=1, local_refund_no="R-1")
    return await ask(w, "refund", order_no=order_no, refund_amount=2, local_refund_no="R-1")


@case("REFUND_CEILING")
async def _(w: World) -> Reply:
    till = await w.add_till(rules=AppRules(refund_ceiling_fen=99))
    return await ask(w, "refund", till=till, order_no=await paid(w, till=till, amount=100))


@case("REVERSE_PAID")
async def _(w: World) -> Reply:
    return await ask(w, "reverse", order_no=await paid(w))


@case("REVERSE_REFUNDED")
async def _(w: World) -> Reply:
    order_no = await paid(w)
    await ask(w, "refund", order_no=order_no)
    return await ask(w, "reverse", order_no=order_no)


@case("REVERSE_FAILED")
async def _(w: World) -> Reply:
    reply = await scanned(w)
    await w.change("UPDATE orders SET state = 'FAILED'")
    return await ask(w, "reverse", order_no=reply.order_no)


@case("REVERSE_NOT_PAYMENT")
async def _(w: World) -> Reply:
    refund = await ask(w, "refund", order_no=await paid(w))
    return await ask(w, "reverse", order_no=refund.order_no)


def test_the_catalogue_has_no_entry_without_a_case_and_no_case_without_an_entry() -> None:
    assert sorted(CASES) == sorted(CATALOGUE)


@pytest.mark.parametrize("name", [entry.name for entry in sorted(CATALOGUE.values(), key=lambda entry: entry.number)])
async def test_each_number_is_answered_to_whom_it_is_meant_for(name: str) -> None:
    async with world() as w:
        w.deployment.parties.forget()

        reply = await CASES[name](w)

        assert reply.code == str(CATALOGUE[name].number), reply.message
        assert (reply.status, reply.is_success, reply.data) == (200, False, {})
        assert reply.headers["content-type"] == "application/json;charset=UTF-8"
        assert "{" not in reply.message
        assert "Traceback" not in reply.body.decode()


async def test_an_unexpected_fault_names_a_request_that_the_log_names_too() -> None:
    async with world() as w:
        await w.change("ALTER TABLE orders RENAME TO orders_away")

        reply = await w.scan()

        request_id = reply.headers["x-request-id"]
        assert request_id in reply.message
        # The worker misses the table too, and its faults belong to no request.
        faults = [line for line in w.log_lines() if line["event"] == "fault" and line.get("request_id") == request_id]
        assert [line["command"] for line in faults] == ["open.pay.scan"]
        assert "orders_away" not in reply.message


async def test_while_the_gateway_is_busy_nothing_of_a_refused_request_is_done() -> None:
    async with faulty_road() as road, world(**road.settings, max_open_requests=3) as w:
        road.leads_to(w)
        held, free = asyncio.Event(), asyncio.Event()

        async def hold(_: Call) -> None:
            if len(road.calls) == 3:
                held.set()
            await asyncio.wait_for(free.wait(), WALLET_TIMEOUT_S * 4)

        road.before = hold
        slow = [asyncio.create_task(w.scan()) for _ in range(3)]
        await held.wait()
        refused = await w.scan(local_order_no="T-1")
        free.set()
        await asyncio.gather(*slow)

        assert refused.code == "2"
        assert (await w.scan(local_order_no="T-1")).is_success


async def test_the_error_of_a_wallet_that_is_not_set_up_names_it() -> None:
    async with world() as w:
        operator_id = await w.administration.add_operator("no wallets", merchant_id=1, store_id=1, account_ids=[])
        till = Till(w.http, w.base_url, w.clock.now_ms, operator_id=operator_id)

        replies = [await till.scan(channel=channel) for channel in (1, 2, 3, 4)]

        assert [reply.code for reply in replies] == ["61"] * 4
        titles = ("支付宝", "微信支付", "百度钱包", "翼支付")
        assert all(title in reply.message for title, reply in zip(titles, replies, strict=True))
