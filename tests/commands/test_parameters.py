"""The edges of every parameter of a scan over real HTTP: the last good value and the first bad one (protocol 4, 5)."""

import json
from typing import Any

import pytest

from tests.world import world

C = "汉"
LINE = {"sell_amount": "1", "goods_price": "1"}


def goods(*lines: dict[str, Any]) -> str:
    return json.dumps(list(lines), ensure_ascii=False)


# What is sent beside a good order, and the number it is answered with.
EDGES: list[tuple[dict[str, object], str]] = [
    ({"amount": 1}, "0"),
    ({"amount": 0}, "42"),
    ({"amount": "100000000"}, "0"),
    ({"amount": "10000000001"}, "42"),
    ({"amount": "+1"}, "42"),
    ({"amount": "-1"}, "42"),
    ({"amount": "1.0"}, "42"),
    ({"amount": "１"}, "42"),
    ({"amount": "1" * 20}, "42"),
    ({"amount": ""}, "17"),
    ({"amount": None}, "17"),
    ({"amount": 100, "un_discount_amount": 0}, "0"),
    ({"amount": 100, "un_discount_amount": 100}, "0"),
    ({"amount": 100, "un_discount_amount": 101}, "43"),
    ({"amount": 100, "un_discount_amount": "-0"}, "43"),
    ({"channel": 1}, "0"),
    ({"channel": 2}, "0"),
    ({"channel": 0}, "41"),
    ({"channel": 3}, "61"),
    ({"channel": 4}, "61"),
    ({"channel": 5}, "41"),
    ({"channel": "01"}, "41"),
    ({"channel": None}, "17"),
    ({"local_order_no": "x" * 64}, "0"),
    ({"local_order_no": C * 64}, "0"),
    ({"local_order_no": "x" * 65}, "40"),
    ({"local_order_no": " x1"}, "40"),
    ({"local_order_no": "x1 "}, "40"),
    ({"local_order_no": "x\t1"}, "40"),
    ({"local_order_no": "x\u200b1"}, "40"),
    ({"local_order_no": None}, "17"),
    ({"subject": C * 19 + "a"}, "0"),
    ({"subject": "a" * 39}, "0"),
    ({"subject": C * 20}, "44"),
    ({"subject": "a" * 40}, "44"),
    ({"subject": "a\nb"}, "44"),
    ({"subject": ""}, "0"),
    ({"goods_list": goods()}, "0"),
    ({"goods_list": goods(LINE)}, "0"),
    ({"goods_list": goods(*[LINE] * 200)}, "0"),
    ({"goods_list": goods(*[LINE] * 201)}, "45"),
    ({"goods_list": goods(LINE) + " " * (32 * 1024 - len(goods(LINE)))}, "0"),
    ({"goods_list": goods(LINE) + " " * (32 * 1024 - len(goods(LINE)) + 1)}, "45"),
    ({"goods_list": goods({**LINE, "goods_price": "0.01"})}, "0"),
    ({"goods_list": goods({**LINE, "goods_price": "0.001"})}, "45"),
    ({"goods_list": goods({**LINE, "sell_amount": "0.001"})}, "0"),
    ({"goods_list": goods({**LINE, "sell_amount": "0.0001"})}, "45"),
    ({"goods_list": goods({**LINE, "sell_amount": "0"})}, "45"),
    ({"goods_list": goods({"goods_name": "x"})}, "45"),
    ({"goods_list": "{}"}, "45"),
    ({"device_create_ip": "203.0.113.7"}, "0"),
    ({"device_create_ip": "2001:db8::7"}, "0"),
    ({"device_create_ip": "203.0.113.256"}, "47"),
    ({"device_create_ip": "fe80::1%eth0"}, "47"),
    ({"notify_url": "http://203.0.113.7/" + "x" * 493}, "0"),
    ({"notify_url": "http://203.0.113.7/" + "x" * 494}, "46"),
    ({"notify_url": "https://user@203.0.113.7/"}, "46"),
    ({"notify_url": "ftp://203.0.113.7/"}, "46"),
    ({"notify_url": "/relative"}, "46"),
    # A private address is a matter of delivery: the name may lead elsewhere by then.
    ({"notify_url": "http://10.0.0.1/"}, "0"),
    ({"version": "1.0"}, "0"),
    ({"version": "1.1"}, "0"),
    ({"version": ""}, "0"),
    ({"version": "1"}, "13"),
    ({"version": "1.10"}, "13"),
    ({"version": "2.0"}, "12"),
    ({"sign_type": "RSA2"}, "12"),
    ({"request_id": "1"}, "12"),
    ({"app": None}, "17"),
    ({"operator_id": None}, "17"),
    ({"timestamp": None}, "17"),
    ({"sign": None}, "17"),
    ({"sign": " "}, "17"),
]


async def test_each_edge_is_answered_with_its_number_and_a_refused_order_takes_no_number() -> None:
    async with world() as w:
        codes = [(change, (await w.scan(**change)).code) for change, _ in EDGES]

        assert codes == EDGES
        accepted = [code for _, code in EDGES if code == "0"]
        assert await w.number("SELECT count(*) FROM orders") == len(accepted)


@pytest.mark.parametrize("name", ["amount", "channel", "local_order_no", "app", "operator_id", "timestamp", "sign"])
async def test_a_missing_parameter_is_named(name: str) -> None:
    async with world() as w:
        reply = await w.scan(**{name: None})

        assert (reply.code, name in reply.message) == ("17", True)


@pytest.mark.parametrize(
    "command", ["open.api.scan", "open.api.pay.scan", "open.api."],
)  # fmt: skip
async def test_the_later_generation_is_told_that_it_is_another_protocol(command: str) -> None:
    async with world() as w:
        reply = await w.till.call(command, **w.till.scan_params())

        assert (reply.code, "2.0版接口" in reply.message) == ("12", True)


@pytest.mark.parametrize("command", ["open.pay.scam", "scan", "OPEN.PAY.SCAN", "open.pay.scan2", "x" * 10_000])
async def test_an_unknown_interface_is_named_and_the_known_ones_listed(command: str) -> None:
    async with world() as w:
        reply = await w.till.call(command, **w.till.scan_params())

        assert reply.code == "11"
        assert "open.pay.scan" in reply.message
        assert len(reply.message) < 400
