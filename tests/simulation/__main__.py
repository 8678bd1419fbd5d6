"""`make simulate SEEDS=1000 FIRST=1`; one world again, with its story: `make simulate SEED=17`; small: MINIMISE=1."""

import argparse
import multiprocessing
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial

import msgspec

from tests.simulation.bugs import BY_NAME
from tests.simulation.ground import Ground, ground
from tests.simulation.minimise import minimise, size_of
from tests.simulation.planting import planted
from tests.simulation.scenario import Scenario, scenario_of
from tests.simulation.world import Report, run_world

PROGRESS_EVERY_S = 5.0
STORIES = 3
"""Of at most so many orders the story is told."""
_EXCHANGE = re.compile(r"  (\[\d+\]) ")
_LOCAL = re.compile(r"local_order_no=(D\d+)&")
_FOR_ALL = (" starts", " crashes", " clears")


class Lived(msgspec.Struct, frozen=True):
    """A world that a process has lived through, and how much of a core it took."""

    report: Report
    cpu_s: float


def main() -> int:
    """The exit code: 0 when no invariant was broken."""
    options = _options()
    is_cheap = not options.rsa
    with ground() as on, planted(BY_NAME[options.bug]) if options.bug else nullcontext():
        if options.seed is not None:
            return _again(on, scenario_of(options.seed), is_minimised=options.minimise, is_cheap=is_cheap)
        live = partial(_lived, on, is_cheap)
        return _many(live, range(options.first, options.first + options.seeds), jobs=options.jobs)


def _lived(on: Ground, is_cheap: bool, seed: int) -> Lived:
    started = time.process_time()
    report = run_world(on, scenario_of(seed), is_cheap=is_cheap)
    return Lived(report, time.process_time() - started)


def _many(live: Callable[[int], Lived], seeds: Sequence[int], *, jobs: int) -> int:
    broken = orders = 0
    cpu_s = 0.0
    started = told = time.monotonic()
    for number, lived in enumerate(_results(live, seeds, jobs=jobs), 1):
        report = lived.report
        orders += report.orders
        cpu_s += lived.cpu_s
        if report.broken:
            broken += 1
            _tell_broken(report)
            print(f"Broken in world {report.seed}; again: make simulate SEED={report.seed}, made small: MINIMISE=1")
        if time.monotonic() - told > PROGRESS_EVERY_S:
            told = time.monotonic()
            print(f"world {number} of {len(seeds)}, {orders / (told - started):.0f} orders a second", flush=True)
    wall_s = time.monotonic() - started
    print(f"{wall_s:.0f} s, {orders / wall_s:.0f} orders a second; {orders / cpu_s:.0f} a second of one core's time")
    print(f"{len(seeds)} worlds, {orders} orders, {broken} broken")
    return 1 if broken else 0


def _results(live: Callable[[int], Lived], seeds: Sequence[int], *, jobs: int) -> Iterator[Lived]:
    """In the order of the seeds. Worlds are independent of each other, so every core lives through its own."""
    if jobs == 1:
        yield from map(live, seeds)
        return
    global _live
    _live = live
    # What is forked has the ground already; keys can't be sent.
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap(_live_here, seeds)


_live: Callable[[int], Lived]


def _live_here(seed: int) -> Lived:
    return _live(seed)


def _again(on: Ground, scenario: Scenario, *, is_minimised: bool, is_cheap: bool) -> int:
    report = run_world(on, scenario, is_cheap=is_cheap, tells=True)
    if report.broken and is_minimised:
        print(f"Before: {_sized(scenario)}", flush=True)
        rules = {each.rule for each in report.broken}

        def breaks(smaller: Scenario) -> bool:
            return any(each.rule in rules for each in run_world(on, smaller, is_cheap=is_cheap).broken)

        scenario = minimise(scenario, breaks=breaks)
        report = run_world(on, scenario, is_cheap=is_cheap, tells=True)
        print(f"After: {_sized(scenario)}\n{scenario}")
    _tell_story(report)
    _tell_broken(report)
    print(f"1 worlds, {report.orders} orders, {int(bool(report.broken))} broken")
    return 1 if report.broken else 0


def _tell_broken(report: Report) -> None:
    for broken in report.broken:
        print(f"  {broken.rule}: order {broken.order_no}: {broken.text}")


def _tell_story(report: Report) -> None:
    """Of the whole world when nothing is broken; else of the orders that are."""
    numbers = [number for number in dict.fromkeys(each.order_no[:30] for each in report.broken) if number]
    if not numbers:
        print("\n".join(report.story))
    for number in numbers[:STORIES]:
        print(f"The story of order {number} (minute:second of the world, what happened; [n]: one HTTP exchange)")
        print("\n".join(story_of(report, number)))


def story_of(report: Report, order_no: str) -> list[str]:
    """The lines that tell of one order: what names it, the exchanges that do, and what befell everybody."""
    exchanges = _exchanges(line for line in report.story if order_no in line)
    # Its till knows it by a number of its own.
    opened = [line for line in report.story if _exchange(line) in exchanges]
    local = {f"local_order_no={found[1]}&" for line in opened if (found := _LOCAL.search(line))}
    exchanges |= _exchanges(line for line in report.story if any(name in line for name in local))
    return [
        line
        for line in report.story
        if _exchange(line) in exchanges or order_no in line or line.endswith(_FOR_ALL) or "sleeps for" in line
    ]


def _exchange(line: str) -> str:
    found = _EXCHANGE.search(line)
    return found[1] if found else "none"


def _exchanges(lines: Iterable[str]) -> set[str]:
    return {_exchange(line) for line in lines} - {"none"}


def _sized(scenario: Scenario) -> str:
    return ", ".join(f"{count} {name}" for name, count in size_of(scenario).items())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--minimise", action="store_true")
    parser.add_argument("--rsa", action="store_true", help="real RSA keys instead of cheap ones")
    parser.add_argument("--bug", choices=["", *BY_NAME], default="", help="with this bug planted, to see it caught")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
