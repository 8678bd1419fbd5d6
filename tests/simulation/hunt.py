"""`make simulate-bugs`: every planted bug must be caught by the auditor, or the auditor is blind somewhere."""

import argparse
import sys
import time

import msgspec

from tests.simulation.bugs import BUGS, BY_NAME
from tests.simulation.ground import Ground, ground
from tests.simulation.planting import Bug, planted, prepare
from tests.simulation.scenario import scenario_of
from tests.simulation.world import CRASHED, run_world

WORLDS = 60
"""Lived through at most for one bug."""


class Catch(msgspec.Struct, frozen=True, kw_only=True):
    """By which rules, in which world, and after how many worlds and orders since the first."""

    rules: tuple[str, ...]
    seed: int
    worlds: int
    orders: int
    text: str


def hunt(on: Ground, bug: Bug, *, worlds: int = WORLDS, first: int = 1) -> Catch | None:
    """Live through worlds with the bug inside until the auditor says that one is broken. None: it never did."""
    orders = 0
    with planted(bug):
        for seed in range(first, first + worlds):
            report = run_world(on, scenario_of(seed))
            orders += report.orders
            found = [each for each in report.broken if each.rule not in CRASHED]
            if found:
                return Catch(
                    rules=tuple(dict.fromkeys(each.rule for each in found)),
                    seed=seed,
                    worlds=seed - first + 1,
                    orders=orders,
                    text=found[0].text,
                )
    return None


def main() -> int:
    """The exit code: 0 when every bug was caught."""
    options = _options()
    chosen = [bug for bug in BUGS if options.bug in ("", bug.name)]
    prepare(chosen)
    caught = 0
    started = time.monotonic()
    with ground() as on:
        for number, bug in enumerate(chosen, 1):
            catch = hunt(on, bug, worlds=options.worlds, first=options.first)
            caught += catch is not None
            print(f"{number:2}/{len(chosen)} {bug.name:32} {_said(catch, options.worlds)}", flush=True)
            if options.bug:
                print(f"{bug.breaks}\n{catch.text if catch else ''}")
    print(f"{time.monotonic() - started:.0f} s")
    print(f"{caught}/{len(chosen)} planted bugs caught")
    return 0 if caught == len(chosen) > 0 else 1


def _said(catch: Catch | None, worlds: int) -> str:
    if catch is None:
        return f"NOT CAUGHT in {worlds} worlds"
    return f"caught by {', '.join(catch.rules):40} world {catch.seed}, after {catch.orders} orders"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate-bugs")
    parser.add_argument("--worlds", type=int, default=WORLDS)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--bug", choices=["", *BY_NAME], default="")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
