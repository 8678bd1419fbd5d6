"""Finds the wallets: every module of this folder with a `CHANNEL` is one (design 1.7)."""

import importlib
import pkgutil
from typing import Any

from opentill import channels
from opentill.base.clock import Clock
from opentill.base.config import Settings
from opentill.base.outbound import Outbound
from opentill.channels.base import Channel, Wire


def channel_classes() -> list[type[Channel[Any]]]:
    """The class of every wallet, in the order of their numbers."""
    modules = [
        importlib.import_module(f"{channels.__name__}.{found.name}")
        for found in pkgutil.iter_modules(channels.__path__)
    ]
    return sorted((module.CHANNEL for module in modules if hasattr(module, "CHANNEL")), key=lambda each: each.number)


def load_channels(settings: Settings, outbound: Outbound, clock: Clock) -> dict[int, Channel[Any]]:
    """Every wallet by its number, ready to be called at the addresses in the settings."""
    return {
        channel.number: channel(  # type: ignore[call-arg]  # a protocol says nothing of constructors
            Wire(
                outbound=outbound,
                base_url=getattr(settings, f"{channel.name}_base_url"),
                clock=clock,
                timeout_s=settings.wallet_timeout_s,
                oauth_base_url=getattr(settings, f"{channel.name}_oauth_base_url"),
                api_base_url=getattr(settings, f"{channel.name}_api_base_url", ""),
            )
        )
        for channel in channel_classes()
    }
