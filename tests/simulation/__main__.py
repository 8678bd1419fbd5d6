"""`make simulate SEEDS=1000 FIRST=1`; one world again, with its story: `make simulate SEED=17`; small: MINIMISE=1."""

import argparse
import re
import sys
import time

from tests.simulation.ground import Ground, ground
from tests.simulation.minimise import minimise, size_of
from tests.simulation.scenario import Scenario, scenario_of
from tests.simulation.world import Report, run_world

PROGRESS_EVERY_S = 5.0
STORIES = 3
"""Of at most so many orders the story is told."""
_EXCHANGE = re.compile(r"  (#\d+) ")


def main() -> int:
    """The exit code: 0 when no invariant was broken."""
    options = _options()
    is_real = options.rsa
    with ground() as on:
        if options.seed is not None:
            return _again(on, scenario_of(options.seed), is_minimised=options.minimise, is_cheap=not is_real)
        return _many(on, options.first, options.seeds, is_cheap=not is_real)


def _many(on: Ground, first: int, count: int, *, is_cheap: bool) -> int:
    broken = orders = 0
    started, told = time.monotonic(), time.monotonic()
    for seed in range(first, first + count):
        report = run_world(on, scenario_of(seed), is_cheap=is_cheap)
        orders += report.orders
        if report.broken:
            broken += 1
            print(f"Broken in world {seed}; see it again: make simulate SEED={seed}, made small: add MINIMISE=1")
            _tell_broken(report)
        if time.monotonic() - told > PROGRESS_EVERY_S:
            told = time.monotonic()
            per_second = orders / (told - started)
            print(f"world {seed - first + 1} of {count}, {per_second:.0f} orders a second", flush=True)
    print(f"{orders / (time.monotonic() - started):.0f} orders a second")
    print(f"{count} worlds, {orders} orders, {broken} broken")
    return 1 if broken else 0


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
        print(f"The story of order {number} (minute:second of the world, what happened; #n: one HTTP exchange)")
        print("\n".join(story_of(report, number)))


def story_of(report: Report, order_no: str) -> list[str]:
    """The lines that tell of one order: what names it, the exchanges that do, and what befell everybody."""
    named = [line for line in report.story if order_no in line]
    exchanges = {found[1] for line in named if (found := _EXCHANGE.search(line))}
    local = {found[1] for line in named if (found := re.search(r"local_order_no=(D\d+)\b", line))}

    def is_of_it(line: str) -> bool:
        exchange = _EXCHANGE.search(line)
        if exchange is not None and exchange[1] in exchanges:
            return True
        names_it = order_no in line or any(re.search(rf"local_order_no={name}\b", line) for name in local)
        return names_it or line.endswith((" starts", " crashes", "clears")) or "sleeps for" in line

    return [line for line in report.story if is_of_it(line)]


def _sized(scenario: Scenario) -> str:
    return ", ".join(f"{count} {name}" for name, count in size_of(scenario).items())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--minimise", action="store_true")
    parser.add_argument("--rsa", action="store_true", help="real RSA keys instead of cheap ones")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
