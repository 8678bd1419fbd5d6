"""The same call in each of the four encodings, over real HTTP (protocol 1)."""

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import urlencode

import pytest

from tests.clients import FORM, JSON, Reply, Till
from tests.world import TEST_APP_ID, World, world

ENCODINGS = ["urlencoded", "multipart", "get", "json"]
GOODS = '[{"goods_name": "一杯咖啡", "sell_amount": "1", "goods_price": "0.01"}]'


async def sent(till: Till, form: Mapping[str, str], encoding: str) -> Reply:
    send = {"urlencoded": till.post, "multipart": till.post_multipart, "get": till.get, "json": till.post_json}
    return await send[encoding](form)


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_each_encoding_opens_the_same_order(encoding: str) -> None:
    async with world() as w:
        form = w.till.form(
            "open.pay.scan",
            **w.till.scan_params(subject="咖啡 & 茶+1%", goods_list=GOODS, device_create_ip="203.0.113.7", amount=1),
        )

        reply = await sent(w.till, form, encoding)

        assert reply.is_success, reply.message
        order = await w.order(reply.order_no)
        assert (order.subject, order.local_order_no) == ("咖啡 & 茶+1%", form["local_order_no"])
        assert (order.goods[0].name, order.device_create_ip) == ("一杯咖啡", "203.0.113.7")


async def opened(w: World) -> int:
    return await w.number("SELECT count(*) FROM orders WHERE app_id = $1", TEST_APP_ID)


async def test_json_numbers_take_part_in_signing_by_their_digits() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params(amount=100))
        document = {name: int(value) if name in ("amount", "channel", "timestamp") else value
                    for name, value in form.items()}  # fmt: skip

        reply = await w.till.post_json(document)

        assert reply.is_success, reply.message
        assert reply.data["totalAmount"] == "100"


async def test_the_json_number_1_0_is_not_1() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params(amount="1"))
        text = json.dumps(form).replace('"amount": "1"', '"amount": 1.0')

        reply = await w.till.post_json(text)

        assert reply.code == "22"
        assert await opened(w) == 0


async def test_json_null_counts_as_absent() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params())

        reply = await w.till.post_json({**form, "subject": None, "goods_list": None, "notify_url": None})

        assert reply.is_success, reply.message


async def test_a_body_parameter_wins_over_the_query() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params(amount=7))

        reply = await w.till.send("POST", query="amount=8&channel=2", body=urlencode(form).encode(), content_type=FORM)

        assert (reply.code, reply.data["totalAmount"], reply.data["paymentChannel"]) == ("0", "7", "1")


async def test_parameters_may_be_split_between_query_and_body() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params())
        command = form.pop("command")

        reply = await w.till.send("POST", query=f"command={command}", body=json.dumps(form).encode(), content_type=JSON)

        assert reply.is_success, reply.message


@pytest.mark.parametrize("body", [b'{"amount": 1, "amount": 2}', b"not json at all", b"\xff\xff"])
async def test_the_body_and_content_type_of_a_get_are_ignored(body: bytes) -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params())

        reply = await w.till.send("GET", query=urlencode(form), body=body, content_type=JSON)

        assert reply.is_success, reply.message


async def test_unknown_parameters_are_ignored() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params())

        reply = await w.till.post({**form, "key": "k", "signString": "s", "remark": "r", "x" * 100: "y"})

        assert reply.is_success, reply.message


