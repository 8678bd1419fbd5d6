"""The demo page where the money is real: no key in it, and an order is followed by asking open.pay.query."""

from playwright.async_api import async_playwright, expect

from tests.browser.sandbox import CHROMIUM, CHROMIUM_ARGS
from tests.clients import TEST_OPERATOR
from tests.world import world

PATIENCE_MS = 20_000


async def test_an_integrators_own_order_is_followed_through_the_gateway() -> None:
    async with world(is_sandbox=False, demo_pages=True) as w, async_playwright() as playwright:
        till = await w.add_till()
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_ARGS))
        page = await chromium.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{w.base_url}/test/api/qrcode.htm")
        for name, value in {"app": till.app, "operator_id": TEST_OPERATOR, "key": till.key, "amount": "1880"}.items():
            await page.locator(f"#field-{name}").fill(value)
        await page.locator("#send").click()

        await w.pay(await page.locator(".qr-text").inner_text(timeout=PATIENCE_MS))

        await expect(page.locator(".money-sign.paid")).to_contain_text("¥18.80", timeout=PATIENCE_MS)
        assert not any("/test/api/status" in url or "/test/api/events" in url for url in asked)
        await chromium.close()
