"""`opentill twin`: both wallets alone, for people who test an integration of their own."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route

from opentill.base import logs
from opentill.base.clock import MovableClock
from opentill.cli.server import Doors, open_doors, serve_doors
from opentill.twin.app import Twin


def twin_command(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0: the local network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.")] = 8081,
    data: Annotated[Path, typer.Option(help="Folder for the wallets' books; made when missing.")] = Path("data"),
    tls: Annotated[bool, typer.Option("--tls", help="Serve https with a certificate of its own.")] = False,
) -> None:
    """Run the offline twin of Alipay and WeChat Pay v3 alone: change the base URL of your integration, nothing else."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        data.mkdir(parents=True, exist_ok=True)
        doors = open_doors(host, port, data=data, is_tls=tls)
    except OSError as error:
        console.print(f"[red]Not started:[/] {error.strerror or error} ({host}:{port}, {data})")
        raise typer.Exit(1) from error
    books = data.resolve() / "twin.sqlite3"
    logs.configure(stream=(data / "twin.log").open("a", encoding="utf-8"))

    async def run() -> None:
        clock = MovableClock(shift_ms=Twin.stored_shift_ms(books))
        twin = Twin(data_file=books, clock=clock, base_url=f"{doors.program_base_url}/twin")
        await twin.start()
        try:
            serving = asyncio.create_task(serve_doors(_app(twin), doors))
            _greet(console, twin, doors, data)
            await serving
        finally:
            await twin.stop()
        console.print("Stopped. The books are kept.")

    uvloop.run(run())


def _app(twin: Twin) -> Starlette:
    async def to_phone(_: Request) -> RedirectResponse:
        return RedirectResponse("/twin/phone")

    return Starlette(routes=[Route("/", to_phone, methods=["GET"]), Mount("/twin", app=twin.app)])


def _greet(console: Console, twin: Twin, doors: Doors, data: Path) -> None:
    for_people, base_url = f"{doors.public_base_url}/twin", f"{doors.program_base_url}/twin"
    alipay, wechat = twin.alipay_merchant(), twin.wechat_merchant()
    console.print(f"""
[bold]OpenTill twin[/]  {for_people}

  Alipay gateway     {base_url}/alipay/gateway.do      app_id {alipay.app_id}
  WeChat Pay v3      {base_url}/wechat                 mchid {wechat.mchid}, appid {wechat.appid}
  All keys           {base_url}/api/merchants
  The pretend phone  {for_people}/phone
  Books and log      {data}

  Ctrl-C stops it; the books are kept.
""")
