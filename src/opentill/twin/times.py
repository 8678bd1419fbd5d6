"""Times: milliseconds UTC inside; the wallets write China's wall clock."""

import re
from datetime import UTC, datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8))
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
_UNITS_MS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_RELATIVE = re.compile(r"([1-9]\d{0,4})([mhd])", re.ASCII)


def china(at_ms: int) -> datetime:
    """The moment on China's wall clock."""
    return datetime.fromtimestamp(at_ms // 1000, CHINA)


def wall_text(at_ms: int) -> str:
    """`yyyy-MM-dd HH:mm:ss` in China, as Alipay writes it."""
    return china(at_ms).strftime("%Y-%m-%d %H:%M:%S")


def wall_ms(text: str) -> int | None:
    """The moment `yyyy-MM-dd HH:mm:ss` means in China; None when it is no such text."""
    try:
        moment = datetime.strptime(text + "+0800", "%Y-%m-%d %H:%M:%S%z")
    except ValueError:
        return None
    return round(moment.timestamp() * 1000)


def rfc3339(at_ms: int) -> str:
    """`yyyy-MM-ddTHH:mm:ss+08:00`, as WeChat Pay writes it."""
    return china(at_ms).isoformat()


def rfc3339_ms(text: str) -> int | None:
    """The moment an RFC 3339 text with a zone means; None when it is no such text."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None or "T" not in text else round(moment.astimezone(UTC).timestamp() * 1000)


def relative_end_ms(text: str, *, from_ms: int) -> int | None:
    """When Alipay's `timeout_express` (1m to 15d, or `1c`: the end of the day) is over; None when malformed."""
    if text == "1c":
        return start_of_day_ms(from_ms) + DAY_MS
    match = _RELATIVE.fullmatch(text)
    if match is None:
        return None
    length_ms = int(match[1]) * _UNITS_MS[match[2]]
    return from_ms + length_ms if length_ms <= 15 * DAY_MS else None


def next_month_ms(first_day_ms: int) -> int:
    """The first moment of the month after the one whose first moment is given."""
    first = china(first_day_ms)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return round(following.timestamp() * 1000)


def start_of_day_ms(at_ms: int) -> int:
    """Midnight in China before (or at) the moment."""
    day = china(at_ms).replace(hour=0, minute=0, second=0)
    return round(day.timestamp() * 1000)
