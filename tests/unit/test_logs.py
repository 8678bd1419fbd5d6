"""One JSON line per event, without secrets whoever passes them by mistake."""

import io
import json

import pytest

from opentill.base import logs


def written(level: str = "info", **fields: object) -> list[dict[str, object]]:
    """What one line of each level leaves in the log."""
    stream = io.StringIO()
    logs.configure(level=level, stream=stream)
    log = logs.logger("test")
    log.debug("fine", **fields)
    log.info("plain", **fields)
    log.error("bad", **fields)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_area_event_level_and_time() -> None:
    (line, _) = written(order_no="1", subject="茶\n")

    assert (line["area"], line["event"], line["level"], line["order_no"]) == ("test", "plain", "info", "1")
    assert line["subject"] == "茶\n"
    assert str(line["timestamp"]).endswith("Z")


@pytest.mark.parametrize(
    ("level", "events"),
    [("debug", ["fine", "plain", "bad"]), ("info", ["plain", "bad"]), ("ERROR", ["bad"])],
)
def test_only_the_wanted_level_and_above_is_written(level: str, events: list[str]) -> None:
    assert [line["event"] for line in written(level)] == events


@pytest.mark.parametrize("name", ["key", "sign", "password", "token", "private_key", "authorization", "body", "pin"])
def test_a_field_named_like_a_secret_is_blanked(name: str) -> None:
    lines = written(**{name: "planted"})

    assert [line[name] for line in lines] == ["***", "***"]


def test_a_line_break_in_a_value_makes_no_second_line() -> None:
    assert len(written(note='x"}\n{"event": "forged"}')) == 2
