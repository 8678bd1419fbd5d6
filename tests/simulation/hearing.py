"""What merchants hear of the gateway must be so: replies at their tills, notifications at their receivers."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec

from tests.clients import Reply, is_signed, string_to_sign
from tests.simulation import cheap
from tests.simulation.books import Books, OurNotification, OurOrder

if TYPE_CHECKING:
    from tests.simulation.people import Shop, SimTill

# design 5, written down once more.
OPEN, UNPAID = {"CREATED", "WAITING"}, {"FAILED", "CLOSED", "REVERSED"}
REFUSED = "62"
OPENING = {"open.pay.scan", "open.pay.h5", "open.pay.mp", "open.pay.barcode"}
PAID_STATUS, UNPAID_STATUS = {"2", "6", "7"}, {"-2", "-1", "8", "9"}
# protocol 6: what a notification says of the order, and where the books have it.
SAID_OF_PAID = {
    "appOrderNo": "local_order_no",
    "outOrderNo": "channel_trade_no",
    "receiveAmount": "received_fen",
    "discountAmount": "discount_fen",
}

Found = Callable[[str, str, str], None]


class Hearing:
    """Compares every word with both books, and remembers what was said."""

    def __init__(
        self,
        books: Books,
        *,
        found: Found,
        numbers: Mapping[int, tuple[str, str]],
        platform_key: str | None,
    ) -> None:
        self.told: set[str] = set()
        """Orders whose code, or page, a till has got: they can be paid."""
        self.accepted: Counter[tuple[str, bytes]] = Counter()
        """Notifications that a receiver has accepted: order, fields."""
        self._books = books
        self._found = found
        self._numbers = numbers
        self._platform_key = platform_key
        self._codes: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
        self._refunds: defaultdict[tuple[int, str, str], set[str]] = defaultdict(set)

    # --- replies

    def hear(self, till: "SimTill", form: Mapping[str, str], reply: Reply) -> None:
        """A reply that a till has got."""
        if reply.code == "1":
            self._found("system error", "", reply.message)
        command, data = form["command"], reply.data
        if reply.code == REFUSED and command in OPENING:
            self._check_refused(till, form)
        if not reply.is_success:
            return
        if command in OPENING:
            self._check_opened(till, form, data)
        if command in ("open.pay.query", "open.pay.barcode"):
            self._check_status(till, data)
        if command == "open.pay.refund":
            self._check_refund(till, form, data)
        if command == "open.pay.reverse":
            self._check_reversed(till, form)

    def _check_opened(self, till: "SimTill", form: Mapping[str, str], data: Mapping[str, str]) -> None:
        named = self._books.orders_named(till.party.app_id, form["local_order_no"])
        # open.pay.mp answers without a number of ours (protocol 4.4).
        number = data.get("cbOrderNo") or (named[-1].order_no if named else "")
        order = next((each for each in named if each.order_no == number), None)
        if order is None:
            self._found("durable", number, "the till was told of an order that is not stored")
            return
        self.told.add(order.order_no)
        if str(order.amount_fen) != form["amount"]:
            self._found("told", number, f"asked for {form['amount']} fen: {order}")
        for trade in self._books.trades_of(self._numbers[order.app_id], number):
            if str(trade.total_fen) != form["amount"]:
                self._found("told", number, f"asked for {form['amount']} fen, the wallet wants {trade}")
        codes = self._codes[order.app_id, order.local_order_no]
        codes.add(number)
        if order.way != "BARCODE" and len(codes) > 1:
            self._found("duplicate", order.order_no, f"two orders under one number: {sorted(codes)}")

    def _check_refused(self, till: "SimTill", form: Mapping[str, str]) -> None:
        """A till that hears that the wallet refused lets the customer pay again: no money can be there, or come."""
        for order in self._books.orders_named(till.party.app_id, form["local_order_no"]):
            for trade in self._books.trades_of(self._numbers[order.app_id], order.order_no):
                is_taken = trade.state == "PAID" and not trade.refunded_fen
                if order.state != "PAID" and (is_taken or trade.state == "PASSWORD"):
                    self._found("told", order.order_no, f"told refused, but the wallet has {trade}")

    def _check_status(self, till: "SimTill", data: Mapping[str, str]) -> None:
        """A status that a till hears must be the stored one, or one it was while the reply was made."""
        number, status = data["cbOrderNo"], data["orderStatus"]
        order = self._books.order(till.party.app_id, number)
        if order is None:
            return
        if status in PAID_STATUS and order.state != "PAID":
            self._found("told", number, f"told {status}, but it is {order.state}")
        if status in UNPAID_STATUS and order.state in OPEN:
            self._found("told", number, f"told {status}, but it is {order.state}")
        if status == "7" and order.refunded_fen < order.received_fen:
            self._found("told", number, "told all refunded, but it is not")
        is_paid_so = data["receiveAmount"] == str(order.received_fen)
        # What was given back only grows.
        is_refunded_so = int(data.get("refundAmount", "0")) <= order.refunded_fen
        is_received_so = is_paid_so if status in PAID_STATUS else data["receiveAmount"] == "0"
        if data["totalAmount"] != str(order.amount_fen) or not is_received_so or not is_refunded_so:
            self._found("told", number, f"told other amounts, {data}: {order}")

    def _check_refund(self, till: "SimTill", form: Mapping[str, str], data: Mapping[str, str]) -> None:
        number, status = data["cbOrderNo"], data["refundStatus"]
        refund = self._books.refund(till.party.app_id, number)
        if refund is None:
            self._found("durable", number, "the till was told of a refund that is not stored")
            return
        for name in ("sign", "local_refund_no"):
            if form.get(name):
                known = self._refunds[till.party.app_id, name, form[name]]
                known.add(number)
                if len(known) > 1:
                    self._found("duplicate", refund.order_no, f"two refunds for one {name}: {sorted(known)}")
        at_wallet = self._books.wallet_refund(number)
        if status == "5" and (at_wallet is None or at_wallet.state != "SUCCESS"):
            self._found("told", refund.order_no, f"told that {number} is refunded; the wallet has {at_wallet}")
        if status == "-3" and at_wallet is not None and at_wallet.state != "CLOSED":
            self._found("told", refund.order_no, f"told that {number} failed; the wallet has {at_wallet}")
        if data["refundAmount"] != str(refund.amount_fen):
            self._found("told", refund.order_no, f"told another amount, {data}: {refund}")

    def _check_reversed(self, till: "SimTill", form: Mapping[str, str]) -> None:
        """Who hears that it is reversed lets the customer go: it has ended, whatever the wallet says later."""
        named = self._books.orders_named(till.party.app_id, form.get("local_order_no", ""))
        order = self._books.order(till.party.app_id, form.get("order_no", "")) or (named[-1] if named else None)
        if order is not None and (order.state in OPEN or (order.state == "PAID" and not order.is_late)):
            self._found("told", order.order_no, f"told reversed, but it is {order.state}")

    # --- notifications

    def receive(self, shop: "Shop", body: bytes, *, is_accepted: bool) -> None:
        """A notification that a receiver has got."""
        fields = dict(parse_qsl(body.decode("ascii"), keep_blank_values=True))
        sign, number = fields.pop("sign", ""), fields.get("cbOrderNo", "")
        if not self._is_signed(fields, sign):
            self._found("signature", number, "a notification is not signed by the platform")
        order = self._books.order(shop.party.app_id, number)
        owed = [
            each
            for each in self._books.notifications(shop.party.app_id, number)
            if msgspec.json.decode(each.fields) == fields
        ]
        if not owed:
            self._found("notified", number, f"nobody owed this notification: {fields}")
        elif order is not None:
            self._check_words(order, owed[0], fields)
        if is_accepted:
            self.accepted[number, msgspec.json.encode(fields, order="sorted")] += 1

    def _check_words(self, order: OurOrder, owed: OurNotification, fields: Mapping[str, str]) -> None:
        number = order.order_no
        if fields["totalAmount"] != str(order.amount_fen):
            self._found("notified", number, f"another amount than the order's: {fields}")
        if owed.kind in UNPAID:
            if (fields["receiveAmount"], fields["outOrderNo"]) != ("0", "") or fields["orderStatus"] == "PAY_SUC":
                self._found("notified", number, f"money, in the news that it is {owed.kind}: {fields}")
            return
        if order.state != "PAID":
            self._found("notified", number, f"a notification about an order that is {order.state}")
        wrong = [name for name, column in SAID_OF_PAID.items() if fields[name] != str(getattr(order, column))]
        if wrong or (owed.kind == "PAYMENT" and fields["orderStatus"] != "PAY_SUC"):
            self._found("notified", number, f"not as it was paid, {wrong}: {fields} {order}")

    def _is_signed(self, fields: Mapping[str, str], sign: str) -> bool:
        if self._platform_key is None:
            return cheap.is_platform_signed(string_to_sign(fields), sign)
        return is_signed(fields, sign, self._platform_key)
