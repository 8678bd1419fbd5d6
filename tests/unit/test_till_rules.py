"""What a till shows of an order: nothing certain that is not."""

import msgspec
import pytest

from opentill.domain.order import Order, OrderState, PaymentWay
from opentill.domain.till import SaleStatus, ShiftTotals, WalletTotal, clean_pairing_code, status_of

NOW_MS = 1_000_000_000
ORDER = Order(
    app_id=1, order_no="1" * 30, local_order_no="a", attempt=1, merchant_id=1, store_id=1, operator_id="o",
    account_id=1, channel=1, way=PaymentWay.SCAN, state=OrderState.WAITING, amount_fen=100, un_discount_fen=None,
    subject="", goods=(), notify_url="", device_create_ip="", created_at_ms=NOW_MS - 1_000,
    expires_at_ms=NOW_MS + 1, qr_text="code",
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "is_cancelling", "expected"),
    [
        ({"state": OrderState.CREATED, "qr_text": ""}, False, SaleStatus.OPENING),
        ({"state": OrderState.CREATED, "qr_text": "", "created_at_ms": NOW_MS - 29_999}, False, SaleStatus.OPENING),
        ({"state": OrderState.CREATED, "qr_text": "", "created_at_ms": NOW_MS - 30_000}, False, SaleStatus.CHECKING),
        ({"qr_text": ""}, False, SaleStatus.CHECKING),
        ({}, False, SaleStatus.WAITING),
        ({"qr_text": "", "way": PaymentWay.H5}, False, SaleStatus.WAITING),
        ({"way": PaymentWay.BARCODE, "qr_text": ""}, False, SaleStatus.CONFIRMING),
        ({"way": PaymentWay.BARCODE, "state": OrderState.CREATED, "qr_text": ""}, False, SaleStatus.CONFIRMING),
        ({"expires_at_ms": NOW_MS}, False, SaleStatus.CHECKING),
        ({"way": PaymentWay.BARCODE, "qr_text": "", "expires_at_ms": NOW_MS}, False, SaleStatus.CHECKING),
        ({}, True, SaleStatus.CANCELLING),
        ({"attention": "WRONG_AMOUNT"}, True, SaleStatus.HELD),
        ({"state": OrderState.FAILED}, True, SaleStatus.FAILED),
        ({"state": OrderState.REVERSED}, True, SaleStatus.CANCELLED),
        ({"state": OrderState.CLOSED}, True, SaleStatus.CANCELLED),
        ({"state": OrderState.CLOSED}, False, SaleStatus.EXPIRED),
        ({"state": OrderState.PAID, "received_fen": 100}, True, SaleStatus.PAID),
        ({"state": OrderState.PAID, "received_fen": 100, "refunding_fen": 100}, False, SaleStatus.PAID),
        ({"state": OrderState.PAID, "received_fen": 100, "refunded_fen": 99}, False, SaleStatus.PART_REFUNDED),
        ({"state": OrderState.PAID, "received_fen": 100, "refunded_fen": 100}, False, SaleStatus.REFUNDED),
    ],
)
def test_a_sale_is_shown_as_it_stands(changes: dict[str, object], is_cancelling: bool, expected: SaleStatus) -> None:
    order = msgspec.structs.replace(ORDER, **changes)

    assert status_of(order, is_cancelling=is_cancelling, now_ms=NOW_MS) is expected


def test_the_whole_of_a_shift_is_the_sum_of_its_wallets() -> None:
    totals = ShiftTotals(
        wallets=(
            WalletTotal(channel=1, orders=2, received_fen=1_003, refunds=1, refunded_fen=999),
            WalletTotal(channel=2, orders=1, received_fen=33_333),
        )
    )

    assert totals.whole == WalletTotal(channel=0, orders=3, received_fen=34_336, refunds=1, refunded_fen=999)
    assert totals.whole.net_fen == 33_337


@pytest.mark.parametrize("typed", ["ABCD-2345", " abcd 2345 ", "ab cd23-45"])
def test_a_pairing_code_is_read_as_people_type_it(typed: str) -> None:
    assert clean_pairing_code(typed) == "ABCD2345"
