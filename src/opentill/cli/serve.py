"""`opentill serve`: the gateway for real money."""

import asyncio
from typing import Annotated

import typer
import uvloop

from opentill.base import logs
from opentill.base.clock import MovableClock
from opentill.base.config import Settings
from opentill.cli.server import bind, serve
from opentill.cli.wiring import open_deployment, worker_of
from opentill.commands.registry import load_commands
from opentill.web import demo
from opentill.web.app import build_app


def serve_command(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Run the gateway and its worker for real money, with the settings of the environment."""
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = Settings.model_validate({**Settings().model_dump(), **given})
    if not settings.public_base_url.startswith(("http://", "https://")):
        raise typer.BadParameter("set OPENTILL_PUBLIC_BASE_URL to how wallets reach this gateway, https://…")
    logs.configure(level=settings.log_level)
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    clock = MovableClock()
    listener = bind(settings.host, settings.port)
    async with open_deployment(
        settings, clock=clock, public_base_url=settings.public_base_url, is_sandbox=False
    ) as deployment:
        commands = load_commands()
        more = demo.routes(deployment, commands) if deployment.has_demo_pages else []
        worker = worker_of(deployment)
        worker.start()
        try:
            await serve(build_app(deployment, commands, more_routes=more), listener)
        finally:
            await asyncio.shield(worker.stop())
