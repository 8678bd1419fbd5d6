"""`make bench`: floors and the gateway in one run, in turns, medians over rounds; writes bench/REPORT.md.

`PARTS=scan,growth` runs some parts only, `ROUNDS=1` is quick.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import uvloop
from tests.databases import PostgresCluster

from bench import floor, growth, lives, report, scans, starts
from bench.keys import write_keys
from bench.stage import ENGINES, SQLITE, Sample, Stage

PARTS = ("floor", "scan", "latency", "operations", "notifications", "start", "processes", "merchants", "growth")
ONCE = ("processes", "merchants", "growth")
"""Long ones, whose own turns are rounds enough."""
LIMIT_S = 420
"""Of one part on one engine; what takes longer is left out, and the report says so."""
LIMITS_S = {"growth": 3_600}
"""Of parts that may take longer: ten million orders are not made in a minute."""
SERVER = {"shared_buffers": "512MB", "max_wal_size": "4GB"}
"""What one who reads the manual gives a server with gigabytes of memory."""


async def main() -> None:
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    samples: list[Sample] = []
    missing: list[str] = []
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="opentill-bench-") as folder:
        keys = Path(folder) / "keys.json"
        write_keys(keys)
        cluster = PostgresCluster(is_durable=True, more_settings=SERVER)
        cluster.start()
        try:
            stage = Stage(Path(folder), keys, cluster)
            for number, part, engine in _plan(options):
                minutes = (time.perf_counter() - started) / 60
                print(f"{minutes:5.1f} min  round {number} of {options.rounds}, {part}, {engine} ...", flush=True)
                limit_s = LIMITS_S.get(part, LIMIT_S)
                try:
                    async with asyncio.timeout(limit_s):
                        samples += await _works(stage, options)[part](engine)
                except TimeoutError:
                    missing.append(f"{part} on {engine} in round {number}: longer than {limit_s} s")
        finally:
            cluster.stop()
    command = f"make bench PARTS={','.join(options.parts)} ROUNDS={options.rounds} CALLS={options.calls}"
    (options.out / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(samples), indent=1))
    minutes = (time.perf_counter() - started) / 60
    path = report.write(samples, options.out, command=command, minutes=minutes, missing=missing)
    print(f"Written: {path}")


def _plan(options: argparse.Namespace) -> Iterator[tuple[int, str, str]]:
    """Round, part, engine: both engines one after the other, so that they meet the machine in the same mood."""
    for number in range(1, options.rounds + 1):
        for part in options.parts:
            if part in ONCE and number > 1:
                continue
            for engine in ENGINES:
                is_for_one = (part == "start" and engine != SQLITE) or (part == "processes" and engine == SQLITE)
                if not is_for_one:
                    yield number, part, engine


def _works(stage: Stage, options: argparse.Namespace) -> dict[str, Callable[[str], Awaitable[list[Sample]]]]:
    calls = options.calls

    async def floors(engine: str) -> list[Sample]:
        async with stage.database(engine) as url:
            found = await floor.measured(url, stage.keys, calls, lambda: stage.database_cpu_s(engine))
        values = {**msgspec.structs.asdict(found), "scan_us": found.scan_us, "notification_us": found.notification_us}
        return [Sample("floor", engine, "floor", values)]

    return {
        "floor": floors,
        "scan": lambda engine: scans.clients(stage, engine, calls),
        "latency": lambda engine: scans.half_load(stage, engine, calls),
        "operations": lambda engine: lives.operations(stage, engine, calls // 2),
        "notifications": lambda engine: lives.notifications(stage, engine, calls),
        "start": lambda _: starts.starts(calls // 2),
        "processes": lambda engine: scans.two_processes(stage, engine, calls),
        "merchants": lambda engine: scans.merchants(stage, engine, calls, options.merchants),
        "growth": lambda engine: growth.growth(stage, engine, calls, options.rows),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--parts", type=_parts, default=PARTS, help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--calls", type=int, default=2000, help="requests in one measurement")
    parser.add_argument("--rows", type=int, default=10_000_000, help="orders in the grown table")
    parser.add_argument("--merchants", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    return parser.parse_args()


def _parts(text: str) -> tuple[str, ...]:
    """The floor always comes along: without it there are no ratios."""
    chosen = {"floor", *(part.strip() for part in text.split(",") if part.strip())}
    if unknown := chosen - set(PARTS):
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(sorted(unknown))}")
    return PARTS if chosen == {"floor"} else tuple(part for part in PARTS if part in chosen)


if __name__ == "__main__":
    uvloop.run(main())
