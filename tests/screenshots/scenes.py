"""What is on the pictures: each scene opens a page in a browser and brings it to the moment worth showing."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from playwright.async_api import BrowserContext, Page, expect

from tests.screenshots.week import CASHIERS, PIN, CoffeeShop

PATIENCE_MS = 20_000


@dataclass(frozen=True)
class Camera:
    """A browser window in one language, signed in to the console and to a till."""

    shop: CoffeeShop
    page: Page
    language: str

    @property
    def is_wide(self) -> bool:
        return bool(self.page.viewport_size and self.page.viewport_size["width"] > 1000)

    async def open(self, path: str) -> None:
        separator = "&" if "?" in path else "?"
        reply = await self.page.goto(f"{self.shop.world.base_url}{path}{separator}lang={self.language}")
        assert reply is not None
        assert reply.ok, f"{path} answered {reply.status}"

    async def at_the_till(self) -> None:
        """The amount screen of a free till."""
        await self.open("/cashier/")
        if await self.page.locator("[data-cashier]").count():
            await self.page.locator("[data-cashier]", has_text=CASHIERS[0][0]).click()
            await self.page.locator("#pin").fill(PIN)
            await self.page.locator("#enter").click()
        await expect(self.page.locator("#desk, #sale")).to_be_visible(timeout=PATIENCE_MS)
        if await self.page.locator("#sale").count():
            cancel = self.page.locator("#cancel")
            if await cancel.count():
                await cancel.click()
            await self.page.locator("[data-next]").last.click(timeout=PATIENCE_MS)
        await expect(self.page.locator("#desk")).to_be_visible(timeout=PATIENCE_MS)

    async def charge(self, amount: str, channel: int) -> str:
        """Type an amount and choose; what the code says."""
        for key in amount:
            await self.page.locator(f"#desk [data-key='{key}']").click()
        await self.page.locator(f"[data-channel='{channel}']").click()
        await expect(self.page.locator(".sale-qr")).to_be_visible(timeout=PATIENCE_MS)
        href = await self.page.locator("#phone").get_attribute("href") or ""
        return str(await self.page.evaluate("(href) => new URL(href, location).searchParams.get('qr')", href))


async def till_amount(camera: Camera) -> None:
    await camera.at_the_till()
    for key in "88.5":
        await camera.page.locator(f"#desk [data-key='{key}']").click()


async def till_code(camera: Camera) -> None:
    await camera.at_the_till()
    await camera.charge("88.5", 0)


async def till_paid(camera: Camera) -> None:
    await camera.at_the_till()
    await camera.shop.world.pay(await camera.charge("88.5", 2))
    await expect(camera.page.locator(".sale-body.paid")).to_be_visible(timeout=PATIENCE_MS)


async def dashboard(camera: Camera) -> None:
    await camera.open("/console/dashboard")


async def orders(camera: Camera) -> None:
    await camera.open("/console/orders")


async def order(camera: Camera) -> None:
    """One that was paid, told to its merchant, and refunded in part."""
    (row,) = await camera.shop.world.rows(
        "SELECT order_no FROM orders WHERE app_id = 1 AND refunded_fen > 0 ORDER BY order_no DESC LIMIT 1"
    )
    await camera.open(f"/console/orders/{row['order_no']}")


async def notifications(camera: Camera) -> None:
    await camera.open("/console/notifications")


async def accounts(camera: Camera) -> None:
    await camera.open("/console/accounts")


async def debugger(camera: Camera) -> None:
    """A signature over a parameter that was sent in another way than it was signed."""
    world = camera.shop.world
    form = world.till.form("open.pay.scan", local_order_no="A1001", channel=1, amount=2800, subject="一杯拿铁")
    form["sign"] = world.till.sign(form | {"amount": "28.00"})
    await camera.open("/test/api/sign.htm")
    sent = "&".join(f"{name}={quote(value)}" for name, value in form.items())
    await camera.page.locator("#text").fill(sent)
    await camera.page.locator("#debugger-form [type=submit]").click()
    await expect(camera.page.locator(".verdict")).to_be_visible(timeout=PATIENCE_MS)


async def demo(camera: Camera) -> None:
    await camera.open("/test/api/qrcode.htm")
    await camera.page.locator("#field-amount").fill("2800")
    await camera.page.locator("#send").click()
    await expect(camera.page.locator(".qr svg")).to_be_visible(timeout=PATIENCE_MS)
    if camera.is_wide:
        # The pretend phone opens beside the order.
        await camera.page.locator("#open-phone").click()
        await camera.page.frame_locator(".phone-panel iframe").locator("#pay").click(timeout=PATIENCE_MS)
    else:
        await camera.shop.world.pay(await camera.page.locator(".qr-text").first.inner_text())
    await expect(camera.page.locator(".money-sign.paid")).to_be_visible(timeout=PATIENCE_MS)


async def phone(camera: Camera) -> None:
    reply = await camera.shop.world.scan(amount=2_800, subject="拿铁 Latte")
    await camera.open(f"/twin/phone?qr={quote(reply.qr_code, safe='')}")
    await expect(camera.page.locator("#pay")).to_be_visible(timeout=PATIENCE_MS)


@dataclass(frozen=True)
class Scene:
    """`is_dark`: also taken in the dark. `is_wide`, `is_narrow`: at which widths."""

    bring: Callable[[Camera], Awaitable[None]]
    is_dark: bool = False
    is_wide: bool = True
    is_narrow: bool = True


# The console first: what comes after it makes orders of its own.
SCENES: Mapping[str, Scene] = {
    "dashboard": Scene(dashboard, is_dark=True),
    "orders": Scene(orders),
    "order": Scene(order, is_dark=True),
    "notifications": Scene(notifications),
    "accounts": Scene(accounts),
    "debugger": Scene(debugger),
    "till-amount": Scene(till_amount),
    "till-code": Scene(till_code, is_dark=True),
    "till-paid": Scene(till_paid),
    "demo": Scene(demo),
    "phone": Scene(phone, is_wide=False),
}


async def prepared(context: BrowserContext, shop: CoffeeShop, cookies: Mapping[str, tuple[str, str]]) -> Page:
    """A page of a browser that is signed in to the console; `cookies`: path and value by name."""
    await context.add_cookies(
        [
            {"name": name, "value": value, "url": f"{shop.world.base_url}{path}"}
            for name, (path, value) in cookies.items()
        ]
    )
    return await context.new_page()
