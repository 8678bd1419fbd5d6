"""Checks of the books: work left lying, merchants not told, money held, orders without an end, statistics."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from opentill.services.audit import verify_chain
from opentill.services.findings import DAY_MS, Finding, Patient, fail, ok, span_text, warn
from opentill.storage import health, parties, pauses
from opentill.storage.health import SoldPerHour
from opentill.storage.stats import HOUR_MS

JOBS, DEAD, HELD, OPEN, STATISTICS = "jobs", "notifications", "held money", "open orders", "statistics"
AUDIT_LOG, PAUSED = "audit log", "paused receivers"
LATE_MS = 2 * 60_000
"""Longer than a lease: another worker would have taken it over."""
VERY_LATE_MS = 10 * 60_000
END_MARGIN_MS = 10 * 60_000
"""After its end an order is asked about and closed within this."""
LEAD_DAYS = 3
"""A payment is recorded within so many days of its order, unless we were gone for longer."""


@dataclass
class _Books:
    """What one walk through the orders found."""

    orders_from_ms: int
    open_orders: int = 0
    unasked: int = 0
    hours: int = 0
    differing: list[str] = field(default_factory=list)


async def check_jobs(patient: Patient) -> list[Finding]:
    """Whether what is due gets done."""
    now_ms = patient.clock.now_ms()
    found = []
    for table in health.JOB_TABLES:
        late = await health.overdue(patient.database, table, before_ms=now_ms - LATE_MS)
        if not late.rows:
            continue
        late_ms = now_ms - late.oldest_ms
        text = f"{late.rows} rows of {table} wait for a worker, the oldest for {span_text(late_ms)}"
        remedy = "is `opentill worker`, or a `serve` that works, running? Its log says what stops it"
        found.append((fail if late_ms >= VERY_LATE_MS else warn)(JOBS, text, remedy))
    return found or [ok(JOBS, "nothing that is due is left lying")]


async def check_notifications(patient: Patient) -> list[Finding]:
    """Whether merchants were given up on."""
    since_ms = _since_ms(patient)
    found = []
    for app in await parties.apps(patient.database):
        dead = await health.dead_notifications(patient.database, app.app_id, since_ms=since_ms)
        if dead:
            text = f"{dead} notifications to {app.app} ({app.name}) were given up {_when(patient)}"
            remedy = "put their receiver right, then send them again from the console"
            found.append(warn(DEAD, text, remedy))
    return found or [ok(DEAD, f"no notification was given up {_when(patient)}")]


async def check_pauses(patient: Patient) -> list[Finding]:
    """Whether notifications wait because a person paused their receiver, and whether one waits for nothing."""
    now_ms = patient.clock.now_ms()
    found = []
    for each in await pauses.lasting(patient.database):
        held = await pauses.held(patient.database, each, None)
        why = f" ({each.reason})" if each.reason else ""
        since = span_text(max(now_ms - each.paused_at_ms, 0))
        text = f"{each.receiver} was paused by {each.actor} {since} ago{why}; {held} notifications wait"
        found.append(warn(PAUSED, text, "resume it on the console's page of notifications once it answers again"))
    for app in await parties.apps(patient.database):
        if astray := await pauses.astray(patient.database, app.app_id):
            text = f"{astray} notifications of {app.app} are held by a pause that is not there"
            found.append(fail(PAUSED, text, "send them again from the console; please report this as a bug"))
    return found or [ok(PAUSED, "no receiver is paused")]


async def check_held_money(patient: Patient) -> list[Finding]:
    """Whether money waits for a person."""
    kinds: Counter[str] = Counter()
    for app in await parties.apps(patient.database):
        kinds.update(await health.attention(patient.database, app.app_id, since_ms=_since_ms(patient)))
    if not kinds:
        return [ok(HELD, f"no order made {_when(patient)} waits for a person")]
    text = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    remedy = "look at each: the money is at the wallet, the decision is yours"
    return [warn(HELD, f"orders made {_when(patient)} that need a person: {text}", remedy)]


async def check_books(patient: Patient) -> list[Finding]:
    """Orders without an end, and whether the statistics are the sum of payments and refunds: one walk for both."""
    end_ms = _complete_hours_end_ms(patient)
    books = _Books(orders_from_ms=_since_ms(patient))
    for app in await parties.apps(patient.database):
        await _walk(patient, app.app_id, books, end_ms=end_ms)
    return [_open(patient, books), _statistics(patient, books)]


async def check_audit_log(patient: Patient) -> list[Finding]:
    """Whether every link of the audit log follows from the one before."""
    broken = await verify_chain(patient.database)
    if broken is None:
        return [ok(AUDIT_LOG, "every link of the audit log follows from the one before")]
    text = f"the audit log was changed by hand at or before link {broken.link_no} ({broken.action})"
    return [fail(AUDIT_LOG, text, "compare it with the `changed` lines of the logs, which hold each link's hash")]


async def _walk(patient: Patient, app_id: int, books: _Books, *, end_ms: int) -> None:
    """Go through one app's orders, an hour of them at a time."""
    now_ms = patient.clock.now_ms()
    expected: SoldPerHour = {}
    first_ms = None
    from_ms = max(books.orders_from_ms - LEAD_DAYS * DAY_MS, 0)
    async for hour_ms in _hours_with_orders(patient, app_id, from_ms=from_ms):
        first_ms = hour_ms if first_ms is None else first_ms
        patient.say(f"app {app_id}: {span_text(max(now_ms - hour_ms, 0))} ago")
        span = {"from_ms": hour_ms, "to_ms": hour_ms + HOUR_MS}
        for key, sold in (await health.sold(patient.database, app_id, **span)).items():
            expected[key] = expected[key].plus(sold) if key in expected else sold
        if hour_ms + HOUR_MS <= books.orders_from_ms:
            continue
        ended_before_ms = now_ms - END_MARGIN_MS
        left = await health.open_past_end(patient.database, app_id, ended_before_ms=ended_before_ms, **span)
        books.open_orders += left.orders
        books.unasked += left.unasked
    begin_ms = _hour(books.orders_from_ms) + HOUR_MS if books.orders_from_ms else first_ms or 0
    counted = await health.counted(patient.database, app_id, from_ms=begin_ms, to_ms=end_ms)
    wanted = {key: sold for key, sold in expected.items() if begin_ms <= key[0] < end_ms}
    books.hours += len({hour_ms for hour_ms, _ in wanted})
    for key in sorted(wanted.keys() | counted.keys()):
        if wanted.get(key) != counted.get(key):
            books.differing.append(f"app {app_id}, wallet {key[1]}, hour {key[0]}")


