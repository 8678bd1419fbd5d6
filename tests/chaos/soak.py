"""`make soak MINUTES=10`: constant load on one gateway, its memory over time as a table and an SVG, and a verdict."""

import argparse
import asyncio
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from opentill.base import logs
from opentill.storage import sqlite
from tests.chaos.grounds import GROUNDS
from tests.chaos.load import Load
from tests.chaos.scene import Scene

EVERY_S = 5.0
WARM_PART = 4
"""The first quarter fills caches, pools and prepared statements; memory is judged after it."""
MAX_GROWTH = 0.08
"""Of the memory after warming up: more is a leak."""
CACHES_KIB = {"postgresql": 0, "sqlite": sqlite.WRITER_CACHE_KIB + sqlite.READERS * sqlite.READER_CACHE_KIB}
SVG = "http://www.w3.org/2000/svg"
WIDTH, HEIGHT, MARGIN = 720, 260, 48


@dataclass(frozen=True)
class Sample:
    """Memory of the gateway's processes, KiB, so many seconds after the start; `orders` asked for so far."""

    at_s: float
    rss_kib: int
    orders: int


@dataclass(frozen=True)
class Verdict:
    """Medians of the memory in the second and in the last quarter."""

    warm_kib: float
    end_kib: float
    cache_kib: int
    """Page cache that the database library may still fill as the file grows."""

    @property
    def growth(self) -> float:
        return self.end_kib / self.warm_kib - 1

    @property
    def is_flat(self) -> bool:
        return self.end_kib <= self.warm_kib * (1 + MAX_GROWTH) + self.cache_kib


def main() -> int:
    """The exit code: 0 when memory stayed flat."""
    options = _options()
    logs.configure(level="warning")
    samples, answered = asyncio.run(soak(options.engine, minutes=options.minutes, rate=options.rate))
    options.svg.write_text(svg(samples), encoding="utf-8")
    verdict = judge(samples, cache_kib=CACHES_KIB[options.engine])
    orders = samples[-1].orders
    print(
        f"{options.minutes:g} minutes, {orders:,} orders, {answered:.1%} of calls answered, memory "
        f"{verdict.warm_kib / 1024:.1f} MiB after warming up, {verdict.end_kib / 1024:.1f} MiB at the end "
        f"({verdict.growth:+.1%}): {'flat' if verdict.is_flat else 'GROWING'}; {options.svg}"
    )
    return 0 if verdict.is_flat else 1


async def soak(engine: str, *, minutes: float, rate: float) -> tuple[list[Sample], float]:
    """Constant load; the samples, and which part of all calls was answered."""
    folder = Path(tempfile.mkdtemp(prefix="opentill-soak-", dir="/tmp"))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        ground = GROUNDS[engine](folder, is_small=False)
        scene = Scene(ground, folder, http, gateways=[[]])
        try:
            await asyncio.gather(scene.open(), scene.receivers.start(http))
            load = Load(http, scene.place, rate=rate, chance=random.Random(1))
            living = asyncio.create_task(load.run())
            samples = await _sampled(scene, load, seconds=minutes * 60)
            load.stop()
            await living
            return samples, 1 - (load.calls["lost"] + load.calls["not sent"]) / max(load.calls.total(), 1)
        finally:
            await scene.close()
            ground.close()
            shutil.rmtree(folder)


async def _sampled(scene: Scene, load: Load, *, seconds: float) -> list[Sample]:
    began = time.monotonic()
    samples: list[Sample] = []
    while (at_s := time.monotonic() - began) < seconds:
        samples.append(Sample(at_s, scene.gateways[0].rss_kib(), len(load.asked)))
        if len(samples) % 12 == 1:
            print(f"{at_s:6.0f} s  {samples[-1].rss_kib / 1024:6.1f} MiB  {samples[-1].orders:,} orders", flush=True)
        await asyncio.sleep(EVERY_S)
    return samples


def judge(samples: Sequence[Sample], *, cache_kib: int = 0) -> Verdict:
    """Memory after the warm part against memory at the end."""
    part = len(samples) // WARM_PART
    second, last = samples[part : 2 * part], samples[-part:]
    return Verdict(
        warm_kib=statistics.median(sample.rss_kib for sample in second),
        end_kib=statistics.median(sample.rss_kib for sample in last),
        cache_kib=cache_kib,
    )


def svg(samples: Sequence[Sample]) -> str:
    """Memory over time, from nothing to a little above the highest sample."""
    end_s = max(samples[-1].at_s, 1)
    top_mib = max(sample.rss_kib for sample in samples) / 1024 * 1.2
    points = " ".join(
        f"{MARGIN + sample.at_s / end_s * (WIDTH - 2 * MARGIN):.1f},"
        f"{HEIGHT - MARGIN - sample.rss_kib / 1024 / top_mib * (HEIGHT - 2 * MARGIN):.1f}"
        for sample in samples
    )
    left, right, floor = MARGIN, WIDTH - MARGIN, HEIGHT - MARGIN
    return f"""<svg xmlns="{SVG}" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>
<path d="M{left} {MARGIN}V{floor}H{right}" fill="none" stroke="#888"/>
<polyline points="{points}" fill="none" stroke="#1665c1" stroke-width="2"/>
<text x="{left}" y="{MARGIN - 16}">Memory of the gateway, MiB (top: {top_mib:.0f})</text>
<text x="{right}" y="{floor + 20}" text-anchor="end">{end_s / 60:.1f} min, {samples[-1].orders:,} orders</text>
</svg>
"""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=20.0, help="Orders a second.")
    parser.add_argument("--engine", choices=[*GROUNDS], default="postgresql")
    parser.add_argument("--svg", type=Path, default=Path("/tmp/opentill-soak.svg"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
