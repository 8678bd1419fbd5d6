"""The whole world lives through seeds that are always the same, and a few new ones each time."""

import secrets

import pytest

from tests.simulation.ground import Ground
from tests.simulation.scenario import scenario_of
from tests.simulation.world import run_world

FIXED = range(1, 13)
"""make simulate lives through as many more as you like."""
NEW = 4


@pytest.mark.parametrize("seed", FIXED)
def test_nothing_is_broken_in_the_world_of(seed: int, on: Ground) -> None:
    report = run_world(on, scenario_of(seed))

    assert report.broken == (), f"make simulate SEED={seed}"


@pytest.mark.parametrize("_", range(NEW))
def test_nothing_is_broken_in_a_world_that_nobody_has_seen(_: int, on: Ground) -> None:
    seed = secrets.randbelow(10**9)

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
