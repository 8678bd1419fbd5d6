"""Writes what was measured: tables, and a picture beside each."""

import os
import platform
import statistics
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from bench.floor import Floor

_BAR = {"floor": "#9aa4b2", "gateway": "#2563eb"}


class Measured(msgspec.Struct, frozen=True):
    """One cell of one round. CPU microseconds per call of the gateway's process, and of the database's own."""

    per_second: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    cpu_us: float
    database_us: float


class Cell(msgspec.Struct, frozen=True):
    wallet: str
    clients: int
    measured: Measured


class Run(msgspec.Struct, frozen=True):
    """One round on one engine."""

    engine: str
    floor: Floor
    cells: list[Cell]
    cold_s: float
    rest_mb: float
    loaded_mb: float


def write(runs: Sequence[Run], folder: Path, *, command: str) -> Path:
    """REPORT.md and its pictures in `folder`. Returns the report's path."""
    engines = list(dict.fromkeys(run.engine for run in runs))
    parts = [_head(runs, command)]
    for engine in engines:
        of_engine = [run for run in runs if run.engine == engine]
        picture = folder / f"cpu-{engine.lower()}.svg"
        picture.write_text(_picture(of_engine, engine), encoding="utf-8")
        parts.append(_section(of_engine, engine, picture.name))
    path = folder / "REPORT.md"
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def _head(runs: Sequence[Run], command: str) -> str:
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("uvicorn", "starlette", "aiohttp", "asyncpg", "cryptography")
    )
    return f"""# Benchmark of `open.pay.scan`

Made by `{command}`. Medians over {len(runs) // 2} rounds; floor, SQLite and PostgreSQL are interleaved in one run.
Load generator and wallet stub run on the same machine; CPU is counted per process, so they are not in the figures.

Machine: {os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()}, Python
{platform.python_version()}; {packages}.

The **floor** of a scan is two RSA-2048 signs (the wallet's request, our reply), one verify (the wallet's answer), a
bare ASGI request in, a bare client call out and the same SQL in the same units, each measured alone."""


def _section(runs: Sequence[Run], engine: str, picture: str) -> str:
    floor_us = _median(run.floor.scan_us(engine) for run in runs)
    floors = (
        ("RSA-2048 sign (two)", [2 * run.floor.sign_us for run in runs]),
        ("RSA-2048 verify", [run.floor.verify_us for run in runs]),
        ("bare ASGI request", [run.floor.server_us for run in runs]),
        ("bare client call", [run.floor.client_us for run in runs]),
        ("SQL of a scan, database processes included", [run.floor.sql_us[engine] for run in runs]),
    )
    floor_rows = [f"| {name} | {_median(values):.0f} |" for name, values in floors]
    rows = []
    for wallet, clients in dict.fromkeys((cell.wallet, cell.clients) for cell in runs[0].cells):
        cells = _cells(runs, wallet, clients)
        total_us = _median(cell.cpu_us + cell.database_us for cell in cells)
        rows.append(
            f"| {wallet} | {clients} | {_of(cells, lambda c: c.per_second):.0f} | {_of(cells, lambda c: c.p50_ms):.1f} "
            f"| {_of(cells, lambda c: c.p99_ms):.1f} | {_of(cells, lambda c: c.p999_ms):.1f} "
            f"| {_of(cells, lambda c: c.cpu_us):.0f} | {_of(cells, lambda c: c.database_us):.0f} "
            f"| {total_us / floor_us:.2f} |"
        )
    lines = [
        f"## {engine}",
        "| floor | CPU µs |\n| --- | ---: |\n" + "\n".join([*floor_rows, f"| **together** | **{floor_us:.0f}** |"]),
        "| wallet | clients | scans/s | p50 ms | p99 ms | p99.9 ms | gateway CPU µs | database CPU µs | × floor |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n" + "\n".join(rows),
        f"![CPU per scan beside the floor, {engine}]({picture})",
        f"Process start to first QR code {_median(run.cold_s for run in runs):.2f} s; resident memory "
        f"{_median(run.rest_mb for run in runs):.0f} MB after the first order, "
        f"{_median(run.loaded_mb for run in runs):.0f} MB after the load.",
    ]
    return "\n\n".join(lines)


def _picture(runs: Sequence[Run], engine: str) -> str:
    """Horizontal bars: the floor, then the gateway's CPU per scan for each wallet and number of clients."""
    bars = [("floor", _median(run.floor.scan_us(engine) for run in runs), "floor")]
    for wallet, clients in dict.fromkeys((cell.wallet, cell.clients) for cell in runs[0].cells):
        cells = _cells(runs, wallet, clients)
        bars.append((f"{wallet}, {clients} clients", _median(c.cpu_us + c.database_us for c in cells), "gateway"))
    longest = max(value for _, value, _ in bars)
    height = 28 * len(bars) + 20
    rows = []
    for number, (name, value, kind) in enumerate(bars):
        y = 14 + 28 * number
        rows.append(
            f'<text x="170" y="{y + 13}" text-anchor="end">{name}</text>'
            f'<rect x="180" y="{y}" width="{value / longest * 420:.0f}" height="18" rx="3" fill="{_BAR[kind]}"/>'
            f'<text x="{188 + value / longest * 420:.0f}" y="{y + 13}">{value:.0f} µs</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="700" height="{height}" font-family="sans-serif" '
        f'font-size="12" fill="#475569"><title>CPU per scan, {engine}</title>{"".join(rows)}</svg>\n'
    )


def _cells(runs: Sequence[Run], wallet: str, clients: int) -> list[Measured]:
    """One cell of every round."""
    return [cell.measured for run in runs for cell in run.cells if (cell.wallet, cell.clients) == (wallet, clients)]


def _of(cells: Sequence[Measured], get: Callable[[Measured], float]) -> float:
    return _median(get(cell) for cell in cells)


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)
