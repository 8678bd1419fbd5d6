"""Small pieces of Markdown for the generated documents."""

from collections.abc import Iterable, Sequence

ENGLISH = "en"
CHINESE = "zh"

_S = 1000
_UNITS = (("h", "小时", 3_600 * _S), ("min", "分", 60 * _S), ("s", "秒", _S))


def notice(sources: str) -> str:
    """The comment every generated document begins with."""
    return f"<!-- Written by `make docs` from {sources}. Change those, not this file. -->"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table without a final newline; a bar or a newline inside a cell does not break it."""
    lines = [_row(heads), "|" + "---|" * len(heads)]
    return "\n".join([*lines, *(_row(row) for row in rows)])


def code(text: str) -> str:
    """`text` as inline code; empty stays empty."""
    return f"`{text}`" if text else ""


def fence(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


def duration(ms: int, language: str) -> str:
    """90000 -> "1 min 30 s" or "1分30秒"."""
    parts = []
    for english, chinese, unit_ms in _UNITS:
        count, ms = divmod(ms, unit_ms)
        if count:
            parts.append(f"{count}{chinese}" if language == CHINESE else f"{count} {english}")
    return ("" if language == CHINESE else " ").join(parts)


def anchor(heading: str) -> str:
    """The link target a heading gets: lower case, blanks to hyphens, punctuation dropped."""
    kept = (character for character in heading.strip().lower() if character.isalnum() or character in " -_")
    return "".join(kept).replace(" ", "-")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
