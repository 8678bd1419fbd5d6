"""The capacity model: its tables stand in the documents as it prints them, and it behaves as arithmetic should."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from bench.capacity import (
    DOCS,
    PAGES,
    PICTURE,
    RATES,
    SHORT_WAIT_MS,
    demand,
    filled,
    most_of_a_node,
    picture,
    read_figures,
    smallest_pool,
    wait_p99_ms,
)

FIGURES = read_figures()


@pytest.mark.parametrize("language", PAGES)
def test_the_tables_in_the_documents_are_what_the_model_says(language: str) -> None:
    page = (DOCS / PAGES[language]).read_text("utf-8")

    written = filled(page, language, FIGURES)

    assert written == page, "run `python -m bench.capacity --write`"


def test_the_picture_is_what_the_model_says() -> None:
    stored = (DOCS / PICTURE).read_text("utf-8")

    assert picture(FIGURES) == stored
    assert ElementTree.fromstring(stored).tag.endswith("svg")


@pytest.mark.parametrize("rate", RATES)
def test_what_a_rate_takes_follows_from_the_figures(rate: int) -> None:
    found = demand(FIGURES, rate)

    web_us = FIGURES.scan_us + FIGURES.callback_and_notification_us + FIGURES.queries * FIGURES.query_us
    assert found.web_cores - 1 < rate * web_us / 1e6 / FIGURES.utilisation <= found.web_cores
    assert found.wal_bytes_per_s == rate * FIGURES.wal_bytes
    assert found.database_cores <= found.nodes * FIGURES.cores_per_node
    assert found.connections <= found.nodes * FIGURES.connections_per_node
    assert found.writes_per_s <= found.nodes * FIGURES.writes_per_s_per_node
    assert (found.counters - 1) * FIGURES.per_counter < rate <= found.counters * FIGURES.per_counter


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"cores_per_node": 1}, "cores"),
        ({"wal_bytes_per_s_per_node": 1e6}, "wal"),
        ({"writes_per_s_per_node": 10_001}, "writes"),
        ({"connections_per_node": 2}, "connections"),
    ],
)
def test_what_is_scarcest_gives_way_first(change: dict[str, float], first: str) -> None:
    found = demand(replace(FIGURES, **change), 10_000)

    assert found.first == first
    assert found.nodes > demand(FIGURES, 10_000).nodes


def test_one_node_carries_that_much_and_no_more() -> None:
    most = most_of_a_node(FIGURES)

    assert (demand(FIGURES, most).nodes, demand(FIGURES, most + 100).nodes) == (1, 2)


def test_the_simulation_gives_the_same_answer_every_time() -> None:
    waits = {wait_p99_ms(FIGURES, 2) for _ in range(2)}

    assert len(waits) == 1
    assert waits != {wait_p99_ms(FIGURES, 2, seed=2)}


def test_the_smallest_pool_is_the_first_that_is_enough() -> None:
    pool = smallest_pool(FIGURES)

    assert wait_p99_ms(FIGURES, pool) <= SHORT_WAIT_MS
    assert pool == 1 or wait_p99_ms(FIGURES, pool - 1) > SHORT_WAIT_MS


def test_longer_commits_need_a_larger_pool() -> None:
    slow = replace(FIGURES, commit_time_us=20 * FIGURES.commit_time_us)

    assert smallest_pool(slow) > smallest_pool(FIGURES)
