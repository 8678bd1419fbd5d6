"""Finds orders over all apps for people who may see some merchants: by number, or newest first through filters."""

import asyncio
from collections.abc import Sequence

import msgspec

from opentill.base import numbers
from opentill.storage import parties, search
from opentill.storage.database import Database
from opentill.storage.search import FoundOrder, OrderFilter, Stretch, least_order_no

PAGE_SIZE = 50
MOST_ROWS = 200_000
"""Rows that one page may look through in all apps together: well below a second. The rest is for the next request."""
LEAST_ROWS_PER_APP = 2_000
AT_ONCE = 8
"""Apps looked through at the same time, so that a search leaves connections to the others."""
MAX_NUMBER = 64

_LAST_MS = 10**13 - 1


class Scope(msgspec.Struct, frozen=True):
    """What a person may see. `merchant_ids` None: every merchant."""

    app_ids: tuple[int, ...]
    merchant_ids: frozenset[int] | None

    def narrowed(self, wanted: OrderFilter) -> OrderFilter:
        """The filter, asking for nothing outside of this."""
        if self.merchant_ids is None:
            return wanted
        among = self.merchant_ids if wanted.merchant_ids is None else self.merchant_ids & wanted.merchant_ids
        return msgspec.structs.replace(wanted, merchant_ids=among)

    def has(self, order: FoundOrder) -> bool:
        return self.merchant_ids is None or order.merchant_id in self.merchant_ids


class Page(msgspec.Struct, frozen=True):
    """Some orders, newest first. `before`: where the next page begins, '' after the last.

    `is_cut`: so many orders did not match that the search stopped early; there may be more from `before` on.
    """

    orders: list[FoundOrder]
    before: str
    is_cut: bool

    @property
    def reached_ms(self) -> int:
        """The time down to which was searched, 0: to the end."""
        return int(self.before[1:14]) if self.before else 0


async def scope_of(database: Database, merchant_ids: frozenset[int] | None, *, app_id: int = 0) -> Scope:
    """The apps whose orders can belong to the merchants; `app_id` 0: of all apps."""
    if merchant_ids is None:
        app_ids = [row.app_id for row in await parties.apps(database)]
    else:
        app_ids = await search.apps_of_merchants(database, merchant_ids)
    return Scope(tuple(each for each in app_ids if app_id in (0, each)), merchant_ids)


async def page(
    database: Database, scope: Scope, wanted: OrderFilter, *, before: str = "", limit: int = PAGE_SIZE,
    most_rows: int = MOST_ROWS,
) -> Page:  # fmt: skip
    """The newest orders that match and whose number is less than `before` ('' : from the newest on).

    Every app is read by itself (its rows may be on a machine of its own) and the lists are merged: numbers sort by
    time over all apps.
    """
    wanted = scope.narrowed(wanted)
    before = min(before or least_order_no(_LAST_MS), least_order_no(wanted.to_ms))
    if wanted.merchant_ids == frozenset() or not scope.app_ids:
        return Page([], "", False)
    per_app = max(most_rows // len(scope.app_ids), LEAST_ROWS_PER_APP)
    turn = asyncio.Semaphore(AT_ONCE)

    async def stretch(app_id: int) -> Stretch:
        async with turn:
            # One more than shown tells whether there is a next page.
            return await search.newest(database, app_id, wanted, before=before, limit=limit + 1, most_rows=per_app)

    return _merged(await asyncio.gather(*(stretch(app_id) for app_id in scope.app_ids)), limit)


async def by_number(database: Database, scope: Scope, text: str) -> list[FoundOrder]:
    """The orders that a number names exactly: ours, the integrator's, the wallet's, a trade's or a refund's."""
    number = text.strip()
    if not number or len(number) > MAX_NUMBER:
        return []
    found: dict[tuple[int, str], FoundOrder] = {}
    for app_id in _apps_of_number(scope, number):
        order_nos = {
            number[: numbers.LENGTH],
            *await search.orders_of_channel_trade_no(database, app_id, number),
            *await search.orders_of_refund_no(database, app_id, number),
        }
        orders = await search.by_local_order_no(database, app_id, number)
        for order_no in order_nos:
            orders += await search.by_order_no(database, app_id, order_no)
        found.update({(order.app_id, order.order_no): order for order in orders if scope.has(order)})
    return sorted(found.values(), key=lambda order: order.order_no, reverse=True)


async def attention_counts(database: Database, scope: Scope) -> dict[str, int]:
    """How many orders need a person, by why."""
    counts: dict[str, int] = {}
    for app_id in scope.app_ids:
        for why, number in (await search.attention_counts(database, app_id, scope.merchant_ids)).items():
            counts[why] = counts.get(why, 0) + number
    return counts


def _apps_of_number(scope: Scope, number: str) -> Sequence[int]:
    """One of our numbers says whose it is; another may be anybody's."""
    app_id = numbers.app_id_of(number)
    return scope.app_ids if app_id is None else [app_id] if app_id in scope.app_ids else []


def _merged(stretches: Sequence[Stretch], limit: int) -> Page:
    # What one app did not look through any more may lie before what others found further down.
    reached = max(stretch.reached for stretch in stretches)
    found = [order for stretch in stretches for order in stretch.orders if order.order_no >= reached]
    found.sort(key=lambda order: order.order_no, reverse=True)
    if len(found) > limit:
        return Page(found[:limit], found[limit - 1].order_no, False)
    return Page(found, reached, bool(reached))
