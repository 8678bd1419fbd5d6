"""`python -m tests.screenshots [NAME ...]`: takes the pictures into docs/images, all or those named."""

import asyncio
import itertools
import sys
from collections.abc import Mapping
from pathlib import Path

from playwright.async_api import Browser, ViewportSize, async_playwright

from opentill.domain.people import Role
from opentill.services import devices
from opentill.services.devices import Actor
from opentill.web.cashier.door import DEVICE_COOKIE
from opentill.web.console.cookies import Cookies
from tests.browser.sandbox import CHROMIUM, CHROMIUM_ARGS, DESKTOP, PHONE
from tests.databases import stop_servers
from tests.screenshots.png import smaller
from tests.screenshots.scenes import SCENES, Camera, Scene, prepared
from tests.screenshots.week import CoffeeShop, lived_week
from tests.web.console.kit import Console

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LANGUAGES = ("zh", "en")


async def take(names: list[str]) -> None:
    """Raises AssertionError when a page is not there, or something in it went wrong."""
    async with lived_week() as shop, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_ARGS))
        try:
            cookies = await _signed_in(shop)
            for name, language in itertools.product(names, LANGUAGES):
                scene = SCENES[name]
                for suffix, viewport, scheme in _shots(scene):
                    path = IMAGES / f"{name}-{language}{suffix}.png"
                    path.write_bytes(await _shot(browser, shop, cookies, scene, language, viewport, scheme))
                    sys.stdout.write(f"{path.name} {path.stat().st_size // 1024} KB\n")
                    sys.stdout.flush()
        finally:
            await browser.close()


def _shots(scene: Scene) -> list[tuple[str, ViewportSize, str]]:
    """What stands behind the language in the file's name, the window, and light or dark."""
    wide, narrow = (ViewportSize(width=each["width"], height=each["height"]) for each in (DESKTOP, PHONE))
    found = [("", wide, "light")] if scene.is_wide else []
    if scene.is_narrow:
        # A scene that is only taken narrow needs no word for it.
        found.append(("-phone" if scene.is_wide else "", narrow, "light"))
    if scene.is_dark:
        found.append(("-dark", wide, "dark"))
    return found


async def _shot(
    browser: Browser,
    shop: CoffeeShop,
    cookies: Mapping[str, tuple[str, str]],
    scene: Scene,
    language: str,
    viewport: ViewportSize,
    scheme: str,
) -> bytes:
    context = await browser.new_context(
        viewport=viewport,
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
        timezone_id="Asia/Shanghai",
        device_scale_factor=2 if viewport["width"] < 600 else 1,
    )
    problems: list[str] = []
    context.on("weberror", lambda error: problems.append(str(error.error)))
    try:
        page = await prepared(context, shop, cookies)
        await scene.bring(Camera(shop, page, language))
        await page.evaluate("document.activeElement?.blur()")
        await page.wait_for_timeout(300)
        picture = await page.screenshot()
        assert problems == [], problems
        return await smaller(await context.new_page(), picture)
    finally:
        await context.close()


async def _signed_in(shop: CoffeeShop) -> dict[str, tuple[str, str]]:
    """The owner's session and a paired device, as cookies: path and value by name."""
    world = shop.world
    console = Console(world, Cookies(world.deployment))
    await console.user_of(Role.OWNER, login="chen")
    await world.change("UPDATE users SET name = '陈晓 Chen Xiao'")
    device_id = await devices.add(
        world.deployment, merchant_id=1, store_id=1, name="前台 Front desk", actor=Actor("chen")
    )
    offered = await devices.offer_code(world.deployment, device_id, actor=Actor("chen"))
    return {
        console.cookies.session_name: ("/", await console.token_of(Role.OWNER)),
        DEVICE_COOKIE: ("/cashier/", await devices.pair(world.deployment, offered.code, source_ip="")),
    }


def main(names: list[str]) -> int:
    """Returns the exit code."""
    unknown = sorted(set(names) - set(SCENES))
    if unknown:
        sys.stderr.write(f"no such picture: {', '.join(unknown)}; there are {', '.join(SCENES)}\n")
        return 2
    IMAGES.mkdir(exist_ok=True)
    try:
        asyncio.run(take([name for name in SCENES if name in names or not names]))
    finally:
        stop_servers()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
