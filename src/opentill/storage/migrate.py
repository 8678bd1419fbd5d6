"""`python -m opentill.storage.migrate URL` (or `-`: the URL is read from standard input): bring the schema up to date.

A process of its own, because Alembic brings SQLAlchemy along, which serving does not need.
"""

import sys
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(url: str) -> None:
    """Apply every migration that the database lacks, in one transaction. Harmless when two do it at once.

    Raises what Alembic, SQLAlchemy and the driver raise.
    """
    config = Config(attributes={"url": url})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    command.upgrade(config, "head")


def main(arguments: list[str]) -> int:
    """The exit code: 0 the schema is up to date, 1 it could not be, 2 misuse. The reason goes to standard error."""
    if len(arguments) != 1:
        print("usage: python -m opentill.storage.migrate URL", file=sys.stderr)
        return 2
    url = sys.stdin.read().strip() if arguments[0] == "-" else arguments[0]
    try:
        upgrade(url)
    except (CommandError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        print(f"cannot migrate: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
