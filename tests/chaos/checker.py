"""Compares three books at the end: what the tills were told, what the wallets hold, what our database says - and
what the merchants' servers really got."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentill.storage.database import open_database
from tests.chaos.load import BUSY, AskedOrder
from tests.chaos.receiver import Delivery

ORDER_NO_DIGITS = 30
LOST, DOUBLED, WRONG = "lost", "doubled", "wrong"
PAID_WORD = "PAY_SUC"
ENDED_UNPAID = {"FAILED", "CLOSED", "REVERSED"}


@dataclass(frozen=True)
class Broken:
    """A promise that was not kept. `kind`: LOST, DOUBLED or WRONG."""

    kind: str
    order_no: str
    text: str


@dataclass(frozen=True)
class WalletTrade:
    """A trade in the wallets' books."""

    wallet: str
    out_trade_no: str
    paid_fen: int
    refunds: tuple[tuple[str, int], ...]
    """Number and amount of each refund that was not refused."""


@dataclass(frozen=True)
class OurBooks:
    """Our database."""

    orders: Mapping[str, Mapping[str, Any]]
    payments: Mapping[str, list[Mapping[str, Any]]]
    refunds: Mapping[str, list[Mapping[str, Any]]]
    notifications: Mapping[str, list[Mapping[str, Any]]]
    sales: Mapping[str, int]


@dataclass
class Verdict:
    """What the comparison found."""

    broken: list[Broken] = field(default_factory=list)
    orders: int = 0
    paid: int = 0
    flagged: int = 0
    refunds: int = 0
    notified: int = 0

    def count(self, kind: str) -> int:
        return len({broken.order_no for broken in self.broken if broken.kind == kind})


