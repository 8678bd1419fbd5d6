"""Platform certificates: fetched ahead, kept only if they verify themselves, never in a callback (channels B.3)."""

import asyncio
import json
from typing import Any

import pytest

from opentill.base.outbound import Outbound
from opentill.channels.base import CallbackRefused, Outcome
from opentill.channels.wechat import Wechat
from tests.channels.played import (
    API_V3_KEY,
    NOW_MS,
    TRADE_NO,
    Heard,
    Said,
    certificate_pem,
    clock,
    lowered,
    playing,
    wechat,
    wechat_error,
    wechat_headers,
    wechat_notice,
    wechat_route,
    wechat_said,
    wechat_sealed,
    wechat_settings,
    wechat_trade,
    wire,
)

NO_KEYS = {"public_key": "", "public_key_id": ""}
HOUR_MS = 3_600_000
FIRST, SECOND = 0x2B << 152, 0x4D << 152  # 40 hex digits each
FIRST_NAME, SECOND_NAME = f"{FIRST:040X}", f"{SECOND:040X}"


def listed(
    *certificates: tuple[str, int],
    by: str = "platform",
    serial: str = FIRST_NAME,
    api_v3_key: str = API_V3_KEY,
    at_ms: int = NOW_MS,
) -> Said:
    """The answer of /v3/certificates with the certificates of these parties."""
    data = [
        {
            "serial_no": f"{number:040X}",
            "effective_time": "2026-01-01T08:00:00+08:00",
            "expire_time": "2031-01-01T08:00:00+08:00",
            "encrypt_certificate": wechat_sealed(
                certificate_pem(name, number).encode(), "certificate", api_v3_key=api_v3_key
            ),
        }
        for name, number in certificates
    ]
    return wechat_said(200, {"data": data}, by=by, serial=serial, at_ms=at_ms)


def paid(by: str = "platform", serial: str = FIRST_NAME, at_ms: int = NOW_MS) -> Said:
    return wechat_said(200, wechat_trade("SUCCESS"), by=by, serial=serial, at_ms=at_ms)


def routes(heard: list[Heard]) -> list[str]:
    return [wechat_route(each) for each in heard]


async def test_without_any_key_certificates_are_fetched_once_before_the_first_call() -> None:
    script = {"certificates": listed(("platform", FIRST)), "query": paid()}

    async with wechat(script, NO_KEYS) as (channel, account, heard):
        answers = [await channel.query(account, TRADE_NO) for _ in range(3)]

    assert [answer.outcome for answer in answers] == [Outcome.PAID] * 3
    assert routes(heard) == ["certificates", "query", "query", "query"]
    assert heard[0].path == "/v3/certificates"


async def test_calls_at_the_same_time_share_one_fetch() -> None:
    script = {"certificates": listed(("platform", FIRST)), "query": paid()}

    async with wechat(script, NO_KEYS) as (channel, account, heard):
        await asyncio.gather(*(channel.query(account, TRADE_NO) for _ in range(5)))

    assert routes(heard).count("certificates") == 1


async def test_preparing_an_account_makes_callbacks_readable() -> None:
    body = wechat_notice("transaction", wechat_trade("SUCCESS"))
    headers = lowered(wechat_headers(body, by="platform", serial=FIRST_NAME))

    async with wechat({"certificates": listed(("platform", FIRST))}, NO_KEYS) as (channel, account, heard):
        with pytest.raises(CallbackRefused, match="does not hold"):
            channel.read_callback(account, headers, body)
        before = routes(heard)
        await channel.prepare(account)
        callback = channel.read_callback(account, headers, body)

    assert before == []  # never fetched while a callback is read
    assert callback.trade_no == TRADE_NO


@pytest.mark.parametrize(
    "said",
    [
        listed(("platform", FIRST), by="stranger"),
        listed(("platform", FIRST), serial=SECOND_NAME),
        listed(("platform", FIRST), api_v3_key="x" * 32),
        listed(("platform", FIRST), at_ms=NOW_MS - 300_000),
        listed(("platform", FIRST))._replace(headers={}),
        listed(("platform", FIRST))._replace(status=500),
        listed(),
        wechat_error(404, "RESOURCE_NOT_EXISTS"),
        Said(200, {}, b"nonsense"),
        Said(0, {}, b""),
    ],
    ids=[
        "not signed by itself", "signed by one that is not listed", "sealed for another key", "stale", "unsigned",
        "an error with content", "none listed", "a merchant with a public key", "nonsense", "lost",
    ],
)  # fmt: skip
async def test_certificates_that_do_not_verify_themselves_are_not_kept(said: Said) -> None:
    async with wechat({"certificates": said, "query": paid()}, NO_KEYS) as (channel, account, heard):
        answer = await channel.query(account, TRADE_NO)

    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "NOT_SENT")
    assert account.wallet_keys == {}
    assert set(routes(heard)) == {"certificates"}  # an HTTP client may repeat a GET that was dropped


