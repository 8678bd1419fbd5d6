"""Order numbers: 30 digits that lead to the app (protocol 4.1)."""

import pytest

from opentill.base import numbers


def test_a_number_holds_kind_time_app_and_a_check_digit() -> None:
    number = numbers.new_order_no(numbers.PAYMENT, app_id=42, now_ms=1_795_406_400_000, below=lambda limit: limit - 1)

    assert number[:-1] == "1" + "1795406400000" + "00000042" + "9999999"
    assert len(number) == numbers.LENGTH == 30
    assert numbers.is_order_no(number)
    assert numbers.app_id_of(number) == 42


@pytest.mark.parametrize("app_id", [1, 99_999_999])
def test_the_app_is_found_in_a_number_and_in_a_trade_number_built_on_it(app_id: int) -> None:
    number = numbers.new_order_no(numbers.REFUND, app_id=app_id, now_ms=0)

    assert numbers.app_id_of(number) == app_id
    assert numbers.app_id_of(number + "07") == app_id


def test_every_wrong_digit_is_noticed() -> None:
    number = numbers.new_order_no(numbers.PAYMENT, app_id=1, now_ms=1_795_406_400_000)

    wrong = [
        number[:place] + digit + number[place + 1 :]
        for place in range(len(number))
        for digit in "0123456789"
        if digit != number[place]
    ]

    assert [text for text in wrong if numbers.is_order_no(text)] == []


@pytest.mark.parametrize("text", ["", "1", "0" * 30, "3" + "0" * 29, "１" * 30, "x" * 30, "1" * 29, " " * 30])
def test_what_is_not_ours_leads_nowhere(text: str) -> None:
    assert numbers.app_id_of(text) is None
