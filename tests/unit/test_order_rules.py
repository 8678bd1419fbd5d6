"""Which moves an order may make, and when its wallet is asked (design 5, 7)."""

import msgspec
import pytest

from opentill.domain.order import DEAD_MARGIN_MS, OPEN_STATES, Order, OrderState, PaymentWay, may_move, next_poll_ms

S = OrderState
ALLOWED = {
    (S.CREATED, S.WAITING), (S.CREATED, S.PAID), (S.CREATED, S.FAILED), (S.CREATED, S.CLOSED), (S.CREATED, S.REVERSED),
    (S.WAITING, S.PAID), (S.WAITING, S.FAILED), (S.WAITING, S.CLOSED), (S.WAITING, S.REVERSED),
    (S.FAILED, S.PAID), (S.CLOSED, S.PAID), (S.REVERSED, S.PAID),
}  # fmt: skip
NOW = 1_795_406_400_000
HOUR = 3_600_000
ORDER = Order(
    app_id=1, order_no="1", local_order_no="1", attempt=1, merchant_id=1, store_id=1, operator_id="o", account_id=1,
    channel=1, way=PaymentWay.SCAN, state=S.WAITING, amount_fen=1, un_discount_fen=None, subject="", goods=(),
    notify_url="", device_create_ip="", created_at_ms=NOW, expires_at_ms=NOW + 2 * HOUR,
)  # fmt: skip


def test_the_moves_are_those_of_the_table_and_no_other() -> None:
    assert {(old, new) for old in S for new in S if may_move(old, new)} == ALLOWED


def test_money_that_comes_is_never_refused_by_a_state() -> None:
    assert {state for state in S if not may_move(state, S.PAID)} == {S.PAID}


def test_only_created_and_waiting_are_open() -> None:
    assert {state for state in S if msgspec.structs.replace(ORDER, state=state).is_open} == OPEN_STATES
    assert {S.CREATED, S.WAITING} == OPEN_STATES


@pytest.mark.parametrize(
    ("polls", "after_ms", "next_after_ms"),
    [
        (0, 0, 5_000),
        (1, 5_000, 10_000),
        (2, 10_000, 20_000),
        (3, 20_000, 40_000),
        (4, 40_000, 100_000),
        (5, 100_000, 160_000),
        # late to ask: not again within the second
        (1, 30_000, 31_000),
        # at expiry, and when the code is dead for certain, an answer decides
        (99, 2 * HOUR - 30_000, 2 * HOUR),
        (99, 2 * HOUR, 2 * HOUR + 60_000),
        (99, 2 * HOUR + DEAD_MARGIN_MS - 1, 2 * HOUR + DEAD_MARGIN_MS),
        # after that nothing new can come: ever more rarely, but never given up
        (99, 2 * HOUR + DEAD_MARGIN_MS, 2 * HOUR + DEAD_MARGIN_MS + 60_000),
        (99, 2 * HOUR + DEAD_MARGIN_MS + 8 * 60_000, 2 * HOUR + DEAD_MARGIN_MS + 9 * 60_000),
        (99, 2 * HOUR + DEAD_MARGIN_MS + 8 * HOUR, 2 * HOUR + DEAD_MARGIN_MS + 9 * HOUR),
        (99, 2 * HOUR + DEAD_MARGIN_MS + 480 * HOUR, 2 * HOUR + DEAD_MARGIN_MS + 486 * HOUR),
    ],
)
def test_an_open_order_is_asked_about_after_5_10_20_40_s_then_each_minute(
    polls: int, after_ms: int, next_after_ms: int
) -> None:
    assert next_poll_ms(ORDER, polls=polls, now_ms=NOW + after_ms) == NOW + next_after_ms


@pytest.mark.parametrize(("after_expiry_ms", "is_dead"), [(DEAD_MARGIN_MS - 1, False), (DEAD_MARGIN_MS, True)])
def test_a_code_is_dead_two_minutes_after_its_expiry(after_expiry_ms: int, is_dead: bool) -> None:
    assert DEAD_MARGIN_MS == 120_000
    assert ORDER.is_dead_at(ORDER.expires_at_ms + after_expiry_ms) is is_dead
