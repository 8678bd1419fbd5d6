"""What the doctor says of the books: work left lying, merchants not told, money held, orders without an end, sums."""

import pytest

from opentill.services import decisions
from opentill.services.doctor_books import (
    END_MARGIN_MS,
    LATE_MS,
    VERY_LATE_MS,
    check_audit_log,
    check_books,
    check_held_money,
    check_jobs,
    check_notifications,
)
from opentill.services.findings import Finding, Level, Patient
from opentill.storage import held
from tests.databases import on_both_engines
from tests.doctor.patients import only, patient_of
from tests.orders import ALIPAY, WECHAT, ask, paid, scanned
from tests.shops import Answer
from tests.world import World, world

HOUR_S = 3_600
DAY_S = 24 * HOUR_S


async def books(patient: Patient) -> tuple[Finding, Finding]:
    """Open orders, and statistics."""
    left, sums = await check_books(patient)
    return left, sums


async def sold(w: World) -> list[str]:
    """Orders of two wallets, one refunded in part, one wholly, one paid late; then time passes."""
    orders = [await paid(w, channel=channel, amount=1000) for channel in (ALIPAY, WECHAT, ALIPAY)]
    await ask(w, "refund", order_no=orders[0], refund_amount=300)
    await w.advance(HOUR_S)
    await ask(w, "refund", order_no=orders[1])
    late = await scanned(w, channel=ALIPAY)
    await ask(w, "reverse", order_no=late.order_no)
    await w.pay(late.qr_code)
    await w.advance(2 * HOUR_S)
    return [*orders, late.order_no]


# --- jobs


@on_both_engines
async def test_work_that_gets_done_is_fine(engine: str) -> None:
    async with world(engine) as w:
        await sold(w)

        assert (await only(check_jobs, patient_of(w))).level is Level.OK


@on_both_engines
async def test_work_left_lying_is_named(engine: str) -> None:
    async with world(engine) as w:
        order_no = await paid(w, notify_url=w.shop.url)
        await ask(w, "refund", order_no=order_no, refund_amount=1)
        await w.advance(DAY_S)
        await w.worker.stop()
        for table, column in (("orders", "poll_at_ms"), ("notifications", "due_at_ms"), ("refunds", "due_at_ms")):
            for late_ms, level in (
                (LATE_MS - 1, Level.OK),
                (LATE_MS, Level.WARN),
                (VERY_LATE_MS - 1, Level.WARN),
                (VERY_LATE_MS, Level.FAIL),
            ):
                await w.change(f"UPDATE {table} SET {column} = $1", w.clock.now_ms() - late_ms)

                finding = await only(check_jobs, patient_of(w))

                assert finding.level is level, (table, late_ms)
                assert level is Level.OK or f"of {table} wait" in finding.text
            await w.change(f"UPDATE {table} SET {column} = 0")


# --- notifications


@on_both_engines
async def test_a_merchant_who_was_given_up_is_named(engine: str) -> None:
    async with world(engine) as w:
        await paid(w, notify_url=w.shop.url)
        assert (await only(check_notifications, patient_of(w))).level is Level.OK
        await w.change("UPDATE notifications SET state = 'DEAD'")

        finding = await only(check_notifications, patient_of(w))

        assert finding.level is Level.WARN
        assert finding.text.startswith("1 notifications to A00305710000067")


@on_both_engines
async def test_one_given_up_long_ago_is_named_only_when_all_are_looked_at(engine: str) -> None:
    async with world(engine) as w:
        await paid(w, notify_url=w.shop.url)
        await w.change("UPDATE notifications SET state = 'DEAD'")
        w.clock.advance(8 * DAY_S * 1000)

        recent = await only(check_notifications, patient_of(w))
        ever = await only(check_notifications, patient_of(w, is_whole=True))

        assert (recent.level, ever.level) == (Level.OK, Level.WARN)


