"""What the gateway should reach, and whether this run found it there."""

import os
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from bench.growth import EMPTY
from bench.stage import ENGINES, POSTGRES, SQLITE

MET, MISSED, UNKNOWN = "met", "**missed**", "not measured"


class Measured(Protocol):
    """What was found, by part, engine and case."""

    def value(self, part: str, engine: str, case: str, name: str) -> float | None: ...

    def cases(self, part: str, engine: str) -> list[str]: ...


class Goal(msgspec.Struct, frozen=True):
    name: str
    wanted: str
    measured: str
    verdict: str
    why: str = ""


def goals(found: Measured) -> Iterator[Goal]:
    """Every goal with what was measured; `why` where it was missed."""
    for engine, limit in ((SQLITE, 1.35), (POSTGRES, 1.5)):
        yield _scan(found, engine, limit)
    for engine in ENGINES:
        p99_ms = found.value("latency", engine, "wallet answers in 0 ms", "p99_ms")
        yield _goal(f"latency added at half load, p99, {engine}", p99_ms, 10, "ms", _WHY_LATENCY)
    rest_mb = found.value("memory", SQLITE, "whole sandbox", "rest_mb")
    yield _goal("resident memory at rest, whole sandbox", rest_mb, 90, "MB", _WHY_MEMORY)
    yield _goal("resident memory flat under load, last load over first", _flat(found), 1.05, "×", _WHY_FLAT)
    for engine in ENGINES:
        for what in ("scan", "callback", "query"):
            name = f"{what} beside {_grown(found, engine)}, {engine}"
            yield _goal(name, _growth(found, engine, what), 1.2, "× CPU", _WHY_GROWTH)
    for engine in ENGINES:
        wait_ms = found.value("notifications", engine, "callback sent until notification there, half load", "p99_ms")
        yield _goal(f"callback to notification at half load, p99, {engine}", wait_ms, 50, "ms", _WHY_LATENCY)
    for engine in ENGINES:
        yield _goal(f"CPU of a notification, {engine}", _notification(found, engine), 1.5, "× floor", _WHY_NOTIFICATION)
    for engine in ENGINES:
        yield _goal(f"notifications beside 1% dead receivers, {engine}", _dead(found, engine), 1.1, "× CPU", _WHY_DEAD)
    yield _two_processes(found)
    for case, limit in (("empty folder to first QR code", 3.0), ("later start to first QR code", 1.5)):
        yield _goal(case, found.value("start", SQLITE, case, "seconds"), limit, "s", _WHY_START)


_WHY_SCAN = "what Python does around the floor: form, checks, order, wallet's request, log line, metrics, event loop"
_WHY_LATENCY = (
    "a request that comes alone costs more CPU than one of 64 (transactions of its own, caches gone cold), so that at "
    "this rate the event loop is busy most of the time and requests wait for each other"
)
_WHY_MEMORY = "modules of the gateway, the twin and the pages in one process"
_WHY_FLAT = "caches and arenas still filled up when the first load ended"
_WHY_GROWTH = "indexes of this size no longer fit into the caches"
_WHY_NOTIFICATION = (
    "what Python does around the floor: lease, tasks, the form and its line in the log, metrics, event loop"
)
_WHY_DEAD = "attempts at the silent receivers cost CPU and are counted on the others"
_WHY_START = "imports, and on a first start the keys of the twin's wallets and the migration"
_WHY_PROCESSES = "load generator and wallets share the cores with the gateway"


def _goal(name: str, value: float | None, limit: float, unit: str, why: str) -> Goal:
    """A value that should be at most `limit`."""
    wanted = f"at most {limit:g} {unit}"
    if value is None:
        return Goal(name, wanted, "", UNKNOWN)
    is_met = value <= limit
    over = "" if is_met else f", {(value / limit - 1) * 100:.0f} % over"
    return Goal(name, wanted, f"{value:.2f} {unit}{over}", MET if is_met else MISSED, "" if is_met else why)


def _scan(found: Measured, engine: str, limit: float) -> Goal:
    """The mean of both wallets at 64 clients."""
    floor_us = found.value("floor", engine, "floor", "scan_us")
    cases = [case for case in found.cases("scan", engine) if case.endswith(" 64 clients")]
    total_us = [_cpu_us(found, "scan", engine, case) for case in cases]
    ratio = sum(total_us) / len(total_us) / floor_us if floor_us and total_us else None
    return _goal(f"CPU of a scan, 64 clients, {engine}", ratio, limit, "× floor", _WHY_SCAN)


def _flat(found: Measured) -> float | None:
    return _ratio(lambda name: found.value("memory", SQLITE, "whole sandbox", name), "load4_mb", "load1_mb")


def _grown(found: Measured, engine: str) -> str:
    """How many orders were there, as the part says."""
    names = {case.partition(", ")[2] for case in found.cases("growth", engine)} - {EMPTY}
    return next(iter(names), "10,000,000 orders")


def _growth(found: Measured, engine: str, what: str) -> float | None:
    """CPU of the gateway and the database, over that beside empty tables."""
    empty_us, full_us = (
        _cpu_us(found, "growth", engine, f"{what}, {case}") for case in (EMPTY, _grown(found, engine))
    )  # fmt: skip
    return full_us / empty_us if empty_us and full_us else None


def _notification(found: Measured, engine: str) -> float | None:
    floor_us = found.value("floor", engine, "floor", "notification_us")
    total_us = _cpu_us(found, "notifications", engine, "all receivers answer")
    return total_us / floor_us if floor_us and total_us else None


def _dead(found: Measured, engine: str) -> float | None:
    cpu_us = [
        _cpu_us(found, "notifications", engine, case)
        for case in ("1% of the receivers never answer", "all receivers answer")
    ]
    return cpu_us[0] / cpu_us[1] if all(cpu_us) else None


def _two_processes(found: Measured) -> Goal:
    def rate(case: str) -> float | None:
        return found.value("processes", POSTGRES, case, "per_second")

    ratio = _ratio(rate, "2 gateway processes", "1 gateway processes")
    cores = os.cpu_count() or 1
    wanted = "at least 1.8 × one, where cores allow"
    if ratio is None:
        return Goal("two processes", wanted, "", UNKNOWN)
    if cores < 4:
        return Goal("two processes", wanted, f"{ratio:.2f} ×", f"{cores} cores do not allow it", _WHY_PROCESSES)
    is_met = ratio >= 1.8
    return Goal("two processes", wanted, f"{ratio:.2f} ×", MET if is_met else MISSED, "" if is_met else _WHY_PROCESSES)


def _cpu_us(found: Measured, part: str, engine: str, case: str) -> float:
    return sum(found.value(part, engine, case, name) or 0.0 for name in ("gateway_us", "database_us"))


def _ratio(value: Callable[[str], float | None], over: str, under: str) -> float | None:
    above, below = value(over), value(under)
    return above / below if above and below else None
