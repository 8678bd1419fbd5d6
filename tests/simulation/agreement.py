"""Both books must agree to the fen once everything has come to rest."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from tests.simulation.books import Books, OurOrder, OurPayment, OurRefund, WalletRefund, WalletTrade
from tests.simulation.hearing import UNPAID

Found = Callable[[str, str, str], None]


class Agreement:
    """Compares our payments and refunds with the wallets'. `ended_ms`: when which order ended unpaid."""

    def __init__(self, books: Books, *, found: Found, ended_ms: Mapping[str, int]) -> None:
        self._books = books
        self._found = found
        self._ended_ms = ended_ms

    def check(self, orders: Mapping[str, OurOrder]) -> None:
        """All of both books; `orders` are all of ours by number."""
        refunds = {
            refund.refund_no: refund
            for order in orders.values()
            for refund in self._books.refunds(order.app_id, order.order_no)
        }
        for trade in self._books.trades():
            self._check_trade(orders.get(trade.order_no), trade)
        self._check_refunds(orders, refunds)
        payments = [each for order in orders.values() for each in self._books.payments(order.app_id, order.order_no)]
        self._check_conserved(payments, refunds.values())

    def _check_trade(self, order: OurOrder | None, trade: WalletTrade) -> None:
        """Every payment at a wallet is in our books, unless nobody ever told us; what has ended waits for no payer."""
        if order is not None and order.way == "BARCODE" and order.state in UNPAID and trade.state == "PASSWORD":
            self._found("ended", trade.order_no, f"{order.state}, though its payer is still asked: {trade}")
        if not trade.paid_ms:
            return
        if order is None:
            self._found("payments", trade.order_no, f"paid, but we have no such order: {trade}")
            return
        payments = self._books.payments(order.app_id, order.order_no)
        if any(each.channel_trade_no == trade.trade_no for each in payments):
            return
        callbacks = [state for kind, state in self._books.callbacks_of(trade.id) if kind == "pay"]
        was_over = self._ended_ms.get(order.order_no, trade.paid_ms + 1) <= trade.paid_ms
        is_other = order.state == "PAID" and order.channel_trade_no != trade.trade_no
        if "DONE" in callbacks or not (was_over or is_other):
            self._found("payments", order.order_no, f"paid at the wallet, callbacks {callbacks}: {trade} {order}")

    def _check_refunds(self, orders: Mapping[str, OurOrder], refunds: Mapping[str, OurRefund]) -> None:
        at_wallets = {each.out_refund_no: each for each in self._books.wallet_refunds()}
        for refund in refunds.values():
            if refund.cause == "REVERSED":
                self._check_undone(refund, at_wallets.values())
                continue
            found = at_wallets.get(refund.refund_no)
            is_back = found is not None and found.state == "SUCCESS"
            if refund.state == "SUCCEEDED" and not (is_back and found and found.amount_fen == refund.wallet_fen):
                self._found("refunds", refund.order_no, f"never left the wallet: {refund} {found}")
            if refund.state == "FAILED" and found is not None and found.state != "CLOSED":
                self._found("refunds", refund.order_no, f"failed here, not there: {refund} {found}")
            is_alarmed = bool(orders[refund.order_no].attention)
            if refund.state == "PENDING" and not is_alarmed:
                self._found("refunds", refund.order_no, f"pending for ever: {refund} {found}")
            if refund.state == "PENDING" and is_back:
                self._found("refunds", refund.order_no, f"went back, but is pending here: {refund}")
        for found in at_wallets.values():
            order_no = found.out_trade_no[:30]
            if found.is_reversal:
                own = self._books.refunds(orders[order_no].app_id, order_no)
                is_known = self._is_ours_to_tell(orders[order_no], found)
                if is_known and not any(each.cause == "REVERSED" for each in own):
                    self._found("refunds", order_no, f"given back by the wallet, and not in our books: {found}")
            elif found.out_refund_no not in refunds:
                self._found("refunds", order_no, f"a refund that our books do not have: {found}")

    def _is_ours_to_tell(self, order: OurOrder, undone: WalletRefund) -> bool:
        """Whether our books must say that a wallet gave this back by undoing a charge.

        Of a trade that we never heard was paid there is nothing to take back. Held money waits for a person, who is not
        believed before the wallet is asked. A wallet that says paid again after it undid a charge contradicts itself.
        """
        payments = self._books.payments(order.app_id, order.order_no)
        is_known = any(each.trade_no == undone.out_trade_no and each.role != "WRONG_AMOUNT" for each in payments)
        return is_known and undone.out_trade_no not in self._contradictory()

    def _contradictory(self) -> set[str]:
        undone = {each.out_trade_no for each in self._books.wallet_refunds() if each.is_reversal}
        return {trade.out_trade_no for trade in self._books.trades() if trade.state == "PAID"} & undone

    def _check_undone(self, refund: OurRefund, at_wallets: Iterable[WalletRefund]) -> None:
        """What we say that a wallet gave back by undoing a charge it did give back, to the fen."""
        back_fen = sum(
            each.amount_fen for each in at_wallets if each.is_reversal and each.out_trade_no == refund.trade_no
        )
        if back_fen != refund.wallet_fen:
            self._found("refunds", refund.order_no, f"the wallet undid {back_fen} fen: {refund}")

    def _check_conserved(self, payments: Sequence[OurPayment], refunds: Iterable[OurRefund]) -> None:
        """Per wallet: what payers paid for trades that we know of, less what went back to them, is what we say."""
        known = {each.channel_trade_no for each in payments if each.role != "WRONG_AMOUNT"}
        odd = self._contradictory()
        trades = [trade for trade in self._books.trades() if trade.trade_no in known and trade.out_trade_no not in odd]
        paid = {trade.out_trade_no: trade for trade in trades}
        theirs = Counter({trade.channel: 0 for trade in paid.values()})
        ours = theirs.copy()
        for trade in paid.values():
            theirs[trade.channel] += trade.total_fen
        for back in self._books.wallet_refunds():
            if back.out_trade_no in paid and back.state == "SUCCESS":
                theirs[paid[back.out_trade_no].channel] -= back.amount_fen
        for payment in payments:
            if payment.trade_no in paid:
                ours[payment.channel] += payment.amount_fen
        for refund in refunds:
            if refund.state == "SUCCEEDED" and refund.trade_no in paid:
                ours[refund.channel] -= refund.wallet_fen
        if theirs != ours:
            self._found("conserved", "", f"at the wallets are {dict(theirs)} fen, in our books {dict(ours)}")
