"""Filters of lists in the URL: what was asked for, as fields to show again and as a question to the database."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from opentill.base.money import fen_from_yuan
from opentill.domain.order import PaymentWay
from opentill.services.statistics import CHINA_OFFSET_MS, DAY_MS
from opentill.storage.search import OrderFilter, OrderStatus
from opentill.web.console.formats import SHANGHAI

PERIODS = ("today", "yesterday", "7d", "30d", "all")
DEFAULT_PERIOD = "7d"
RECEIVED = "received"
"""A state to choose that stands for all in which money came."""
STATES: Mapping[str, tuple[OrderStatus, ...]] = {
    RECEIVED: (OrderStatus.PAID, OrderStatus.REFUNDING, OrderStatus.PART_REFUNDED, OrderStatus.REFUNDED),
    **{status.value: (status,) for status in OrderStatus},
}
FIELDS = (
    "number", "period", "from", "to", "state", "wallet", "way", "app", "merchant", "store", "cashier", "least", "most",
    "attention",
)  # fmt: skip
MAX_FIELD = 64
_MAX_DIGITS = 15
_WAYS = {way.value: way for way in PaymentWay}
_LONGEST_MS = 10**13 - 1


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A list's filters. `fields`: as given, by name, without the empty ones. `problems`: fields that make no sense."""

    fields: dict[str, str]
    number: str
    period: str
    app_id: int
    wanted: OrderFilter
    problems: frozenset[str]

    @property
    def is_narrowed(self) -> bool:
        """Whether more than the time is asked for, so that the filters should be shown."""
        return bool(self.fields.keys() - {"period", "number", "state"})


def read_filters(query: Mapping[str, str], *, now_ms: int) -> Asked:
    """What the URL asks for. What makes no sense is left out and named."""
    fields = {name: query[name].strip()[:MAX_FIELD] for name in FIELDS if query.get(name, "").strip()}
    problems: set[str] = set()
    needs_person = fields.get("attention", "") == "1"
    period = fields.get("period", "all" if needs_person else DEFAULT_PERIOD)
    if period not in PERIODS:
        problems.add("period")
        period = DEFAULT_PERIOD
    from_ms, to_ms = period_ms(period, now_ms)
    if "from" in fields or "to" in fields:
        from_ms, to_ms, period = _moment(fields, "from", problems, 0), _moment(fields, "to", problems, _LONGEST_MS), ""
        to_ms += 60_000 if "to" in fields else 0  # the minute that is named is part of it
    way = fields.get("way", "")
    if way and way not in _WAYS:
        problems.add("way")
    if fields.get("state", RECEIVED) not in STATES:
        problems.add("state")
    merchant_id = _number(fields, "merchant", problems)
    return Asked(
        fields=fields,
        number=fields.get("number", ""),
        period=period,
        app_id=_number(fields, "app", problems),
        wanted=OrderFilter(
            from_ms=from_ms,
            to_ms=min(to_ms, _LONGEST_MS),
            statuses=STATES.get(fields.get("state", ""), ()),
            merchant_ids=frozenset({merchant_id}) if merchant_id else None,
            store_id=_number(fields, "store", problems),
            operator_id=fields.get("cashier", ""),
            channel=_number(fields, "wallet", problems),
            way=_WAYS.get(way),
            amount_from_fen=_fen(fields, "least", problems),
            amount_to_fen=_fen(fields, "most", problems),
            needs_person=needs_person,
        ),
        problems=frozenset(problems),
    )


def period_ms(period: str, now_ms: int) -> tuple[int, int]:
    """From when to before when a named period is. Days are Shanghai's and begin at midnight."""
    today_ms = day_begin_ms(now_ms)
    if period == "all":
        return 0, _LONGEST_MS
    if period == "yesterday":
        return today_ms - DAY_MS, today_ms
    days = {"today": 1, "7d": 7, "30d": 30}[period]
    return today_ms - (days - 1) * DAY_MS, today_ms + DAY_MS


def day_begin_ms(at_ms: int) -> int:
    local_ms = at_ms + CHINA_OFFSET_MS
    return local_ms - local_ms % DAY_MS - CHINA_OFFSET_MS


def whole_number(text: str) -> int | None:
    """A number that a key can be; None: it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None


def _number(fields: Mapping[str, str], name: str, problems: set[str]) -> int:
    number = whole_number(fields.get(name, "0"))
    if number is None:
        problems.add(name)
    return number or 0


def _fen(fields: Mapping[str, str], name: str, problems: set[str]) -> int | None:
    if name not in fields:
        return None
    try:
        return fen_from_yuan(fields[name].lstrip("¥￥").replace(",", ""))
    except ValueError:
        problems.add(name)
        return None


def _moment(fields: Mapping[str, str], name: str, problems: set[str], default_ms: int) -> int:
    """A minute on Shanghai's clock, as browsers write it."""
    if name not in fields:
        return default_ms
    try:
        moment = datetime.fromisoformat(fields[name])
    except ValueError:
        problems.add(name)
        return default_ms
    at_ms = round(moment.replace(tzinfo=moment.tzinfo or SHANGHAI).timestamp() * 1000)
    return max(0, min(at_ms, _LONGEST_MS))
