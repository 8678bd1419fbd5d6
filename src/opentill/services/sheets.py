"""`python -m opentill.services.sheets`: lines of JSON on standard input become an XLSX file on standard output.

A process of its own: the library that writes it takes 10 MB in every process that imports it, and sheets are rare. The
first line is the heads of the columns, each other line a row; whole numbers are amounts in fen, all else is text.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import IO

import msgspec
import xlsxwriter

COLUMN_WIDTH = 18

_LINES = msgspec.json.Decoder(list[str | int])


def write(file: IO[bytes], rows: Iterable[Sequence[str | int]]) -> None:
    """Write one worksheet, row by row: never more than a row in memory. `file` must be seekable."""
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(file, options) as book:
        sheet = book.add_worksheet()
        money = book.add_format({"num_format": "#,##0.00"})
        bold = book.add_format({"bold": True})
        sheet.freeze_panes(1, 0)
        for row_no, row in enumerate(rows):
            if row_no == 0:
                sheet.set_column(0, len(row) - 1, COLUMN_WIDTH)
            for column_no, value in enumerate(row):
                if isinstance(value, int):
                    # A spreadsheet's numbers are doubles: exact to the fen far beyond the largest amount.
                    sheet.write_number(row_no, column_no, value / 100, money)
                else:
                    sheet.write_string(row_no, column_no, value, bold if row_no == 0 else None)


if __name__ == "__main__":
    write(sys.stdout.buffer, (_LINES.decode(line) for line in sys.stdin.buffer))
