"""How amounts and times are written in the console."""

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone

from opentill.base.money import yuan_text
from opentill.services.notifications import ADDRESS, NO_REPLY, NOT_SENT, WRONG_ANSWER

SHANGHAI = timezone(timedelta(hours=8), "UTC+8")
"""No summer time since 1991, so that no table of zones is needed."""

_WRONG_ANSWER_ONCE = "the answer is not exactly `success`"
"""How rows say it that are older than the word for it."""


def yuan(amount_fen: int) -> str:
    """123450 -> "¥1,234.50"."""
    text = yuan_text(abs(amount_fen))
    whole, _, decimals = text.partition(".")
    return f"{'-' if amount_fen < 0 else ''}¥{int(whole):,}.{decimals}"


def count(number: int) -> str:
    """1234567 -> "1,234,567"."""
    return f"{number:,}"


def short_time(at_ms: int) -> str:
    """Minute and day: "11-23 13:41"."""
    return _at(at_ms).strftime("%m-%d %H:%M")


def full_time(at_ms: int) -> str:
    """ "2026-11-23 13:41:37.123 UTC+8"."""
    return _at(at_ms).strftime("%Y-%m-%d %H:%M:%S.") + f"{at_ms % 1000:03d} UTC+8"


def second_time(at_ms: int) -> str:
    """ "2026-11-23 13:41:37"."""
    return _at(at_ms).strftime("%Y-%m-%d %H:%M:%S")


def iso_time(at_ms: int) -> str:
    """For `<time datetime>`."""
    return _at(at_ms).isoformat(timespec="milliseconds")


# Most browsers also name those that they are like: the first that fits is the right one.
_BROWSERS = (
    ("MicroMessenger", "WeChat"), ("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"),
    ("Safari/", "Safari"), ("curl/", "curl"),
)  # fmt: skip
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)  # fmt: skip


def browser(user_agent: str) -> str:
    """ "Chrome · Linux"; of what is neither known nor short the beginning; "" for nothing."""
    found = [next((name for mark, name in known if mark in user_agent), "") for known in (_BROWSERS, _SYSTEMS)]
    return " · ".join(name for name in found if name) or user_agent[:40]


def day_start_ms(text: str) -> int | None:
    """The beginning of a day written like a date field does, "2026-11-23"; None for anything else."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return round(datetime(day.year, day.month, day.day, tzinfo=SHANGHAI).timestamp() * 1000)


def _at(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, SHANGHAI)


def attempt_problem(kept: str) -> tuple[str, str]:
    """Why an attempt to tell a merchant failed: a key of the texts `attempt_problem`, and what the network said of it.

    Of anything else there are only its own words.
    """
    if kept in (WRONG_ANSWER, _WRONG_ANSWER_ONCE):
        return WRONG_ANSWER, ""
    kind, _, words = kept.partition(": ")
    return (kind, words) if kind in (ADDRESS, NOT_SENT, NO_REPLY) else ("", kept)


FILTERS: dict[str, Callable[..., object]] = {
    "yuan": yuan,
    "count": count,
    "short_time": short_time,
    "second_time": second_time,
    "full_time": full_time,
    "iso_time": iso_time,
    "browser": browser,
    "attempt_problem": attempt_problem,
}
