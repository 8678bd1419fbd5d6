"""`opentill data`: the database's schema."""

import asyncio

import typer

from opentill.cli.problems import read_settings, told
from opentill.storage.database import ensure_schema, newest_schema_version

app = typer.Typer(no_args_is_help=True, help="The database: its schema.")


@app.command()
def migrate() -> None:
    """Bring the database's schema up to this release. Safe to repeat."""
    with told("Not migrated"):
        asyncio.run(ensure_schema(read_settings().database_url))
    typer.echo(f"The schema is {newest_schema_version()}.")
