"""Places at the wallets: a wallet that answers slowly must fill neither the gateway nor the other wallet's places."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from opentill.base.errors import GatewayError

PER_WALLET = 256
"""Orders that one process opens at one wallet at the same time: half of the calls it handles by default, so that the
other wallet's always find room; four times the connections there, so that a healthy wallet turns a rush into a wait."""


class WalletPlaces:
    """Who opens an order takes a place before its number is recorded, so that a refusal has done nothing."""

    def __init__(self, per_wallet: int = PER_WALLET) -> None:
        self._per_wallet = per_wallet
        self._taken: Counter[int] = Counter()

    @contextmanager
    def taken(self, channel: int) -> Iterator[None]:
        """Hold a place at the wallet. Raises BUSY: all are taken."""
        if self._taken[channel] >= self._per_wallet:
            raise GatewayError("BUSY", note=f"{self._per_wallet} orders are being opened at channel {channel}")
        self._taken[channel] += 1
        try:
            yield
        finally:
            self._taken[channel] -= 1
