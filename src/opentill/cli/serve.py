"""`opentill serve` and `opentill worker`: the gateway for real money, in one process or in many."""

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Annotated

import typer
import uvloop

from opentill.base import logs
from opentill.base.clock import Clock, MovableClock
from opentill.base.config import Settings
from opentill.cli.people import tell_start
from opentill.cli.problems import SettingsProblem, read_settings, told
from opentill.cli.server import Lifeline, bind, serve, until_stopped
from opentill.cli.supervisor import NotStarted, Role, Supervisor
from opentill.cli.wiring import open_deployment, worker_of
from opentill.commands.registry import load_commands
from opentill.services.deployment import Deployment
from opentill.storage.database import POSTGRES_PREFIX, DatabaseUnavailable
from opentill.web import demo
from opentill.web.app import build_app
from opentill.web.cashier import app as cashier
from opentill.web.console import app as console

DATABASE_PATIENCE_S = 25.0
"""How long a process that starts waits for PostgreSQL to answer; less than a parent waits for its processes."""
DATABASE_RETRY_S = 2.0

Host = Annotated[str | None, typer.Option(help="Address to listen on; default: OPENTILL_HOST.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; default: OPENTILL_PORT.")]
Workers = Annotated[
    int,
    typer.Option(
        min=1,
        max=64,
        help="Processes that answer requests. From 2 on they share the socket, a further one works (PostgreSQL only).",
    ),
]
# What the parent of several processes hands to each; not for people.
ListenFd = Annotated[int | None, typer.Option("--listen-fd", hidden=True)]
LifelineFd = Annotated[int | None, typer.Option("--lifeline-fd", hidden=True)]


def serve_command(
    host: Host = None,
    port: Port = None,
    workers: Workers = 1,
    listen_fd: ListenFd = None,
    lifeline_fd: LifelineFd = None,
) -> None:
    """Run the gateway for real money, with the settings of the environment. SIGHUP restarts its processes in turn."""
    settings = _settings(host, port)
    if workers > 1 and not settings.database_url.startswith(POSTGRES_PREFIX):
        raise typer.BadParameter("several processes need PostgreSQL; SQLite is for one")
    try:
        listener = socket.socket(fileno=listen_fd) if listen_fd is not None else bind(settings.host, settings.port)
    except OSError as error:
        typer.echo(f"Not started: {settings.host}:{settings.port}: {error.strerror}", err=True)
        raise typer.Exit(1) from error
    lifeline = Lifeline(lifeline_fd) if lifeline_fd is not None else None
    if workers == 1:
        # Beside others there is a process of its own that works.
        _run(serve_gateway(settings, listener, clock=MovableClock(), lifeline=lifeline, works=lifeline is None))
        return
    web = Role(("serve", "--listen-fd", str(listener.fileno())), serves=True)
    work = Role(("worker",), serves=False)
    try:
        asyncio.run(Supervisor([*[web] * workers, work], listener=listener).run())
    except NotStarted as error:
        raise typer.Exit(1) from error


def worker_command(lifeline_fd: LifelineFd = None) -> None:
    """Run only the work that time drives: notifications, questions to the wallets, refunds. Any number may run."""
    settings = _settings(None, None)
    _run(_work(settings, Lifeline(lifeline_fd) if lifeline_fd is not None else None))


async def serve_gateway(
    settings: Settings, listener: socket.socket, *, clock: Clock, lifeline: Lifeline | None = None, works: bool = True
) -> None:
    """Answer requests on `listener` until asked to stop; `works`: and do what time drives.

    Raises like `open_deployment`.
    """
    async with _deployment(settings, clock) as deployment:
        commands = load_commands()
        pages = [*console.routes(deployment), *cashier.routes(deployment)]
        if deployment.has_demo_pages:
            pages += demo.routes(deployment, commands)
        app = build_app(deployment, commands, more_routes=pages)
        answer = partial(
            serve, app, listener, lifeline=lifeline, max_connections=settings.max_connections, bids_farewell=True
        )
        if not works:
            await answer()
            return
        await tell_start(deployment)
        worker = worker_of(deployment)
        worker.start()
        try:
            await answer()
        finally:
            await asyncio.shield(worker.stop())


async def _work(settings: Settings, lifeline: Lifeline | None) -> None:
    async with _deployment(settings, MovableClock()) as deployment:
        if lifeline:  # of several processes the one that works says it
            await tell_start(deployment)
        worker = worker_of(deployment)
        worker.start()
        try:
            await until_stopped(lifeline)
        finally:
            await asyncio.shield(worker.stop())


@asynccontextmanager
async def _deployment(settings: Settings, clock: Clock) -> AsyncIterator[Deployment]:
    """Open it, and wait when the database does not answer: this may be the middle of a failover."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + DATABASE_PATIENCE_S if settings.database_url.startswith(POSTGRES_PREFIX) else 0.0
    async with AsyncExitStack() as stack:
        while True:
            opening = open_deployment(settings, clock=clock, public_base_url=settings.public_base_url, is_sandbox=False)
            try:
                deployment = await stack.enter_async_context(opening)
                break
            except DatabaseUnavailable as error:
                if loop.time() >= give_up_at:
                    raise
                typer.echo(f"Waiting for the database: {error}", err=True)
            await asyncio.sleep(DATABASE_RETRY_S)
        yield deployment


def _settings(host: str | None, port: int | None) -> Settings:
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    with told("Not started"):
        settings = read_settings().model_copy(update=given)
        if not settings.public_base_url.startswith(("http://", "https://")):
            raise SettingsProblem("OPENTILL_PUBLIC_BASE_URL: set it to how wallets reach this gateway, https://…")
    logs.configure(level=settings.log_level)
    return settings


def _run(main: Coroutine[None, None, None]) -> None:
    with told("Not started"):
        uvloop.run(main)
