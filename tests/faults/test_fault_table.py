"""Every fault of the wallets meets every operation: what must hold holds, and the documents say what happens."""

from pathlib import Path

import pytest

from tests.faults.cells import OPERATIONS, Cell, cells
from tests.faults.document import documents
from tests.faults.play import play
from tests.faults.table import TABLE, read_table, written
from tests.orders import WECHAT

TABLE_NOW = read_table()
ONE_PER_OPERATION = [
    Cell(operation, "callback_twice" if operation == "callback" else "lost_reply", WECHAT) for operation in OPERATIONS
]


@pytest.mark.parametrize("cell", cells(), ids=str)
async def test_what_happens_is_what_the_table_says(cell: Cell) -> None:
    seen = await play(cell)

    assert seen == TABLE_NOW[cell], "is it better? then run `make faults`"


@pytest.mark.parametrize("cell", ONE_PER_OPERATION, ids=str)
async def test_what_happens_is_the_same_on_postgresql(cell: Cell) -> None:
    seen = await play(cell, "postgresql")

    assert seen == TABLE_NOW[cell]


def test_the_table_has_a_row_for_every_cell_and_no_other() -> None:
    assert written(TABLE_NOW) == TABLE.read_text("utf-8"), "run `make faults`"


@pytest.mark.parametrize("path", documents(TABLE_NOW), ids=lambda path: path.name)
def test_a_document_is_what_the_table_says(path: Path) -> None:
    assert documents(TABLE_NOW)[path] == path.read_text("utf-8"), "run `make faults`"
