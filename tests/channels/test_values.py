"""Texts, times and careful reading, at their edges."""

import pytest

from opentill.base.clock import MovableClock, frozen
from opentill.channels.base import is_fresh
from opentill.channels.values import (
    china_time,
    fen_of,
    ms_from_china_time,
    ms_from_rfc3339,
    node_of,
    nodes_of,
    number_of,
    plain_text,
    read_object,
    rfc3339,
    text_of,
)
from tests.channels.played import NOW_MS


@pytest.mark.parametrize(
    ("text", "limit", "sent"),
    [
        ("咖啡", 10, "咖啡"),
        ("咖啡", 1, "咖"),
        ("a🍰b", 10, "ab"),
        ("\ud800a\udfff", 10, "a"),
        ("a\x00\x1f\x7f\x9fb", 10, "ab"),
        ("a\tb\r\nc", 10, "abc"),
        ("  a b  ", 10, "a b"),
        ("ab cd", 3, "ab"),
        ("\uffff", 10, "\uffff"),
        ("", 10, ""),
    ],
)
def test_text_keeps_the_basic_plane_without_control_characters(text: str, limit: int, sent: str) -> None:
    assert plain_text(text, limit) == sent


def test_times_are_written_in_chinas_zone_and_read_back() -> None:
    assert china_time(NOW_MS + 999) == "2026-03-01 12:00:00"
    assert rfc3339(NOW_MS + 999) == "2026-03-01T12:00:00+08:00"
    assert ms_from_china_time("2026-03-01 12:00:00") == NOW_MS
    assert ms_from_china_time("2026-03-01 12:00:00.123") == NOW_MS
    assert ms_from_rfc3339("2026-03-01T12:00:00+08:00") == NOW_MS
    assert ms_from_rfc3339("2026-03-01T04:00:00Z") == NOW_MS
    assert ms_from_rfc3339("2026-03-01T12:00:00.500+08:00") == NOW_MS + 500


@pytest.mark.parametrize("text", ["", "now", "2026-13-01 00:00:00", "2026-03-01", "0000-00-00 00:00:00", "１" * 19])
def test_a_time_that_is_none_is_zero(text: str) -> None:
    assert ms_from_china_time(text) == 0
    assert ms_from_rfc3339(text) == 0


@pytest.mark.parametrize("text", ["2026-03-01T12:00:00", "0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59+00:00"])
def test_a_moment_without_a_zone_or_before_1970_is_zero(text: str) -> None:
    assert ms_from_rfc3339(text) == 0


def test_fields_of_another_kind_count_as_absent() -> None:
    node = {
        "text": "12.34",
        "number": 12,
        "flag": True,
        "half": 0.5,
        "big": 10**16,
        "list": [1, {"a": 1}],
        "none": None,
    }

    assert [text_of(node, name) for name in ("text", "number", "missing")] == ["12.34", "", ""]
    assert [number_of(node, name) for name in ("number", "flag", "half", "big", "text")] == [12, None, None, None, None]
    assert [fen_of(node, name) for name in ("text", "number", "missing")] == [1234, None, None]
    assert node_of(node, "list") == {}
    assert nodes_of(node, "list") == [{"a": 1}]
    assert nodes_of(node, "text") == []


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"1", b"{", b"\xff", b'{"a":' * 100_000, b'{"a":1e999}', b'{"a":"\\ud800"}']
)
def test_what_is_no_json_object_reads_as_nothing(raw: bytes) -> None:
    assert read_object(raw) is None


@pytest.mark.parametrize(
    ("shift_ms", "at_ms", "fits"),
    [
        (0, NOW_MS - 999, True),
        (0, NOW_MS + 999, True),
        (0, NOW_MS - 1000, False),
        (0, NOW_MS + 1000, False),
        (10_000, NOW_MS, True),
        (10_000, NOW_MS + 10_000, True),
        (10_000, NOW_MS + 5_000, False),
        (10_000, NOW_MS + 11_000, False),
    ],
)
def test_a_strangers_time_fits_the_moved_or_the_unmoved_clock(shift_ms: int, at_ms: int, fits: bool) -> None:
    moved = MovableClock(source=frozen(NOW_MS))
    moved.advance(shift_ms)

    assert is_fresh(moved, at_ms, tolerance_ms=1000) is fits
