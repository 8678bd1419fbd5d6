"""What we replied is on the order's timeline, with what was asked, and costs the one who asks nothing."""

import asyncio
from typing import Any, cast

import msgspec
import pytest

from opentill.base.metrics import Metrics
from opentill.services import replies
from opentill.services.access import Caller
from opentill.services.replies import REPLIED, Asked, ReplyLog
from opentill.storage import history
from opentill.storage.database import Database, DatabaseUnavailable
from opentill.storage.history import Event
from tests.databases import on_both_engines
from tests.faulty_databases import FaultyDatabase
from tests.orders import ALIPAY, CODES, PAYS, ask, other_operator, paid, scanned
from tests.world import TEST_APP_ID, World, world


def said(event: Event) -> dict[str, str]:
    """The reply's fields."""
    return msgspec.json.decode(event.detail["reply"], type=dict[str, str])


def asked_with(event: Event) -> dict[str, str]:
    lines = [line.partition("=") for line in event.detail["request"].splitlines()]
    return {name: value for name, _, value in lines}


@on_both_engines
async def test_a_reply_that_opened_an_order_is_kept_without_its_signature(engine: str) -> None:
    async with world(engine, works=False) as w:
        reply = await scanned(w, amount=1000, subject="茶")

        [kept] = await w.replies(reply.order_no)

        assert kept.at_ms == w.clock.now_ms()
        assert kept.detail["command"] == "open.pay.scan"
        assert kept.detail["request_id"] == reply.headers["x-request-id"]
        assert said(kept).items() >= {name: value for name, value in reply.data.items() if name != "sign"}.items()
        assert "sign" not in said(kept)
        # What was asked for stands beside the order's beginning.
        assert "request" not in kept.detail


@pytest.mark.parametrize(("command", "more"), [("barcode", {"barcode": CODES[ALIPAY] + PAYS}), ("h5", {})])
async def test_every_way_to_pay_keeps_its_reply(command: str, more: dict[str, Any]) -> None:
    async with world(works=False) as w:
        reply = await ask(w, command, amount=100, local_order_no="W-1", **more)

        [kept] = await w.replies(reply.order_no)

        assert kept.detail["command"] == f"open.pay.{command}"
        assert said(kept)["cbOrderNo"] == reply.order_no


async def test_refunds_queries_and_reversals_are_kept_with_what_was_asked() -> None:
    async with world() as w:
        order_no = await paid(w, amount=500)
        refunded = await ask(w, "refund", order_no=order_no, refund_amount=200, reason="凉了", local_refund_no="R-1")
        await ask(w, "query", order_no=refunded.data["cbOrderNo"])
        given_up = await scanned(w)
        await ask(w, "reverse", local_order_no=given_up.data["localOrderNo"])

        [_, refund, query] = await w.replies(order_no)
        [_, reverse] = await w.replies(given_up.order_no)

        assert (
            asked_with(refund).items() >= {"refund_amount": "200", "reason": "凉了", "local_refund_no": "R-1"}.items()
        )
        assert said(refund)["refundStatus"] == "5"
        # A refund's own number leads to the order it belongs to.
        assert asked_with(query)["order_no"] == refunded.data["cbOrderNo"]
        assert said(query)["orderStatus"] == "3"
        assert asked_with(reverse)["local_order_no"] == given_up.data["localOrderNo"]
        assert list(said(reverse)) == ["timestamp"]
        assert refund.detail["source_ip"] == "127.0.0.1"


@on_both_engines
async def test_refused_calls_stand_on_the_timeline_of_the_order_they_name(engine: str) -> None:
    async with world(engine) as w:
        order_no = await paid(w, amount=500, local_order_no="A-1")
        await ask(w, "scan", channel=ALIPAY, amount=500, local_order_no="A-1")
        await ask(w, "refund", order_no=order_no, refund_amount=501)
        await ask(w, "reverse", local_order_no="A-1")
        await ask(w, "refund", order_no=order_no, refund_amount="1.00")

        refused = (await w.replies(order_no))[1:]

        assert [(event.detail["command"], event.detail["code"]) for event in refused] == [
            ("open.pay.scan", "60"),
            ("open.pay.refund", "71"),
            ("open.pay.reverse", "80"),
            ("open.pay.refund", "52"),
        ]
        assert "501" in asked_with(refused[1])["refund_amount"]
        assert "可退500分" in refused[1].detail["message"]


