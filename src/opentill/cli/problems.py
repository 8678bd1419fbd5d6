"""What a person can put right is told in one line; everything else stays a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from pydantic import ValidationError

from opentill.base.config import Settings
from opentill.base.sealing import SealingError
from opentill.channels.base import AccountProblem
from opentill.services.not_possible import NotPossible
from opentill.services.users import UserProblem
from opentill.storage.database import DatabaseUnavailable, MigrationFailed, SchemaTooNew, SchemaTooOld


class SettingsProblem(Exception):
    """A setting of the environment is not usable."""


_PROBLEMS = (
    AccountProblem,
    DatabaseUnavailable,
    MigrationFailed,
    NotPossible,
    SchemaTooNew,
    SealingError,
    SettingsProblem,
    UserProblem,
)


@contextmanager
def told(what: str) -> Iterator[None]:
    """`what` did not happen, e.g. "Not started": said with its reason on standard error, exit code 1."""
    try:
        yield
    except SchemaTooOld as error:
        reason = f"{error}; run `opentill data migrate`"
    except _PROBLEMS as error:
        reason = str(error)
    else:
        return
    typer.echo(f"{what}: {reason}", err=True)
    raise typer.Exit(1)


def read_settings() -> Settings:
    """The environment's settings. Raises SettingsProblem."""
    try:
        return Settings()
    except ValidationError as error:
        # The value stays out: it may be a password inside a URL.
        lines = [f"{_variable(problem['loc'])}: {problem['msg']}" for problem in error.errors(include_input=False)]
        raise SettingsProblem("; ".join(lines)) from error


def _variable(location: tuple[int | str, ...]) -> str:
    prefix = Settings.model_config.get("env_prefix", "")
    return f"{prefix}{'.'.join(str(part) for part in location)}".upper()
