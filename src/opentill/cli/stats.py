"""`opentill stats`: sales figures, from the shell."""

import asyncio
import csv
import sys
from enum import StrEnum
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from opentill.base.clock import real_now_ms
from opentill.base.money import yuan_text
from opentill.cli.problems import read_settings, told
from opentill.services.statistics import ItemLine, Report, SalesLine, UnusableQuestion, read_day, report
from opentill.storage.database import check_schema, open_database


class Group(StrEnum):
    ITEM = "item"
    OPERATOR = "operator"
    STORE = "store"
    DAY = "day"
    HOUR = "hour"
    WALLET = "wallet"


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def stats_command(
    by: Annotated[Group, typer.Option(help="What to sum by.")] = Group.DAY,
    from_day: Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD, Asia/Shanghai; default: today.")] = "",
    to_day: Annotated[str, typer.Option("--to", help="Last day, included; default: today.")] = "",
    merchant: Annotated[int, typer.Option(help="Id of one merchant; 0: all of them.")] = 0,
    output: Annotated[
        Format, typer.Option("--format", help="`table` is for people, in yuan; `json` and `csv` have fen.")
    ] = Format.TABLE,
) -> None:
    """Show what was sold, received and given back."""
    with told("No figures"):
        found = asyncio.run(_found(by, from_day, to_day, merchant))
    if output is Format.JSON:
        typer.echo(msgspec.json.encode(found))
    elif output is Format.CSV:
        _write_csv(found)
    else:
        _show(found)


async def _found(by: Group, from_day: str, to_day: str, merchant_id: int) -> Report:
    settings = read_settings()
    try:
        days = read_day(from_day), read_day(to_day)
    except UnusableQuestion as error:
        raise typer.BadParameter(str(error)) from error
    database = await open_database(settings.database_url, connections=2)
    try:
        await check_schema(database)
        return await report(
            database, by=by.value, from_day=days[0], to_day=days[1], merchant_id=merchant_id, now_ms=real_now_ms()
        )
    except UnusableQuestion as error:
        raise typer.BadParameter(str(error)) from error
    finally:
        await database.close()


def _write_csv(found: Report) -> None:
    """The lines without their total: a spreadsheet makes its own."""
    writer = csv.writer(sys.stdout)
    writer.writerow(type(found.total).__struct_fields__)
    writer.writerows(msgspec.structs.astuple(line) for line in found.lines)


def _show(found: Report) -> None:
    line_type = type(found.total)
    title = f"{found.from_day} to {found.to_day}, by {found.by}"
    table = Table(*(name.removesuffix("_fen") for name in line_type.__struct_fields__), title=title, show_footer=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for line in found.lines:
        table.add_row(*_cells(line))
    table.add_section()
    table.add_row(*_cells(msgspec.structs.replace(found.total, key="total")))
    Console(soft_wrap=True).print(table)


def _cells(line: SalesLine | ItemLine) -> list[str]:
    values = msgspec.structs.asdict(line)
    return [yuan_text(value) if name.endswith("_fen") else str(value) for name, value in values.items()]
