"""Alipay: transport, signatures, envelope, gateway codes (channels A.1 to A.5, A.16)."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from opentill.base.clock import real_now_ms
from tests.twin.clients import AlipayClient, china_text, sign
from tests.twin.world import FAR_MS, world

BIZ: dict[str, Any] = {"out_trade_no": "T1", "total_amount": "12.30", "subject": "茶 + 水"}


@pytest.mark.parametrize("split", ["query", "body", "biz_content in the body", "sign in the body"])
async def test_parameters_may_be_in_the_query_in_the_body_or_split(tmp_path: Path, split: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        client = w.alipay()
        values = client.signed("precreate", BIZ)
        in_body = {"query": (), "body": tuple(values), "biz_content in the body": ("biz_content",)}.get(
            split, ("sign",)
        )
        query = urlencode({name: value for name, value in values.items() if name not in in_body})
        body = urlencode({name: values[name] for name in in_body})

        async with w.http.post(
            f"{client.url}?{query}", data=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
        ) as reply:
            answer = client.read(await reply.read())

        assert answer.node["code"] == "10000"


async def test_one_get_with_everything_in_the_query_is_a_request_too(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        client = w.alipay()

        async with w.http.get(f"{client.url}?{urlencode(client.signed('precreate', BIZ))}") as reply:
            answer = client.read(await reply.read())

        assert answer.node["code"] == "10000"


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "gbk", "GBK", "gb2312"])
async def test_the_charset_governs_signed_bytes_and_the_answer(tmp_path: Path, charset: str) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await w.alipay(charset=charset).call("query", {"out_trade_no": "T1"})

        encoding = "utf-8" if charset.lower() == "utf-8" else "gbk"
        assert answer.sign
        assert "交易不存在".encode(encoding) in answer.raw


async def test_unknown_parameters_are_signed_and_accepted(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await w.alipay(alipay_sdk="test", terminal_info="中").call("precreate", BIZ)

        assert answer.node["code"] == "10000"


@pytest.mark.parametrize("is_signed", [True, False])
async def test_an_empty_value_may_be_signed_or_not(tmp_path: Path, is_signed: bool) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        client = w.alipay(notify_url="")
        values = client.signed("precreate", BIZ)
        if is_signed:
            values.pop("sign")
            message = "&".join(f"{name}={values[name]}" for name in sorted(values))
            values["sign"] = sign(client.merchant.app_private_key_pem, message.encode())

        async with w.http.get(f"{client.url}?{urlencode(values)}") as reply:
            answer = client.read(await reply.read())

        assert answer.node["code"] == "10000"


async def test_the_signature_covers_the_raw_characters_of_the_node(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        tricky = '\\"},"sign":"x'

        answer = await w.alipay(notify_url=w.shop.url).call("precreate", BIZ | {"passback_params": tricky})
        await w.pay(answer.node["qr_code"])
        asked = await w.alipay().call("query", {"out_trade_no": "T1"})

        assert answer.raw.startswith(b'{"alipay_trade_precreate_response":{"code":"10000","msg":"Success",')
        assert b'"https://qr.alipay.com/bax' in answer.raw, "plain slashes by default"
        assert len(base64.b64decode(answer.sign)) == 256
        assert asked.node["passback_params"] == tricky


@pytest.mark.parametrize(
    ("changes", "code", "name"),
    [
        ({"method": "alipay.no.such"}, "isv.invalid-method", "error_response"),
        ({"method": ""}, "isv.missing-method", "error_response"),
        ({"app_id": "2021000000000000"}, "isv.invalid-app-id", "error_response"),
        ({"app_id": ""}, "isv.missing-app-id", "error_response"),
        ({"sign": "AAAA"}, "isv.invalid-signature", "alipay_trade_precreate_response"),
        ({"sign": ""}, "isv.missing-signature", "alipay_trade_precreate_response"),
        ({"biz_content": "{}"}, "isv.invalid-signature", "alipay_trade_precreate_response"),
        ({"sign_type": "RSA"}, "isv.invalid-signature-type", "alipay_trade_precreate_response"),
        ({"version": ""}, "isv.missing-version", "alipay_trade_precreate_response"),
        ({"timestamp": ""}, "isv.missing-timestamp", "alipay_trade_precreate_response"),
        ({"charset": "big5"}, "isv.invalid-charset", "alipay_trade_precreate_response"),
        ({"format": "XML"}, "isv.invalid-format", "alipay_trade_precreate_response"),
    ],
)
async def test_failures_of_the_gateway_itself_are_not_signed(
    tmp_path: Path, changes: dict[str, str], code: str, name: str
) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        client = w.alipay()
        values = client.signed("precreate", BIZ) | changes

        async with w.http.get(f"{client.url}?{urlencode(values)}") as reply:
            answer = client.read(await reply.read())

        assert reply.status == 200
        assert (answer.code, answer.name, answer.sign) == (code, name, "")


async def test_a_body_that_is_no_json_object_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        answer = await w.alipay(biz_content="[1]").call("precreate")

        assert answer.code == "isv.invalid-parameter"


@pytest.mark.parametrize(
    ("skew_ms", "code"),
    [(-900_000, "10000"), (-901_000, "isv.invalid-timestamp"), (900_000, "10000"), (901_000, "isv.invalid-timestamp")],
)
async def test_timestamps_may_differ_by_a_quarter_of_an_hour(tmp_path: Path, skew_ms: int, code: str) -> None:
    async with world(tmp_path / "twin.sqlite3", now_ms=FAR_MS) as w:
        answer = await w.alipay(timestamp=china_text(FAR_MS + skew_ms)).call("precreate", BIZ)

        assert answer.code == code


async def test_the_real_time_is_accepted_although_the_clock_was_moved(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3", now_ms=FAR_MS) as w:
        answer = await w.alipay(timestamp=china_text(real_now_ms())).call("precreate", BIZ)

        assert answer.code == "10000"


async def test_keys_and_merchants_are_made_once_and_differ_between_deployments(tmp_path: Path) -> None:
    async with world(tmp_path / "a.sqlite3", is_first_start=True) as first:
        merchant = first.twin.alipay_merchant()
    async with world(tmp_path / "a.sqlite3") as again, world(tmp_path / "b.sqlite3", is_first_start=True) as other:
        assert again.twin.alipay_merchant() == merchant
        assert other.twin.alipay_merchant().app_private_key_pem != merchant.app_private_key_pem
        assert other.twin.wechat_merchant().mchid != again.twin.wechat_merchant().mchid


async def test_it_works_below_any_mount_and_alone(tmp_path: Path) -> None:
    for number, mount in enumerate(("/twin", "/a/b", "/")):
        async with world(tmp_path / f"{number}.sqlite3", mount=mount) as w:
            merchant = w.twin.alipay_merchant()
            url = w.base_url.rstrip("/") + "/alipay/gateway.do"
            client = AlipayClient(w.http, url, merchant, w.clock.now_ms, {})

            answer = await client.call("precreate", BIZ)

            assert answer.code == "10000"


async def test_calls_may_run_at_the_same_time(tmp_path: Path) -> None:
    async with world(tmp_path / "twin.sqlite3") as w:
        calls = [w.alipay().call("precreate", BIZ | {"out_trade_no": f"T{number}"}) for number in range(20)]

        answers = await asyncio.gather(*calls)

        assert len({answer.node["qr_code"] for answer in answers}) == 20
        assert all(json.loads(answer.raw) for answer in answers)