async def test_a_shop_that_never_answers_ends_in_a_finding() -> None:
    async with world() as w:
        w.shop.usually = Answer(500)
        await paid(w, notify_url=w.shop.url)
        for _ in range(14):
            await w.advance(DAY_S // 2)

        finding = await only(check_notifications, patient_of(w, is_whole=True))

        assert finding.level is Level.WARN


# --- held money


@on_both_engines
async def test_money_that_waits_for_a_person_is_named(engine: str) -> None:
    async with world(engine) as w:
        assert (await only(check_held_money, patient_of(w))).level is Level.OK
        await sold(w)

        finding = await only(check_held_money, patient_of(w))

        assert finding.level is Level.WARN
        assert "1 LATE" in finding.text


# --- open orders


@on_both_engines
async def test_orders_that_end_in_time_are_fine(engine: str) -> None:
    async with world(engine) as w:
        await sold(w)
        await scanned(w)

        left, _ = await books(patient_of(w))

        assert left.level is Level.OK


@on_both_engines
@pytest.mark.parametrize(("poll_at_ms", "level"), [(1, Level.WARN), (0, Level.FAIL)])
async def test_an_order_open_past_its_end_is_named(engine: str, poll_at_ms: int, level: Level) -> None:
    async with world(engine, works=False) as w:
        order = await scanned(w)
        ended_ms = (await w.order(order.order_no)).expires_at_ms
        await w.change("UPDATE orders SET poll_at_ms = $1", poll_at_ms)
        w.clock.advance(ended_ms + END_MARGIN_MS - w.clock.now_ms())
        in_time, _ = await books(patient_of(w))
        w.clock.advance(1)

        late, _ = await books(patient_of(w))

        assert (in_time.level, late.level) == (Level.OK, level)


@on_both_engines
async def test_a_held_order_may_stay_open(engine: str) -> None:
    async with world(engine, works=False) as w:
        await scanned(w)
        await w.change("UPDATE orders SET attention = 'WRONG_AMOUNT'")
        w.clock.advance(DAY_S * 1000)

        left, _ = await books(patient_of(w))

        assert left.level is Level.OK


# --- statistics


@on_both_engines
@pytest.mark.parametrize("is_whole", [False, True])
async def test_statistics_that_are_the_sum_of_payments_and_refunds_are_fine(engine: str, is_whole: bool) -> None:
    async with world(engine) as w:
        await sold(w)

        _, sums = await books(patient_of(w, is_whole=is_whole))

        assert sums.level is Level.OK
        assert "in 2 hours of sales" in sums.text


@on_both_engines
async def test_a_sum_that_differs_is_named(engine: str) -> None:
    async with world(engine) as w:
        await sold(w)
        for column in ("orders", "amount_fen", "received_fen", "discount_fen", "refunds", "refunded_fen"):
            await w.change(f"UPDATE sales_hours SET {column} = {column} + 1 WHERE channel = 2")

            _, recent = await books(patient_of(w))
            _, ever = await books(patient_of(w, is_whole=True))

            assert (recent.level, ever.level) == (Level.WARN, Level.FAIL), column
            assert "app 1, wallet 2" in ever.text
            assert "--whole" in recent.remedy
            await w.change(f"UPDATE sales_hours SET {column} = {column} - 1 WHERE channel = 2")


@on_both_engines
async def test_statistics_without_any_payment_are_named(engine: str) -> None:
    async with world(engine) as w:
        await sold(w)
        await w.change("INSERT INTO sales_hours SELECT app_id, merchant_id, store_id, 'nobody', channel, "
                       "hour_ms + 3600000, orders, amount_fen, received_fen, discount_fen, refunds, refunded_fen "
                       "FROM sales_hours WHERE channel = 2 AND refunds = 0")  # fmt: skip

        _, sums = await books(patient_of(w, is_whole=True))

        assert sums.level is Level.FAIL


@on_both_engines
async def test_money_that_a_person_accepted_counts_when_it_was_accepted(engine: str) -> None:
    async with world(engine) as w:
        order = await scanned(w, amount=1000)
        await w.change("UPDATE orders SET amount_fen = 999")  # as if the wallet had taken another amount
        await w.pay(order.qr_code)
        await w.advance(2 * HOUR_S)
        stored = await w.order(order.order_no)
        (payment,) = await held.payments_of(w.database, stored.app_id, stored.order_no)
        await decisions.decide(w.deployment, stored, payment, decisions.Choice.ACCEPT, by=decisions.By("ann", ""))
        await w.advance(2 * HOUR_S)

        _, sums = await books(patient_of(w, is_whole=True))

        assert sums.level is Level.OK, sums.text
        assert "in 1 hours of sales" in sums.text


@on_both_engines
async def test_the_hour_that_is_not_over_is_not_compared(engine: str) -> None:
    async with world(engine) as w:
        await paid(w)
        await w.change("UPDATE sales_hours SET orders = orders + 1")

        _, sums = await books(patient_of(w, is_whole=True))

        assert sums.level is Level.OK


async def test_the_walk_says_where_it_is() -> None:
    async with world() as w:
        await sold(w)
        heard: list[str] = []

        await books(patient_of(w, say=heard.append))

        assert [text.partition(":")[0] for text in heard] == ["app 1", "app 1"]


# --- the audit log


@on_both_engines
async def test_an_audit_log_that_nobody_touched_is_fine(engine: str) -> None:
    async with world(engine, works=False) as w:
        await w.add_till()

        assert (await only(check_audit_log, patient_of(w))).level is Level.OK


@on_both_engines
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_events SET actor = 'nobody' WHERE link_no = 1",
        "DELETE FROM audit_events WHERE link_no = 1",
    ],
)
async def test_an_audit_log_changed_by_hand_is_named(engine: str, change: str) -> None:
    async with world(engine, works=False) as w:
        await w.add_till()
        await w.change(change)

        finding = await only(check_audit_log, patient_of(w))

        assert finding.level is Level.FAIL
