"""`opentill admin first-owner`, `users` and `reset-user`: people of the console, from the shell."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

import typer

from opentill.base.clock import Clock, MovableClock
from opentill.base.sealing import Sealer
from opentill.cli.problems import read_settings, told
from opentill.cli.wiring import sealer_of
from opentill.services import first_owner
from opentill.services.deployment import Deployment
from opentill.services.users import SHELL, Users
from opentill.services.users import told as told_roles
from opentill.storage.database import Database, check_schema, open_database

T = TypeVar("T")
Login = Annotated[str, typer.Argument(help="What the person signs in with.")]


def first_owner_command() -> None:
    """Print the one-time code that creates the first owner in the console. It works while there are no users."""

    async def ask(database: Database, sealer: Sealer, clock: Clock) -> str | None:
        return await first_owner.code_if_needed(database, sealer, now_ms=clock.now_ms())

    code = _run(ask)
    if code is None:
        typer.echo("There are users already: an owner adds more in the console; see also `reset-user`.", err=True)
        raise typer.Exit(1)
    typer.echo(code)


def reset_user_command(login: Login) -> None:
    """Print a new initial password for somebody who lost password or phone; the second factor is removed."""

    async def reset(database: Database, sealer: Sealer, clock: Clock) -> str:
        users = _users(database, sealer, clock)
        return await users.reset((await users.by_login(login)).row.user_id)

    typer.echo(f"initial password {_run(reset)}\nIt must be changed at the next sign-in, within 7 days.")


def list_users_command() -> None:
    """List the people of the console: login, name, roles (role@merchant, * is every one), state."""

    async def ask(database: Database, sealer: Sealer, clock: Clock) -> list[str]:
        return [
            "\t".join((each.row.login, each.row.name, told_roles(each.grants), _state(each.row.is_disabled)))
            for each in await _users(database, sealer, clock).all()
        ]

    for line in _run(ask):
        typer.echo(line)


async def start_url(deployment: Deployment) -> str | None:
    """Where the first owner is created, with the code; None when there are users."""
    code = await first_owner.code_if_needed(deployment.database, deployment.sealer, now_ms=deployment.clock.now_ms())
    return None if code is None else f"{deployment.public_base_url}/console/start?code={code}"


async def tell_start(deployment: Deployment) -> None:
    """Say on standard error how to create the first owner, if there are no users yet."""
    if (url := await start_url(deployment)) is not None:
        typer.echo(f"The console has no users yet. Create the first owner: {url}", err=True)


def _users(database: Database, sealer: Sealer, clock: Clock) -> Users:
    return Users(database, sealer, by=SHELL, source_ip="", now_ms=clock.now_ms())


def _run(work: Callable[[Database, Sealer, Clock], Awaitable[T]]) -> T:
    async def inside() -> T:
        async with _opened() as (database, sealer):
            return await work(database, sealer, MovableClock())

    with told("Not done"):
        return asyncio.run(inside())


@asynccontextmanager
async def _opened() -> AsyncIterator[tuple[Database, Sealer]]:
    """Raises like `open_deployment`."""
    settings = read_settings()
    sealer = sealer_of(settings)
    database = await open_database(settings.database_url, connections=2)
    try:
        await check_schema(database)
        yield database, sealer
    finally:
        await database.close()


def _state(is_disabled: int) -> str:
    return "disabled" if is_disabled else "active"
