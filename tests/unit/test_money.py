"""Amounts: integer fen inside, yuan text at the wallets' edge."""

import pytest

from opentill.base.money import fen_from_yuan, yuan_text


@pytest.mark.parametrize(
    ("amount_fen", "text"),
    [(1, "0.01"), (10, "0.10"), (100, "1.00"), (123456, "1234.56"), (-5, "-0.05"), (10_000_000_000, "100000000.00")],
)
def test_fen_become_yuan_with_two_decimals(amount_fen: int, text: str) -> None:
    assert yuan_text(amount_fen) == text


@pytest.mark.parametrize(("text", "amount_fen"), [("1", 100), ("0.1", 10), ("0.01", 1), ("12.34", 1234), ("-0.05", -5)])
def test_yuan_texts_become_fen(text: str, amount_fen: int) -> None:
    assert fen_from_yuan(text) == amount_fen


@pytest.mark.parametrize("text", ["", ".5", "1.", "1.234", "1e3", "１", "+1", " 1", "1,000"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="yuan"):
        fen_from_yuan(text)
