"""What the documents point to exists: pages, headings, commands, options, make targets, settings, rules."""

import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import pytest

from opentill.base.config import Settings
from opentill.cli.reference_markdown import anchor
from opentill.cli.reference_tables import shell_commands, shown_options, variable
from opentill.commands.registry import load_commands
from opentill.domain.parties import AppRules
from opentill.domain.rules import RULES
from tests.docs.pages import DOCS, ROOT, code_blocks, headings, links, name, pages

PAGES = pages()
SHELL = dict(shell_commands())
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
# Made by make, not phony: what a server without tests needs.
TARGETS |= set(re.findall(r"^(\.venv/[\w.-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))

# At the start of a line or of a command inside it, maybe with its folder.
_OPENTILL = re.compile(r"(?:^|[;(]|&&|=/\S*/)\s*(opentill(?: [^\s`|;&)]+)+)", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_link_leads_somewhere(page: Path) -> None:
    dead = [link for link in links(page.read_text("utf-8")) if not is_alive(page, link)]

    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_command_in_a_document_exists_with_its_options(page: Path) -> None:
    text = page.read_text("utf-8").replace("\\\n", "")

    wrong = [found for found in _OPENTILL.findall(commands_in(text)) if not is_command(found)]

    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_make_target_in_a_document_exists(page: Path) -> None:
    mentioned = re.findall(r"(?:^|`)make ([\w./-]+)", page.read_text("utf-8"), re.MULTILINE)

    assert set(mentioned) - TARGETS == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_setting_in_a_document_exists(page: Path) -> None:
    mentioned = set(re.findall(r"OPENTILL_[A-Z_]+", page.read_text("utf-8")))

    assert mentioned - {variable(setting) for setting in Settings.model_fields} == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_file_or_folder_named_in_a_document_exists(page: Path) -> None:
    mentioned = re.findall(r"`((?:src|docs|bin|requirements|tests)/[\w./-]*)`", page.read_text("utf-8"))

    assert [path for path in mentioned if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_readme_names_every_interface_and_no_other(readme: str) -> None:
    row = next(line for line in (ROOT / readme).read_text("utf-8").splitlines() if "`open.pay.scan`" in line)

    assert set(re.findall(r"`(open\.pay\.\w+)`", row)) == set(load_commands())


def test_every_rule_of_an_integrator_is_explained_and_no_other() -> None:
    assert set(RULES) == set(AppRules.__struct_fields__)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_rule_that_a_document_sets_exists_and_has_a_possible_value(page: Path) -> None:
    given = re.findall(rf"\b({'|'.join(AppRules.__struct_fields__)})=([^` ]+)", page.read_text("utf-8"))

    for rule, value in given:
        typed = value if value[0] not in '["0123456789tf' else msgspec.json.decode(value)
        msgspec.convert({rule: typed}, AppRules)


@pytest.mark.parametrize("english", ["README.md", "docs/quickstart.md"])
def test_both_languages_show_the_same_code(english: str) -> None:
    chinese = english.replace(".md", ".zh-CN.md")

    blocks = [code_of(path) for path in (english, chinese)]

    assert blocks[0] == blocks[1]


def test_every_decision_has_its_four_parts() -> None:
    for page in (DOCS / "decisions").glob("*.md"):
        parts = re.findall(r"^\*\*(\w+)\.\*\*", page.read_text("utf-8"), re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequences", "Alternatives"], page.name


@pytest.mark.parametrize("page", PAGES, ids=name)
@pytest.mark.parametrize(
    "unwanted",
    [
        pytest.param(r"(?<!\w)#\d+", id="numbers of discussions elsewhere"),
        pytest.param(
            r"(?i)pypi|pythonhosted|npmjs|rubygems|crates\.io|docker\.io|ghcr\.io|jsdelivr|unpkg", id="registries"
        ),
        pytest.param(r"\bAI\b|(?i:\bLLM|language model|copilot|chatbot|人工智能|大模型)", id="tools of writing"),
        pytest.param(r"(?i)\bTODO\b|\bFIXME\b|\bTBD\b|lorem ipsum", id="unfinished"),
        pytest.param(r"/work/|/tmp/|localhost:\d", id="places of one machine"),
    ],
)
def test_a_document_speaks_of_the_project_only(page: Path, unwanted: str) -> None:
    assert re.findall(unwanted, page.read_text("utf-8")) == []


def is_alive(page: Path, link: str) -> bool:
    parts = urlsplit(link)
    if parts.scheme:
        return parts.scheme == "https" and bool(parts.netloc)
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    if not parts.fragment:
        return True
    return unquote(parts.fragment) in {anchor(heading) for heading in headings(target.read_text("utf-8"))}


def commands_in(text: str) -> str:
    """What a reader would type: shell blocks, service files and inline code."""
    blocks = [block for language, block in code_blocks(text) if language in ("sh", "ini", "text")]
    return "\n".join([*blocks, *re.findall(r"`(opentill [^`\n]+)`", text)])


def is_command(found: str) -> bool:
    words = shlex.split(found)
    for length in range(len(words), 0, -1):
        command = SHELL.get(" ".join(words[:length]))
        if command is not None:
            return set(options_of(words[length:])) <= known_options(command)
    # A group of commands may be named too: `opentill admin`.
    return any(words_of_command.startswith(" ".join(words) + " ") for words_of_command in SHELL)


def options_of(words: list[str]) -> list[str]:
    return [word for word in words if word.startswith("--")]


def known_options(command: Any) -> set[str]:
    return {"--help"} | {text for option in shown_options(command) for text in option.opts}


def code_of(path: str) -> list[tuple[str, str]]:
    """Code without the names of people and shops, which are in the reader's language."""
    text = (ROOT / path).read_text("utf-8")
    return [
        (language, re.sub(r'<[^>]*>|"[A-Z][^"$]*"|[\u4e00-\u9fff]+', "…", block))
        for language, block in code_blocks(text)
    ]
