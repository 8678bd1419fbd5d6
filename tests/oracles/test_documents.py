"""Who has judged is written down, in the version that did."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["twin.md", "twin.zh-CN.md"])
def test_the_table_of_judges_names_the_versions_that_are_installed(page: str) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    files = [ROOT / "requirements" / name for name in ("oracles.in", "oracles-official.in")]
    pins = [line for file in files for line in file.read_text("utf-8").split() if "==" in line]

    missing = [pin for pin in pins if pin.replace("[async]", "").replace("==", " ") not in text]

    assert len(pins) == 3
    assert missing == []