async def test_nobody_writes_on_the_timeline_of_a_stranger() -> None:
    async with world(works=False) as w:
        order = await scanned(w, local_order_no="A-1")
        another_app = await w.add_till()
        another_merchant = await other_operator(w, w.till)

        await w.scan(local_order_no="A-1", sign="0" * 32)
        for till in (another_app, another_merchant):
            await ask(w, "refund", till=till, order_no=order.order_no)
            await ask(w, "refund", till=till, local_order_no="A-1")

        assert len(await w.replies(order.order_no)) == 1


async def test_a_question_repeated_with_the_same_answer_is_only_counted() -> None:
    async with world() as w:
        order = await scanned(w)
        for _ in range(5):
            await ask(w, "query", order_no=order.order_no)
        await ask(w, "query", local_order_no=order.data["localOrderNo"])
        await w.pay(order.qr_code)
        for _ in range(3):
            await ask(w, "query", order_no=order.order_no)

        [_, first, changed] = await w.replies(order.order_no)

        assert (said(first)["orderStatus"], first.detail.get("again")) == ("1", None)
        assert (said(changed)["orderStatus"], changed.detail["again"]) == ("2", "5")


async def test_a_stored_reply_given_again_is_told_as_such() -> None:
    async with world(works=False) as w:
        await w.set_rules(w.till, idempotent_replay=True)
        form = w.till.form("open.pay.scan", **w.till.scan_params(local_order_no="A-1"))
        order_no = (await w.till.post(form)).order_no

        await w.till.post(form)

        [_, replayed] = await w.replies(order_no)
        assert replayed.detail["replayed"] == "true"


async def test_a_till_in_a_loop_does_not_bury_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(works=False) as w:
        monkeypatch.setattr(replies, "MAX_ROWS", 3)
        order = await scanned(w)
        for amount in range(9):
            await ask(w, "refund", order_no=order.order_no, refund_amount=("x", 1)[amount % 2])

        refused = (await w.replies(order.order_no))[1:]

        assert len(refused) == 3


async def test_no_secret_is_kept_wherever_it_stands() -> None:
    async with world(works=False) as w:
        key = w.till.key
        order = await scanned(w, subject=key[:16])
        form = w.till.form("open.pay.query", order_no=order.order_no)
        more = {"key": key, "signString": f"a&key={key}", "remark": f"it is {key}", key: "1", "line\nbreak": "\n"}

        await w.till.post({**form, **more})
        # The edge of what is kept must not leave half a key behind.
        await w.till.post({**form, "sign": form["sign"], "filler": "x" * (replies.MAX_REQUEST - 330) + key * 20})
        await ask(w, "query", order_no=order.order_no, reason=key)

        kept = await w.replies(order.order_no)
        assert len(kept) >= 2
        whole = "".join(event.detail.get(name, "") for event in kept for name in ("request", "reply", "message"))
        assert key not in whole
        assert key[:12] not in whole.replace(key[:16], "", 1).replace(key[:16], "", 1)
        assert form["sign"] not in whole
        assert asked_with(kept[1])["sign"] == f"…{form['sign'][-4:]}"


async def test_a_huge_list_of_goods_is_cut() -> None:
    async with world(works=False) as w:
        order = await scanned(w, local_order_no="A-1")
        goods = msgspec.json.encode([{"goods_name": "茶" * 60, "sell_amount": 1, "goods_price": 1}] * 100).decode()

        await ask(w, "scan", channel=ALIPAY, amount=1, local_order_no="A-1", goods_list=goods)

        refused = (await w.replies(order.order_no))[1]
        assert len(refused.detail["request"]) == replies.MAX_REQUEST


# --- the log itself


async def asked(w: World) -> Asked:
    """A call of the test integrator."""
    app = await w.deployment.parties.app(w.till.app)
    operator = await w.deployment.parties.operator(w.till.operator_id)
    assert app is not None
    assert operator is not None
    return Asked(Caller(app=app, operator=operator, sign="", source_ip="127.0.0.1"), "open.pay.query", {}, "r")


def watched(database: Database, units: list[str]) -> Database:
    """The same, but every unit is noted."""
    faulty = FaultyDatabase(database)

    def note(sql: str) -> None:
        if sql.startswith("INSERT"):
            units.append(sql)

    faulty.before = note
    return cast(Database, faulty)


