"""Pictures as SVG texts."""

from collections.abc import Sequence
from html import escape

_COLOURS = {"floor": "#9aa4b2", "gateway": "#2563eb"}
_ROW = 28
_NAMES = 220
_LONGEST = 400


def bars(title: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """Horizontal bars of microseconds: name, value, kind (`floor` or `gateway`)."""
    most = max((value for _, value, _ in rows), default=0.0) or 1.0
    drawn = []
    for number, (name, value, kind) in enumerate(rows):
        y, width = 14 + _ROW * number, value / most * _LONGEST
        drawn.append(
            f'<text x="{_NAMES - 10}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_NAMES}" y="{y}" width="{width:.0f}" height="18" rx="3" fill="{_COLOURS[kind]}"/>'
            f'<text x="{_NAMES + 8 + width:.0f}" y="{y + 13}">{value:.0f} µs</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_NAMES + _LONGEST + 100}" height="{_ROW * len(rows) + 20}" '
        f'font-family="sans-serif" font-size="12" fill="#64748b"><title>{escape(title)}</title>{"".join(drawn)}</svg>\n'
    )
