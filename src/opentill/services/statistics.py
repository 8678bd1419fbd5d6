"""Sales figures for people: what was sold and given back, by item, operator, store, day, hour or wallet.

They are sums of the counters that every payment and refund keeps in its own transaction. Days are Asia/Shanghai's.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec

from opentill.protocol.words import CHANNEL_TITLES
from opentill.storage import parties, stats
from opentill.storage.database import Database
from opentill.storage.stats import ItemSum, SalesSum

ITEM = "item"
GROUPS = (ITEM, *stats.SUMMED_BY)
LONGEST_DAYS = 3_660
CHINA_OFFSET_MS = 8 * 3_600_000
DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)


class UnusableQuestion(ValueError):
    """The period or the grouping makes no sense; the text says what was expected."""


class SalesLine(msgspec.Struct, frozen=True, kw_only=True):
    """Sums under one key (fen). `net_fen` is what was received less what was given back, in this period."""

    key: str
    name: str
    orders: int
    amount_fen: int
    received_fen: int
    discount_fen: int
    refunds: int
    refunded_fen: int
    net_fen: int


class ItemLine(msgspec.Struct, frozen=True, kw_only=True):
    """One item's sales less what was given back. `quantity` has at most 3 decimals; amounts are at list price, fen."""

    key: str
    name: str
    quantity: str
    amount_fen: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of all days from `from_day` to `to_day`, both included. `merchant_id` 0: of all merchants."""

    by: str
    from_day: str
    to_day: str
    merchant_id: int
    lines: tuple[SalesLine, ...] | tuple[ItemLine, ...]
    total: SalesLine | ItemLine


async def report(
    database: Database, *, by: str, from_day: date | None, to_day: date | None, merchant_id: int = 0, now_ms: int
) -> Report:
    """The figures asked for. A day that is not given is today, or the other one if that comes first.

    Raises: UnusableQuestion, DatabaseUnavailable, DatabaseOverloaded.
    """
    if by not in GROUPS:
        raise UnusableQuestion(f"by is one of {', '.join(GROUPS)}")
    today = _EPOCH + timedelta(days=(now_ms + CHINA_OFFSET_MS) // DAY_MS)
    first = from_day or min(today, to_day or today)
    last = to_day or max(today, first)
    if not 0 <= (last - first).days < LONGEST_DAYS:
        raise UnusableQuestion(f"from is not after to, and they are at most {LONGEST_DAYS} days apart")
    from_ms, to_ms = _begin_ms(first), _begin_ms(last) + DAY_MS
    lines: tuple[SalesLine, ...] | tuple[ItemLine, ...]
    total: SalesLine | ItemLine
    if by == ITEM:
        sold = await stats.items(database, from_ms=from_ms, to_ms=to_ms, merchant_id=merchant_id)
        lines, total = tuple(_item_line(each) for each in sold), _item_line(_all_items(sold))
    else:
        sums = await stats.sales(
            database, by=by, from_ms=from_ms, to_ms=to_ms, day_offset_ms=CHINA_OFFSET_MS, merchant_id=merchant_id
        )
        names = await _names(database, by)
        lines, total = tuple(_sales_line(each, by, names) for each in sums), _sales_line(_all_sales(sums), "", {})
    return Report(
        by=by,
        from_day=first.isoformat(),
        to_day=last.isoformat(),
        merchant_id=merchant_id,
        lines=lines,
        total=total,
    )


def read_day(text: str) -> date | None:
    """A day as YYYY-MM-DD; empty: not given. Raises UnusableQuestion."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise UnusableQuestion("a day is written YYYY-MM-DD") from error


def _begin_ms(day: date) -> int:
    return (day - _EPOCH).days * DAY_MS - CHINA_OFFSET_MS


async def _names(database: Database, by: str) -> dict[str, str]:
    if by == "operator":
        return {row.operator_id: row.name for row in await parties.operators(database)}
    if by == "store":
        return {str(row.row_id): row.name for row in await parties.stores(database)}
    return {str(number): title for number, title in CHANNEL_TITLES.items()} if by == "wallet" else {}


def _sales_line(summed: SalesSum, by: str, names: dict[str, str]) -> SalesLine:
    key = summed.key
    if by in ("day", "hour"):
        begin = datetime.fromtimestamp((int(key) + CHINA_OFFSET_MS) / 1000, UTC)
        key = begin.strftime("%Y-%m-%d" if by == "day" else "%Y-%m-%d %H:00")
    return SalesLine(
        key=key,
        name=names.get(key, ""),
        orders=summed.orders,
        amount_fen=summed.amount_fen,
        received_fen=summed.received_fen,
        discount_fen=summed.discount_fen,
        refunds=summed.refunds,
        refunded_fen=summed.refunded_fen,
        net_fen=summed.received_fen - summed.refunded_fen,
    )


def _item_line(summed: ItemSum) -> ItemLine:
    quantity = f"{Decimal(summed.quantity_milli) / 1000:f}"
    return ItemLine(key=summed.key, name=summed.name, quantity=quantity, amount_fen=summed.amount_fen)


def _all_sales(sums: list[SalesSum]) -> SalesSum:
    return SalesSum(
        key="",
        orders=sum(each.orders for each in sums),
        amount_fen=sum(each.amount_fen for each in sums),
        received_fen=sum(each.received_fen for each in sums),
        discount_fen=sum(each.discount_fen for each in sums),
        refunds=sum(each.refunds for each in sums),
        refunded_fen=sum(each.refunded_fen for each in sums),
    )


def _all_items(sold: list[ItemSum]) -> ItemSum:
    return ItemSum(
        key="",
        name="",
        quantity_milli=sum(each.quantity_milli for each in sold),
        amount_fen=sum(each.amount_fen for each in sold),
    )
