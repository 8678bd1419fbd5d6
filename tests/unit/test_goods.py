"""goods_list: its edges (protocol 5)."""

import json
from collections.abc import Mapping
from decimal import Decimal

import pytest

from opentill.base.errors import GatewayError
from opentill.protocol.goods import FEN, MAX_BYTES, YUAN, read_goods

LINE = {"goods_price": "0.01", "sell_amount": "1"}


def lines(*changes: Mapping[str, object]) -> str:
    return json.dumps([{**LINE, **change} for change in changes], ensure_ascii=False)


@pytest.mark.parametrize(
    ("change", "unit", "price_fen", "quantity"),
    [
        ({}, YUAN, 1, "1"),
        ({"goods_price": 0.01, "sell_amount": 2}, YUAN, 1, "2"),
        ({"goods_price": "12.3"}, YUAN, 1230, "1"),
        ({"goods_price": "0"}, YUAN, 0, "1"),
        ({"goods_price": "1.500"}, YUAN, 150, "1"),
        ({"goods_price": "100000000.00"}, YUAN, 10_000_000_000, "1"),
        ({"goods_price": "100"}, FEN, 100, "1"),
        ({"goods_price": 100.00}, FEN, 100, "1"),
        ({"goods_price": "10000000000"}, FEN, 10_000_000_000, "1"),
        ({"sell_amount": "0.001"}, YUAN, 1, "0.001"),
        ({"sell_amount": 1.255}, YUAN, 1, "1.255"),
        ({"sell_amount": "1000000"}, YUAN, 1, "1000000"),
    ],
)
def test_the_last_good_value_is_accepted(change: dict[str, object], unit: str, price_fen: int, quantity: str) -> None:
    (line,) = read_goods(lines(change), price_unit=unit)

    assert (line.unit_price_fen, line.quantity) == (price_fen, Decimal(quantity))


@pytest.mark.parametrize(
    ("change", "unit", "field"),
    [
        ({"goods_price": "0.001"}, YUAN, "goods_price"),
        ({"goods_price": "-0.01"}, YUAN, "goods_price"),
        ({"goods_price": "+1"}, YUAN, "goods_price"),
        ({"goods_price": "1e2"}, YUAN, "goods_price"),
        ({"goods_price": 1e20}, YUAN, "goods_price"),
        ({"goods_price": "1."}, YUAN, "goods_price"),
        ({"goods_price": ".5"}, YUAN, "goods_price"),
        ({"goods_price": "１"}, YUAN, "goods_price"),
        ({"goods_price": ""}, YUAN, "goods_price"),
        ({"goods_price": None}, YUAN, "goods_price"),
        ({"goods_price": True}, YUAN, "goods_price"),
        ({"goods_price": [1]}, YUAN, "goods_price"),
        ({"goods_price": "100000000.01"}, YUAN, "goods_price"),
        ({"goods_price": "0.5"}, FEN, "goods_price"),
        ({"goods_price": "10000000001"}, FEN, "goods_price"),
        ({"sell_amount": "0"}, YUAN, "sell_amount"),
        ({"sell_amount": "0.000"}, YUAN, "sell_amount"),
        ({"sell_amount": "0.0001"}, YUAN, "sell_amount"),
        ({"sell_amount": "-1"}, YUAN, "sell_amount"),
        ({"sell_amount": "1000000.001"}, YUAN, "sell_amount"),
        ({"sell_amount": "NaN"}, YUAN, "sell_amount"),
        ({"goods_id": "x" * 257}, YUAN, "goods_id"),
        ({"goods_num": {"a": 1}}, YUAN, "goods_num"),
        ({"goods_name": "a\0b"}, YUAN, "goods_name"),
        ({"goods_name": ["x"]}, YUAN, "goods_name"),
        ({"goods_sku_id": False}, YUAN, "goods_sku_id"),
    ],
)
def test_the_first_bad_value_is_refused_with_its_line_and_field(
    change: dict[str, object], unit: str, field: str
) -> None:
    good = {"goods_price": "1"}

    with pytest.raises(GatewayError) as raised:
        read_goods(lines(good, change), price_unit=unit)

    assert raised.value.name == "GOODS_LIST_INVALID"
    assert "第2行" in raised.value.message
    assert field in raised.value.message


def test_a_lone_surrogate_in_a_text_is_refused() -> None:
    with pytest.raises(GatewayError, match="GOODS_LIST_INVALID"):
        read_goods('[{"goods_price": "1", "sell_amount": "1", "goods_name": "\\ud800"}]')


@pytest.mark.parametrize(
    "text",
    ["", "x", "{}", "null", '"[]"', "[1]", '["x"]', "[[]]", "[null]", "[{}", "[NaN]", "[" * 20_000, lines({}) + "x"],
)
def test_what_is_no_array_of_lines_is_refused(text: str) -> None:
    with pytest.raises(GatewayError) as raised:
        read_goods(text)

    assert raised.value.name == "GOODS_LIST_INVALID"


def test_an_empty_array_is_no_goods() -> None:
    assert read_goods("[]") == ()


def test_200_lines_are_accepted_and_201_refused() -> None:
    assert len(read_goods(lines(*[{}] * 200))) == 200
    with pytest.raises(GatewayError, match="GOODS_LIST_INVALID"):
        read_goods(lines(*[{}] * 201))


def test_32_kib_are_accepted_and_one_byte_more_refused() -> None:
    fill = MAX_BYTES - len(lines({}))
    whole = lines({}) + " " * fill

    assert MAX_BYTES == 32 * 1024
    assert len(read_goods(whole)) == 1
    with pytest.raises(GatewayError, match="GOODS_LIST_INVALID"):
        read_goods(whole + " ")


@pytest.mark.parametrize(
    ("texts", "key"),
    [
        ({"goods_sku_id": "s", "goods_id": "i", "goods_num": "n", "goods_name": "m"}, "s"),
        ({"goods_sku_id": "", "goods_id": "i", "goods_num": "n", "goods_name": "m"}, "i"),
        ({"goods_id": " ", "goods_num": 6901234567892, "goods_name": "m"}, "6901234567892"),
        ({"goods_name": "一杯咖啡"}, "一杯咖啡"),
        ({}, ""),
    ],
)
def test_sales_count_under_the_first_of_sku_id_number_and_name(texts: dict[str, object], key: str) -> None:
    (line,) = read_goods(lines(texts))

    assert line.key == key


@pytest.mark.parametrize(
    ("quantity", "price", "total_fen"),
    [("3", "0.10", 30), ("0.333", "0.10", 3), ("0.15", "0.10", 2), ("0.149", "0.1", 1)],
)
def test_a_weighed_line_is_rounded_half_up_to_the_fen(quantity: str, price: str, total_fen: int) -> None:
    (line,) = read_goods(lines({"sell_amount": quantity, "goods_price": price}))

    assert line.total_fen == total_fen
