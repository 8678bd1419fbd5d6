"""The project's documents, read as text."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def pages() -> list[Path]:
    """Every document a reader may open. `docs/parts` is what the generated ones are made of."""
    below = [path for path in DOCS.rglob("*.md") if "parts" not in path.relative_to(DOCS).parts]
    return sorted([*ROOT.glob("*.md"), *below])


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code_blocks(text: str) -> list[tuple[str, str]]:
    """Language and content of every fenced block."""
    return _FENCE.findall(text)


def prose(text: str) -> str:
    """The text without its code."""
    return _INLINE_CODE.sub("", _FENCE.sub("", text))


def links(text: str) -> list[str]:
    return _LINK.findall(prose(text))


def headings(text: str) -> list[str]:
    return _HEADING.findall(_FENCE.sub("", text))
