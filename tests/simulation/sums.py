"""Statistics must be the sum of the orders: a model of them that grows with each order's payment and refunds."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

from tests.simulation.books import Books, OurOrder, OurRefund

# Refunds of the order's own payment; a surplus goes back beside it.
OF_THE_ORDER = {"REQUESTED", "LATE", "REVERSED"}

Key = tuple[Any, ...]
Figures = tuple[int, ...]


class Sums:
    """What sales and sold goods must be, by app, merchant, store, operator and wallet, and by item."""

    def __init__(self, books: Books, *, found: Callable[[str, str, str], None]) -> None:
        self._books = books
        self._found = found
        self._shares: dict[str, dict[Key, Figures]] = {}
        """What each order adds to which sum; keys of goods are longer by the item's."""
        self._sums: dict[Key, Figures] = {}
        self._changed: dict[Key, str] = {}
        """Sums not compared since they changed, and the order that changed them last."""

    def count(self, order: OurOrder, refunds: Iterable[OurRefund]) -> None:
        """Count an order as it is now."""
        share = _share_of(order, refunds)
        before = self._shares.get(order.order_no, {})
        if share == before:
            return
        self._shares[order.order_no] = share
        for key in share.keys() | before.keys():
            self._sums[key] = _added(_added(self._sums.get(key), share.get(key)), before.get(key), sign=-1)
            self._changed[key] = order.order_no

    def compare_changed(self) -> None:
        """What orders have changed must be in the books already; ask once all are counted that changed together."""
        for key, order_no in self._changed.items():
            self._compare(key, self._books.sum_of(key), order_no)
        self._changed.clear()

    def compare_all(self) -> None:
        """Nothing else may have been counted either."""
        counted = self._books.sales() | self._books.sold_goods()
        for key in counted.keys() | self._sums.keys():
            self._compare(key, counted.get(key), "")

    def _compare(self, key: Key, counted: Figures | None, order_no: str) -> None:
        expected = self._sums.get(key, ())
        if any(expected) if counted is None else counted != (expected or (0,) * len(counted)):
            self._found("statistics", order_no, f"{key}: the orders sum up to {expected}, counted were {counted}")


def _share_of(order: OurOrder, refunds: Iterable[OurRefund]) -> dict[Key, Figures]:
    if order.state != "PAID":
        return {}
    key = (order.app_id, order.merchant_id, order.store_id, order.operator_id, order.channel)
    settled = [each.amount_fen for each in refunds if each.state == "SUCCEEDED" and each.cause in OF_THE_ORDER]
    back_fen = sum(settled)
    share: defaultdict[Key, Figures] = defaultdict(tuple)
    share[key] = (1, order.amount_fen, order.received_fen, order.discount_fen, len(settled), back_fen)
    if order.goods != "[]":
        for line in msgspec.json.decode(order.goods):
            item = (*key, _key_of(line))
            share[item] = _added(share[item], _figures_of(line, back_fen, order.received_fen))
    return dict(share)


def _key_of(line: Mapping[str, Any]) -> str:
    return str(next((line[name] for name in ("sku_id", "goods_id", "goods_num", "name") if line.get(name)), ""))


def _figures_of(line: Mapping[str, Any], back_fen: int, received_fen: int) -> Figures:
    """A line counts when the order is paid, less its part of what was refunded, rounded once (protocol 5)."""
    quantity = Decimal(str(line["quantity"]))
    price = (quantity * int(line["unit_price_fen"])).quantize(Decimal(1), ROUND_HALF_UP)
    return tuple(whole - whole * back_fen // received_fen for whole in (int(quantity * 1000), int(price)))


def _added(one: Figures | None, other: Figures | None, *, sign: int = 1) -> Figures:
    if not other:
        return one or ()
    return tuple(a + sign * b for a, b in zip(one or (0,) * len(other), other, strict=True))
