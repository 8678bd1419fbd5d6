"""Writes what was measured: goals, tables and pictures."""

import os
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from bench.goals import goals
from bench.pictures import bars
from bench.stage import ENGINES, POSTGRES, SQLITE, Sample


class Found:
    """The samples, asked for by part, engine and case; a figure is the median over its rounds."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def cases(self, part: str, engine: str) -> list[str]:
        return list(dict.fromkeys(each.case for each in self._samples if (each.part, each.engine) == (part, engine)))

    def value(self, part: str, engine: str, case: str, name: str) -> float | None:
        """None: not measured."""
        values = [
            each.values[name]
            for each in self._samples
            if (each.part, each.engine, each.case) == (part, engine, case) and name in each.values
        ]
        return statistics.median(values) if values else None

    def has(self, part: str) -> bool:
        return any(each.part == part for each in self._samples)


def write(samples: Sequence[Sample], folder: Path, *, command: str, minutes: float, missing: Sequence[str]) -> Path:
    """REPORT.md and its pictures in `folder`. Returns the report's path."""
    found = Found(samples)
    sections = [_head(command, minutes, missing), _goals(found), _floors(found)]
    for engine in ENGINES:
        if found.cases("scan", engine):
            picture = f"scan-{engine.lower()}.svg"
            (folder / picture).write_text(_scan_picture(found, engine), encoding="utf-8")
            sections.append(_scans(found, engine, picture))
    for title, part, columns, note in _TABLES:
        if found.has(part):
            sections.append(_table(found, title, part, columns, note))
    if found.has("growth"):
        (folder / "growth.svg").write_text(_growth_picture(found), encoding="utf-8")
        sections.append("![CPU per call beside a year of orders](growth.svg)")
    path = folder / "REPORT.md"
    path.write_text("\n\n".join(section for section in sections if section) + "\n", encoding="utf-8")
    return path


_LATENCY = (
    ("per_second", "per second", 0),
    ("p50_ms", "p50 ms", 1),
    ("p99_ms", "p99 ms", 1),
    ("p999_ms", "p99.9 ms", 1),
)
_CPU = (("gateway_us", "gateway CPU µs", 0), ("database_us", "database CPU µs", 0))
Columns = tuple[tuple[str, str, int], ...]

_TABLES: tuple[tuple[str, str, Columns, str], ...] = (
    (
        "Latency added at half load",
        "latency",
        (*_LATENCY, *_CPU),
        "256 connections at half the rate that 64 clients reached. The wallet's own wait is taken off; the time that "
        "the wallet's stub needs to sign is not. CPU of the gateway times the rate is how busy its event loop is.",
    ),
    (
        "Queries, callbacks, refunds",
        "operations",
        (*_LATENCY, *_CPU, ("stub_us", "wallet stub CPU µs", 0)),
        "64 clients. A query of a waiting order asks the wallet; a refund is sent and settled before the reply.",
    ),
    (
        "Notifications",
        "notifications",
        (("per_second", "per second", 0), ("p50_ms", "p50 ms", 1), ("p99_ms", "p99 ms", 1), *_CPU),
        "A backlog delivered to 100 receivers with an address each, one of them silent in the second row (what is "
        "delivered to the others counts); then callbacks at half the rate that both together reached.",
    ),
    (
        "Memory, MB",
        "memory",
        (
            ("rest_mb", "after the first order", 0),
            ("loaded_mb", "after the load", 0),
            *((f"load{number}_mb", f"after load {number}", 0) for number in range(1, 5)),
        ),
        "The sandbox is one process: gateway, worker, twin of both wallets, pages.",
    ),
    ("Start", "start", (("seconds", "s", 2),), "The process's start, and the first QR code by an HTTP request."),
    (
        "Two processes",
        "processes",
        (*_LATENCY, *_CPU),
        "One database; load generator and wallets on the same cores, so with two cores this shows little.",
    ),
    (
        "Many merchants",
        "merchants",
        (*_LATENCY, *_CPU, ("rss_mb", "resident MB", 0)),
        "Each merchant has an app, a cashier and an account of its own. The first call of each opens its sealed key.",
    ),
    (
        "Growth of the order table",
        "growth",
        (*_LATENCY, *_CPU, ("filled_s", "filled in s", 0)),
        "Two gateways in turns, 64 clients: one on empty tables, one on a year of paid orders with their payments and "
        "timelines.",
    ),
    (
        "Pages and lists beside many orders",
        "looks",
        (("p50_ms", "p50 ms", 2),),
        "What the console shows and the worker looks for, each alone.",
    ),
)


