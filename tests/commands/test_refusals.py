"""The integration log: what is kept of refused calls, and what never is (protocol 8.4)."""

import json

from opentill.services import refusals, words
from opentill.storage.refusals import Filter, RefusedCall, counts_by_name, find, forget_before
from tests.clients import Till
from tests.databases import on_both_engines
from tests.world import TEST_APP_ID, World, world

EVERYBODY = Filter()


async def kept(w: World, wanted: Filter = EVERYBODY) -> list[RefusedCall]:
    return await find(w.database, wanted, before_id=0, limit=1_000)


@on_both_engines
async def test_a_refused_call_is_kept_with_its_reason_and_its_parameters(engine: str) -> None:
    async with world(engine) as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params(subject="茶", amount="1.0"))

        reply = await w.till.post(form)

        [call] = await kept(w)
        assert (call.app_id, call.app, call.command) == (TEST_APP_ID, w.till.app, "open.pay.scan")
        assert (call.number, call.name, call.message) == (42, "AMOUNT_INVALID", reply.message)
        assert (call.at_ms, call.request_id) == (w.clock.now_ms(), reply.headers["x-request-id"])
        assert json.loads(call.request) == form


async def test_accepted_calls_leave_no_trace_there() -> None:
    async with world() as w:
        await w.scan()

        assert await kept(w) == []


async def test_what_could_be_a_key_is_masked_wherever_it_stands() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params())
        sign = "0" * 32
        text = f"amount=1&key={w.till.key}"

        await w.till.post({**form, "sign": sign, "key": "any", "signString": text, "remark": text})

        [call] = await kept(w)
        asked = json.loads(call.request)
        assert w.till.key not in call.request
        assert (asked["key"], asked["signString"], asked["remark"]) == ("***", "***", "amount=1&key=***")
        assert asked["sign"] == sign


async def test_the_old_key_is_masked_too() -> None:
    async with world() as w:
        old_key = w.till.key
        await w.administration.rotate_app_key(w.till.app, overlap_ms=3_600_000)
        w.deployment.parties.forget()
        form = w.till.form("open.pay.scan", **w.till.scan_params())

        await w.till.post({**form, "sign": "0" * 32, "remark": f"key={old_key}"})

        [call] = await kept(w)
        assert old_key not in call.request


async def test_beyond_twenty_a_minute_only_their_number_is_kept() -> None:
    async with world() as w:
        for _ in range(refusals.PER_MINUTE + 9):
            await w.scan(sign="0" * 32)

        calls = await kept(w)

        assert len(calls) == refusals.PER_MINUTE
        # 9 more came; written at 1, 2, 4 and 8
        assert [call.repeats for call in calls] == [8] + [0] * (refusals.PER_MINUTE - 1)
        assert await counts_by_name(w.database, None, from_ms=0) == {"SIGN_INVALID": refusals.PER_MINUTE + 8}


async def test_strangers_share_one_count_whatever_they_call_themselves() -> None:
    async with world() as w:
        for n in range(refusals.PER_MINUTE + 5):
            await Till(w.http, w.base_url, w.clock.now_ms, app=f"A{n:014}").scan()

        calls = await kept(w)

        assert len(calls) == refusals.PER_MINUTE
        assert {call.app_id for call in calls} == {0}


async def test_another_kind_and_another_app_have_room_of_their_own() -> None:
    async with world() as w:
        another = await w.add_till()
        for _ in range(refusals.PER_MINUTE):
            await w.scan(sign="0" * 32)

        await w.scan(amount="x")
        await another.scan(sign="0" * 32)

        assert len(await kept(w)) == refusals.PER_MINUTE + 2


async def test_a_huge_request_is_kept_in_pieces() -> None:
    async with world() as w:
        await w.scan(sign="0" * 32, remark="x" * 60_000, subject="茶")

        [call] = await kept(w)

        assert json.loads(call.request)["remark"] == "x" * words.MAX_VALUE
        assert json.loads(call.request)["subject"] == "茶"


async def test_a_body_that_cannot_be_read_is_kept_without_parameters() -> None:
    async with world() as w:
        await w.till.send("POST", body=b"{", content_type="application/json")

        [call] = await kept(w)

        assert (call.app_id, call.name, call.request, call.command) == (0, "BODY_UNREADABLE", "{}", "-")


@on_both_engines
async def test_calls_are_found_by_app_reason_command_and_time_newest_first(engine: str) -> None:
    async with world(engine) as w:
        another = await w.add_till()
        first_ms = w.clock.now_ms()
        await w.scan(sign="0" * 32)
        await w.scan(amount="x")
        w.clock.advance(60_000)
        await another.call("open.pay.query", order_no="1" * 30)
        another_id = await w.app_id(another)

        async def names(**wanted: object) -> list[str]:
            return [call.name for call in await kept(w, Filter(**wanted))]  # type: ignore[arg-type]

        assert await names() == ["ORDER_NOT_FOUND", "AMOUNT_INVALID", "SIGN_INVALID"]
        assert await names(app_ids=[TEST_APP_ID]) == ["AMOUNT_INVALID", "SIGN_INVALID"]
        assert await names(app_ids=[TEST_APP_ID, another_id], name="ORDER_NOT_FOUND") == ["ORDER_NOT_FOUND"]
        assert await names(command="open.pay.query") == ["ORDER_NOT_FOUND"]
        assert await names(to_ms=first_ms + 1) == ["AMOUNT_INVALID", "SIGN_INVALID"]
        assert await names(from_ms=first_ms + 1) == ["ORDER_NOT_FOUND"]
        assert await names(app_ids=[]) == []
        newest, *_ = await kept(w)
        assert len(await find(w.database, EVERYBODY, before_id=newest.refusal_id, limit=1)) == 1


async def test_what_is_older_than_wanted_is_forgotten() -> None:
    async with world() as w:
        await w.scan(amount="x")
        await w.database.write([forget_before(at_ms=w.clock.now_ms())])
        within = len(await kept(w))

        await w.database.write([forget_before(at_ms=w.clock.now_ms() + 1)])

        assert (within, await kept(w)) == (1, [])


async def test_housekeeping_forgets_after_the_days_of_the_setting() -> None:
    async with world(refused_calls_days=3) as w:
        await w.scan(amount="x")
        await w.advance(3 * 86_400 - 600)
        within = len(await kept(w))

        await w.advance(1_300)

        assert (within, await kept(w)) == (1, [])


async def test_a_disabled_apps_calls_still_belong_to_it() -> None:
    async with world() as w:
        till = await w.add_till()
        await w.administration.set_disabled("app", till.app, is_disabled=True)
        w.deployment.parties.forget()

        await till.scan()

        [call] = await kept(w)
        assert (call.app_id, call.name) == (await w.app_id(till), "APP_DISABLED")
