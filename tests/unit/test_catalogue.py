"""The numbered catalogue of refusals (protocol 1). A number never changes its meaning."""

import re
import string

from opentill.base.errors import CATALOGUE, GatewayError

# Never edit a line: a released number keeps its name for ever. New ones are added.
NUMBERS = {
    1: "SYSTEM_ERROR", 2: "BUSY", 3: "STORAGE_UNAVAILABLE", 10: "COMMAND_MISSING", 11: "COMMAND_UNKNOWN",
    12: "OTHER_GENERATION", 13: "VERSION_UNSUPPORTED", 14: "BODY_UNREADABLE", 15: "BODY_TOO_LARGE",
    16: "PARAMETER_REPEATED", 17: "PARAMETER_MISSING", 18: "METHOD_NOT_ALLOWED", 20: "APP_UNKNOWN", 21: "APP_DISABLED",
    22: "SIGN_INVALID", 23: "TIMESTAMP_INVALID", 24: "TIMESTAMP_OUT_OF_RANGE", 25: "OPERATOR_UNKNOWN",
    26: "OPERATOR_DISABLED", 27: "TEST_IDENTITY_REFUSED", 28: "COMMAND_NOT_ALLOWED", 40: "LOCAL_ORDER_NO_INVALID",
    41: "CHANNEL_INVALID", 42: "AMOUNT_INVALID", 43: "UN_DISCOUNT_AMOUNT_INVALID", 44: "SUBJECT_INVALID",
    45: "GOODS_LIST_INVALID", 46: "NOTIFY_URL_INVALID", 47: "DEVICE_CREATE_IP_INVALID", 48: "NOTIFY_HOST_NOT_ALLOWED",
    60: "DUPLICATE_ORDER", 61: "CHANNEL_NOT_AVAILABLE", 62: "CHANNEL_REFUSED", 63: "CHANNEL_TIMEOUT",
}  # fmt: skip


def test_a_number_keeps_its_name() -> None:
    now = {entry.number: entry.name for entry in CATALOGUE.values()}

    assert {number: now.get(number) for number in NUMBERS} == NUMBERS


def test_no_number_is_given_twice() -> None:
    assert len({entry.number for entry in CATALOGUE.values()}) == len(CATALOGUE)


def test_every_message_is_chinese_and_every_advice_is_a_sentence() -> None:
    for entry in CATALOGUE.values():
        assert re.search(r"[\u4e00-\u9fff]", entry.message), entry.name
        assert entry.advice.endswith("."), entry.name


def test_the_published_failure_has_its_published_words() -> None:
    error = GatewayError("COMMAND_MISSING")

    assert (error.number, error.message) == (10, "command参数为空")


def test_every_template_is_filled_from_its_names() -> None:
    for entry in CATALOGUE.values():
        names = {name for _, name, _, _ in string.Formatter().parse(entry.message) if name}

        message = GatewayError(entry.name, **{name: f"<{name}>" for name in names}).message

        assert "{" not in message, entry.name
        assert all(f"<{name}>" in message for name in names), entry.name


def test_what_a_caller_sent_is_never_a_template_itself() -> None:
    assert "{parameter.__class__}" in GatewayError("PARAMETER_MISSING", parameter="{parameter.__class__}").message