async def written(w: World) -> int:
    return await w.number("SELECT count(*) FROM history WHERE kind = $1", REPLIED)


@on_both_engines
async def test_what_gathers_while_a_batch_is_written_goes_into_the_next(engine: str) -> None:
    async with world(engine, works=False) as w:
        orders = [(await scanned(w)).order_no for _ in range(2)]
        await w.deployment.replies.settled()
        units: list[str] = []
        log = ReplyLog(watched(w.database, units), w.clock, Metrics())

        for number in range(replies.MAX_BATCH + 20):
            log.opened(await asked(w), orders[number % 2], {"n": str(number)})
        await log.settled()

        assert await written(w) == 2 + replies.MAX_BATCH + 20
        assert len(units) == 2
        kept = [int(said(event)["n"]) for event in await w.replies(orders[1]) if "n" in said(event)]
        assert kept == list(range(1, replies.MAX_BATCH + 20, 2))


async def test_too_many_at_once_are_dropped_and_counted() -> None:
    async with world(works=False) as w:
        order_no = (await scanned(w)).order_no
        log = w.deployment.replies

        for _ in range(replies.MAX_WAITING + 5):
            log.opened(await asked(w), order_no, {"n": "1"})
        await log.settled()

        assert await w.metric("opentill_replies_not_kept_total") == 5
        assert await written(w) == 1 + replies.MAX_WAITING


async def test_while_the_database_is_away_replies_wait_and_the_next_one_takes_them_along() -> None:
    async with world(works=False) as w:
        order_no = (await scanned(w)).order_no
        database = FaultyDatabase(w.database)
        log = ReplyLog(cast(Database, database), w.clock, Metrics())
        database.before = lambda _: DatabaseUnavailable("away")
        for number in range(3):
            log.opened(await asked(w), order_no, {"n": str(number)})
            await log.settled()
        database.before = lambda _: None

        log.opened(await asked(w), order_no, {"n": "3"})
        await log.settled()

        kept = [said(event)["n"] for event in await w.replies(order_no) if "n" in said(event)]
        assert kept == ["0", "1", "2", "3"]


async def test_one_that_the_database_refuses_takes_no_other_with_it() -> None:
    async with world(works=False) as w:
        order_no = (await scanned(w)).order_no
        metrics = Metrics()
        log = ReplyLog(w.database, w.clock, metrics)

        for number in range(9):
            log.opened(await asked(w), order_no if number != 4 else "no order", {"n": str(number)})
        await log.settled()

        kept = [said(event)["n"] for event in await w.replies(order_no) if "n" in said(event)]
        assert kept == [str(number) for number in range(9) if number != 4]
        assert metrics.registry.get_sample_value("opentill_replies_not_kept_total") == 1


async def test_a_stop_writes_what_waits_and_gives_up_what_it_can_not() -> None:
    async with world(works=False) as w:
        order_no = (await scanned(w)).order_no
        await w.deployment.replies.settled()
        before = await written(w)
        database, metrics = FaultyDatabase(w.database), Metrics()
        log = ReplyLog(cast(Database, database), w.clock, metrics)
        log.opened(await asked(w), order_no, {"n": "1"})

        await log.close()

        assert await written(w) == before + 1
        database.before = lambda _: DatabaseUnavailable("away")
        log.opened(await asked(w), order_no, {"n": "2"})
        await asyncio.wait_for(log.close(), 10)
        assert metrics.registry.get_sample_value("opentill_replies_not_kept_total") == 1


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(works=False) as w:
        monkeypatch.setattr(replies, "MAX_REMEMBERED", 10)
        log = w.deployment.replies

        for number in range(100):
            log.answered(await asked(w), f"no order {number}", {"n": "1"})

        assert len(log._last) == 10


@on_both_engines
async def test_events_written_twice_are_there_once(engine: str) -> None:
    async with world(engine, works=False) as w:
        order_no = (await scanned(w)).order_no
        event = history.NewEvent(TEST_APP_ID, order_no, 1, 1, "X", "{}")
        steps = history.add_events([event, event._replace(event_id=2)], dialect=w.database.dialect)

        for _ in range(2):
            await w.database.write(steps)

        assert await w.number("SELECT count(*) FROM history WHERE kind = 'X'") == 2
