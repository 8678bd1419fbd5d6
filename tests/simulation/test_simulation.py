"""The whole world lives through seeds that are always the same, and through a few new ones for each new code."""

import hashlib
from pathlib import Path
from random import Random

import pytest

import opentill
from tests.simulation.ground import Ground
from tests.simulation.scenario import scenario_of
from tests.simulation.world import run_world

FIXED = range(1, 13)
"""make simulate lives through as many more as you like."""
NEW = 4


def _new_seeds() -> list[int]:
    """Drawn from the gateway's source: a change meets worlds that nobody has seen, the same ones wherever it runs."""
    sources = sorted(Path(opentill.__file__).parent.rglob("*.py"))
    chance = Random(hashlib.sha256(b"".join(path.read_bytes() for path in sources)).digest())
    return [chance.randrange(10**9) for _ in range(NEW)]


@pytest.mark.parametrize("seed", FIXED)
def test_nothing_is_broken_in_the_world_of(seed: int, on: Ground) -> None:
    report = run_world(on, scenario_of(seed))

    assert report.broken == (), f"make simulate SEED={seed}"


@pytest.mark.parametrize("place", range(NEW))
def test_nothing_is_broken_in_a_world_that_nobody_has_seen(place: int, on: Ground) -> None:
    seed = _new_seeds()[place]

    report = run_world(on, scenario_of(seed))

    assert report.broken == (), f"make simulate SEED={seed}"


@pytest.mark.parametrize("seed", [3, 5])
def test_nothing_is_broken_in_a_small_world_with_real_keys(seed: int, on: Ground) -> None:
    report = run_world(on, scenario_of(seed, orders=8), is_cheap=False)

    assert report.broken == ()


@pytest.mark.parametrize("is_cheap", [True, False], ids=["cheap keys", "real keys"])
def test_the_same_seed_is_the_same_world(is_cheap: bool, on: Ground) -> None:
    once = run_world(on, scenario_of(7, orders=8), is_cheap=is_cheap, tells=True)

    again = run_world(on, scenario_of(7, orders=8), is_cheap=is_cheap, tells=True)

    assert again == once
