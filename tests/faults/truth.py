"""What must hold whatever goes wrong: our books against the wallet's, at every look and in the end."""

from dataclasses import dataclass
from typing import Any

from opentill.domain.order import Order, OrderState
from opentill.domain.refund import Refund, RefundState
from opentill.storage.orders import EFFECTIVE, WRONG_AMOUNT
from tests.orders import refunds_of
from tests.world import World

PAID_THERE = frozenset({"TRADE_SUCCESS", "TRADE_FINISHED", "SUCCESS"})
GIVEN_BACK_THERE = frozenset({"TRADE_CLOSED", "REFUND"})
UNPAID_THERE = frozenset({"TRADE_CLOSED", "CLOSED", "REVOKED", "PAYERROR"})
_ENDED_UNPAID = frozenset({OrderState.FAILED, OrderState.CLOSED, OrderState.REVERSED})


@dataclass(frozen=True)
class Books:
    """An order as both sides know it. `trade` is the wallet's, None: it has none. `payments` are the roles of ours."""

    order: Order
    refunds: list[Refund]
    payments: list[str]
    counted: tuple[int, int]
    """Payments and refunds in the statistics."""
    notified: int
    """How often the shop heard that the order is paid."""
    trade: dict[str, Any] | None

    @property
    def is_held(self) -> bool:
        """Money of another amount: recorded apart, for a person to decide."""
        return WRONG_AMOUNT in self.payments

    @property
    def paid_there_fen(self) -> int:
        return self.trade["total_fen"] if self.trade is not None and self.trade["paid_at"] else 0

    @property
    def refunded_there_fen(self) -> int:
        return self.trade["refunded_fen"] if self.trade is not None else 0

    @property
    def is_news_coming(self) -> bool:
        """Whether the wallet has yet to call us for the first time about something."""
        called = self.trade["callbacks"] if self.trade is not None else []
        return any(callback["state"] == "DUE" and not callback["sent"] for callback in called)

    @property
    def succeeded_fen(self) -> int:
        return sum(refund.wallet_fen for refund in self.refunds if refund.state is RefundState.SUCCEEDED)


async def read_books(w: World, order_no: str) -> Books:
    trades = await w.wallet_trades(order_no)
    assert len(trades) <= 1, "one order, one trade"
    sums = "SELECT coalesce(sum(orders), 0) AS paid, coalesce(sum(refunds), 0) AS back FROM sales_hours"
    (counted,) = await w.rows(sums)
    return Books(
        order=await w.order(order_no),
        refunds=await refunds_of(w, order_no),
        payments=[str(row["role"]) for row in await w.rows("SELECT role FROM payments WHERE order_no = $1", order_no)],
        counted=(int(counted["paid"]), int(counted["back"])),
        notified=sum(heard.fields["orderStatus"] == "PAY_SUC" for heard in w.shop.heard),
        trade=trades[0] if trades else None,
    )


def check_always(books: Books) -> None:
    """At every moment at which nothing is on its way."""
    order = books.order
    has_money_there = books.paid_there_fen > books.refunded_there_fen
    if order.state in _ENDED_UNPAID:
        is_known = books.payments or books.is_news_coming
        assert not has_money_there or is_known, f"{order.state}, and the wallet has money nobody knows of"
    if order.state is OrderState.PAID:
        assert books.paid_there_fen == order.amount_fen, "PAID without the money"
    assert books.payments.count(EFFECTIVE) == (order.state is OrderState.PAID), "one payment, one effect"
    assert books.counted[0] == books.payments.count(EFFECTIVE), "sales count what is paid"
    assert books.counted[1] == sum(refund.state is RefundState.SUCCEEDED for refund in books.refunds)
    assert books.notified <= books.payments.count(EFFECTIVE), "one payment is told once, and nothing else is"
    assert order.refunded_fen == books.succeeded_fen <= books.refunded_there_fen, "refunds that never were"
    assert books.refunded_there_fen <= sum(refund.wallet_fen for refund in books.refunds), "refunds nobody knows of"


def check_end(books: Books) -> None:
    """When time enough has passed: nothing is open, and both sides say the same."""
    check_always(books)
    order, status = books.order, books.trade["status"] if books.trade is not None else None
    assert all(refund.state is not RefundState.PENDING for refund in books.refunds)
    assert (order.refunding_fen, order.refunded_fen) == (0, books.refunded_there_fen)
    if books.is_held:
        assert order.attention == WRONG_AMOUNT, "a person is told"
        return
    if order.state is OrderState.PAID:
        is_all_back = order.refunded_fen == order.received_fen
        assert status in (GIVEN_BACK_THERE if is_all_back else PAID_THERE | {"REFUND"})
    else:
        assert order.state in _ENDED_UNPAID
        assert status in UNPAID_THERE | {None}
        assert books.paid_there_fen == 0
