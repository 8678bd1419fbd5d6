"""The comparison of the books finds what it looks for."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.checker import DOUBLED, LOST, WRONG, OurBooks, Verdict, WalletTrade, check
from tests.chaos.load import AskedOrder, AskedRefund
from tests.chaos.receiver import Delivery

NO = "1" * 30
ORDER = {
    "order_no": NO, "way": "SCAN", "local_order_no": "L1", "amount_fen": 100, "state": "PAID", "received_fen": 100,
    "refunding_fen": 0, "refunded_fen": 40, "attention": "", "notify_url": "http://shop/",
}  # fmt: skip
UNPAID = {**ORDER, "state": "WAITING", "received_fen": 0, "refunded_fen": 0}
PAYMENT = {"amount_fen": 100}
REFUND = {"local_refund_no": "R1", "amount_fen": 40, "state": "SUCCEEDED"}
NOTIFICATION = {"kind": "PAYMENT", "state": "DELIVERED"}
NO_SALES = {"orders": 0, "received_fen": 0, "refunded_fen": 0}
GOOD = OurBooks(
    orders={NO: ORDER},
    payments={NO: [PAYMENT]},
    refunds={NO: [REFUND]},
    notifications={NO: [NOTIFICATION]},
    sales={"orders": 1, "received_fen": 100, "refunded_fen": 40},
)
TRADE = WalletTrade("alipay", NO, 100, (("R1", 40),))
DELIVERY = Delivery(kind="good", at_ms=1, order_no=NO, word="PAY_SUC", digest="d", is_accepted=True)


def asked(**changes: Any) -> AskedOrder:
    order = AskedOrder("L1", "scan", 1, 100, "good", words=["0"], order_nos={NO})
    order.refunds = [AskedRefund("R1", 40, ["refund 5"])]
    return replace(order, **changes)


def verdict(
    *,
    till: AskedOrder | None = None,
    ours: OurBooks = GOOD,
    wallets: Mapping[str, list[WalletTrade]] | None = None,
    deliveries: tuple[Delivery, ...] = (DELIVERY,),
) -> Verdict:
    return check([till or asked()], ours, {NO: [TRADE]} if wallets is None else wallets, deliveries)


def books(**changes: Any) -> Callable[[], Verdict]:
    return lambda: verdict(ours=replace(GOOD, **changes))


def told(*deliveries: Delivery) -> Callable[[], Verdict]:
    return lambda: verdict(deliveries=deliveries)


def test_books_that_agree_are_good() -> None:
    found = verdict()

    assert found.broken == []
    assert (found.orders, found.paid, found.notified, found.refunds) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("kind", "compare"),
    [
        (LOST, books(orders={}, sales=NO_SALES)),
        (LOST, books(orders={NO: UNPAID}, sales=NO_SALES)),
        (LOST, lambda: verdict(till=asked(is_reversed=True))),
        (LOST, lambda: verdict(till=asked(refunds=[AskedRefund("R2", 1, ["refund 4"])]))),
        (LOST, lambda: verdict(wallets={NO: [TRADE], "2" * 30: [TRADE]})),
        (LOST, lambda: verdict(wallets={NO: [replace(TRADE, refunds=())]})),
        (LOST, books(payments={})),
        (LOST, books(notifications={})),
        (LOST, books(notifications={NO: [{**NOTIFICATION, "state": "DUE"}]})),
        (LOST, told()),
        (LOST, told(Delivery("good", 1, NO, "PAY_SUC", "d", is_accepted=False))),
        (DOUBLED, lambda: two_orders("SCAN", "FAILED")),
        (DOUBLED, lambda: two_orders("BARCODE", "WAITING")),
        (DOUBLED, lambda: two_orders("BARCODE", "PAID")),
        (DOUBLED, lambda: verdict(wallets={NO: [TRADE, TRADE]})),
        (DOUBLED, lambda: verdict(wallets={NO: [replace(TRADE, refunds=(("R1", 40), ("R3", 40)))]})),
        (DOUBLED, books(payments={NO: [PAYMENT, PAYMENT]})),
        (DOUBLED, books(notifications={NO: [NOTIFICATION, NOTIFICATION]})),
        (DOUBLED, told(DELIVERY, Delivery("good", 2, NO, "PAY_SUC", "other", is_accepted=True))),
        (WRONG, lambda: verdict(till=asked(words=["2"], order_nos=set()))),
        (WRONG, lambda: verdict(till=asked(amount_fen=99))),
        (WRONG, lambda: verdict(wallets={})),
        (WRONG, books(sales={**GOOD.sales, "received_fen": 200})),
        (WRONG, books(orders={NO: {**ORDER, "refunding_fen": 1}})),
        (WRONG, books(refunds={NO: [{**REFUND, "state": "PENDING"}]})),
    ],
)
def test_books_that_do_not_agree_are_found_out(kind: str, compare: Callable[[], Verdict]) -> None:
    assert compare().count(kind) >= 1


@pytest.mark.parametrize("state", ["FAILED", "CLOSED", "REVERSED"])
def test_a_barcode_order_that_ended_unpaid_may_be_followed_by_one_under_the_same_number(state: str) -> None:
    assert two_orders("BARCODE", state).count(DOUBLED) == 0


def two_orders(way: str, state: str) -> Verdict:
    """Two orders under one number, of which the other one is in `state`."""
    other = {**UNPAID, "order_no": "2" * 30, "way": way, "state": state}
    return verdict(ours=replace(GOOD, orders={NO: {**ORDER, "way": way}, "2" * 30: other}))


def test_money_that_was_flagged_for_a_person_is_not_lost() -> None:
    flagged = {**UNPAID, "attention": "WRONG_AMOUNT"}
    ours = replace(GOOD, orders={NO: flagged}, refunds={}, notifications={}, sales=NO_SALES)

    found = verdict(till=asked(refunds=[]), ours=ours, wallets={NO: [replace(TRADE, refunds=())]}, deliveries=())

    assert found.flagged == 1
    assert found.broken == []


def test_an_order_that_nobody_paid_owes_nothing() -> None:
    ours = OurBooks(orders={NO: UNPAID}, payments={}, refunds={}, notifications={}, sales=NO_SALES)

    found = verdict(
        till=asked(refunds=[]), ours=ours, wallets={NO: [replace(TRADE, paid_fen=0, refunds=())]}, deliveries=()
    )

    assert found.broken == []
