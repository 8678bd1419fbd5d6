"""Everything a running gateway holds, opened once (`cli/serve.py`) and passed down as an argument."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from opentill.base.clock import Clock
from opentill.base.config import Settings
from opentill.base.metrics import Metrics
from opentill.base.outbound import Outbound
from opentill.base.sealing import Sealer
from opentill.channels.base import Channel
from opentill.services.access import Parties
from opentill.services.places import WalletPlaces
from opentill.services.replies import ReplyLog
from opentill.storage.database import Database


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """`outbound` leads to merchants and is guarded; wallets have connections of their own inside `channels`.

    `public_base_url` is how people reach us, `callback_base_url` how wallets do: the same unless it is given (in the
    sandbox both are computed at start, never stored).
    """

    settings: Settings
    database: Database
    sealer: Sealer
    clock: Clock
    parties: Parties
    channels: Mapping[int, Channel[Any]]
    platform_key: rsa.RSAPrivateKey
    outbound: Outbound
    metrics: Metrics
    replies: ReplyLog
    public_base_url: str
    is_sandbox: bool
    callback_base_url: str = ""
    wallet_places: WalletPlaces = field(default_factory=WalletPlaces)

    def __post_init__(self) -> None:
        if not self.callback_base_url:
            object.__setattr__(self, "callback_base_url", self.public_base_url)

    @property
    def has_demo_pages(self) -> bool:
        return self.is_sandbox or self.settings.demo_pages

    def callback_url(self, channel: int, account_id: int) -> str:
        """Where the wallet tells us about trades of this account."""
        return f"{self.callback_base_url}/callbacks/{self.channels[channel].name}/{account_id}"
