"""What every page has to be: readable for machines that read aloud (axe), as wide as the screen, without an error.

    with visiting(browser, sandbox) as visit:
        sign_in(visit, sandbox, language=language)
        check(visit, "/console/users")

`visiting` itself fails on a console error and on a request to another host.
"""

from collections.abc import Mapping
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, ViewportSize

from tests.browser.sandbox import DESKTOP, PHONE, Visit

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
# Both layouts, both themes.
LOOKS: Mapping[str, tuple[ViewportSize, Literal["light", "dark"]]] = {
    "phone, light": ({"width": PHONE["width"], "height": PHONE["height"]}, "light"),
    "desktop, dark": ({"width": DESKTOP["width"], "height": DESKTOP["height"]}, "dark"),
}

_AXE = Axe()


def check(visit: Visit, path: str = "") -> None:
    """Open a page (or stay on the one that is open) and check it on a phone in light and a desktop in dark."""
    before = visit.page.viewport_size
    for look, (viewport, scheme) in LOOKS.items():
        visit.page.set_viewport_size(viewport)
        # Colours change at once, so that none is measured on its way.
        visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        if path:
            visit.open(path)
        where = f"{visit.page.url}, {look}"
        found = violations(visit.page)
        assert found == [], f"{where}: {found}"
        assert not is_too_wide(visit.page), f"scrolls sideways: {where}"
    visit.page.emulate_media(color_scheme="light")
    if before:
        visit.page.set_viewport_size(before)


def violations(page: Page) -> list[str]:
    """What axe finds against WCAG A and AA: the rule, and where."""
    found: list[dict[str, Any]] = _AXE.run(page, options=RULES).response["violations"]
    return [
        f"{each['id']}: {each['help']} at {[node['target'] for node in each['nodes']][:5]}"
        f" {[node['any'][:1] and node['any'][0]['message'] for node in each['nodes']][:2]}"
        for each in found
    ]


def is_too_wide(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))
