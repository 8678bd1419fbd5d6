"""The pages' texts: every file in every language, with the same keys, places to fill and sections; none missing."""

import re
from pathlib import Path

import pytest

from opentill.web import pages
from opentill.web.console.app import NAV
from opentill.web.pages import CHINESE, LANGUAGES, all_texts, read_texts

FOLDER = Path(pages.__file__).parent
NAMES = sorted({path.name.removesuffix(".zh.toml") for path in (FOLDER / "texts").glob("*.zh.toml")})
TEMPLATES = sorted(FOLDER.glob("templates/**/*.html"))
METHODS = ("get", "items", "keys")
PLACES = re.compile(r"\{\w*\}")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_file_of_texts_says_the_same_in_every_language(name: str, language: str) -> None:
    chinese, texts = read_texts(f"{name}.{CHINESE}"), read_texts(f"{name}.{language}")

    assert {section: list(each) for section, each in texts.items()} == {
        section: list(each) for section, each in chinese.items()
    }
    for section, each in texts.items():
        for key, text in each.items():
            assert bool(text.strip()) is bool(chinese[section][key].strip()), (section, key)
            assert set(PLACES.findall(text)) == set(PLACES.findall(chinese[section][key])), (section, key)


def test_every_file_has_all_languages() -> None:
    files = {path.name for path in (FOLDER / "texts").glob("*.*.toml")}

    assert files == {f"{name}.{language}.toml" for name in NAMES for language in LANGUAGES}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(FOLDER / "templates")))
def test_a_template_names_texts_that_exist(template: Path) -> None:
    texts = all_texts(CHINESE)
    source = template.read_text(encoding="utf-8")

    named = re.findall(r"""\bt\.(\w+)(?:\.(\w+)|\["([^"]+)"\])""", source)

    missing = [(section, key or item) for section, key, item in named if (key or item) not in texts.get(section, {})]
    assert [each for each in missing if each[1] not in METHODS and not each[1].endswith("_")] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(FOLDER / "templates")))
def test_a_text_is_not_taken_for_a_method_of_its_section(template: Path) -> None:
    """A section is a dict: `t.apps.copy` would be its method; such a key is written `t.apps["copy"]`."""
    named = re.findall(r"\bt\.\w+\.(\w+)\b(?!\()", template.read_text(encoding="utf-8"))

    assert [key for key in named if hasattr(dict, key)] == []


def test_the_navigation_has_a_label_for_every_group() -> None:
    for language in LANGUAGES:
        assert {f"nav_{group}" for group, _ in NAV} <= all_texts(language)["console"].keys()
