"""Makes the scenario of a broken world small: fewer deals, faults, crashes and acts, as long as it still breaks."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from tests.simulation.network import Weather
from tests.simulation.scenario import Scenario

MAX_TRIES = 600
SHUFFLES = 3
"""In how many orders of events a smaller scenario is tried: without its fellows an order meets another fate."""


def minimise(scenario: Scenario, *, breaks: Callable[[Scenario], bool], max_tries: int = MAX_TRIES) -> Scenario:
    """The smallest scenario found that `breaks`; as given when none does."""
    tries = 0
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for candidate in _smaller(scenario):
            for shuffle in range(SHUFFLES):
                if tries == max_tries:
                    return scenario
                tries += 1
                shuffled = msgspec.structs.replace(candidate, shuffle=shuffle)
                if breaks(shuffled):
                    scenario, is_smaller = shuffled, True
                    break
            if is_smaller:
                break
    return scenario


def size_of(scenario: Scenario) -> dict[str, int]:
    """How much there is to read in a scenario."""
    return {
        "deals": len(scenario.deals),
        "acts": sum(len(deal.acts) for deal in scenario.deals),
        "faults": len(scenario.twin_faults) + len(scenario.droughts) + len(scenario.pauses) + len(scenario.jumps),
        "processes": len(scenario.processes),
    }


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    """Scenarios with something less, those with much less first."""
    for name in ("deals", "twin_faults", "coupons", "droughts", "pauses", "jumps"):
        for fewer in _parts(getattr(scenario, name)):
            yield _with(scenario, **{name: fewer})
    for name in ("steps_to_live", "database_unavailable", "database_unknown"):
        if getattr(scenario, name):
            yield _with(scenario, **{name: 0})
    if scenario.processes != ("both",):
        yield _with(scenario, processes=("both",))
    for name in Weather.__struct_fields__:
        if getattr(scenario.weather, name):
            yield _with(scenario, weather=msgspec.structs.replace(scenario.weather, **{name: 0}))
    for place, deal in enumerate(scenario.deals):
        for fewer in _parts(deal.acts):
            changed = msgspec.structs.replace(deal, acts=fewer)
            yield _with(scenario, deals=(*scenario.deals[:place], changed, *scenario.deals[place + 1 :]))


def _parts(items: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Without one half, without one quarter, ... without a single one."""
    step = (len(items) + 1) // 2
    while step:
        for start in range(0, len(items), step):
            yield items[:start] + items[start + step :]
        step = (step + 1) // 2 if step > 1 else 0


def _with(scenario: Scenario, **changes: Any) -> Scenario:
    return msgspec.structs.replace(scenario, **changes)
