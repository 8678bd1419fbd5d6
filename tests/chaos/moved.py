"""`python -m tests.chaos.moved SHIFT_MS`: `opentill serve` on a machine whose clock is ahead."""

import sys

import uvloop

from opentill.base import logs
from opentill.base.clock import MovableClock
from opentill.cli.problems import read_settings
from opentill.cli.serve import serve_gateway
from opentill.cli.server import bind


def main() -> None:
    settings = read_settings()
    logs.configure(level=settings.log_level)
    clock = MovableClock(shift_ms=int(sys.argv[1]))
    uvloop.run(serve_gateway(settings, bind(settings.host, settings.port), clock=clock))


if __name__ == "__main__":
    main()
