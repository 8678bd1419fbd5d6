"""When a notification is tried again, and what counts as accepted (protocol 6)."""

import pytest

from opentill.domain import notification

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
WAITS = [
    5 * SECOND, 15 * SECOND, 30 * SECOND, 1 * MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, 1 * HOUR,
    2 * HOUR, 6 * HOUR, 12 * HOUR,
]  # fmt: skip


def test_the_waits_grow_as_published_and_then_it_is_dead() -> None:
    waits = [notification.next_attempt_ms(failed, now_ms=0) for failed in range(1, 14)]

    assert waits == [*WAITS, None]


def test_a_receiver_has_5_s_to_connect_and_10_s_in_all() -> None:
    assert (notification.CONNECT_TIMEOUT_S, notification.TOTAL_TIMEOUT_S) == (5.0, 10.0)


@pytest.mark.parametrize(
    ("status", "body", "is_accepted"),
    [
        (200, b"success", True),
        (201, b"success", True),
        (299, b"success", True),
        (199, b"success", False),
        (300, b"success", False),
        (302, b"success", False),
        (404, b"success", False),
        (500, b"success", False),
        (200, b"", False),
        (200, b"SUCCESS", False),
        (200, b"Success", False),
        (200, b" success", False),
        (200, b"success ", False),
        (200, b"success\n", False),
        (200, b"\xef\xbb\xbfsuccess", False),
        (200, b'"success"', False),
        (200, b"successful", False),
        (200, b"fail", False),
    ],
)
def test_only_2xx_with_exactly_success_is_accepted(status: int, body: bytes, is_accepted: bool) -> None:
    assert notification.is_accepted(status, body) is is_accepted