# What cannot be read for certain, and the number it is refused with.
UNREADABLE: dict[str, tuple[str, str, bytes, str]] = {
    "a name twice in the body": ("16", "", b"command=a&command=b", FORM),
    "a name twice in the query": ("16", "app=a&app=b", b"command=open.pay.scan", FORM),
    "a name twice in JSON": ("16", "", b'{"command": "a", "command": "a"}', JSON),
    "GBK in a form": ("14", "", "command=扫码".encode("gbk"), FORM),
    "GBK in the query": ("14", "command=%B6%A9%B5%A5", b"", FORM),
    "GBK in JSON": ("14", "", '{"command": "扫码"}'.encode("gbk"), JSON),
    "NUL in a form": ("14", "", b"command=open%00", FORM),
    "NUL in JSON": ("14", "", b'{"command": "open\\u0000"}', JSON),
    "a lone surrogate in JSON": ("14", "", b'{"command": "\\ud800"}', JSON),
    "a nested object in JSON": ("14", "", b'{"command": {"name": "open.pay.scan"}}', JSON),
    "a nested array in JSON": ("14", "", b'{"goods_list": []}', JSON),
    "a boolean in JSON": ("14", "", b'{"command": true}', JSON),
    "a JSON array": ("14", "", b"[]", JSON),
    "broken JSON": ("14", "", b'{"command": ', JSON),
    "JSON nested a hundred thousand deep": ("14", "", b"[" * 100_000, JSON),
    "201 parameters": ("14", "", b"&".join(b"p%d=1" % n for n in range(201)), FORM),
    "multipart without boundary": ("14", "", b"x", "multipart/form-data"),
    "multipart that ends early": ("14", "", b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1',
                                  "multipart/form-data; boundary=b"),
    "a file": ("14", "", b'--b\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\n1\r\n--b--\r\n',
               "multipart/form-data; boundary=b"),
    "a body over the limit": ("15", "", b"a=" + b"x" * 131_071, FORM),
    "nothing at all": ("10", "", b"", FORM),
    "an empty JSON object": ("10", "", b"{}", JSON),
}  # fmt: skip


async def test_what_cannot_be_read_for_certain_is_refused_and_opens_nothing() -> None:
    async with world() as w:
        replies = {
            name: await w.till.send("POST", query=query, body=body, content_type=content_type)
            for name, (_, query, body, content_type) in UNREADABLE.items()
        }

        assert {name: reply.code for name, reply in replies.items()} == {
            name: case[0] for name, case in UNREADABLE.items()
        }
        assert all(reply.status == 200 and reply.data == {} for reply in replies.values())
        assert await opened(w) == 0


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params())
        body = urlencode(form).encode() + b"&remark="

        reply = await w.till.send("POST", body=body + b"x" * (131_072 - len(body)), content_type=FORM)

        assert reply.is_success, reply.message


async def test_a_body_without_a_length_is_limited_too() -> None:
    async def endless() -> object:
        for _ in range(200):
            yield b"a" * 1024

    async with world() as w, w.http.post(w.till.url, data=endless(), headers={"Content-Type": FORM}) as reply:
        assert (await reply.json())["result"]["errorCode"] == "15"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_get_the_protocols_own_error(method: str) -> None:
    async with world() as w:
        reply = await w.till.send(method, query="command=open.pay.scan")

        assert (reply.status, reply.code) == (200, "18")


async def test_a_client_that_waits_for_100_continue_is_let_on() -> None:
    async with world() as w:
        body = urlencode(w.till.form("open.pay.scan", **w.till.scan_params(remark="x" * 2_000))).encode()

        # PHP's curl asks before it sends more than a kilobyte.
        async with w.http.post(w.till.url, data=body, headers={"Content-Type": FORM}, expect100=True) as reply:
            assert (await reply.json())["result"]["errorCode"] == "0"


@pytest.mark.parametrize(
    "head",
    [
        "POST /gatewayOpen.htm HTTP/1.0\r\nContent-Length: {length}\r\nContent-Type: application/x-www-form-urlencoded",
        "POST /gatewayOpen.htm HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n"
        "Content-Type: application/x-www-form-urlencoded;charset=GBK",
        "POST /gatewayOpen.htm HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nContent-Length: {length}",
    ],
)
async def test_old_and_plain_clients_are_understood(head: str) -> None:
    async with world() as w:
        body = urlencode(w.till.form("open.pay.scan", **w.till.scan_params())).encode()
        host, port = w.base_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))

        writer.write((head.format(length=len(body)) + "\r\n\r\n").encode() + body)
        said = await asyncio.wait_for(reader.read(), 10)

        writer.close()
        assert b" 200 OK" in said
        assert b'"errorCode":"0"' in said
