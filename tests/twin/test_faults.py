"""Faults: what goes wrong with answers, and whether the wallet acted all the same."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import pytest
from cryptography.exceptions import InvalidSignature

from tests.twin.clients import AlipayAnswer, WechatAnswer, certificate_names, verify
from tests.twin.test_alipay_trades import BIZ, qr_code
from tests.twin.test_wechat_trades import NATIVE, by_order, code_url, order
from tests.twin.world import World, world

ALIPAY, WECHAT = "alipay", "wechat"
BROKEN = (aiohttp.ClientError, TimeoutError)
SILENT_S, LONGEST_ANSWER_S = 0.5, 20.0


@asynccontextmanager
async def bad_day(folder: Path, wallet: str, operation: str, fault: str, **more: Any) -> AsyncIterator[World]:
    async with world(folder / "twin.sqlite3") as w:
        status, answer = await w.post("/api/faults", wallet=wallet, operation=operation, fault=fault, **more)
        assert status == 200, answer
        yield w


async def create(w: World, wallet: str) -> AlipayAnswer | WechatAnswer:
    if wallet == ALIPAY:
        return await w.alipay(notify_url=w.shop.url).call("precreate", BIZ)
    return await w.wechat().call("POST", NATIVE, order(w))


async def close(w: World, wallet: str) -> AlipayAnswer | WechatAnswer:
    if wallet == ALIPAY:
        return await w.alipay().call("close", {"out_trade_no": "T1"})
    target = "/v3/pay/transactions/out-trade-no/T00001/close"
    return await w.wechat().call("POST", target, {"mchid": w.twin.wechat_merchant().mchid})


async def query(w: World, wallet: str) -> AlipayAnswer | WechatAnswer:
    if wallet == ALIPAY:
        return await w.alipay().call("query", {"out_trade_no": "T1"})
    return await w.wechat().call("GET", by_order(w))


async def opened_trade(w: World, wallet: str) -> None:
    """A trade that waits for its payer."""
    await w.post("/api/scan", qr_code=await (qr_code(w) if wallet == ALIPAY else code_url(w)))


async def status(w: World) -> str:
    _, listed = await w.get("/api/trades")
    return str(listed["trades"][0]["status"])


@pytest.mark.parametrize("wallet", [ALIPAY, WECHAT])
@pytest.mark.parametrize(
    ("fault", "is_closed"), [("reset_before", False), ("reset_after", True), ("lost_reply", True), ("hang", False)]
)
async def test_an_answer_that_never_comes(tmp_path: Path, wallet: str, fault: str, is_closed: bool) -> None:
    async with bad_day(tmp_path, wallet, "close", fault) as w:
        await opened_trade(w, wallet)

        with pytest.raises(BROKEN):
            await asyncio.wait_for(close(w, wallet), SILENT_S if fault == "hang" else LONGEST_ANSWER_S)

        assert ("CLOSED" in await status(w)) == is_closed


async def test_a_reset_is_a_reset_and_a_lost_reply_an_orderly_end(tmp_path: Path) -> None:
    errors = {}
    for fault in ("reset_before", "lost_reply"):
        async with bad_day(tmp_path, WECHAT, "create", fault) as w:
            try:
                await create(w, WECHAT)
            except aiohttp.ClientError as error:
                errors[fault] = type(error)

    assert errors == {"reset_before": aiohttp.ClientOSError, "lost_reply": aiohttp.ServerDisconnectedError}


@pytest.mark.parametrize(
    ("wallet", "fault", "more", "status_code", "content", "is_closed"),
    [
        (ALIPAY, "html", {}, 200, b"<html>", False),
        (WECHAT, "html", {}, 502, b"<html>", False),
        (ALIPAY, "http_429", {}, 429, b"Too Many", False),
        (WECHAT, "http_429", {}, 429, b"RATELIMIT_EXCEEDED", False),
        (ALIPAY, "http_500", {}, 500, b"<html>", True),
        (WECHAT, "http_500", {}, 500, b"<html>", True),
        (ALIPAY, "system_error", {}, 200, b'"ACQ.SYSTEM_ERROR"', False),
        (ALIPAY, "system_error", {"acts": True}, 200, b'"ACQ.SYSTEM_ERROR"', True),
        (WECHAT, "system_error", {}, 500, b'"SYSTEM_ERROR"', False),
        (WECHAT, "http_500", {"acts": False}, 500, b"<html>", False),
        (ALIPAY, "code_20000", {}, 200, b'"20000"', True),
        (ALIPAY, "clock_skew", {}, 200, b"isv.invalid-timestamp", False),
    ],
)
async def test_answers_that_are_not_the_wallets(
    tmp_path: Path, wallet: str, fault: str, more: dict[str, Any], status_code: int, content: bytes, is_closed: bool
) -> None:
    async with bad_day(tmp_path, wallet, "close", fault, **more) as w:
        await opened_trade(w, wallet)

        got, body = await raw_close(w, wallet)

        assert got == status_code
        assert content in body
        assert ("CLOSED" in await status(w)) == is_closed


async def raw_close(w: World, wallet: str) -> tuple[int, bytes]:
    if wallet == WECHAT:
        answer = await close(w, WECHAT)
        assert isinstance(answer, WechatAnswer)
        return answer.status, answer.body
    values = w.alipay().signed("close", {"out_trade_no": "T1"})
    async with w.http.get(f"{w.base_url}/alipay/gateway.do?{urlencode(values)}") as reply:
        return reply.status, await reply.read()


async def test_the_typo_of_the_real_world_takes_turns_with_the_right_word(tmp_path: Path) -> None:
    async with bad_day(tmp_path, ALIPAY, "query", "system_error", times=3) as w:
        answers = [await w.alipay().call("query", {"out_trade_no": "T1"}) for _ in range(4)]

        assert [answer.code for answer in answers] == [
            "ACQ.SYSTEM_ERROR",
            "AQC.SYSTEM_ERROR",
            "ACQ.SYSTEM_ERROR",
            "ACQ.TRADE_NOT_EXIST",
        ]


@pytest.mark.parametrize("wallet", [ALIPAY, WECHAT])
async def test_a_wrong_signature_verifies_nowhere(tmp_path: Path, wallet: str) -> None:
    async with bad_day(tmp_path, wallet, "query", "bad_signature", times=2) as w:
        await opened_trade(w, wallet)

        with pytest.raises(InvalidSignature):
            await query(w, wallet)
        with pytest.raises((InvalidSignature, ValueError)):
            await query(w, wallet)

        await query(w, wallet)


async def test_every_second_wrong_signature_of_wechat_is_one_of_its_probes(tmp_path: Path) -> None:
    async with bad_day(tmp_path, WECHAT, "query", "bad_signature", times=2) as w:
        await opened_trade(w, WECHAT)
        client = w.wechat()
        signatures = []
        for _ in range(2):
            async with w.http.get(client.url + by_order(w), headers=client.headers("GET", by_order(w), b"")) as reply:
                signatures.append(reply.headers["Wechatpay-Signature"])

        assert [signature.startswith("WECHATPAY/SIGNTEST/") for signature in signatures] == [False, True]


@pytest.mark.parametrize("wallet", [ALIPAY, WECHAT])
async def test_an_unsigned_success_has_no_signature_at_all(tmp_path: Path, wallet: str) -> None:
    async with bad_day(tmp_path, wallet, "query", "unsigned") as w:
        await opened_trade(w, wallet)

        answer = await query(w, wallet)

        if isinstance(answer, AlipayAnswer):
            assert (answer.node["code"], answer.sign) == ("10000", "")
        else:
            assert (answer.status, [name for name in answer.headers if name.startswith("wechatpay-")]) == (200, [])


@pytest.mark.parametrize("wallet", [ALIPAY, WECHAT])
async def test_a_truncated_answer_is_no_json(tmp_path: Path, wallet: str) -> None:
    async with bad_day(tmp_path, wallet, "query", "truncated") as w:
        await opened_trade(w, wallet)

        if wallet == ALIPAY:
            values = w.alipay().signed("query", {"out_trade_no": "T1"})
            async with w.http.get(f"{w.base_url}/alipay/gateway.do?{urlencode(values)}") as reply:
                body = await reply.read()
        else:
            client = w.wechat()
            async with w.http.get(client.url + by_order(w), headers=client.headers("GET", by_order(w), b"")) as reply:
                body = await reply.read()

        assert (reply.status, body[:1]) == (200, b"{")
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)


@pytest.mark.parametrize("wallet", [ALIPAY, WECHAT])
async def test_an_answer_that_comes_twice_is_twice_on_the_wire(tmp_path: Path, wallet: str) -> None:
    async with bad_day(tmp_path, wallet, "query", "double_reply") as w:
        await opened_trade(w, wallet)
        if wallet == ALIPAY:
            target = "/alipay/gateway.do?" + urlencode(w.alipay().signed("query", {"out_trade_no": "T1"}))
            headers = {}
        else:
            target = "/wechat" + by_order(w)
            headers = w.wechat().headers("GET", by_order(w), b"")
        where = urlsplit(w.base_url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

        writer.write(f"GET {where.path}{target} HTTP/1.1\r\nHost: twin\r\n{lines}\r\n".encode())
        first, second = await one_reply(reader), await one_reply(reader)

        writer.close()
        assert first == second
        assert b"WAIT_BUYER_PAY" in first or b"NOTPAY" in first


async def one_reply(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    names = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:-1])
    return await reader.readexactly(int(names[b"content-length"]))


@pytest.mark.parametrize("wallet", [ALIPAY, WECHAT])
async def test_a_slow_answer_takes_the_time_it_was_given(tmp_path: Path, wallet: str) -> None:
    async with bad_day(tmp_path, wallet, "query", "slow", delay_s=7) as w:
        await opened_trade(w, wallet)
        asking = asyncio.create_task(query(w, wallet))
        done, _ = await asyncio.wait([asking], timeout=0.3)
        w.clock.advance(7000)

        answer = await asking

        assert done == set()
        assert answer is not None


async def test_wrong_amounts_and_wrong_merchants_are_signed_well(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        await w.pay(await qr_code(w))
        await w.pay(await code_url(w))
        for wallet in (ALIPAY, WECHAT):
            for fault in ("wrong_amount", "wrong_app"):
                await w.post("/api/faults", wallet=wallet, operation="query", fault=fault)

        alipay = [(await w.alipay().call("query", {"out_trade_no": "T1"})).node for _ in range(3)]
        wechat = [(await w.wechat().call("GET", by_order(w))).document for _ in range(3)]

        mchid = w.twin.wechat_merchant().mchid
        assert [node["total_amount"] for node in alipay] == ["12.31", "12.30", "12.30"]
        assert [node["out_trade_no"] == "T1" for node in alipay] == [True, False, True]
        assert [document["amount"]["total"] for document in wechat] == [1231, 1230, 1230]
        assert [document["mchid"] == mchid for document in wechat] == [True, False, True]


async def test_an_answer_of_wechat_may_be_an_hour_old(tmp_path: Path) -> None:
    async with bad_day(tmp_path, WECHAT, "query", "clock_skew") as w:
        await opened_trade(w, WECHAT)

        answer = await query(w, WECHAT)

        assert isinstance(answer, WechatAnswer)
        assert w.clock.now_ms() // 1000 - int(answer.headers["wechatpay-timestamp"]) == 3600


async def test_wechat_changes_between_public_key_and_certificate(tmp_path: Path) -> None:
    async with bad_day(tmp_path, WECHAT, "query", "key_rotated") as w:
        await opened_trade(w, WECHAT)

        answer = await query(w, WECHAT)

        assert isinstance(answer, WechatAnswer)
        assert answer.headers["wechatpay-serial"] == w.twin.wechat_merchant().platform_certificate_serial


async def test_alipays_new_key_is_not_the_one_that_the_merchant_has(tmp_path: Path) -> None:
    async with bad_day(tmp_path, ALIPAY, "query", "key_rotated") as w:
        await opened_trade(w, ALIPAY)

        with pytest.raises(InvalidSignature):
            await query(w, ALIPAY)


@pytest.mark.parametrize("wallet", [ALIPAY, WECHAT])
async def test_a_person_pays_although_the_trade_was_closed(tmp_path: Path, wallet: str) -> None:
    async with bad_day(tmp_path, wallet, "close", "paid_after_close") as w:
        await opened_trade(w, wallet)

        answer = await close(w, wallet)

        await w.twin.quiet()
        assert isinstance(answer, WechatAnswer) or answer.node["code"] == "10000"
        assert "SUCCESS" in await status(w)
        assert len(w.shop.received) == 1


async def test_a_person_scans_and_pays_after_alipay_said_that_there_is_no_trade(tmp_path: Path) -> None:
    async with bad_day(tmp_path, ALIPAY, "cancel", "paid_after_close") as w:
        await qr_code(w)

        answer = await w.alipay().call("cancel", {"out_trade_no": "T1"})

        assert (answer.node["code"], answer.node.get("action")) == ("10000", None)
        assert await status(w) == "TRADE_SUCCESS"


async def test_the_phone_pays_a_closed_trade_when_told_to(tmp_path: Path) -> None:
    async with bad_day(tmp_path, WECHAT, "pay", "paid_after_close") as w:
        code = await code_url(w)
        await close(w, WECHAT)

        paid = await w.pay(code)

        assert paid["status"] == "SUCCESS"


@pytest.mark.parametrize("wallet", [ALIPAY, WECHAT])
async def test_a_callback_may_arrive_before_the_answer(tmp_path: Path, wallet: str) -> None:
    async with bad_day(tmp_path, wallet, "create", "callback_first") as w:
        before = len(w.shop.received)

        await create(w, wallet)

        assert (before, len(w.shop.received)) == (0, 1)
        assert "SUCCESS" in await status(w)


@pytest.mark.parametrize("operation", ["refund", "refund_callback"])
async def test_a_refunds_callback_may_arrive_before_its_answer(tmp_path: Path, operation: str) -> None:
    async with bad_day(tmp_path, ALIPAY, operation, "callback_first") as w:
        await w.pay(await qr_code(w))
        w.shop.received.clear()

        await w.alipay().call("refund", {"out_trade_no": "T1", "refund_amount": "12.30"})

        assert len(w.shop.received) == 1


async def test_wechats_refund_may_be_done_before_it_is_accepted(tmp_path: Path) -> None:
    async with bad_day(tmp_path, WECHAT, "refund", "callback_first") as w:
        await w.pay(await code_url(w))
        w.shop.received.clear()
        document = {
            "out_trade_no": "T00001",
            "out_refund_no": "R1",
            "amount": {"refund": 1, "total": 1230, "currency": "CNY"},
            "notify_url": w.shop.url,
        }

        answer = await w.wechat().call("POST", "/v3/refund/domestic/refunds", document)

        assert answer.document["status"] == "PROCESSING"
        assert [callback.document()["event_type"] for callback in w.shop.received] == ["REFUND.SUCCESS"]


async def test_a_fault_happens_as_often_as_it_was_told_and_only_there(tmp_path: Path) -> None:
    async with bad_day(tmp_path, WECHAT, "query", "system_error", times=2) as w:
        await code_url(w)

        codes = [(await w.wechat().call("GET", by_order(w))).status for _ in range(3)]

        _, listed = await w.get("/api/faults")
        assert codes == [500, 500, 200]
        assert [(fault["times_left"], fault["hits"]) for fault in listed["faults"]] == [(0, 2)]


async def test_chance_repeats_itself_for_the_same_seed(tmp_path: Path) -> None:
    runs = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        async with bad_day(tmp_path / folder, WECHAT, "*", "system_error", rate=0.5, seed=7) as w:
            runs.append([(await w.wechat().call("GET", by_order(w))).status for _ in range(20)])

    assert runs[0] == runs[1]
    assert set(runs[0]) == {404, 500}


async def test_faults_can_be_cleared(tmp_path: Path) -> None:
    async with bad_day(tmp_path, WECHAT, "*", "hang", rate=1) as w:
        async with w.http.delete(w.base_url + "/api/faults") as reply:
            cleared = await reply.json()

        answer = await create(w, WECHAT)

        assert cleared == {"faults": []}
        assert isinstance(answer, WechatAnswer)
        assert answer.status == 200


async def test_requests_with_a_wrong_signature_use_up_no_fault(tmp_path: Path) -> None:
    async with bad_day(tmp_path, WECHAT, "create", "system_error") as w:
        await w.wechat().call("POST", NATIVE, order(w), headers={"Authorization": "x"})

        answer = await create(w, WECHAT)

        assert isinstance(answer, WechatAnswer)
        assert answer.status == 500


@pytest.mark.parametrize(
    "more",
    [
        {"fault": "nosuch"},
        {"wallet": "paypal"},
        {"operation": "dance"},
        {"wallet": "wechat", "fault": "code_20000"},
        {"operation": "create", "fault": "callback_never"},
        {"operation": "callback", "fault": "html"},
        {"times": "-1"},
        {"rate": "2"},
        {"rate": "often"},
        {"acts": "perhaps"},
    ],
)
async def test_a_fault_must_make_sense(tmp_path: Path, more: dict[str, str]) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        good = {"wallet": "alipay", "operation": "query", "fault": "html"}

        status_code, answer = await w.post("/api/faults", **(good | more))

        assert (status_code, answer["error"]["code"]) in [(400, "BAD_FAULT"), (400, "BAD_NUMBER"), (400, "BAD_FLAG")]


async def test_the_next_certificate_can_be_downloaded(tmp_path: Path) -> None:
    async with bad_day(tmp_path, ALIPAY, "query", "key_rotated") as w:
        merchant = w.twin.alipay_merchant()
        await opened_trade(w, ALIPAY)
        client = w.alipay(**certificate_names(merchant))
        values = client.signed("query", {"out_trade_no": "T1"})
        async with w.http.get(f"{client.url}?{urlencode(values)}") as reply:
            raw = await reply.read()
        sn = json.loads(raw)["alipay_cert_sn"]

        answer = await client.call("alipay.open.app.alipaycert.download", {"alipay_cert_sn": sn})

        pem = base64.b64decode(answer.node["alipay_cert_content"]).decode()
        text = raw[raw.index(b":") + 1 : raw.index(b',"alipay_cert_sn"')]
        assert pem != merchant.alipay_cert_pem
        verify(pem, text, json.loads(raw)["sign"])
