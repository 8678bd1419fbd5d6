"""`python -m tests.faults`: plays every cell, then writes the table and both documents from what was seen."""

import asyncio
import sys

from tests.faults.cells import Cell, cells
from tests.faults.document import documents
from tests.faults.play import Seen, play
from tests.faults.table import TABLE, written


def main() -> int:
    """Returns the exit code: 1 when what must always hold did not; then nothing is written."""
    table: dict[Cell, Seen] = {}
    broken = 0
    found = cells()
    for cell in found:
        try:
            table[cell] = asyncio.run(play(cell))
        except AssertionError as error:
            broken += 1
            sys.stderr.write(f"\n{cell}: {error}\n")
        sys.stdout.write("." if sys.stdout.isatty() else "")
        sys.stdout.flush()
    sys.stdout.write(f"{len(table)} of {len(found)}\n")
    if broken:
        return 1
    TABLE.write_text(written(table), encoding="utf-8")
    for path, text in documents(table).items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
