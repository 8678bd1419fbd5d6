"""`opentill data`: the database's schema."""

import asyncio

import typer

from opentill.base.config import Settings
from opentill.storage.database import MigrationFailed, SchemaTooNew, ensure_schema, newest_schema_version

app = typer.Typer(no_args_is_help=True, help="The database: its schema.")


@app.command()
def migrate() -> None:
    """Bring the database's schema up to this release. Safe to repeat."""
    try:
        asyncio.run(ensure_schema(Settings().database_url))
    except (SchemaTooNew, MigrationFailed, ValueError) as error:
        typer.echo(f"Not migrated: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"The schema is {newest_schema_version()}.")
