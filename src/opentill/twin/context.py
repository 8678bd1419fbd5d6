"""What every part of the twin works with, put together once by `app.Twin`."""

from dataclasses import dataclass

from opentill.base.clock import MovableClock
from opentill.twin.books import Books
from opentill.twin.callbacks import Callbacks
from opentill.twin.downloads import Downloads
from opentill.twin.faults import Faults
from opentill.twin.merchants import Merchants
from opentill.twin.settling import Settling


@dataclass(frozen=True)
class Context:
    """The twin's parts. `base_url` is how others reach it, without a trailing slash.

    `refund_delay_ms` is how long WeChat Pay processes a refund.
    """

    books: Books
    callbacks: Callbacks
    clock: MovableClock
    downloads: Downloads
    faults: Faults
    merchants: Merchants
    settling: Settling
    base_url: str
    refund_delay_ms: int

    def now_ms(self) -> int:
        return self.clock.now_ms()
