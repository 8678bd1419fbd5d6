"""The auditor bites: planted bugs are caught (`make simulate-bugs` plants all), and what it finds can be made small."""

import re
from pathlib import Path

import pytest

from opentill.services import orders
from tests.docs.pages import DOCS
from tests.simulation.__main__ import story_of
from tests.simulation.bugs import BUGS, BY_NAME
from tests.simulation.ground import Ground
from tests.simulation.hunt import hunt
from tests.simulation.minimise import minimise, size_of
from tests.simulation.planting import Bug, NotPlanted, Swap, planted, prepare
from tests.simulation.scenario import Scenario, scenario_of
from tests.simulation.world import CRASHED, run_world

# Caught in the first world or two; the rest need more.
QUICK = (
    "unknown-is-failed",
    "asked-once",
    "surplus-is-dropped",
    "new-number-on-retry",
    "any-answer-is-success",
    "number-used-again",
    "refund-is-not-counted",
)


def test_there_are_at_least_twenty_bugs_with_names_of_their_own_that_can_be_planted_today() -> None:
    prepare(BUGS)

    assert len(BY_NAME) == len(BUGS) >= 20


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_caught(name: str, on: Ground) -> None:
    catch = hunt(on, BY_NAME[name], worlds=8)

    assert catch is not None


def test_a_bug_is_gone_when_it_is_pulled_out_again(on: Ground) -> None:
    with planted(BY_NAME["unknown-is-failed"]):
        broken = run_world(on, scenario_of(1)).broken

    assert broken != ()
    assert run_world(on, scenario_of(1)).broken == ()


def test_a_bug_whose_place_is_gone_is_not_planted_in_silence() -> None:
    bug = Bug(name="nowhere", breaks="nothing", swaps=(Swap(orders.find_order, "words that are not there", ""),))

    with pytest.raises(NotPlanted, match="0 times in"), planted(bug):
        pass


def test_a_broken_world_is_made_small_and_tells_the_story_of_its_order(on: Ground) -> None:
    scenario = scenario_of(1)

    def breaks(smaller: Scenario) -> bool:
        return any(each.rule == "ended" for each in run_world(on, smaller).broken)

    with planted(BY_NAME["unknown-is-failed"]):
        small = minimise(scenario, breaks=breaks, max_tries=120)
        report = run_world(on, small, tells=True)

    assert (len(scenario.deals), len(small.deals)) == (40, 1)
    story = story_of(report, report.broken[0].order_no)
    assert any("BROKEN ended" in line for line in story)
    assert any("WAITING -> FAILED" in line or "CREATED -> FAILED" in line for line in story)


@pytest.mark.parametrize(
    ("needed", "expected"),
    [({3}, [3]), ({0, 39}, [0, 39]), ({5, 6, 7}, [5, 6, 7]), (set(), [])],
)
def test_what_is_not_needed_to_break_a_world_is_left_out(needed: set[int], expected: list[int]) -> None:
    small = minimise(scenario_of(2), breaks=lambda smaller: needed <= {deal.number for deal in smaller.deals})

    assert [deal.number for deal in small.deals] == expected
    assert size_of(small) == {"deals": len(expected), "acts": 0, "faults": 0, "processes": 1}


def test_a_world_that_breaks_only_as_it_is_stays_as_it_is() -> None:
    scenario = scenario_of(2)

    assert minimise(scenario, breaks=lambda _: False) == scenario


@pytest.mark.parametrize("page", ["simulation.md", "simulation.zh-CN.md"])
def test_every_bug_and_no_other_is_described(page: str) -> None:
    text = (DOCS / page).read_text()

    listed = re.findall(r"^\| `([a-z-]+-[a-z-]+)` \| ", text, re.MULTILINE)
    assert listed == [bug.name for bug in BUGS]
    assert f"{len(BUGS)}/{len(BUGS)} planted bugs caught" in text


def test_the_english_page_says_what_each_bug_breaks() -> None:
    text = (DOCS / "simulation.md").read_text()

    assert [bug.name for bug in BUGS if f"| `{bug.name}` | {bug.breaks} |" not in text] == []


@pytest.mark.parametrize("page", ["simulation.md", "simulation.zh-CN.md"])
def test_every_rule_and_no_other_is_described(page: str) -> None:
    names = ("agreement.py", "auditor.py", "hearing.py", "sums.py", "world.py")
    sources = [(Path(__file__).parent / name).read_text() for name in names]
    checked = {rule for text in sources for rule in re.findall(r'found\(\s*"([a-z ]+)"', text)}

    rows = re.findall(r"^\| (`[a-z ]+`(?:[,、] ?`[a-z ]+`)*) \| ", (DOCS / page).read_text(), re.MULTILINE)
    assert {rule for row in rows for rule in re.findall("`([a-z ]+)`", row)} == checked | CRASHED
