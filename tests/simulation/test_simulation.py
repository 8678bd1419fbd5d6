"""The whole world lives through seeds that are always the same, and a few new ones each time."""

import secrets
from collections.abc import Iterator

import pytest

from tests.simulation.ground import Ground, ground
from tests.simulation.scenario import scenario_of
from tests.simulation.world import run_world


@pytest.fixture(scope="module", name="on")
def _on() -> Iterator[Ground]:
    with ground() as made:
        yield made


@pytest.mark.parametrize("seed", range(1, 9))
def test_nothing_is_broken_in_the_world_of(seed: int, on: Ground) -> None:
    report = run_world(on, scenario_of(seed))

    assert report.broken == ()


def test_nothing_is_broken_in_a_world_that_nobody_has_seen(on: Ground) -> None:
    seed = secrets.randbelow(10**9)

    report = run_world(on, scenario_of(seed))

    assert report.broken == (), f"make simulate SEED={seed}"


def test_the_same_seed_is_the_same_world(on: Ground) -> None:
    once = run_world(on, scenario_of(7), tells=True)

    again = run_world(on, scenario_of(7), tells=True)

    assert again == once
