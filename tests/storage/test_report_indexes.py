"""A report of some days reads those days' rows, however many others there are."""

import pytest

from opentill.storage import search, stats
from opentill.storage.database import Database, Row, Step, Value
from tests.databases import fresh_database, on_both_engines

DAY_MS = 86_400_000


class Explained:
    """A database that tells how it would find an answer instead of finding it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.plan = ""

    async def read(self, sql: str, *args: Value) -> list[Row]:
        is_sqlite = self._database.dialect == "sqlite"
        rows = await self._database.read(f"EXPLAIN {'QUERY PLAN' if is_sqlite else '(COSTS OFF)'} {sql}", *args)
        self.plan = "\n".join(str(row["detail" if is_sqlite else "QUERY PLAN"]) for row in rows)
        return []


@on_both_engines
@pytest.mark.parametrize("table", ["sales_hours", "sales_goods"])
async def test_a_report_finds_its_hours_by_an_index(engine: str, table: str) -> None:
    async with fresh_database(engine, connections=2) as (_, database):
        rows = 20_000
        numbers = (
            f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
            f"INSERT INTO {table} SELECT 1, 1, 1, CAST(i AS TEXT), 1, CAST(i AS BIGINT) * {stats.HOUR_MS}, "
        )
        values = "1, 1, 1, 0, 0, 0" if table == "sales_hours" else "'tea', 'Tea', 1000, 1"
        await database.write([Step(f"{numbers}{values} FROM n")])
        await database.write([Step(f"ANALYZE {table}")])
        explained = Explained(database)

        if table == "sales_hours":
            await stats.sales(explained, by="day", from_ms=DAY_MS, to_ms=2 * DAY_MS, day_offset_ms=0, merchant_id=0)  # type: ignore[arg-type]
        else:
            await stats.items(explained, from_ms=DAY_MS, to_ms=2 * DAY_MS, merchant_id=0)  # type: ignore[arg-type]

        assert f"{table}_time" in explained.plan


@on_both_engines
async def test_an_order_is_found_by_the_wallets_number_without_reading_all_payments(engine: str) -> None:
    async with fresh_database(engine, connections=2) as (_, database):
        explained = Explained(database)

        await search.orders_of_channel_trade_no(explained, 1, "2026")  # type: ignore[arg-type]

        assert "payments_channel_trade_no" in explained.plan
