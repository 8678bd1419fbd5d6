"""`opentill doctor`: what is wrong with this deployment, and what to do about it."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from opentill.base import logs
from opentill.base.clock import MovableClock
from opentill.base.config import Settings
from opentill.base.outbound import Outbound
from opentill.base.sealing import Sealer, SealingError
from opentill.channels.registry import load_channels
from opentill.cli.problems import read_settings, told
from opentill.cli.wiring import sealer_of
from opentill.services.doctor import examine
from opentill.services.doctor_engine import DATABASE
from opentill.services.findings import Finding, Level, Patient, fail
from opentill.storage.database import DatabaseUnavailable, open_database

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


class Report(msgspec.Struct, frozen=True):
    """What `--json` prints. `level` is the worst of all."""

    level: Level
    findings: list[Finding]


def doctor_command(
    days: Annotated[int, typer.Option(min=1, max=3650, help="Look at the orders of the last so many days.")] = 7,
    whole: Annotated[bool, typer.Option("--whole", help="Look at all orders, and read a SQLite file whole.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Examine settings, keys, database, layout and books. Exit code 1 when something has to be put right now."""
    logs.configure(level="error")  # what is wrong is said in the findings
    console = Console(highlight=False, soft_wrap=True)
    with told("Not examined"):
        settings = read_settings()
    progress = Console(stderr=True)
    with progress.status("examining …") as status:
        show = (lambda _: None) if as_json else (lambda finding: _show(console, finding))
        found = asyncio.run(_examined(settings, days, whole, show, lambda text: status.update(f"examining: {text}")))
    levels = [finding.level for finding in found]
    worst = max(levels, key=list(Level).index)
    if as_json:
        typer.echo(msgspec.json.encode(Report(worst, found)))
    else:
        counts = ", ".join(f"{levels.count(level)} {level}" for level in Level)
        console.print(f"\n{counts}")
    if worst is Level.FAIL:
        raise typer.Exit(1)


async def _examined(
    settings: Settings, days: int, whole: bool, show: Callable[[Finding], None], say: Callable[[str], None]
) -> list[Finding]:
    """Everything that was found, each shown as it comes."""
    found: list[Finding] = []

    def add(finding: Finding) -> None:
        found.append(finding)
        show(finding)

    async with AsyncExitStack() as stack:
        try:
            database = await open_database(settings.database_url, connections=2)
        except DatabaseUnavailable as error:
            add(fail(DATABASE, str(error), "is it up, is OPENTILL_DATABASE_URL right, and is it the primary?"))
            return found
        stack.push_async_callback(database.close)
        outbound = await stack.enter_async_context(Outbound())
        clock = MovableClock()
        patient = Patient(
            settings=settings,
            database=database,
            sealer=_sealer(settings),
            channels=load_channels(settings, outbound, clock),
            clock=clock,
            days=days,
            is_whole=whole,
            say=say,
        )
        async for finding in examine(patient):
            add(finding)
    return found


def _sealer(settings: Settings) -> Sealer | None:
    """None: there is no usable master key, which is a finding and not an end."""
    try:
        return sealer_of(settings)
    except SealingError:
        return None


def _show(console: Console, finding: Finding) -> None:
    colour = _COLOURS[finding.level]
    console.print(f"[{colour}]{finding.level:<4}[/] [bold]{finding.check}[/]: ", end="")
    console.print(finding.text, markup=False)
    if finding.remedy:
        console.print(f"     → {finding.remedy}", markup=False)
