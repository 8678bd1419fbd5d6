"""A store's sales of one day at its tills, and the one that somebody looks for."""

from datetime import UTC, date, datetime, timedelta

import msgspec

from opentill.base import numbers
from opentill.base.money import fen_from_yuan
from opentill.domain.order import Order
from opentill.services import orders
from opentill.services.deployment import Deployment
from opentill.services.shifts import SignedIn
from opentill.services.statistics import CHINA_OFFSET_MS, DAY_MS
from opentill.services.till_app import till_app_id
from opentill.services.tills import Sale, look
from opentill.storage import orders as rows

SHOWN = 50
"""Sales on one page."""
WINDOW = 200
MOST_LOOKED_AT = 4_000
"""Of a day's sales; a till that sells more has to be looked at in the console."""
LONGEST_QUESTION = 64

ALL, PAID, REFUNDED, OPEN, UNPAID = "all", "paid", "refunded", "open", "unpaid"
STATES = (ALL, PAID, REFUNDED, OPEN, UNPAID)


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a day, newest first; `before` leads to the next page, empty: there is none."""

    day: date
    sales: tuple[Sale, ...]
    before: str


async def day_of(
    deployment: Deployment, who: SignedIn, *, day: date | None, state: str, question: str, before: str
) -> Day:
    """The store's sales of a day (None: today). `question`: part of a number, an amount in yuan, or a subject.

    A whole order number is found whatever its day.
    """
    app_id = await till_app_id(deployment, who.shift.merchant_id)
    question = "".join(question.split())[:LONGEST_QUESTION] if question.replace(" ", "").isdigit() else question.strip()
    question = question[:LONGEST_QUESTION].lower()
    day = day or today(deployment.clock.now_ms())
    # A wallet's bill may show the number with an attempt at its end (protocol 4.1).
    if numbers.is_order_no(question[: numbers.LENGTH]):
        found = await orders.find_order(deployment, app_id, order_no=question[: numbers.LENGTH])
        kept = [found] if found is not None and found.store_id == who.shift.store_id else []
        return Day(day=day, sales=tuple([await look(deployment, each) for each in kept]), before="")
    begin_ms = (day - date(1970, 1, 1)).days * DAY_MS - CHINA_OFFSET_MS
    from_no, to_no = _first_no(begin_ms), _first_no(begin_ms + DAY_MS)
    if len(before) == numbers.LENGTH:
        to_no = min(to_no, before)
    kept, looked_at = [], 0
    while len(kept) <= SHOWN and looked_at < MOST_LOOKED_AT:
        window = await rows.of_store(
            deployment.database, app_id, who.shift.store_id, from_no=from_no, to_no=to_no, limit=WINDOW
        )
        kept += [order for order in window if _is_wanted(order, state) and _is_meant(order, question)]
        looked_at += len(window)
        if len(window) < WINDOW:
            break
        to_no = window[-1].order_no
    more = kept[SHOWN - 1].order_no if len(kept) > SHOWN else ""
    return Day(day=day, sales=tuple([await look(deployment, each) for each in kept[:SHOWN]]), before=more)


def today(now_ms: int) -> date:
    """The day in Asia/Shanghai."""
    return (datetime.fromtimestamp(now_ms / 1000, UTC) + timedelta(milliseconds=CHINA_OFFSET_MS)).date()


def _first_no(at_ms: int) -> str:
    """No payment's number of that millisecond sorts before it."""
    return f"{numbers.PAYMENT}{max(at_ms, 0):013d}"


def _is_wanted(order: Order, state: str) -> bool:
    is_paid = order.received_fen > 0
    return {
        PAID: is_paid,
        REFUNDED: order.refunded_fen + order.refunding_fen > 0,
        OPEN: order.is_open,
        UNPAID: not is_paid and not order.is_open,
    }.get(state, True)


def _is_meant(order: Order, question: str) -> bool:
    if not question:
        return True
    texts = (order.order_no, order.local_order_no, order.channel_trade_no, order.subject.lower())
    return any(question in text for text in texts) or _amount(question) == order.amount_fen


def _amount(question: str) -> int:
    """Fen of a text like 12, 12.5 or ¥12.50; -1: it is no amount."""
    try:
        return fen_from_yuan(question.lstrip("¥￥"))
    except ValueError:
        return -1
