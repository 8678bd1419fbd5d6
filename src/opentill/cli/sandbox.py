"""`opentill sandbox`: gateway, twin of both wallets and a seeded test merchant in one process, one folder of data."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from pydantic import SecretStr
from rich.console import Console
from starlette.routing import Mount
from starlette.types import ASGIApp

from opentill.base import logs
from opentill.base.clock import MovableClock
from opentill.base.config import Network, Settings
from opentill.base.sealing import SealingError, master_key_file
from opentill.cli.people import start_url
from opentill.cli.sandbox_till import TillHint, ensure_test_till
from opentill.cli.seed import ensure_test_parties
from opentill.cli.server import OPEN_HOSTS, Doors, open_doors, serve_doors
from opentill.cli.wiring import open_administration, open_deployment, worker_of
from opentill.commands.registry import load_commands
from opentill.services.deployment import Deployment
from opentill.storage.database import ensure_schema
from opentill.twin.app import Twin
from opentill.web import demo
from opentill.web.app import build_app
from opentill.web.cashier import app as cashier
from opentill.web.console import app as console
from opentill.worker.loop import Worker

PRIVATE_NETWORKS: tuple[Network, ...] = tuple(
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
LOOPBACK_NETWORKS: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True)
class Sandbox:
    """Everything of a running sandbox."""

    deployment: Deployment
    twin: Twin
    worker: Worker
    clock: MovableClock


def sandbox_command(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0: the local network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.")] = 8080,
    data: Annotated[Path, typer.Option(help="Folder for all data; made when missing.")] = Path("data"),
    tls: Annotated[bool, typer.Option("--tls", help="Serve https with a certificate of its own.")] = False,
) -> None:
    """Run the gateway with the offline twin of both wallets and a seeded test merchant."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        data.mkdir(parents=True, exist_ok=True)
        doors = open_doors(host, port, data=data, is_tls=tls)
    except OSError as error:
        console.print(f"[red]Cannot start:[/] {error.strerror or error} ({host}:{port}, {data})")
        raise typer.Exit(1) from error
    try:
        uvloop.run(_run(doors, host, data.resolve(), console))
    except SealingError as error:
        console.print(f"[red]Cannot start:[/] {error} ({data}/master.key)")
        raise typer.Exit(1) from error


async def _run(doors: Doors, host: str, data: Path, console: Console) -> None:
    settings = sandbox_settings(doors, host, data)
    logs.configure(level=settings.log_level, stream=(data / "opentill.log").open("a", encoding="utf-8"))
    async with open_sandbox(settings, data, program_base_url=doors.program_base_url) as sandbox:
        sandbox.worker.start()
        try:
            serving = asyncio.create_task(serve_doors(sandbox_app(sandbox.deployment, sandbox.twin), doors))
            till = await ensure_test_till(sandbox.deployment, data)
            _greet(console, doors, data, start=await start_url(sandbox.deployment), till=till)
            await serving
        finally:
            await asyncio.shield(sandbox.worker.stop())
    console.print("Stopped. All data is kept.")


def sandbox_app(deployment: Deployment, twin: Twin) -> ASGIApp:
    """Gateway, demo pages and twin at one address."""
    commands = load_commands()
    pages = [*demo.routes(deployment, commands), *console.routes(deployment), *cashier.routes(deployment)]
    return build_app(deployment, commands, more_routes=[*pages, Mount("/twin", app=twin.app)])


@asynccontextmanager
async def open_sandbox(settings: Settings, data: Path, *, program_base_url: str) -> AsyncIterator[Sandbox]:
    """The sandbox's parts, opened and seeded; the worker is not started yet."""
    twin_file = data / "twin.sqlite3"
    clock = MovableClock(shift_ms=Twin.stored_shift_ms(twin_file))
    twin = Twin(data_file=twin_file, clock=clock, base_url=f"{program_base_url}/twin")
    # Making keys and migrating are what a first start waits for: both at once.
    migrating = asyncio.create_task(ensure_schema(settings.database_url))
    try:
        await twin.start()
    finally:
        await migrating
    try:
        async with open_administration(settings, clock=clock, actor="sandbox") as administration:
            await ensure_test_parties(administration, twin)
        async with open_deployment(
            settings,
            clock=clock,
            public_base_url=settings.public_base_url,
            callback_base_url=program_base_url,
            is_sandbox=True,
        ) as deployment:
            worker = worker_of(deployment)
            twin.keep_pace_with(worker)
            yield Sandbox(deployment, twin, worker, clock)
    finally:
        await twin.stop()


def sandbox_settings(doors: Doors, host: str, data: Path) -> Settings:
    """The environment's settings with what makes a sandbox; addresses are computed, never stored."""
    for_people, for_programs = f"{doors.public_base_url}/twin", f"{doors.program_base_url}/twin"
    # Opened to the network, a stranger's notify_url must not reach what listens on this machine only.
    networks = PRIVATE_NETWORKS if host in OPEN_HOSTS else (*LOOPBACK_NETWORKS, *PRIVATE_NETWORKS)
    master_key_file(data / "master.key")
    return Settings(
        database_url=f"sqlite:///{data / 'opentill.sqlite3'}",
        master_key=SecretStr((data / "master.key").read_text("ascii").strip()),
        host=host,
        port=doors.listener.getsockname()[1],
        public_base_url=doors.public_base_url,
        alipay_base_url=f"{for_programs}/alipay",
        wechat_base_url=f"{for_programs}/wechat",
        alipay_oauth_base_url=f"{for_people}/alipay",
        wechat_oauth_base_url=f"{for_people}/wechat",
        wechat_api_base_url=f"{for_programs}/wechat",
        notify_allow_networks=networks,
    )


def _greet(console: Console, doors: Doors, data: Path, *, start: str | None, till: TillHint) -> None:
    """`start`: where the console's first owner is created, while there is none."""
    base_url = doors.public_base_url
    pin = f"PIN {till.pin}" if till.pin else "with the PIN set in the console"
    for_programs = f"\n  Programs call         {doors.program_base_url}" if doors.plain else ""
    console.print(f"""
[bold]OpenTill sandbox[/]  {base_url}

  Pay the first order   [bold]{base_url}/test/api/qrcode.htm[/]
  The till              [bold]{base_url}/cashier/pair#{till.pairing_code}[/]  {pin}
  The pretend phone     {base_url}/twin/phone
  Console               {start or base_url + "/console/"}
  Public key            {base_url}/public-key
  Data and log          {data}{for_programs}

  A signed order by hand (signed with the test key, prints the reply):

{_curl(doors.program_base_url)}

  Ctrl-C stops it; everything is kept.
""")


def _curl(base_url: str) -> str:
    """A call that works as pasted: number and timestamp are made by the shell, so it works again and again."""
    return f"""  app=A00305710000067; op=ccaaad2ba1f2a6baccb986d0a748dbb9; key=3d54fa25f393f2690817a1fab9314b92
  now=$(date +%s)000; no=curl$now
  sign=$(printf 'amount=1&app=%s&channel=1&local_order_no=%s&operator_id=%s&timestamp=%s&key=%s' \\
    $app $no $op $now $key | md5sum | cut -c1-32)
  curl -s {base_url}/gatewayOpen.htm -d command=open.pay.scan -d version=1.1 -d app=$app -d operator_id=$op \\
    -d timestamp=$now -d local_order_no=$no -d channel=1 -d amount=1 -d sign=$sign"""
