"""`make simulate SEEDS=1000 FIRST=1`, or one world again with its story: `make simulate SEED=17`."""

import argparse
import sys
import time

from tests.simulation.ground import ground
from tests.simulation.scenario import scenario_of
from tests.simulation.world import Report, run_world

PROGRESS_EVERY_S = 5.0


def main() -> int:
    """The exit code: 0 when no invariant was broken."""
    options = _options()
    first, count = (options.seed, 1) if options.seed is not None else (options.first, options.seeds)
    broken = orders = 0
    started = told = time.monotonic()
    with ground() as on:
        for seed in range(first, first + count):
            report = run_world(on, scenario_of(seed), tells=options.seed is not None)
            orders += report.orders
            if report.broken:
                broken += 1
                _tell(seed, report)
            if options.seed is not None:
                print("\n".join(report.story))
            if time.monotonic() - told > PROGRESS_EVERY_S:
                told = time.monotonic()
                per_second = orders / (told - started)
                print(f"world {seed - first + 1} of {count}, {per_second:.0f} orders a second", flush=True)
    print(f"{count} worlds, {orders} orders, {broken} broken")
    return 1 if broken else 0


def _tell(seed: int, report: Report) -> None:
    print(f"Broken in world {seed}; see it again: make simulate SEED={seed}")
    for broken in report.broken:
        print(f"  {broken.rule}: order {broken.order_no}: {broken.text}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
