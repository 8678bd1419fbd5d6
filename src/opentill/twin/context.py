"""What every part of the twin works with, put together once by `app.Twin`."""

from dataclasses import dataclass

from opentill.base.clock import MovableClock
from opentill.twin.books import Books
from opentill.twin.callbacks import Callbacks
from opentill.twin.merchants import Merchants


@dataclass(frozen=True)
class Context:
    """The twin's parts. `base_url` is how others reach it, without a trailing slash."""

    books: Books
    callbacks: Callbacks
    clock: MovableClock
    merchants: Merchants
    base_url: str

    def now_ms(self) -> int:
        return self.clock.now_ms()
