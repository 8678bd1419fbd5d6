"""The first page's figures: a time against the one before it, by hour or day, and what needs a person."""

import msgspec

from opentill.services import pauses, search, telling
from opentill.services.pauses import Paused
from opentill.services.search import Scope
from opentill.services.statistics import DAY_MS
from opentill.storage import figures, parties
from opentill.storage.database import Database
from opentill.storage.figures import Item, Outcome, Sum
from opentill.storage.stats import HOUR_MS

TOP = 8
LATELY_MS = 2 * HOUR_MS
LEAST_FAILURES = 5
"""Fewer may be the customers' doing."""
_ENDED = frozenset({"PAID", "FAILED", "CLOSED", "REVERSED"})


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of a time, fen."""

    orders: int = 0
    received_fen: int = 0
    refunds: int = 0
    refunded_fen: int = 0

    @property
    def average_fen(self) -> int:
        return self.received_fen // self.orders if self.orders else 0


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One hour or day of the chart, and the same one before."""

    begins_ms: int
    now: Money
    before: Money


class Failing(msgspec.Struct, frozen=True):
    """A wallet account most of whose latest orders its wallet did not take."""

    account_id: int
    name: str
    failed: int
    orders: int


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for a person: orders by why, notifications given up, receivers that are paused, accounts."""

    orders: dict[str, int]
    dead: int
    paused: list[Paused]
    failing: list[Failing]

    @property
    def is_nothing(self) -> bool:
        return not (self.orders or self.dead or self.paused or self.failing)


class Dashboard(msgspec.Struct, frozen=True, kw_only=True):
    """`is_about`: the time before is cut at the same time of day, its last hour in proportion."""

    now: Money
    before: Money
    is_about: bool
    points: list[Point]
    is_by_day: bool
    wallets: list[Sum]
    stores: list[Sum]
    operators: list[Sum]
    items: list[Item]
    paid: int
    ended: int
    needs: Needs

    @property
    def success_permille(self) -> int | None:
        """Of the latest orders that ended, those that were paid; None: none ended."""
        return self.paid * 1000 // self.ended if self.ended else None


async def dashboard(database: Database, scope: Scope, *, from_ms: int, to_ms: int, now_ms: int) -> Dashboard:
    """Figures of from_ms to before to_ms (whole days of Shanghai), compared with as many days before."""
    merchants, length_ms = scope.merchant_ids, to_ms - from_ms
    hours = await figures.sums(
        database, by="hour", from_ms=from_ms - length_ms, to_ms=to_ms, merchant_ids=merchants
    )  # fmt: skip
    by_hour = {int(each.key): each for each in hours}
    by: dict[str, list[Sum]] = {}
    for name in ("wallet", "store", "operator"):
        found = await figures.sums(database, by=name, from_ms=from_ms, to_ms=to_ms, merchant_ids=merchants)
        by[name] = sorted(found, key=lambda each: each.received_fen, reverse=True)[:TOP]
    outcomes = await _outcomes(database, scope, from_ms=from_ms, to_ms=to_ms)
    is_going_on = from_ms <= now_ms < to_ms
    until_ms = min(now_ms, to_ms) - length_ms if is_going_on else from_ms
    step_ms = HOUR_MS if length_ms <= DAY_MS else DAY_MS
    return Dashboard(
        now=_sum(by_hour, from_ms, to_ms),
        before=_sum(by_hour, from_ms - length_ms, until_ms),
        is_about=is_going_on,
        points=[
            Point(
                begins_ms=at_ms,
                now=_sum(by_hour, at_ms, at_ms + step_ms),
                before=_sum(by_hour, at_ms - length_ms, at_ms - length_ms + step_ms),
            )
            for at_ms in range(from_ms, to_ms, step_ms)
        ],
        is_by_day=step_ms == DAY_MS,
        wallets=by["wallet"],
        stores=by["store"],
        operators=by["operator"],
        items=await figures.best_items(database, from_ms=from_ms, to_ms=to_ms, merchant_ids=merchants, limit=TOP),
        paid=sum(each.orders for each in outcomes if each.state == "PAID"),
        ended=sum(each.orders for each in outcomes if each.state in _ENDED),
        needs=await needs(database, scope, now_ms=now_ms),
    )


async def needs(database: Database, scope: Scope, *, now_ms: int) -> Needs:
    """What waits for a person now, whenever it began."""
    return Needs(
        orders=await search.attention_counts(database, scope),
        dead=await telling.count_dead(database, scope),
        paused=await pauses.paused(database, scope),
        failing=await _failing(database, scope, now_ms=now_ms),
    )


async def _failing(database: Database, scope: Scope, *, now_ms: int) -> list[Failing]:
    """Accounts whose wallet refused or never answered most orders of the last two hours."""
    orders: dict[int, int] = {}
    failed: dict[int, int] = {}
    for each in await _outcomes(database, scope, from_ms=now_ms - LATELY_MS, to_ms=now_ms + 1):
        orders[each.account_id] = orders.get(each.account_id, 0) + each.orders
        if each.state == "FAILED" or each.is_unanswered:
            failed[each.account_id] = failed.get(each.account_id, 0) + each.orders
    bad = [key for key, count in failed.items() if count >= LEAST_FAILURES and 2 * count > orders[key]]
    names = {row.account_id: row.name for row in await parties.accounts(database)} if bad else {}
    return [Failing(key, names.get(key, str(key)), failed[key], orders[key]) for key in sorted(bad)]


async def _outcomes(database: Database, scope: Scope, *, from_ms: int, to_ms: int) -> list[Outcome]:
    return [
        each
        for app_id in scope.app_ids
        for each in await figures.outcomes(
            database, app_id, from_ms=from_ms, to_ms=to_ms, merchant_ids=scope.merchant_ids
        )
    ]


def _sum(by_hour: dict[int, Sum], from_ms: int, to_ms: int) -> Money:
    """Of whole hours, and of a last one that is cut, its share."""
    orders = received_fen = refunds = refunded_fen = 0
    for hour_ms in range(from_ms, to_ms, HOUR_MS):
        found = by_hour.get(hour_ms)
        if found is None:
            continue
        share_ms = min(HOUR_MS, to_ms - hour_ms)
        orders += found.orders * share_ms // HOUR_MS
        received_fen += found.received_fen * share_ms // HOUR_MS
        refunds += found.refunds * share_ms // HOUR_MS
        refunded_fen += found.refunded_fen * share_ms // HOUR_MS
    return Money(orders=orders, received_fen=received_fen, refunds=refunds, refunded_fen=refunded_fen)
