"""`opentill twin`: both wallets alone, for people who test an integration of their own."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from starlette.applications import Starlette
from starlette.routing import Mount

from opentill.base import logs
from opentill.base.clock import MovableClock
from opentill.cli.server import bind, reachable_at, serve
from opentill.twin.app import Twin


def twin_command(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0: the local network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.")] = 8081,
    data: Annotated[Path, typer.Option(help="Folder for the wallets' books; made when missing.")] = Path("data"),
) -> None:
    """Run the offline twin of Alipay and WeChat Pay v3 alone: change the base URL of your integration, nothing else."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        data.mkdir(parents=True, exist_ok=True)
        listener = bind(host, port)
    except OSError as error:
        console.print(f"[red]Not started:[/] {error.strerror or error} ({host}:{port}, {data})")
        raise typer.Exit(1) from error
    base_url = f"{reachable_at(host)}:{listener.getsockname()[1]}/twin"
    books = data.resolve() / "twin.sqlite3"
    logs.configure(stream=(data / "twin.log").open("a", encoding="utf-8"))

    async def run() -> None:
        twin = Twin(data_file=books, clock=MovableClock(shift_ms=Twin.stored_shift_ms(books)), base_url=base_url)
        await twin.start()
        try:
            serving = asyncio.create_task(serve(Starlette(routes=[Mount("/twin", app=twin.app)]), listener))
            _greet(console, twin, base_url, data)
            await serving
        finally:
            await twin.stop()
        console.print("Stopped. The books are kept.")

    uvloop.run(run())


def _greet(console: Console, twin: Twin, base_url: str, data: Path) -> None:
    alipay, wechat = twin.alipay_merchant(), twin.wechat_merchant()
    console.print(f"""
[bold]OpenTill twin[/]  {base_url}

  Alipay gateway     {base_url}/alipay/gateway.do      app_id {alipay.app_id}
  WeChat Pay v3      {base_url}/wechat                 mchid {wechat.mchid}, appid {wechat.appid}
  All keys           {base_url}/api/merchants
  The pretend phone  {base_url}/phone
  Books and log      {data}

  Ctrl-C stops it; the books are kept.
""")
