"""The event loop of the tests: real time, of which a test can let some pass at once.

Sockets are waited for by the loop's own time, not by a `Clock`. Where a wallet says nothing, the test need not wait as
long as the gateway does: the gateway's patience may be so long that no busy machine ever uses it up.
"""

import asyncio


class Loop(asyncio.SelectorEventLoop):
    """The usual loop, whose time can be moved on."""

    _skipped_s = 0.0

    def time(self) -> float:
        return super().time() + self._skipped_s

    def skip(self, seconds: float) -> None:
        """Let that much time pass at once: every time-out until then is due now."""
        self._skipped_s += seconds


def skip(seconds: float) -> None:
    """Let that much of the running test's real time pass at once."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    loop.skip(seconds)
