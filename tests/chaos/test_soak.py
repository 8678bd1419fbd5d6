"""The judgement over a soak."""

from xml.etree import ElementTree

import pytest

from tests.chaos.soak import MAX_GROWTH, Sample, judge, svg

MINUTE_S = 60.0


def soaked(*mib: float) -> list[Sample]:
    """Ten samples for each level of memory, one a minute."""
    levels = [level for level in mib for _ in range(10)]
    return [Sample(place * MINUTE_S, round(level * 1024), place) for place, level in enumerate(levels)]


@pytest.mark.parametrize(
    ("mib", "is_flat"),
    [
        ((60, 100, 100, 100), True),
        ((60, 100, 100, 100 * (1 + MAX_GROWTH)), True),
        ((60, 100, 105, 100 * (1 + MAX_GROWTH) + 1), False),
        ((60, 100, 200, 100), True),
    ],
    ids=["flat", "at the edge", "past it", "a peak that goes away"],
)
def test_memory_is_flat_when_the_end_is_like_the_time_after_warming_up(mib: tuple[float, ...], is_flat: bool) -> None:
    assert judge(soaked(*mib)).is_flat is is_flat


def test_a_page_cache_that_fills_is_no_leak_but_more_than_it_is() -> None:
    assert judge(soaked(60, 100, 140, 196), cache_kib=88 * 1024).is_flat
    assert not judge(soaked(60, 100, 140, 197), cache_kib=88 * 1024).is_flat


def test_the_picture_is_well_formed_and_says_how_much() -> None:
    picture = ElementTree.fromstring(svg(soaked(60, 100, 100, 100)))

    assert "120" in "".join(picture.itertext())