def wallet_trades(books: Path) -> dict[str, list[WalletTrade]]:
    """The twin's books, by the gateway's order number."""
    found = defaultdict(list)
    with closing(sqlite3.connect(f"{books.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        refunds = defaultdict(list)
        for trade_id, number, fen in connection.execute(
            "SELECT trade_id, out_refund_no, amount_fen FROM refunds WHERE state NOT IN ('CLOSED', 'ABNORMAL')"
        ):
            refunds[trade_id].append((number, fen))
        rows = connection.execute("SELECT id, wallet, out_trade_no, paid_ms, total_fen FROM trades")
        for trade_id, wallet, number, paid_ms, fen in rows:
            trade = WalletTrade(wallet, number, fen if paid_ms else 0, tuple(refunds[trade_id]))
            found[number[:ORDER_NO_DIGITS]].append(trade)
    return dict(found)


async def our_books(url: str) -> OurBooks:
    """Everything the checks need, read through the storage layer."""
    database = await open_database(url, connections=2)
    try:
        orders = await database.read("SELECT * FROM orders")
        sales = await database.read_one(
            "SELECT COALESCE(SUM(orders), 0) AS orders, COALESCE(SUM(received_fen), 0) AS received_fen, "
            "COALESCE(SUM(refunded_fen), 0) AS refunded_fen FROM sales_hours"
        )
        assert sales is not None
        return OurBooks(
            orders={str(row["order_no"]): dict(row) for row in orders},
            payments=_by_order(await database.read("SELECT * FROM payments")),
            refunds=_by_order(await database.read("SELECT * FROM refunds")),
            notifications=_by_order(await database.read("SELECT * FROM notifications")),
            sales={name: int(value) for name, value in dict(sales).items()},
        )
    finally:
        await database.close()


def check(
    asked: Sequence[AskedOrder],
    ours: OurBooks,
    wallets: Mapping[str, Sequence[WalletTrade]],
    deliveries: Sequence[Delivery],
) -> Verdict:
    """Everything that must hold once all is quiet."""
    verdict = Verdict(orders=len(ours.orders))
    _check_acknowledged(verdict, asked, ours)
    for order_no, trades in wallets.items():
        _check_money(verdict, order_no, trades, ours)
    for order_no, order in ours.orders.items():
        if order["received_fen"] and not any(trade.paid_fen for trade in wallets.get(order_no, ())):
            verdict.broken.append(Broken(WRONG, order_no, "paid here, but no wallet took money"))
        if order["refunding_fen"]:
            verdict.broken.append(Broken(WRONG, order_no, f"{order['refunding_fen']} fen are still being refunded"))
    _check_told(verdict, ours, deliveries)
    _check_sales(verdict, ours)
    return verdict


def _check_acknowledged(verdict: Verdict, asked: Sequence[AskedOrder], ours: OurBooks) -> None:
    rows = defaultdict(list)
    for order in ours.orders.values():
        rows[order["local_order_no"]].append(order)
    for wanted in asked:
        found = rows[wanted.local_order_no]
        numbers = {order["order_no"] for order in found}
        for order_no in wanted.order_nos - numbers:
            verdict.broken.append(Broken(LOST, order_no, "acknowledged, but not in the database"))
        if not _is_one(found):
            verdict.broken.append(Broken(DOUBLED, wanted.local_order_no, f"one number, orders {sorted(numbers)}"))
        if found and set(wanted.words) == {BUSY}:
            verdict.broken.append(Broken(WRONG, wanted.local_order_no, "busy was said, but something was done"))
        for order in found:
            if order["amount_fen"] != wanted.amount_fen:
                verdict.broken.append(Broken(WRONG, order["order_no"], "another amount than asked for"))
            if wanted.is_told_paid and not order["received_fen"]:
                verdict.broken.append(Broken(LOST, order["order_no"], "said to be paid, but is not"))
            if wanted.is_reversed and order["state"] != "REVERSED":
                verdict.broken.append(Broken(LOST, order["order_no"], "said to be reversed, but is not"))
        _check_refunds_told(verdict, wanted, [row for number in numbers for row in ours.refunds.get(number, ())])


def _is_one(orders: Sequence[Mapping[str, Any]]) -> bool:
    """protocol 4.2: a barcode order's number may be used again once every earlier one ended unpaid for certain."""
    standing = [order for order in orders if order["state"] not in ENDED_UNPAID]
    return len(orders) <= 1 or (len(standing) <= 1 and all(order["way"] == "BARCODE" for order in orders))


def _check_refunds_told(verdict: Verdict, wanted: AskedOrder, rows: Sequence[Mapping[str, Any]]) -> None:
    for refund in wanted.refunds:
        found = [row for row in rows if row["local_refund_no"] == refund.local_refund_no]
        verdict.refunds += len(found)
        told = [word for word in refund.words if word.startswith("refund ")]
        if told and not found:
            verdict.broken.append(Broken(LOST, wanted.local_order_no, "a refund was acknowledged, but is not there"))
        if "refund 5" in told and any(row["state"] != "SUCCEEDED" for row in found):
            verdict.broken.append(Broken(WRONG, wanted.local_order_no, "a refund said to be done is not"))


def _check_money(verdict: Verdict, order_no: str, trades: Sequence[WalletTrade], ours: OurBooks) -> None:
    order = ours.orders.get(order_no)
    paid = [trade for trade in trades if trade.paid_fen]
    if order is None:
        verdict.broken.append(Broken(LOST, order_no, "a wallet has a trade of which we know nothing"))
        return
    if not paid:
        return
    verdict.paid += 1
    paid_fen = sum(trade.paid_fen for trade in paid)
    verdict.flagged += bool(order["attention"])
    if len(paid) > 1 and not order["attention"]:
        verdict.broken.append(Broken(DOUBLED, order_no, "paid more than once, and nobody was told"))
    if order["state"] != "PAID" and not order["attention"]:
        verdict.broken.append(Broken(LOST, order_no, f"the wallet took {paid_fen} fen, the order is {order['state']}"))
        return
    recorded_fen = sum(row["amount_fen"] for row in ours.payments.get(order_no, ()))
    if recorded_fen != paid_fen:
        kind = DOUBLED if recorded_fen > paid_fen else LOST
        verdict.broken.append(Broken(kind, order_no, f"the wallet took {paid_fen} fen, recorded are {recorded_fen}"))
    _check_refunds_done(verdict, order, paid, ours.refunds.get(order_no, ()))


def _check_refunds_done(
    verdict: Verdict, order: Mapping[str, Any], paid: Sequence[WalletTrade], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Money that went back: as much at the wallet as here, and not more often than asked for."""
    order_no = order["order_no"]
    theirs_fen = sum(fen for trade in paid for _, fen in trade.refunds)
    ours_fen = sum(row["amount_fen"] for row in rows if row["state"] == "SUCCEEDED")
    if theirs_fen > ours_fen:
        text = f"the wallet gave back {theirs_fen} fen, here are {ours_fen}"
        verdict.broken.append(Broken(DOUBLED, order_no, text))
    if theirs_fen < ours_fen:
        text = f"here {ours_fen} fen were given back, the wallet gave {theirs_fen}"
        verdict.broken.append(Broken(LOST, order_no, text))
    if order["refunded_fen"] > order["received_fen"]:
        verdict.broken.append(Broken(DOUBLED, order_no, "more was given back than received"))


def _check_told(verdict: Verdict, ours: OurBooks, deliveries: Sequence[Delivery]) -> None:
    """Every payment whose merchant wants to know is known to it, by one text."""
    came = defaultdict(list)
    for delivery in deliveries:
        if delivery.word == PAID_WORD:
            came[delivery.order_no].append(delivery)
    for order_no, order in ours.orders.items():
        rows = [row for row in ours.notifications.get(order_no, ()) if row["kind"] == "PAYMENT"]
        if order["state"] == "PAID" and order["notify_url"] and not order["attention"] and not rows:
            verdict.broken.append(Broken(LOST, order_no, "paid, but nobody owes a notification"))
        if len(rows) > 1:
            verdict.broken.append(Broken(DOUBLED, order_no, "two notifications about one payment"))
        accepted = [delivery for delivery in came[order_no] if delivery.is_accepted]
        if any(row["state"] != "DELIVERED" for row in rows) or (rows and not accepted):
            states = [row["state"] for row in rows]
            text = f"notification {states}, delivered {len(came[order_no])} times, accepted {len(accepted)} times"
            verdict.broken.append(Broken(LOST, order_no, text))
        if len({delivery.digest for delivery in came[order_no]}) > 1:
            verdict.broken.append(Broken(DOUBLED, order_no, "two different texts about one payment"))
        if accepted and order["state"] != "PAID":
            verdict.broken.append(Broken(WRONG, order_no, f"its merchant was told, but it is {order['state']}"))
        verdict.notified += bool(accepted)


def _check_sales(verdict: Verdict, ours: OurBooks) -> None:
    """Statistics count every payment once."""
    totals = Counter[str]()
    for order in ours.orders.values():
        if order["state"] == "PAID":
            totals["orders"] += 1
            totals["received_fen"] += order["received_fen"]
            totals["refunded_fen"] += order["refunded_fen"]
    for name, value in ours.sales.items():
        if value != totals[name]:
            verdict.broken.append(Broken(WRONG, "-", f"sales count {name} {value}, the orders {totals[name]}"))


def _by_order(rows: Sequence[Any]) -> dict[str, list[Mapping[str, Any]]]:
    found: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[str(row["order_no"])].append(dict(row))
    return dict(found)
