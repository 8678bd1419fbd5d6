"""Prints the table of `make compat` after the tests."""

import os
import unicodedata

import pytest

from tests.compat.life import TABLE

HEADS = ("client kind", "buys", "queries", "refunds")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if "OPENTILL_COMPAT_TABLE" not in os.environ or not TABLE:
        return
    rows = [HEADS, *((row.kind, row.buys, row.queries, row.refunds) for row in TABLE)]
    widths = [max(_width(row[column]) for row in rows) for column in range(len(HEADS))]
    terminalreporter.write_line("")
    for row in rows:
        cells = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        terminalreporter.write_line(" · ".join(cells).rstrip())


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