def _head(command: str, minutes: float, missing: Sequence[str]) -> str:
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("uvicorn", "starlette", "aiohttp", "asyncpg", "cryptography", "uvloop")
    )
    left_out = "".join(f"\n- Left out: {what}." for what in missing)
    return f"""# Benchmark

Made by `{command}` in {minutes:.0f} minutes; medians over the rounds. Load generator, wallets and receivers run on the
same machine. CPU is counted by process, and those three are not the gateway's. Logs are written (level info, to a
file), commits wait for the disk.

Machine: {os.cpu_count()} cores, {_processor()}, {platform.system()} {platform.release()}, Python
{platform.python_version()}; {packages}.{left_out}"""


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _goals(found: Found) -> str:
    rows = [f"| {goal.name} | {goal.wanted} | {goal.measured} | {goal.verdict} | {goal.why} |" for goal in goals(found)]
    return "## Goals\n\n| goal | wanted | measured | | why missed |\n| --- | --- | --- | --- | --- |\n" + "\n".join(
        rows
    )


def _floors(found: Found) -> str:
    names = (
        ("2 × RSA-2048 sign (one is)", "sign_us"),
        ("RSA-2048 verify", "verify_us"),
        ("bare ASGI request", "server_us"),
        ("bare aiohttp call", "client_us"),
        ("SQL of a scan, in batches of 16", "scan_sql_us"),
        ("**floor of a scan**", "scan_us"),
        ("SQL of a delivery, in batches of 16", "notification_sql_us"),
        ("**floor of a notification**", "notification_us"),
    )
    rows = [
        f"| {title} | " + " | ".join(_text(found.value("floor", engine, "floor", name), 0) for engine in ENGINES) + " |"
        for title, name in names
    ]
    return (
        "## Floors\n\nCPU microseconds, each measured alone beside a neighbour that signs all the time. A scan is two "
        "signs (the wallet's request, our reply), one verify, one request in, one call out, and its SQL by the bare "
        "driver; a notification is one sign, one call out, and its SQL. PostgreSQL's own processes are in its SQL.\n\n"
        f"| | {' | '.join(ENGINES)} |\n| --- | ---: | ---: |\n" + "\n".join(rows)
    )


def _scans(found: Found, engine: str, picture: str) -> str:
    floor_us = found.value("floor", engine, "floor", "scan_us")
    rows = []
    for case in found.cases("scan", engine):
        total_us = _both_us(found, "scan", engine, case)
        cells = [_text(found.value("scan", engine, case, name), digits) for name, _, digits in _SCAN_COLUMNS]
        ratio = _text(total_us / floor_us, 2) if total_us and floor_us else ""
        rows.append(f"| {case} | {' | '.join(cells)} | {ratio} |")
    titles = " | ".join(title for _, title, _ in _SCAN_COLUMNS)
    return (
        f"## Scans on {engine}\n\n| | {titles} | × floor |\n| --- |{' ---: |' * (len(_SCAN_COLUMNS) + 1)}\n"
        + "\n".join(rows)
        + f"\n\n![CPU of a scan beside its floor, {engine}]({picture})"
    )


_SCAN_COLUMNS: Columns = (*_LATENCY, *_CPU, ("stub_us", "wallet stub CPU µs", 0), ("load_us", "load CPU µs", 0))


def _table(found: Found, title: str, part: str, columns: Columns, note: str) -> str:
    rows = []
    used = [column for column in columns if any(_any(found, part, engine, column[0]) for engine in ENGINES)]
    for engine in ENGINES:
        for case in found.cases(part, engine):
            cells = [_text(found.value(part, engine, case, name), digits) for name, _, digits in used]
            rows.append(f"| {engine} | {case} | {' | '.join(cells)} |")
    titles = " | ".join(title for _, title, _ in used)
    return f"## {title}\n\n{note}\n\n| | | {titles} |\n| --- | --- |{' ---: |' * len(used)}\n" + "\n".join(rows)


def _any(found: Found, part: str, engine: str, name: str) -> bool:
    return any(found.value(part, engine, case, name) is not None for case in found.cases(part, engine))


def _both_us(found: Found, part: str, engine: str, case: str) -> float:
    """The gateway's CPU and the database's own."""
    return sum(found.value(part, engine, case, name) or 0.0 for name in ("gateway_us", "database_us"))


def _scan_picture(found: Found, engine: str) -> str:
    rows = [("floor", found.value("floor", engine, "floor", "scan_us") or 0.0, "floor")]
    rows += [(case, _both_us(found, "scan", engine, case), "gateway") for case in found.cases("scan", engine)]
    return bars(f"CPU per scan, {engine}", rows)


def _growth_picture(found: Found) -> str:
    rows = [
        (f"{engine}, {case}", _both_us(found, "growth", engine, case), "floor" if "empty" in case else "gateway")
        for engine in (SQLITE, POSTGRES)
        for case in found.cases("growth", engine)
        if _both_us(found, "growth", engine, case)
    ]
    return bars("CPU per call beside a year of orders", rows)


def _text(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
