"""How the console writes amounts and times."""

import pytest

from opentill.web.console import formats

AT_MS = 1_795_406_497_089  # 2026-11-23 12:01:37.089 in China


@pytest.mark.parametrize(
    ("fen", "text"),
    [(0, "¥0.00"), (1, "¥0.01"), (99, "¥0.99"), (123_450, "¥1,234.50"), (-5, "-¥0.05"), (10**10, "¥100,000,000.00")],
)
def test_amounts_are_yuan_with_thousands(fen: int, text: str) -> None:
    assert formats.yuan(fen) == text


def test_times_are_those_of_china() -> None:
    assert formats.short_time(AT_MS) == "11-23 12:01"
    assert formats.second_time(AT_MS) == "2026-11-23 12:01:37"
    assert formats.full_time(AT_MS) == "2026-11-23 12:01:37.089 UTC+8"
    assert formats.iso_time(AT_MS) == "2026-11-23T12:01:37.089+08:00"


@pytest.mark.parametrize(
    ("text", "at_ms"), [("2026-11-23", 1_795_363_200_000), ("2026-02-30", None), ("", None), ("x", None)]
)
def test_a_day_begins_at_midnight_in_china(text: str, at_ms: int | None) -> None:
    assert formats.day_start_ms(text) == at_ms
