"""Notifications to merchants: their states and the waits between attempts (protocol 6)."""

from enum import StrEnum
from urllib.parse import urlsplit

import msgspec


class NotificationState(StrEnum):
    DUE = "DUE"
    DELIVERED = "DELIVERED"
    DEAD = "DEAD"


CONNECT_TIMEOUT_S = 5.0
TOTAL_TIMEOUT_S = 10.0

_S = 1000
_MIN = 60 * _S
_H = 60 * _MIN
# Waits after the first, second, ... failed attempt; after the last one the notification is dead (protocol 6).
WAITS_MS = (
    5 * _S, 15 * _S, 30 * _S, 1 * _MIN, 2 * _MIN, 5 * _MIN, 10 * _MIN, 30 * _MIN, 1 * _H, 2 * _H, 6 * _H, 12 * _H,
)  # fmt: skip


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message owed to a merchant.

    `fields` are fixed when the row is written; `sign` is made once, at the first attempt.
    """

    app_id: int
    notification_id: int
    order_no: str
    kind: str
    url: str
    fields: dict[str, str]
    sign: str
    state: NotificationState
    attempts: int
    due_at_ms: int
    created_at_ms: int
    ended_at_ms: int

    @property
    def is_held(self) -> bool:
        """Whether it waits for the end of a pause: `due_at_ms` is then no time."""
        return self.due_at_ms < 0


def receiver_of(url: str) -> str:
    """Who is told by this URL: attempts under way are counted, and a person pauses, by host and port."""
    return urlsplit(url).netloc.lower()


def next_attempt_ms(attempts: int, *, now_ms: int) -> int | None:
    """When to try again after `attempts` failed ones; None: no more, the notification is dead."""
    if attempts > len(WAITS_MS):
        return None
    return now_ms + WAITS_MS[attempts - 1]


def is_accepted(status: int, body: bytes) -> bool:
    """2xx and exactly `success`, byte for byte (protocol 6)."""
    return 200 <= status < 300 and body == b"success"
