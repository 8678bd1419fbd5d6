"""`opentill data archive`: the past of settled orders goes into files, beside a running gateway."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from opentill.base.clock import MovableClock
from opentill.base.config import Settings
from opentill.cli.problems import SettingsProblem, read_settings, told
from opentill.services import archives
from opentill.services.archives import DEFAULT_DAYS, LEAST_DAYS, ArchiveProblem, Totals
from opentill.storage.database import DatabaseOverloaded, check_schema, open_database

Folder = Annotated[Path, typer.Argument(help="Where the files go: a folder that not everybody may write to.")]
OlderThan = Annotated[
    int,
    typer.Option(
        "--older-than",
        min=LEAST_DAYS,
        metavar="DAYS",
        help="Orders to which nothing has happened for so many days. Wallets refund for a year.",
    ),
]


def archive_command(folder: Folder, older_than: OlderThan = DEFAULT_DAYS) -> None:
    """Move the timelines of long settled orders into compressed files. The gateway may go on meanwhile."""
    with told("Not archived"), Console(stderr=True).status("looking for settled orders …") as status:
        settings = read_settings()
        try:
            totals = asyncio.run(_archive(settings, folder, older_than, lambda so_far: status.update(_text(so_far))))
        except (ArchiveProblem, DatabaseOverloaded) as problem:
            raise SettingsProblem(f"{problem}. What is in a finished file is safe; repeat the command") from problem
    if not totals.files:
        typer.echo(f"Nothing to archive: no settled order has rested for {older_than} days.")
        return
    typer.echo(f"{_text(totals)}. In {folder}: {', '.join(totals.files)}")


async def _archive(settings: Settings, folder: Path, days: int, say: archives.Say) -> Totals:
    database = await open_database(settings.database_url, connections=2)
    try:
        await check_schema(database)
        return await archives.run(database, MovableClock(), folder, days=days, say=say)
    finally:
        await database.close()


def _text(totals: Totals) -> str:
    text = f"{totals.orders} orders and {totals.refused_calls} refused calls archived, {totals.removed} orders removed"
    return f"{text}, {totals.changed} left alone because they changed" if totals.changed else text
