"""Customers who open payment links: in a wallet's own browser or in any other, over real HTTP and without a script."""

import json
import re
from dataclasses import dataclass
from html import unescape
from typing import Any

from tests.clients import Reply
from tests.world import World

WECHAT = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/116.0 Mobile Safari/537.36 MicroMessenger/8.0.47"
ALIPAY = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) AppleWebKit/605.1.15 Mobile AliApp(AP/10.5.6) AlipayClient/10.5.6"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
AGENTS = {"wechat": WECHAT, "alipay": ALIPAY}


@dataclass(frozen=True)
class Opened:
    """What a customer sees. `url` is where the browser ended up."""

    status: int
    url: str
    headers: dict[str, str]
    html: str

    @property
    def config(self) -> dict[str, Any]:
        """What the page's script is told."""
        found = re.search(r'<script type="application/json" id="link-config">(.*?)</script>', self.html, re.DOTALL)
        assert found, self.html
        config: dict[str, Any] = json.loads(found[1])
        return config

    @property
    def view(self) -> str:
        """Which of the page's views is shown."""
        shown = re.findall(r'<section class="link-view" data-view="(\w+)"(?! hidden)', self.html)
        assert len(shown) == 1, shown
        return str(shown[0])

    @property
    def text(self) -> str:
        return unescape(re.sub(r"<script.*?</script>|<[^>]+>", " ", self.html, flags=re.DOTALL))

    @property
    def values(self) -> dict[str, str]:
        """What the page hands to the wallet's bridge."""
        values: dict[str, str] = self.config["values"]
        return values


async def link(w: World, **params: object) -> Reply:
    """`open.pay.h5` by the test integrator: one fen without a number of its own, unless told otherwise."""
    reply = await w.till.call("open.pay.h5", **({"amount": 1} | params))
    assert reply.is_success, reply.message
    return reply


async def visit(w: World, url: str, *, agent: str = BROWSER, payer: str = "", follows: bool = True) -> Opened:
    """GET a page as this browser; `payer` is who holds the phone."""
    headers = {"User-Agent": agent, "Cookie": f"twin_payer={payer}" if payer else "lang=none"}
    async with w.http.get(url, headers=headers, allow_redirects=follows) as reply:
        lower = {name.lower(): value for name, value in reply.headers.items()}
        return Opened(reply.status, str(reply.url), lower, await reply.text())


async def open_in(w: World, wallet: str, url: str, *, payer: str = "") -> Opened:
    """Open a link inside "wechat" or "alipay"."""
    return await visit(w, url, agent=AGENTS[wallet], payer=payer)


async def bridge(w: World, wallet: str, values: dict[str, str]) -> str:
    """Call the wallet's bridge as the page does; returns what the wallet lets somebody pay."""
    status, answer = await w.ask_twin("POST", "/api/bridge", wallet=wallet, **values)
    assert status == 200, answer
    return str(answer["code"])


async def pay_in(w: World, wallet: str, url: str, *, payer: str = "payer") -> Opened:
    """Open a link inside a wallet and pay there; everything that follows at once has happened."""
    page = await open_in(w, wallet, url, payer=payer)
    await w.pay(await bridge(w, wallet, page.values), payer=payer)
    return page


async def look(w: World, order_no: str, *, ask: bool = False) -> dict[str, Any]:
    """What the page's script hears when it asks."""
    status, body = await w.get(f"/pay/{order_no}/status{'?ask=1' if ask else ''}")
    assert status == 200, body
    told: dict[str, Any] = json.loads(body)
    return told
