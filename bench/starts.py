"""The sandbox: from an empty folder to the first QR code, the next start, memory at rest and under load."""

import asyncio
import tempfile
import time
from pathlib import Path

from bench import load, processes
from bench.scans import scans
from bench.stage import SQLITE, Sample

ROUNDS_OF_LOAD = 4


async def starts(calls: int) -> list[Sample]:
    with tempfile.TemporaryDirectory(prefix="opentill-bench-sandbox-") as folder:
        cold_s = await _first_qr_s(Path(folder))
        later_s = await _first_qr_s(Path(folder))
        memory = await _memory(Path(folder), calls)
    return [
        Sample("start", SQLITE, "empty folder to first QR code", {"seconds": cold_s}),
        Sample("start", SQLITE, "later start to first QR code", {"seconds": later_s}),
        Sample("memory", SQLITE, "whole sandbox", memory),
    ]


def _sandbox(port: int, folder: Path) -> list[str]:
    return ["-m", "opentill.cli.main", "sandbox", "--port", str(port), "--data", str(folder)]


async def _first_qr_s(folder: Path) -> float:
    port = processes.free_port()
    started = time.perf_counter()
    async with processes.running(_sandbox(port, folder), port=port):
        result = await load.run([port], scans(1), clients=1)
        assert not result.errors, result.errors
        return time.perf_counter() - started


async def _memory(folder: Path, calls: int) -> dict[str, float]:
    """MB at rest after the first order, and after each of some rounds of load."""
    port = processes.free_port()
    async with processes.running(_sandbox(port, folder), port=port) as process:
        await load.run([port], scans(1), clients=1)
        await asyncio.sleep(1)
        found = {"rest_mb": processes.rss_mb(process.pid)}
        for number in range(1, ROUNDS_OF_LOAD + 1):
            result = await load.run([port], scans(calls), clients=64)
            assert not result.errors, result.errors
            found[f"load{number}_mb"] = processes.rss_mb(process.pid)
        return found
