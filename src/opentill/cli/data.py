"""`opentill data`: the database's schema, its archives, and copies of a SQLite database."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from opentill.cli.archive import archive_command
from opentill.cli.problems import SettingsProblem, read_settings, told
from opentill.storage import copies
from opentill.storage.copies import CopyProblem
from opentill.storage.database import SQLITE_PREFIX, ensure_schema, newest_schema_version

app = typer.Typer(no_args_is_help=True, help="The database: its schema, copies and archives of it.")
app.command("archive")(archive_command)


@app.command()
def migrate() -> None:
    """Bring the database's schema up to this release. Safe to repeat."""
    with told("Not migrated"):
        asyncio.run(ensure_schema(read_settings().database_url))
    typer.echo(f"The schema is {newest_schema_version()}.")


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="The file to write; it must not exist yet.")],
) -> None:
    """Copy a SQLite database to a file, while the gateway runs. The copy is checked before it gets its name."""
    with told("Not copied"), Console(stderr=True).status("copying …") as status:
        try:
            copies.back_up(_sqlite_file(), target, say=lambda percent: status.update(f"copying: {percent} %"))
        except CopyProblem as problem:
            raise SettingsProblem(str(problem)) from problem
    typer.echo(f"{target}: {target.stat().st_size} bytes. Keep the master key elsewhere: one opens nothing alone.")


@app.command()
def restore(
    copy: Annotated[Path, typer.Argument(help="A file made by `opentill data backup`.")],
) -> None:
    """Put a copy in the place of the SQLite database, which nobody may have open. What was there is kept beside it."""
    with told("Not restored"), Console(stderr=True).status("restoring …") as status:
        try:
            kept = copies.restore(copy, _sqlite_file(), say=lambda percent: status.update(f"restoring: {percent} %"))
        except CopyProblem as problem:
            raise SettingsProblem(str(problem)) from problem
    typer.echo(f"Restored.{f' What was there is {kept}.' if kept else ''} Now run: opentill doctor --whole")


def _sqlite_file() -> Path:
    """Raises SettingsProblem."""
    url = read_settings().database_url
    if not url.startswith(SQLITE_PREFIX):
        raise SettingsProblem("this is for SQLite; for PostgreSQL see Backup in docs/operations.md")
    return Path(url.removeprefix(SQLITE_PREFIX))
