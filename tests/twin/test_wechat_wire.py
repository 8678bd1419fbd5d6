"""WeChat Pay: signatures of requests, answers and callbacks (channels B.2, B.3, B.8)."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

from opentill.base.clock import real_now_ms
from tests.twin.clients import WechatClient, opened, verify_wechat
from tests.twin.test_wechat_trades import NATIVE, by_order, code_url, order
from tests.twin.world import FAR_MS, NOON_MS, World, world

GAPS_S = [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10_800, 10_800, 10_800, 21_600, 21_600]


def serials(w: World) -> dict[str, str]:
    merchant = w.twin.wechat_merchant()
    return {
        "public key": merchant.public_key_id,
        "certificate": merchant.platform_certificate_serial,
        "none": "",
    }


@pytest.mark.parametrize(
    ("sent", "signer"), [("public key", "public key"), ("certificate", "certificate"), ("none", "certificate")]
)
async def test_an_answer_is_signed_with_the_key_that_the_request_names(tmp_path: Path, sent: str, signer: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await w.wechat(serials(w)[sent]).call("POST", NATIVE, order(w))

        assert answer.status == 200
        assert answer.headers["wechatpay-serial"] == serials(w)[signer]
        assert abs(int(answer.headers["wechatpay-timestamp"]) * 1000 - NOON_MS) < 1000
        assert len(answer.headers["wechatpay-nonce"]) == 32
        assert answer.headers["request-id"]
        with pytest.raises(InvalidSignature):
            verify_wechat(w.twin.wechat_merchant(), answer.headers, answer.body + b" ")


async def test_failures_of_known_merchants_are_signed_too(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await w.wechat().call("GET", by_order(w))

        assert (answer.status, "wechatpay-signature" in answer.headers) == (404, True)


@pytest.mark.parametrize(
    ("header", "value", "status", "code"),
    [
        ("Authorization", "", 401, "SIGN_ERROR"),
        ("Authorization", "WECHATPAY2-SM2-WITH-SM3 a", 401, "SIGN_ERROR"),
        ("Accept", "text/html", 400, "PARAM_ERROR"),
        ("User-Agent", "", 400, "PARAM_ERROR"),
        ("Content-Type", "text/plain", 400, "PARAM_ERROR"),
        ("Wechatpay-Serial", "PUB_KEY_ID_0000000000000000000000000000", 400, "PARAM_ERROR"),
    ],
)
async def test_headers_must_be_right(tmp_path: Path, header: str, value: str, status: int, code: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await w.wechat().call("POST", NATIVE, order(w), headers={header: value})

        assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize("part", ["body", "path", "method", "serial_no", "mchid", "signature"])
async def test_a_changed_request_is_not_signed(tmp_path: Path, part: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        client = w.wechat()
        document = order(w)
        signed_for = {
            "body": ("POST", NATIVE, b"{}"),
            "path": ("POST", "/twin/wechat" + NATIVE, None),
            "method": ("GET", NATIVE, None),
        }.get(part, ("POST", NATIVE, None))
        body = client.encoded(document) if signed_for[2] is None else signed_for[2]
        headers = client.headers(signed_for[0], signed_for[1], body)
        merchant = w.twin.wechat_merchant()
        values = {"serial_no": merchant.merchant_serial, "mchid": merchant.mchid, "signature": 'signature="'}
        if part in values:
            headers["Authorization"] = headers["Authorization"].replace(values[part], values[part][::-1] + '"')

        answer = await client.call("POST", NATIVE, document, headers=headers)

        assert (answer.status, answer.code) == (401, "SIGN_ERROR")


@pytest.mark.parametrize(("skew_ms", "status"), [(-300_000, 404), (-301_000, 401), (300_000, 404), (301_000, 401)])
async def test_timestamps_may_differ_by_five_minutes(tmp_path: Path, skew_ms: int, status: int) -> None:
    async with world(tmp_path / "twin.sqlite3", now_ms=FAR_MS) as w:
        client = WechatClient(
            w.http, w.base_url + "/wechat", w.twin.wechat_merchant(), lambda: w.clock.now_ms() + skew_ms, ""
        )

        answer = await client.call("GET", by_order(w))

        assert answer.status == status


async def test_the_real_time_is_accepted_although_the_clock_was_moved(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3", now_ms=FAR_MS) as w:
        client = WechatClient(w.http, w.base_url + "/wechat", w.twin.wechat_merchant(), real_now_ms, "")

        answer = await client.call("GET", by_order(w))

        assert answer.status == 404


@pytest.mark.parametrize("mode", ["public key", "certificate"])
async def test_a_payment_is_announced_in_the_mode_of_the_order(tmp_path: Path, mode: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await w.wechat(serials(w)[mode]).call("POST", NATIVE, order(w, attach="中"))
        await w.pay(answer.document["code_url"])

        (callback,) = w.shop.received

        merchant = w.twin.wechat_merchant()
        verify_wechat(merchant, callback.headers, callback.body)
        document = callback.document()
        asked = await w.wechat().call("GET", by_order(w))
        assert callback.headers["wechatpay-serial"] == serials(w)[mode]
        assert callback.headers["content-type"] == "application/json"
        assert (document["event_type"], document["resource_type"]) == ("TRANSACTION.SUCCESS", "encrypt-resource")
        assert document["create_time"] == "2026-11-23T12:00:00+08:00"
        assert document["resource"]["original_type"] == "transaction"
        assert opened(merchant, document["resource"]) == asked.document


@pytest.mark.parametrize(
    ("status", "body", "deliveries"),
    [
        (200, b"", 1),
        (204, b"", 1),
        (200, b'{"code":"SUCCESS"}', 1),
        (200, b'{"code":"FAIL","message":"x"}', 2),
        (500, b"", 2),
        (401, b'{"code":"FAIL","message":"x"}', 2),
        (302, b"", 2),
    ],
)
async def test_the_answer_decides_whether_it_is_repeated(
    tmp_path: Path, status: int, body: bytes, deliveries: int
) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        w.shop.answers = [(status, body)]
        await w.pay(await code_url(w))
        w.clock.advance(GAPS_S[0] * 1000)

        await w.twin.quiet()

        assert len(w.shop.received) == deliveries


async def test_repeats_climb_the_ladder_with_one_id_and_fresh_signatures(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        w.shop.answers = [(500, b"")] * 20
        await w.pay(await code_url(w))
        for number, gap_s in enumerate(GAPS_S, start=1):
            w.clock.advance(gap_s * 1000 - 1)
            await w.twin.quiet()
            assert len(w.shop.received) == number, "not a moment too early"
            w.clock.advance(1)
            await w.twin.quiet()

        w.clock.advance(30 * 86_400_000)
        await w.twin.quiet()

        documents: list[dict[str, Any]] = [callback.document() for callback in w.shop.received]
        assert len(documents) == 16
        assert len({document["id"] for document in documents}) == 1
        assert len({callback.headers["wechatpay-timestamp"] for callback in w.shop.received}) == 16
        for callback in w.shop.received:
            verify_wechat(w.twin.wechat_merchant(), callback.headers, callback.body)
