"""The bugs that the auditor must find: each is a mistake somebody could make, and money or word of it is then wrong."""

from opentill.commands import query
from opentill.domain import notification as notification_waits
from opentill.domain import refund as refund_rules
from opentill.protocol import notification as notification_words
from opentill.services import callbacks, closing, notifications, opening, orders, pauses, payments, refunds, sales
from opentill.storage import orders as order_rows
from opentill.storage import refunds as refund_rows
from opentill.worker import poll
from tests.simulation.planting import Bug, Swap


def bug(name: str, breaks: str, *swaps: Swap) -> Bug:
    return Bug(name=name, breaks=breaks, swaps=swaps)


BUGS = (
    # --- moves of orders
    bug(
        "move-without-guard",
        "An order is moved without naming the state it is expected in, so who decides on old news overwrites new ones.",
        Swap(order_rows.move, "AND state = $3", "AND $3 <> ''"),
    ),
    bug(
        "unknown-is-failed",
        "A wallet that does not answer clearly is taken to have refused.",
        Swap(orders._plan_word, "Outcome.UNKNOWN: OrderState.WAITING", "Outcome.UNKNOWN: OrderState.FAILED"),
    ),
    bug(
        "not-found-is-failed",
        "A trade that the wallet does not know yet is taken to have failed, though its code can still be scanned.",
        Swap(orders._plan_word, "Outcome.UNKNOWN:", "Outcome.NOT_FOUND: OrderState.FAILED, Outcome.UNKNOWN:"),
    ),
    bug(
        "close-by-timer",
        "An overdue order is closed because its time is over; the wallet is not asked.",
        Swap(closing.expire, "_end_at_wallet(", "_end("),
    ),
    bug(
        "reverse-without-asking",
        "A reverse ends the order here and leaves its trade at the wallet as it is.",
        Swap(closing.reverse, "await _end_at_wallet(", "await _end("),
    ),
    bug(
        "unknown-trade-is-dead",
        "A code whose trade the wallet does not know is closed when it is first asked about, though it can be scanned.",
        Swap(poll._is_to_be_closed, "now_ms >= order.expires_at_ms or", "order.expires_at_ms > 0 or"),
        Swap(closing._is_ended, "or is_dead", "or True"),
    ),
    bug(
        "asked-once",
        "An open order is asked about once and never again.",
        Swap(poll.poll_order, "poll_at_ms = next_poll_ms(", "poll_at_ms = 0 * next_poll_ms("),
    ),
    bug(
        "created-is-forgotten",
        "A number that was taken has no due time, so a crash before the wallet's answer leaves the order for ever.",
        Swap(opening.take_number, "poll_at_ms=wanted.created_at_ms + CREATE_LEASE_MS", "poll_at_ms=0"),
    ),
    bug(
        "told-before-commit",
        "When the database does not take the change, it is told to the till all the same.",
        Swap(
            orders.record_outcome,
            "except StepFailed:",
            "except Exception as error:\n"
            "            if not isinstance(error, StepFailed):\n"
            "                return changed",
        ),
    ),
    bug(
        "unknown-is-told-as-refused",
        "A charge whose outcome nobody knows yet is told to the till as refused, and the customer pays again.",
        Swap(opening.charge, "if order.state is OrderState.FAILED:", "if order.state is not OrderState.PAID:"),
    ),
    bug(
        "reverse-is-told-too-soon",
        "A reverse is told as done though the wallet gave no clear answer, and the order is open.",
        Swap(
            closing.reverse,
            'raise GatewayError("CHANNEL_TIMEOUT", channel=CHANNEL_TITLES.get(order.channel, ""))',
            "return order",
        ),
    ),
    # --- money that comes in
    bug(
        "charge-again-after-unknown",
        "A charge whose outcome is unknown is tried once more, under another number at the wallet.",
        Swap(
            opening.charge,
            'orders.count_call(deployment, order.channel, "charge", answer)',
            "if answer.outcome is Outcome.UNKNOWN:\n"
            "        again = msgspec.structs.replace(trade, trade_no=trade.trade_no + '02')\n"
            "        answer = await channel.charge(account.opened, again, barcode)",
        ),
    ),
    bug(
        "asked-for-less",
        "The wallet is asked for the part of the amount that discounts may be given on.",
        Swap(
            orders.trade_of,
            "amount_fen=order.amount_fen,",
            "amount_fen=order.amount_fen - (order.un_discount_fen or 0),",
        ),
    ),
    bug(
        "paid-twice-is-paid-again",
        "A paid order is moved to PAID once more by a second payment.",
        Swap(order_rows.move_to_paid, "AND state = $3", "AND $3 <> ''"),
        Swap(payments.plan_payment, "if order.state is OrderState.PAID:", "if order.state is OrderState.FAILED:"),
    ),
    bug(
        "surplus-is-dropped",
        "A second payment for an order that is paid is taken for a repeat of the first.",
        Swap(
            payments.plan_payment,
            "if order.state is OrderState.PAID:",
            "if order.state is OrderState.PAID:\n        return order, []\n    if False:",
        ),
    ),
    bug(
        "late-money-is-dropped",
        "Money for an order that has ended is not recorded.",
        Swap(
            payments.plan_payment,
            "is_late = not order.is_open\n",
            "is_late = not order.is_open\n    if is_late:\n        return order, []\n",
        ),
    ),
    bug(
        "late-money-is-kept",
        "The app's rule to give late money back is not read.",
        Swap(payments.plan_payment, "if policy == REFUND:", "if policy is None:"),
    ),
    bug(
        "any-amount-pays",
        "What the payment says it is worth is not compared with the order.",
        Swap(payments.plan_payment, "if payment.amount_fen != order.amount_fen:", "if payment.amount_fen < 0:"),
    ),
    bug(
        "coupon-counts-as-received",
        "A coupon that the merchant paid for itself is counted as money received.",
        Swap(payments._paid, "received_fen=payment.received_fen", "received_fen=payment.amount_fen"),
    ),
    bug(
        "undone-charge-stays-paid",
        "A charge that was paid, and given back by undoing it, is recorded as paid alone.",
        Swap(orders.record_outcome, "was_refunded=answer.was_refunded", "was_refunded=False"),
    ),
    bug(
        "callback-is-accepted-unread",
        "The wallet hears success for news of money that was not recorded.",
        Swap(callbacks.receive, "await orders.record_outcome(deployment, order, answer, said=said)", "order"),
    ),
    bug(
        "callback-is-accepted-before-commit",
        "The wallet hears success while what it said is still being written; a crash then forgets it.",
        Swap(
            callbacks.receive,
            "changed = await orders.record_outcome(deployment, order, answer, said=said)",
            "changed = order\n"
            "    recording = orders.record_outcome(deployment, order, answer, said=said)\n"
            "    __import__('asyncio').ensure_future(recording)",
        ),
    ),
    # --- refunds
    bug(
        "refund-repeat-is-another",
        "A refund request that comes twice makes two refunds.",
        Swap(refunds.find_repeat, "app_id = caller.app.app_id", "return None\n    app_id = 0"),
        Swap(
            refunds._planned,
            "local_refund_no=wanted.local_refund_no,\n        request_sign=caller.sign,",
            'local_refund_no="", request_sign="",',
        ),
    ),
    bug(
        "refund-number-is-shared",
        "Refunds of some minutes go to the wallet under one number.",
        Swap(refunds._request, "refund_no=refund.refund_no,", "refund_no=refund.refund_no[:9].ljust(30, '0'),"),
    ),
    bug(
        "coupon-is-not-given-back",
        "A full refund gives back what the merchant received, and the payer's coupon is gone.",
        Swap(refund_rules.wallet_share_fen, "return wallet_left_fen", "return min(amount_fen, wallet_left_fen)"),
    ),
    bug(
        "stuck-in-silence",
        "A refund that only a person can bring to an end alarms nobody.",
        Swap(
            refunds._plan_next,
            "answer.outcome is RefundOutcome.NEEDS_PERSON or now_ms - refund.created_at_ms > STUCK_AFTER_MS",
            "refund is None",
        ),
    ),
    bug(
        "refund-without-reservation",
        "A refund is recorded without checking in the UPDATE that its money is still there.",
        Swap(
            order_rows.reserve_refund,
            "AND refunding_fen = $4 AND refunded_fen = $5 AND received_fen - refunded_fen - refunding_fen >= $3",
            "AND $4 >= 0 AND $5 >= 0",
        ),
    ),
    bug(
        "new-number-on-retry",
        "A refund that is sent again gets another number at the wallet.",
        Swap(refunds._request, "refund_no=refund.refund_no,", "refund_no=refund.refund_no + str(refund.asks),"),
    ),
    bug(
        "unknown-refund-is-failed",
        "A refund about which the wallet did not answer clearly is given up.",
        Swap(
            refunds.record_answer,
            "if answer.outcome not in (RefundOutcome.SUCCEEDED, RefundOutcome.REFUSED):",
            "if answer.outcome is RefundOutcome.PENDING:",
        ),
    ),
    bug(
        "pending-refund-is-done",
        "A refund that the wallet has accepted is told as money that is back.",
        Swap(
            refunds.record_answer,
            "now_ms = deployment.clock.now_ms()\n",
            "now_ms = deployment.clock.now_ms()\n"
            "    if answer.outcome is RefundOutcome.PENDING:\n"
            "        answer = msgspec.structs.replace(answer, outcome=RefundOutcome.SUCCEEDED)\n",
        ),
    ),
    bug(
        "failed-refund-keeps-its-money",
        "What was set aside for a refund that failed is not set free.",
        Swap(
            order_rows.release_refund, "SET refunding_fen = refunding_fen - $3", "SET refunding_fen = refunding_fen - 0"
        ),
    ),
    bug(
        "refund-settles-twice",
        "A refund that has ended may end again: the callback and the question both count it.",
        Swap(refund_rows.end, "AND state = 'PENDING'", ""),
    ),
    bug(
        "refund-is-never-asked-again",
        "A pending refund gets no new due time.",
        Swap(refunds._plan_next, "due_at_ms = next_ask_ms(refund.asks, now_ms=now_ms)", "due_at_ms = 0"),
    ),
    # --- word to the merchant
    bug(
        "notify-after-commit",
        "The debt to notify is written after the move is committed, in a transaction of its own.",
        Swap(
            orders.record_outcome,
            "await deployment.database.write(unit, wakes=wakes)",
            "later = [step for step in unit if 'INTO notifications' in step.sql]\n"
            "            await deployment.database.write([step for step in unit if step not in later], wakes=wakes)\n"
            "            await deployment.database.write(later, wakes=wakes)",
        ),
    ),
    bug(
        "any-answer-is-success",
        "A receiver that answers anything at all has accepted the notification.",
        Swap(notification_waits.is_accepted, '200 <= status < 300 and body == b"success"', "status > 0"),
    ),
    bug(
        "silence-is-success",
        "A receiver that can't be reached has been told.",
        Swap(notifications._record, "if attempt.problem:", "if attempt.status:"),
    ),
    bug(
        "given-up-early",
        "A notification is dead after four attempts.",
        Swap(notification_waits.next_attempt_ms, "if attempts > len(WAITS_MS):", "if attempts > 3:"),
    ),
    bug(
        "dead-in-silence",
        "A notification is given up and nobody is alarmed.",
        Swap(notifications._record, "if state is NotificationState.DEAD:", "if state is None:"),
    ),
    bug(
        "received-is-notified-as-amount",
        "A notification names what was received as the order's amount.",
        Swap(notification_words.notification_fields, "str(order.amount_fen)", "str(order.received_fen)"),
    ),
    bug(
        "paused-is-told",
        "A notification that was to be held for a paused receiver is sent.",
        Swap(notifications.deliver, "if notification.is_held:", "if False:"),
    ),
    bug(
        "held-for-ever",
        "A pause ends and is forgotten, and what it held stays held.",
        Swap(pauses.let_go, "limit=AT_ONCE", "limit=0"),
    ),
    bug(
        "reversed-is-notified-as-paid",
        "An order that ended unpaid is owed the notification of a payment.",
        Swap(orders._owed_for_ending, "kind=order.state.value", 'kind="PAYMENT"'),
    ),
    bug(
        "refund-is-not-told",
        "An app that wants to hear of refunds hears of none.",
        Swap(refunds._end_unit, "if app.rules.notify_refunds else []", "if app is None else []"),
    ),
    bug(
        "amount-is-told-as-received",
        "A query tells the order's amount as what was received.",
        Swap(query.payment_values, "str(order.received_fen)", "str(order.amount_fen)"),
    ),
    # --- numbers and statistics
    bug(
        "surplus-is-counted-as-sale",
        "A second payment of one order is in the statistics as another sale.",
        Swap(
            payments.plan_payment,
            "return flagged, unit",
            "return flagged, [*unit, stats.count_payment(order, now_ms=now_ms)]",
        ),
    ),
    bug(
        "number-used-again",
        "A number of the integrator's is free again for another order as long as the first is open.",
        Swap(opening._next_attempt, "if not is_free:", "if False:"),
    ),
    bug(
        "refund-is-not-counted",
        "A refund that has settled is missing in the statistics.",
        Swap(refunds._end_unit, "*count_refund(order, amount_fen=amount_fen, now_ms=now_ms),", ""),
    ),
    bug(
        "rounding-adds-up",
        "What each refund takes from the goods sold is rounded for itself.",
        Swap(
            sales.count_refund,
            "before_fen, after_fen = order.refunded_fen, order.refunded_fen + amount_fen",
            "before_fen, after_fen = 0, amount_fen",
        ),
    ),
    bug(
        "late-money-is-not-counted",
        "Money that came late is missing in the statistics.",
        Swap(
            payments.plan_payment,
            "stats.count_payment(paid, now_ms=now_ms),",
            "*([] if is_late else [stats.count_payment(paid, now_ms=now_ms)]),",
        ),
    ),
)

BY_NAME = {each.name: each for each in BUGS}