async def test_a_certificate_of_another_kind_does_not_hide_the_usable_one() -> None:
    said = listed(("platform", FIRST))
    node: dict[str, Any] = json.loads(said.body)
    node["data"].insert(0, {"serial_no": "1", "encrypt_certificate": wechat_sealed(b"no certificate", "certificate")})
    node["data"].insert(0, {"encrypt_certificate": {"algorithm": "AEAD_SM4_GCM"}})
    mixed = wechat_said(200, node, by="platform", serial=FIRST_NAME)

    async with wechat({"certificates": mixed, "query": paid()}, NO_KEYS) as (channel, account, _):
        answer = await channel.query(account, TRADE_NO)

    assert answer.outcome is Outcome.PAID


async def test_fetched_certificates_are_refreshed_after_twelve_hours() -> None:
    now = clock()

    def answer(heard: Heard) -> Said:
        first = listed(("platform", FIRST), at_ms=now.now_ms())
        return first if wechat_route(heard) == "certificates" else paid(at_ms=now.now_ms())

    async with playing(answer) as (base_url, heard), Outbound() as outbound:
        channel = Wechat(wire(outbound, base_url, now))
        account = channel.open_account(wechat_settings(**NO_KEYS))
        await channel.query(account, TRADE_NO)
        now.advance(12 * HOUR_MS - 1)
        await channel.query(account, TRADE_NO)
        now.advance(1)
        await channel.query(account, TRADE_NO)

    assert routes(heard) == ["certificates", "query", "query", "certificates", "query"]


async def test_an_unknown_certificate_in_a_callback_is_fetched_by_the_next_call() -> None:
    now = clock()
    now.advance(10 * 60_000)
    at_ms = now.now_ms()
    body = wechat_notice("transaction", wechat_trade("SUCCESS"))
    headers = lowered(wechat_headers(body, by="new", serial=SECOND_NAME, at_ms=at_ms))
    script = {
        "certificates": listed(("platform", FIRST), ("new", SECOND), at_ms=at_ms),
        "query": paid(at_ms=at_ms),
    }
    settings = {**NO_KEYS, "platform_certificates": certificate_pem("platform", FIRST)}

    async with wechat(script, settings, at=now) as (channel, account, heard):
        with pytest.raises(CallbackRefused, match="platform certificate that this account does not hold"):
            channel.read_callback(account, headers, body)
        await channel.query(account, TRADE_NO)
        callback = channel.read_callback(account, headers, body)

    assert callback.answer is not None
    assert callback.answer.outcome is Outcome.PAID
    assert routes(heard) == ["certificates", "query"]


async def test_a_merchant_with_a_public_key_only_keeps_working_when_there_are_none_to_fetch() -> None:
    body = wechat_notice("transaction", wechat_trade("SUCCESS"))
    unknown = lowered(wechat_headers(body, by="stranger", serial="A" * 40))
    script = {
        "certificates": wechat_error(404, "RESOURCE_NOT_EXISTS"),
        "query": wechat_said(200, wechat_trade("SUCCESS")),
    }

    async with wechat(script) as (channel, account, heard):
        first = await channel.query(account, TRADE_NO)
        for _ in range(3):
            with pytest.raises(CallbackRefused):
                channel.read_callback(account, unknown, body)
            await channel.query(account, TRADE_NO)

    assert first.outcome is Outcome.PAID
    # Strangers can make us look, but not more than once in ten minutes.
    assert routes(heard) == ["query", "certificates", "query", "query", "query"]


async def test_pasted_certificates_need_no_fetching() -> None:
    settings = {**NO_KEYS, "platform_certificates": certificate_pem("platform", FIRST)}

    async with wechat({"query": paid()}, settings) as (channel, account, heard):
        answer = await channel.query(account, TRADE_NO)

    assert answer.outcome is Outcome.PAID
    assert routes(heard) == ["query"]


async def test_with_no_key_at_all_fetching_is_tried_every_five_seconds_at_most() -> None:
    now = clock()

    async with wechat({"certificates": wechat_error(500, "SYSTEM_ERROR")}, NO_KEYS, at=now) as (
        channel,
        account,
        heard,
    ):
        for pause_ms in (0, 0, 4_999, 1):
            now.advance(pause_ms)
            await channel.prepare(account)
            await channel.query(account, TRADE_NO)

    assert routes(heard) == ["certificates", "certificates"]
