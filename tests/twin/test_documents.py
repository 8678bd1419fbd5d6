"""What the twin can do is written down, in both languages."""

from pathlib import Path

import pytest

from opentill.twin.alipay.gateway import METHODS
from opentill.twin.faults import APPLIES, OPERATIONS
from opentill.twin.paying import Payer

DOCS = Path(__file__).parents[2] / "docs"
LANGUAGES = pytest.mark.parametrize("page", ["twin.md", "twin.zh-CN.md"])


@LANGUAGES
def test_every_fault_and_where_it_happens_is_documented(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")

    missing = [name for name in (*APPLIES, *OPERATIONS) if f"`{name}`" not in text]

    assert missing == []


@LANGUAGES
def test_every_method_and_every_payer_is_documented(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    names = [method.removeprefix("alipay.trade.") for method in METHODS]

    missing = [name for name in (*names, *(payer for payer in Payer if payer)) if f"{name}`" not in text]

    assert missing == []


def test_both_languages_have_the_same_parts() -> None:
    parts = [
        [line.count("|") for line in (DOCS / page).read_text("utf-8").splitlines() if line.startswith(("#", "|"))]
        for page in ("twin.md", "twin.zh-CN.md")
    ]

    assert parts[0] == parts[1]
