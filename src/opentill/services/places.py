"""Places at the wallets: a wallet that answers slowly must fill neither the gateway nor the other wallet's places."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from opentill.base.errors import GatewayError

PER_WALLET = 256
"""Calls that wait for one wallet in one process at the same time, whatever they want of it: half of the calls that it
handles by default, so that the other wallet's always find room. At 0.3 s an answer they are 850 orders a second. The
worker has limits of its own."""


class WalletPlaces:
    """Who calls a wallet on somebody's behalf takes a place before anything is written, so that a refusal has done
    nothing."""

    def __init__(self, per_wallet: int = PER_WALLET) -> None:
        self._per_wallet = per_wallet
        self._taken: Counter[int] = Counter()

    def has_room(self, *channels: int) -> bool:
        return all(self._taken[channel] < self._per_wallet for channel in channels)

    @contextmanager
    def taken(self, *channels: int) -> Iterator[None]:
        """Hold a place at each of these wallets. Raises BUSY: all are taken."""
        if not self.has_room(*channels):
            raise GatewayError("BUSY", note=f"{self._per_wallet} calls wait for a wallet of {sorted(channels)}")
        self._taken.update(channels)
        try:
            yield
        finally:
            self._taken.subtract(channels)
