"""The table as it is stored: `table.toml`, one line for each operation, fault and wallet."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tests.faults.cells import Cell, cells
from tests.faults.play import Seen

TABLE = Path(__file__).with_name("table.toml")
_HEAD = """\
# What OpenTill does on bad days. Written by `make faults` from a run; the tests compare every run with it.
"""

Table = Mapping[Cell, Seen]


def read_table(path: Path = TABLE) -> dict[Cell, Seen]:
    """Raises KeyError for a cell that is missing."""
    document = tomllib.loads(path.read_text("utf-8"))
    return {cell: msgspec.convert(document[cell.operation][cell.fault][cell.wallet], Seen) for cell in cells()}


def written(table: Table) -> str:
    """The text of the file."""
    lines = [_HEAD]
    above = ("", "")
    for cell, seen in table.items():
        if (cell.operation, cell.fault) != above:
            lines.append(f"\n[{cell.operation}.{cell.fault}]\n")
            above = (cell.operation, cell.fault)
        # Words of ours and digits: nothing that TOML would have to escape.
        lines.append(f'{cell.wallet} = {{ told = "{seen.told}", after = "{seen.after}", end = "{seen.end}" }}\n')
    return "".join(lines)