async def _hours_with_orders(patient: Patient, app_id: int, *, from_ms: int) -> AsyncIterator[int]:
    """Every hour in which the app made an order, oldest first."""
    while (at_ms := await health.next_order_ms(patient.database, app_id, from_ms=from_ms)) is not None:
        yield _hour(at_ms)
        from_ms = _hour(at_ms) + HOUR_MS


def _open(patient: Patient, books: _Books) -> Finding:
    if books.unasked:
        text = f"{books.unasked} orders are open past their end, and no worker will ask about them"
        return fail(OPEN, text, "query them at the wallet; please report this as a bug")
    if books.open_orders:
        text = f"{books.open_orders} orders are open past their end"
        return warn(OPEN, text, "do the wallets answer? Is a worker running?")
    return ok(OPEN, f"no order made {_when(patient)} is open past its end")


def _statistics(patient: Patient, books: _Books) -> Finding:
    if not books.differing:
        return ok(STATISTICS, f"statistics equal payments and refunds in {books.hours} hours of sales")
    named = "; ".join(books.differing[:3]) + (" …" if len(books.differing) > 3 else "")
    text = f"statistics differ from payments and refunds in {len(books.differing)} hours: {named}"
    if patient.is_whole:
        return fail(STATISTICS, text, "somebody changed rows by hand? Payments and refunds are what counts")
    return warn(STATISTICS, text, "to be certain look at all orders: opentill doctor --whole")


def _since_ms(patient: Patient) -> int:
    """From when on orders are looked at; 0: all."""
    return 0 if patient.is_whole else max(patient.clock.now_ms() - patient.days * DAY_MS, 0)


def _complete_hours_end_ms(patient: Patient) -> int:
    """The end of the last hour that nothing more is counted in, whatever the gateway does meanwhile."""
    return _hour(patient.clock.now_ms() - VERY_LATE_MS)


def _when(patient: Patient) -> str:
    return "ever" if patient.is_whole else f"in the last {patient.days} days"


def _hour(at_ms: int) -> int:
    return at_ms - at_ms % HOUR_MS
