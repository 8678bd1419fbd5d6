"""The auditor: checks after every step, and at the end, that no fen and no fact was lost or made up.

It has a model of its own: what must be true is written here once more, from the design's words, and read from both
books. It calls nothing of the gateway's.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tests.clients import Reply
from tests.simulation.agreement import Agreement
from tests.simulation.books import Books, OurNotification, OurOrder, OurPayment, OurRefund, WalletTrade
from tests.simulation.hearing import OPEN, UNPAID, Hearing
from tests.simulation.loop import SimLoop
from tests.simulation.sums import OF_THE_ORDER, Sums

if TYPE_CHECKING:
    from tests.simulation.people import Shop, SimTill

# design 5, written down once more.
TABLE = {
    "": {"CREATED"},
    "CREATED": {"WAITING", "PAID", "FAILED", "CLOSED", "REVERSED"},
    "WAITING": {"PAID", "FAILED", "CLOSED", "REVERSED"},
    "FAILED": {"PAID"},
    "CLOSED": {"PAID"},
    "REVERSED": {"PAID"},
    "PAID": set(),
}
REFUND_TABLE = {"": {"PENDING", "SUCCEEDED"}, "PENDING": {"PENDING", "SUCCEEDED", "FAILED"}}
NOTIFICATION_TABLE = {"": {"DUE"}, "DUE": {"DELIVERED", "DEAD"}}
ON_ITS_WAY_MS = 20_000
"""What is this young at a wallet may have happened while its earlier answer was on its way to us."""
ATTEMPTS = 13
UNDER_WAY_MS = 110_000
"""An attempt that began before a pause has come to its receiver within this, however slow the road."""
MAX_BROKEN = 20
# Errors that a world with bad days logs; every other one is a finding.
TROUBLE = ("opentill.storage.engine.DatabaseUnavailable", "opentill.storage.engine.OutcomeUnknown")
EXPECTED_LOGS = {
    "attention", "stuck", "dead", "unknown order", "foreign refund", "the answer's signature is wrong",
}  # fmt: skip


class Broken(msgspec.Struct, frozen=True):
    """A rule that did not hold, about which order, and what was found."""

    rule: str
    order_no: str
    text: str


class Auditor:
    """Hears what is said, reads both books, keeps what is `broken`."""

    def __init__(
        self,
        books: Books,
        *,
        loop: SimLoop,
        now_ms: Callable[[], int],
        shops: "Sequence[Shop]",
        tills: "Sequence[SimTill]",
        tell: Callable[[str], None],
        platform_key: str | None,
    ) -> None:
        self.broken: list[Broken] = []
        self.orders = 0
        self.changes = 0
        self._books = books
        self._loop = loop
        self._now_ms = now_ms
        self._tell = tell
        self._shops = {shop.party.app_id: shop for shop in shops}
        self._tills = {till.party.app_id: till for till in tills}
        self._numbers = {till.party.app_id: (till.party.alipay_app_id, till.party.mchid) for till in tills}
        self._ended_ms: dict[str, int] = {}
        self._jumps: list[tuple[int, int]] = []
        self._dead_alarms: Counter[str] = Counter()
        self._given_back: set[str] = set()
        """Refunds that have ended well here, and at the wallet too."""
        self._hearing = Hearing(books, found=self.found, numbers=self._numbers, platform_key=platform_key)
        self._sums = Sums(books, found=self.found)
        self._agreement = Agreement(books, found=self.found, ended_ms=self._ended_ms)
        self._wallet_news = self._wallet_changes = 0
        self._our_changes = 0
        self._has_news = True
        self._due: dict[str, int | None] = {}

    # --- what happens

    def look(self) -> None:
        """Check what has changed since the last look."""
        if not self._has_news:
            return
        self._has_news = False
        self._check_callbacks()
        changes = self._books.changes_since(self.changes)
        if not changes:
            return
        self.changes = changes[-1][0]
        for _, kind, app_id, order_no, before, after in changes:
            self._tell(f"{kind} {order_no} {before or '-'} -> {after or '...'}")
            self._check_move(kind, app_id, order_no, before, after)
        for app_id, order_no in dict.fromkeys((change[2], change[3]) for change in changes):
            self._check_order(app_id, order_no)
        self._sums.compare_changed()

    def committed(self) -> None:
        """Somebody may have written to our books."""
        if self._our_changes != self._books.our_changes:
            self._our_changes = self._books.our_changes
            self._has_news = True
            self._due.clear()

    def after_crash(self) -> None:
        """What is committed must hold by itself: there is nothing else any more."""
        self.look()
        self._sums.compare_all()

    def jumped(self, by_ms: int) -> None:
        self._jumps.append((self._now_ms(), by_ms))

    def logged(self, event: Mapping[str, Any]) -> None:
        name = str(event.get("event"))
        if name == "dead":
            self._dead_alarms[str(event["order_no"])] += 1
        is_expected = name in EXPECTED_LOGS or (name == "fault" and _is_trouble(str(event.get("exception"))))
        if not is_expected:
            self.found("log", "", f"{event}"[:3000])

    def found(self, rule: str, order_no: str, text: str) -> None:
        if len(self.broken) < MAX_BROKEN:
            self.broken.append(Broken(rule, order_no, text))
            self._tell(f"BROKEN {rule} {order_no}: {text}")

    def next_due_ms(self, kind: str) -> int | None:
        """When the workers have something of a kind to do."""
        if kind not in self._due:
            self._due[kind] = self._books.next_due_ms(kind)
        return self._due[kind]

    def twin_next_due_ms(self) -> int | None:
        return self._books.twin_next_due_ms()

    # --- what merchants are told

    def told(self, till: "SimTill", form: Mapping[str, str], reply: Reply) -> None:
        """A reply that a till has got."""
        self.look()
        self._hearing.hear(till, form, reply)

    def delivered(self, shop: "Shop", body: bytes, *, is_accepted: bool) -> None:
        """A notification that a receiver has got."""
        self.look()
        self._hearing.receive(shop, body, is_accepted=is_accepted)
        pause = self._books.pause(shop.party.app_id)
        if pause is not None and self._awake_ms(pause[1]) > UNDER_WAY_MS:
            self.found("paused", "", f"{shop.name} is told, though it is paused since {pause[1]}")

    # --- after every step

    def _check_callbacks(self) -> None:
        """A wallet that heard success for a payment never tells of it again, so it must be in our books."""
        if self._books.wallet_changes == self._wallet_changes:
            return
        self._wallet_changes = self._books.wallet_changes
        for number, trade in self._books.told_since(self._wallet_news):
            self._wallet_news = number
            if not self._books.is_payment_known(trade.order_no, trade.trade_no):
                self.found("callbacks", trade.order_no, f"the wallet heard success, and nothing was recorded: {trade}")

    def _check_move(self, kind: str, app_id: int, order_no: str, before: str, after: str) -> None:
        if kind == "order":
            self.orders += not before
            if after not in TABLE[before]:
                self.found("states", order_no, f"{before} became {after}")
            if after in UNPAID:
                self._ended_ms[order_no] = self._now_ms()
                self._check_ended(app_id, order_no, after)
                self._check_owed_for_ending(app_id, order_no, after)
        if kind == "refund" and after not in REFUND_TABLE.get(before, set()):
            self.found("states", order_no, f"a refund: {before} became {after}")
        if kind == "notification" and after not in NOTIFICATION_TABLE.get(before, set()):
            self.found("states", order_no, f"a notification: {before} became {after}")

    def _check_ended(self, app_id: int, order_no: str, state: str) -> None:
        """No order ends unpaid while its money is there, or, unless a till wanted it, while its code can be paid."""
        order = self._books.order(app_id, order_no)
        assert order is not None
        now_ms = self._now_ms()
        trades = self._books.trades_of(self._numbers[app_id], order_no)
        # Failed is certain; the other ends may have been decided while the payment was on its way to us.
        patience_ms = 0 if state == "FAILED" else ON_ITS_WAY_MS
        for trade in trades:
            if trade.state == "PAID" and not trade.was_closed_before_paid and not trade.refunded_fen:
                waited_ms = self._awake_ms(trade.paid_ms)
                if waited_ms >= patience_ms:
                    self.found("ended", order_no, f"{state}, though it was paid {waited_ms / 1000} s ago: {trade}")
            # What no till was told of nobody can pay; a refused charge leaves an open trade that nobody can pay.
            is_payable = trade.state in ("OPEN", "PASSWORD") and now_ms < trade.expires_ms
            if order.way == "BARCODE":  # a charge that came to the wallet after its word is undone when it is seen
                is_payable = trade.state == "PASSWORD" and self._awake_ms(trade.created_ms) >= patience_ms
            elif state == "REVERSED":
                is_payable = False
            if is_payable and (order_no in self._hearing.told or order.way == "BARCODE"):
                self.found("ended", order_no, f"{state}, though it can still be paid: {trade}")
        is_scannable = order.channel == 1 and self._books.code_lives_until_ms(order.qr_text) > now_ms
        if state != "REVERSED" and is_scannable and not trades:
            self.found("ended", order_no, f"{state}, though its code can still be scanned")

    def _check_owed_for_ending(self, app_id: int, order_no: str, state: str) -> None:
        """Who wants to hear of orders that end unpaid hears of each once, who does not of none (protocol 6)."""
        order = self._books.order(app_id, order_no)
        assert order is not None
        rules = self._tills[app_id].rules
        is_wanted = rules.notify_failures if state == "FAILED" else rules.notify_cancels
        owed = [each.kind for each in self._books.notifications(app_id, order_no) if each.kind in UNPAID]
        if owed != [state] * (is_wanted and bool(order.notify_url)):
            self.found("owed", order_no, f"{state}, and the merchant is told {owed}")

    def _awake_ms(self, since_ms: int) -> int:
        """How long ago that was, not counting what the machine slept."""
        slept_ms = sum(by_ms for at_ms, by_ms in self._jumps if at_ms >= since_ms)
        return self._now_ms() - since_ms - slept_ms

    def _check_order(self, app_id: int, order_no: str) -> None:
        order = self._books.order(app_id, order_no)
        assert order is not None
        payments = self._books.payments(app_id, order_no)
        refunds = self._books.refunds(app_id, order_no)
        self._check_money(order, refunds)
        self._check_payments(order, payments)
        self._sums.count(order, refunds)
        self._check_owed(order, refunds, self._books.notifications(app_id, order_no))
        if order.attempt > 1 or order.way == "BARCODE":
            self._check_attempts(order)

    def _check_money(self, order: OurOrder, refunds: list[OurRefund]) -> None:
        own = [refund for refund in refunds if refund.cause in OF_THE_ORDER]
        refunded = sum(each.amount_fen for each in own if each.state == "SUCCEEDED")
        pending = sum(each.amount_fen for each in own if each.state == "PENDING")
        if (refunded, pending) != (order.refunded_fen, order.refunding_fen):
            self.found("refunds", order.order_no, f"refunds say {refunded} and {pending} pending: {order}")
        if min(order.refunded_fen, order.refunding_fen) < 0 or refunded + pending > order.received_fen:
            self.found("refunds", order.order_no, f"more refunded than received: {order}")
        if any(each.amount_fen <= 0 or each.wallet_fen <= 0 for each in refunds):
            self.found("refunds", order.order_no, f"a refund of nothing: {refunds}")
        self._check_shares(order, own)
        for each in refunds:
            if each.state == "SUCCEEDED" and each.cause != "REVERSED" and each.refund_no not in self._given_back:
                self._check_given_back(each)

    def _check_shares(self, order: OurOrder, own: list[OurRefund]) -> None:
        """Wallets count refunds in what was paid: what the merchant received is all gone when the payer has it all."""
        alive_fen = sum(each.wallet_fen for each in own if each.state != "FAILED")
        is_all_back = order.received_fen > 0 and order.refunded_fen == order.received_fen
        if alive_fen > order.amount_fen or (is_all_back and alive_fen != order.amount_fen):
            self.found("refunds", order.order_no, f"the wallet's shares add up to {alive_fen}: {order} {own}")

    def _check_given_back(self, refund: OurRefund) -> None:
        """As soon as a refund has ended well here its money has left the wallet, to the fen."""
        self._given_back.add(refund.refund_no)
        there = self._books.wallet_refund(refund.refund_no)
        if there is None or (there.state, there.amount_fen) != ("SUCCESS", refund.wallet_fen):
            self.found("refunds", refund.order_no, f"ended well here, but the wallet has {there}: {refund}")

    def _check_payments(self, order: OurOrder, payments: list[OurPayment]) -> None:
        effective = [each for each in payments if each.role == "EFFECTIVE"]
        events = self._books.count_events(order.app_id, order.order_no, "PAID", "PAID_LATE")
        expected = int(order.state == "PAID")
        if (len(effective), events) != (expected, expected):
            self.found("effects", order.order_no, f"{order.state}: {events} events, payments {payments}")
        for each in effective:
            if (each.channel_trade_no, each.received_fen, each.discount_fen) != (
                order.channel_trade_no,
                order.received_fen,
                order.discount_fen,
            ):
                self.found("effects", order.order_no, f"the order is not as it was paid: {each} {order}")
        if not payments:
            return
        trades = {
            (trade.channel, trade.trade_no): trade
            for trade in self._books.trades_of(self._numbers[order.app_id], order.order_no)
        }
        for each in payments:
            self._check_payment(order, each, trades.get((each.channel, each.channel_trade_no)))

    def _check_payment(self, order: OurOrder, payment: OurPayment, trade: WalletTrade | None) -> None:
        if payment.role == "WRONG_AMOUNT" and trade is not None:
            return  # the wallet told of money that is not so; it is held, whatever it was
        if trade is None or not trade.paid_ms:
            self.found("payments", order.order_no, f"money that no wallet took: {payment} {trade}")
            return
        said = (payment.amount_fen, payment.received_fen, payment.discount_fen)
        true = (trade.total_fen, trade.received_fen, trade.discount_fen)
        if said != true or trade.total_fen != order.amount_fen or payment.trade_no != trade.out_trade_no:
            self.found("payments", order.order_no, f"not what the wallet took: {payment} {trade}")

    def _check_owed(self, order: OurOrder, refunds: list[OurRefund], owed: list[OurNotification]) -> None:
        """The debt to notify is there as soon as the order is paid, once."""
        was_returned = any(refund.cause == "REVERSED" for refund in refunds)
        policy = self._tills[order.app_id].rules.late_payment if order.is_late else "accept"
        is_owed = order.state == "PAID" and bool(order.notify_url) and policy == "accept" and not was_returned
        found = [each for each in owed if each.kind == "PAYMENT"]
        if len(found) != int(is_owed):
            self.found("owed", order.order_no, f"{len(found)} notifications owed: {order}")
        rules = self._tills[order.app_id].rules
        settled = [each for each in refunds if each.state == "SUCCEEDED" and each.cause in ("REQUESTED", "LATE")]
        is_told = rules.notify_refunds and bool(order.notify_url)
        if sum(each.kind == "REFUND" for each in owed) != len(settled) * is_told:
            self.found("owed", order.order_no, f"of {len(settled)} refunds the merchant is told so: {owed}")
        is_sent_back = was_returned or any(refund.cause == "LATE" for refund in refunds)
        if order.state == "PAID" and order.is_late and policy == "refund" and not is_sent_back:
            self.found("policy", order.order_no, f"late money that is not refunded: {order}")
        if order.is_late and not order.attention:
            self.found("policy", order.order_no, f"late money that nobody looks at: {order}")

    def _check_attempts(self, order: OurOrder) -> None:
        """A number is used again only by barcode, once all before ended unpaid."""
        named = self._books.orders_named(order.app_id, order.local_order_no)
        if [each.attempt for each in named] != list(range(1, len(named) + 1)):
            self.found("duplicate", order.order_no, f"attempts {[each.attempt for each in named]}")
        alive = [each for each in named if each.state not in UNPAID and not each.is_late]
        if len(alive) > 1:
            self.found("duplicate", order.order_no, f"two charges under one number: {alive}")

    # --- at the end

    def check_no_order_open(self) -> None:
        """Money of a wrong amount is held for a person, with an alarm; nothing else keeps an order open."""
        for order in self._books.orders():
            if order.state in OPEN and order.attention != "WRONG_AMOUNT":
                self.found("open", order.order_no, f"still open in good weather: {order}")

    def final(self) -> None:
        """Everything has come to rest: both books must agree to the fen."""
        self.look()
        self.check_no_order_open()
        orders = {order.order_no: order for order in self._books.orders()}
        for order in orders.values():
            self._check_order(order.app_id, order.order_no)
            self._check_notified(order)
        self._sums.compare_all()
        self._agreement.check(orders)

    def _check_notified(self, order: OurOrder) -> None:
        shop = self._shops[order.app_id]
        for each in self._books.notifications(order.app_id, order.order_no):
            body = msgspec.json.encode(msgspec.json.decode(each.fields), order="sorted")
            heard = self._hearing.accepted[order.order_no, body]
            if each.state == "DELIVERED" and not heard:
                self.found("notified", order.order_no, "marked delivered, but the receiver never accepted it")
            pause = self._books.pause(order.app_id)
            is_held_by_person = pause is not None and each.due_at_ms == -pause[0]
            if each.state == "DUE" and not is_held_by_person:
                self.found("notified", order.order_no, f"still due at the end: {each}")
            if each.state == "DEAD" and (each.attempts != ATTEMPTS or each.due_at_ms):
                self.found("notified", order.order_no, f"given up too early: {each}")
            if each.state == "DEAD" and not self._dead_alarms[order.order_no]:
                self.found("notified", order.order_no, "dead without an alarm")
            if each.state == "DEAD" and shop.is_good_in_the_end:
                self.found("notified", order.order_no, f"the receiver was mended, but: {each}")


def _is_trouble(trace: str) -> bool:
    """A fault of the database, or the end of the process: whoever met it says so and is asked again."""
    return trace.rpartition("\n")[2].startswith(TROUBLE)
