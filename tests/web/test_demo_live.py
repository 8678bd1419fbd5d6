"""What the demo pages watch: the built-in receiver, the state of an order, its stream, and the judge of signatures."""

import asyncio
import json
from typing import Any

import pytest

from opentill.web import demo_live
from opentill.web.demo import MAX_VERIFY_BYTES
from tests.clients import TEST_APP
from tests.world import World, world

LONGEST_WAIT_S = 20


def receiver(w: World) -> str:
    return f"{w.base_url}/test/api/notify"


async def status_of(w: World, local_order_no: str, app: str = TEST_APP) -> dict[str, Any]:
    query = {"app": app, "local_order_no": local_order_no}
    async with w.http.get(f"{w.base_url}/test/api/status", params=query) as reply:
        assert reply.status == 200
        assert reply.headers["Cache-Control"] == "no-store"
        answer: dict[str, Any] = await reply.json()
        return answer


async def verdict(w: World, fields: dict[str, str], sign: str) -> dict[str, Any]:
    async with w.http.post(f"{w.base_url}/test/api/verify", json={"fields": fields, "sign": sign}) as reply:
        assert reply.status == 200
        answer: dict[str, Any] = await reply.json()
        return answer


async def test_the_receiver_answers_success_and_remembers_what_came_about_an_order() -> None:
    async with world() as w:
        order = await w.scan(amount=1234, local_order_no="watched", notify_url=receiver(w))

        await w.pay(order.qr_code)

        seen = await status_of(w, "watched")
        (received,) = seen["received"]
        assert received["answer"] == "success"
        assert received["fields"]["orderStatus"] == "PAY_SUC"
        assert received["fields"]["totalAmount"] == "1234"
        assert "cbOrderNo=" + order.order_no in received["body"]
        assert [told["state"] for told in seen["notifications"]] == ["DELIVERED"]


async def test_the_receiver_answers_something_else_so_that_retries_can_be_watched() -> None:
    async with world() as w:
        order = await w.scan(local_order_no="refused", notify_url=receiver(w) + "?answer=fail")

        await w.pay(order.qr_code)

        seen = await status_of(w, "refused")
        (told,) = seen["notifications"]
        assert told["state"] == "DUE"
        assert [(attempt["status"], attempt["body"]) for attempt in told["attempts"]] == [(200, "fail")]


async def test_the_receiver_remembers_a_bounded_number_of_forms() -> None:
    async with world(works=False) as w:
        order = await w.scan(local_order_no="bounded")
        form = {"cbOrderNo": order.order_no}

        for number in range(demo_live.MAX_RECEIVED + 1):
            async with w.http.post(receiver(w), data={**form, "number": str(number)}) as reply:
                assert await reply.text() == "success"

        numbers = [received["fields"]["number"] for received in (await status_of(w, "bounded"))["received"]]
        assert numbers == [str(number) for number in range(1, demo_live.MAX_RECEIVED + 1)]


@pytest.mark.parametrize(
    ("size", "status"), [(demo_live.MAX_RECEIVED_BYTES, 200), (demo_live.MAX_RECEIVED_BYTES + 1, 413)]
)
async def test_the_receiver_reads_no_more_than_its_limit(size: int, status: int) -> None:
    async with world(works=False) as w, w.http.post(receiver(w), data=b"a" * size) as reply:
        assert reply.status == status


async def test_what_the_receiver_repeats_is_never_markup() -> None:
    async with world(works=False) as w, w.http.post(receiver(w) + "?answer=<script>") as reply:
        assert reply.headers["Content-Type"].startswith("text/plain")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_status_of_an_order_tells_state_amounts_and_what_happened() -> None:
    async with world() as w:
        order = await w.scan(amount=500, local_order_no="told")
        await w.pay(order.qr_code)

        seen = await status_of(w, "told")

        assert seen["order"]["state"] == "PAID"
        assert seen["order"]["status"] == "2"
        assert seen["order"]["amount_fen"] == 500
        assert seen["order"]["received_fen"] == 500
        assert [event["kind"] for event in seen["events"]] == ["CREATED", "WAITING", "PAID"]


@pytest.mark.parametrize(("app", "local_order_no"), [(TEST_APP, "nobody"), (TEST_APP, ""), ("A-unknown", "taken")])
async def test_an_order_nobody_has_is_no_order(app: str, local_order_no: str) -> None:
    async with world(works=False) as w:
        await w.scan(local_order_no="taken")

        seen = await status_of(w, local_order_no, app)

        assert seen == {"order": None, "events": [], "notifications": [], "received": []}


async def test_the_stream_tells_the_state_at_once_and_then_every_change() -> None:
    async with world() as w:
        order = await w.scan(local_order_no="streamed")
        states = []

        async with w.http.get(f"{w.base_url}/test/api/events?app={TEST_APP}&local_order_no=streamed") as stream:
            async for line in stream.content:
                if line.startswith(b"data: "):
                    states.append(json.loads(line.removeprefix(b"data: "))["order"]["state"])
                    if states == ["WAITING"]:
                        await w.pay(order.qr_code)
                    if states[-1] == "PAID":
                        break

        assert states == ["WAITING", "PAID"]
        assert stream.headers["Content-Type"].startswith("text/event-stream")


async def test_a_stream_ends_by_itself_so_that_a_server_can_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_live, "STREAM_LIFE_S", 0.1)
    async with world(works=False) as w:
        async with w.http.get(f"{w.base_url}/test/api/events?app={TEST_APP}&local_order_no=x") as stream:
            text = await stream.text()

        assert text.startswith("retry: ")


async def test_more_readers_than_the_limit_are_sent_to_polling_until_one_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo_live, "MAX_STREAMS", 1)
    monkeypatch.setattr(demo_live, "BREATH_EVERY_LOOKS", 1)
    async with world(works=False) as w:
        url = f"{w.base_url}/test/api/events?app={TEST_APP}&local_order_no=x"
        async with w.http.get(url) as first:
            await first.content.readline()

            async with w.http.get(url) as second:
                refused = second.status

            first.close()
        opened = 503
        async with asyncio.timeout(LONGEST_WAIT_S):
            while opened == 503:
                async with w.http.get(url) as third:
                    opened = third.status
                    third.close()

        assert (refused, opened) == (503, 200)


async def test_the_judge_says_whether_the_platform_signed_these_fields() -> None:
    async with world(works=False) as w:
        order = await w.scan(version="1.0")
        fields = {name: value for name, value in order.data.items() if name != "sign"}

        genuine = await verdict(w, fields, order.data["sign"])
        changed = await verdict(w, {**fields, "totalAmount": "2"}, order.data["sign"])
        nonsense = await verdict(w, fields, "not base64!")

        assert (genuine["valid"], changed["valid"], nonsense["valid"]) == (True, False, False)
        assert genuine["string"].startswith(f"cbOrderNo={order.order_no}&localOrderNo=")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}", 400),
        (b"not json", 400),
        (b'{"fields": {"a": 1}, "sign": ""}', 400),
        (b" " * MAX_VERIFY_BYTES + b"{}", 413),
    ],
)
async def test_the_judge_refuses_what_it_cannot_read(body: bytes, status: int) -> None:
    async with world(works=False) as w, w.http.post(f"{w.base_url}/test/api/verify", data=body) as reply:
        assert reply.status == status
