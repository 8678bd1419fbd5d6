"""`docs/faults.md` and its Chinese edition, from the table and the words in `words.toml`."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.faults.cells import OPERATIONS, WALLETS, Cell, faults_of
from tests.faults.play import Seen

DOCS = Path(__file__).parents[2] / "docs"
_EDITIONS = {"en": DOCS / "faults.md", "zh": DOCS / "faults.zh-CN.md"}
_WORDS = Path(__file__).with_name("words.toml")
_NOTICE = "<!-- Written by `make faults` from a run of `tests/faults`. Change those, not this file. -->"


def documents(table: Mapping[Cell, Seen]) -> dict[Path, str]:
    """Path and text of both editions. Raises KeyError for what has no words yet."""
    words = tomllib.loads(_WORDS.read_text("utf-8"))
    return {path: _page(table, words[language]) for language, path in _EDITIONS.items()}


def _page(table: Mapping[Cell, Seen], words: Mapping[str, Any]) -> str:
    parts = [f"# {words['title']}", _NOTICE, words["introduction"].strip()]
    for operation in OPERATIONS:
        section = words["operations"][operation]
        parts += [f"## {section['title']}", section["text"].strip(), _section(table, words, operation)]
    parts += [f"## {words['legend']['title']}", _legend(words)]
    return "\n\n".join(parts) + "\n"


def _section(table: Mapping[Cell, Seen], words: Mapping[str, Any], operation: str) -> str:
    named = words["heads"]
    heads = [named["fault"]]
    for wallet in WALLETS.values():
        heads += [f"{words['wallets'][wallet]}: {named['told']}", named["after"], named["end"]]
    rows = [_row(table, words, operation, fault) for fault in faults_of(operation)]
    return _table(heads, rows)


def _row(table: Mapping[Cell, Seen], words: Mapping[str, Any], operation: str, fault: str) -> list[str]:
    cells = [f"`{fault}`"]
    for channel in WALLETS:
        seen = table.get(Cell(operation, fault, channel))
        if seen is None:
            cells += ["", "", ""]
        else:
            cells += [words["told"][seen.told], _state(words, seen.after), _state(words, seen.end)]
    return cells


def _state(words: Mapping[str, Any], text: str) -> str:
    return str(words["comma"]).join(words["states"][word] for word in text.split(", "))


def _legend(words: Mapping[str, Any]) -> str:
    faults = {fault: None for operation in OPERATIONS for fault in faults_of(operation)}
    return _table(
        [words["heads"]["fault"], words["legend"]["meaning"]],
        [[f"`{fault}`", words["faults"][fault]] for fault in faults],
    )


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    first = list(heads)
    lines = [first, ["---"] * len(first), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
