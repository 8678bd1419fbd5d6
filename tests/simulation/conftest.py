"""Worlds share their ground: its keys take longer to make than a world to live."""

from collections.abc import Iterator

import pytest

from tests.simulation.ground import Ground, ground


@pytest.fixture(scope="session", name="on")
def _on() -> Iterator[Ground]:
    with ground() as made:
        yield made
