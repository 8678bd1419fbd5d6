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


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36",
            "Chrome · Linux",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/156.0 Safari/537.36 Edg/156.0", "Edge · Windows"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605 Version/19.0 Safari/604",
            "Safari · iPhone",
        ),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/130 Mobile Safari/537.36 MicroMessenger/8.0", "WeChat · Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15.0; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox · macOS"),
        ("kit", "kit"),
        ("x" * 200, "x" * 40),
        ("", ""),
    ],
)
def test_a_browser_is_named_shortly(user_agent: str, name: str) -> None:
    assert formats.browser(user_agent) == name
