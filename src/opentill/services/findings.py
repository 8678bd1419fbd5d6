"""What `opentill doctor` examines and what it finds: the words that its checks share."""

import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from opentill.base.clock import Clock
from opentill.base.config import Settings
from opentill.base.sealing import Sealer
from opentill.channels.base import Channel
from opentill.storage.database import Database

DAY_MS = 86_400_000


class Level(StrEnum):
    """FAIL: money, promises or the service are at risk now. WARN: a person should look."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True):
    """One sentence about one thing. `remedy` says what to do and is empty when all is well."""

    check: str
    level: Level
    text: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What is examined. `sealer` is None when there is no usable master key.

    `days`: how far back orders are looked at; `is_whole`: all of them. `say` hears what is being done.
    """

    settings: Settings
    database: Database
    sealer: Sealer | None
    channels: Mapping[int, Channel[Any]]
    clock: Clock
    days: int = 7
    is_whole: bool = False
    free_bytes: Callable[[str], int] = lambda folder: shutil.disk_usage(folder).free
    say: Callable[[str], None] = lambda _: None


Check = Callable[[Patient], Awaitable[list[Finding]]]


def ok(check: str, text: str) -> Finding:
    return Finding(check, Level.OK, text)


def warn(check: str, text: str, remedy: str) -> Finding:
    return Finding(check, Level.WARN, text, remedy)


def fail(check: str, text: str, remedy: str) -> Finding:
    return Finding(check, Level.FAIL, text, remedy)


def span_text(milliseconds: int) -> str:
    """A length of time for people: `90 s`, `12 min`, `3 h`, `5 days`."""
    seconds = milliseconds // 1000
    for limit, size, unit in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86_400} days"
