"""Numbers and names the protocol gives to states, channels and ways (protocol 4.8)."""

import pytest

from opentill.domain.order import OrderState, PaymentWay
from opentill.protocol import words


@pytest.mark.parametrize(
    ("state", "received", "refunding", "refunded", "number", "word"),
    [
        (OrderState.CREATED, 0, 0, 0, "1", "WAIT_PAY"),
        (OrderState.WAITING, 0, 0, 0, "1", "WAIT_PAY"),
        (OrderState.PAID, 100, 0, 0, "2", "PAY_SUC"),
        (OrderState.PAID, 100, 40, 0, "2", "REFUNDING"),
        (OrderState.PAID, 100, 0, 1, "6", "PART_REFUND"),
        (OrderState.PAID, 100, 99, 1, "6", "REFUNDING"),
        (OrderState.PAID, 100, 0, 99, "6", "PART_REFUND"),
        (OrderState.PAID, 100, 0, 100, "7", "ALL_REFUND"),
        (OrderState.FAILED, 0, 0, 0, "-2", "PAY_FAIL"),
        (OrderState.CLOSED, 0, 0, 0, "-1", "CANCEL"),
        (OrderState.REVERSED, 0, 0, 0, "8", "CANCEL"),
    ],
)
def test_a_state_has_its_published_number_and_word(
    state: OrderState, received: int, refunding: int, refunded: int, number: str, word: str
) -> None:
    assert words.status_number(state, received_fen=received, refunded_fen=refunded) == number
    assert words.status_word(state, received_fen=received, refunding_fen=refunding, refunded_fen=refunded) == word


def test_what_we_reversed_ourselves_is_9() -> None:
    assert words.status_number(OrderState.REVERSED, received_fen=0, refunded_fen=0, is_reversed_by_us=True) == "9"


def test_scan_is_scan_and_h5_and_mp_are_qrcode() -> None:
    assert words.WAY_WORDS == {
        PaymentWay.SCAN: "SCAN", PaymentWay.BARCODE: "BARCODE", PaymentWay.H5: "QRCODE", PaymentWay.MP: "QRCODE",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("open.pay.scan", "open.pay.scan"),
        ("caibao.pay.scan", "open.pay.scan"),
        ("caibao.pay.", "open.pay."),
        ("caibao.scan", "caibao.scan"),
        ("xcaibao.pay.scan", "xcaibao.pay.scan"),
    ],
)
def test_the_older_name_means_the_same(name: str, canonical: str) -> None:
    assert words.canonical_command(name) == canonical
