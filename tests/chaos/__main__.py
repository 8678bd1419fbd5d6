"""`make chaos SEED=7 SECONDS=60 ENGINE=both`."""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence

from opentill.base import logs
from tests.chaos.checker import DOUBLED, LOST, WRONG
from tests.chaos.grounds import GROUNDS
from tests.chaos.run import Plan, Report, run

MAX_SHOWN = 20


def main() -> int:
    """The exit code: 0 when nothing was lost, doubled or wrong."""
    options = _options()
    engines = list(GROUNDS) if options.engine == "both" else [options.engine]
    logs.configure(level="warning")
    began = time.monotonic()
    plan = Plan(accidents_s=options.seconds)
    reports = []
    for engine in engines:

        def tell(text: str, engine: str = engine) -> None:
            print(f"{time.monotonic() - began:6.1f} s  {engine}: {text}", flush=True)

        reports.append(asyncio.run(run(engine, plan, seed=options.seed, tell=tell)))
    print(table(reports))
    for report in reports:
        for broken in report.verdict.broken[:MAX_SHOWN]:
            print(f"{report.engine}: {broken.kind}: order {broken.order_no}: {broken.text}")
        if report.folder is not None:
            print(f"{report.engine}: the data is kept in {report.folder}; again: make chaos SEED={options.seed}")
    print(figures(reports))
    return 0 if all(report.is_good for report in reports) else 1


def table(reports: Sequence[Report]) -> str:
    """What happened how often, per engine."""
    names = sorted({name for report in reports for name in report.accidents})
    rows = [(name, *(f"{report.accidents[name]:,}" for report in reports)) for name in names]
    rows += [
        ("orders asked for", *(f"{report.asked:,}" for report in reports)),
        ("orders in the database", *(f"{report.verdict.orders:,}" for report in reports)),
        ("paid at the wallets", *(f"{report.verdict.paid:,}" for report in reports)),
        ("of these flagged for a person", *(f"{report.verdict.flagged:,}" for report in reports)),
        ("merchants told", *(f"{report.verdict.notified:,}" for report in reports)),
        ("refunds", *(f"{report.verdict.refunds:,}" for report in reports)),
        ("calls answered busy", *(f"{report.calls['2']:,}" for report in reports)),
        ("calls without an answer", *(f"{report.calls['lost'] + report.calls['not sent']:,}" for report in reports)),
        ("a good merchant hears after", *(_waits(report) for report in reports)),
        ("disk full is", *(report.disk for report in reports)),
    ]
    heads = ("", *(report.engine for report in reports))
    widths = [max(len(row[place]) for row in [heads, *rows]) for place in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [heads, *rows]
    )


def figures(reports: Sequence[Report]) -> str:
    """The one line that says how it went."""
    faults = sum(report.accidents.total() for report in reports)
    orders = sum(report.verdict.orders for report in reports)
    recoveries = [second for report in reports for second in report.recoveries_s]
    lost, doubled, wrong = (sum(report.verdict.count(kind) for report in reports) for kind in (LOST, DOUBLED, WRONG))
    line = (
        f"{faults:,} faults injected, {orders:,} orders checked, recovery after kill -9: "
        f"median {statistics.median(recoveries):.1f} s, worst {max(recoveries):.1f} s, lost {lost}, doubled {doubled}"
    )
    return f"{line}, wrong {wrong}" if wrong else line


def _waits(report: Report) -> str:
    waits = report.heard_after_ms or [0]
    return f"median {statistics.median(waits):.0f} ms, worst {max(waits)} ms"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=55.0, help="Time under load and accidents, per engine.")
    parser.add_argument("--engine", choices=[*GROUNDS, "both"], default="both")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
