"""A store with tills, cashiers and browsers that keep their cookies, in a world with both wallets.

    async def test_a_sale_is_paid(engine):
        async with store(engine) as s:
            till = await s.signed_in()

            sale = await till.sell("1250", channel=1)

            await s.world.pay(sale.qr_text)
            assert await till.status(sale) == "paid"

A `Browser` sends each POST with the token of the screen it saw last, as the till's script does.
"""

import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import aiohttp
from yarl import URL

from opentill.services import devices, shifts
from opentill.services.devices import Actor
from opentill.services.till_app import till_app_id
from tests.clients import TEST_OPERATOR
from tests.world import MERCHANT_ID, STORE_ID, World, world

PIN = "2580"
ACTOR = Actor("test")


@dataclass(frozen=True)
class Answer:
    """What came back. `document` is the JSON of a POST, {} of a page; `path` where a page's redirects ended."""

    status: int
    path: str
    text: str
    headers: dict[str, str]
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def screen(self) -> str:
        found = re.search(r'data-screen="(\w+)"', self.text)
        return found[1] if found else ""

    @property
    def words(self) -> str:
        """What a person reads, in one line."""
        return " ".join(unescape(re.sub(r"<script.*?</script>|<[^>]+>", " ", self.text, flags=re.DOTALL)).split())


@dataclass(frozen=True)
class OnScreen:
    """A sale as its screen shows it. `qr_text` is what the code says, empty without one."""

    number: str
    status: str
    is_current: bool
    qr_text: str
    words: str


@dataclass
class Browser:
    """One device's browser."""

    world: World
    http: aiohttp.ClientSession
    token: str = ""

    async def get(self, path: str, **headers: str) -> Answer:
        """A page below /cashier, redirects followed."""
        async with self.http.get(f"{self.world.base_url}/cashier{path}", headers=headers) as reply:
            text = await reply.text()
            if found := re.search(r'data-csrf="(\w+)"', text):
                self.token = found[1]
            return Answer(reply.status, reply.url.path.removeprefix("/cashier"), text, dict(reply.headers))

    async def post(self, path: str, *, token: str | None = None, **values: object) -> Answer:
        headers = {"X-Till-Token": self.token if token is None else token}
        url = f"{self.world.base_url}/cashier{path}"
        async with self.http.post(url, json=values, headers=headers) as reply:
            text = await reply.text()
            return Answer(reply.status, path, text, dict(reply.headers), json.loads(text))

    async def live(self, number: str, *, seen: str = "") -> dict[str, Any]:
        async with self.http.get(f"{self.world.base_url}/cashier/sale/{number}/live?seen={seen}") as reply:
            told: dict[str, Any] = await reply.json()
            return told

    async def pair(self, code: str) -> Answer:
        await self.get("/pair")
        return await self.post("/pair", code=code)

    async def sign_in(self, pin: str = PIN, *, operator_id: str = TEST_OPERATOR) -> Answer:
        await self.get("/sign-in")
        answer = await self.post("/sign-in", operator_id=operator_id, pin=pin)
        await self.get("/")
        return answer

    async def sell(self, amount: str = "1", **more: Any) -> OnScreen:
        """Sell by Alipay under a new number, unless told otherwise; the sale's screen afterwards."""
        number = str(more.pop("number", "")) or new_number()
        answer = await self.post("/sales", **{"number": number, "amount": amount, "channel": 1, **more})
        assert answer.status == 200, answer.text
        return await self.see(number)

    async def give_back(self, number: str, amount: str, **more: str) -> Answer:
        """Look at what is left of a sale, and refund `amount` of it."""
        left = re.search(r'data-left="(\d+)"', (await self.get(f"/sale/{number}")).text)
        asked = {"number": new_number(), "amount": amount, "reason": "顾客不要了", "left": left[1] if left else ""}
        return await self.post(f"/sale/{number}/refund", **(asked | more))

    async def see(self, number: str) -> OnScreen:
        answer = await self.get(f"/sale/{number}")
        assert answer.status == 200, answer.text
        body = re.search(r'<div class="sale-body (\w+)( current)?"', answer.text)
        assert body
        phone = re.search(r'href="([^"]+)"[^>]* id="phone"', answer.text)
        url = unescape(phone[1]) if phone else ""
        qr_text = URL(url).query.get("qr", url)
        return OnScreen(number, body[1], bool(body[2]), qr_text, answer.words)

    async def status(self, sale: OnScreen) -> str:
        return (await self.see(sale.number)).status


@dataclass
class Store:
    """The test merchant's store and whatever else a test adds."""

    world: World
    browsers: list[aiohttp.ClientSession] = field(default_factory=list)

    def browser(self) -> Browser:
        """One that nobody has used yet."""
        http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self.browsers.append(http)
        return Browser(self.world, http)

    async def code(self, *, merchant_id: int = MERCHANT_ID, store_id: int = STORE_ID, name: str = "前台") -> str:
        """The pairing code of a new device."""
        device_id = await devices.add(
            self.world.deployment, merchant_id=merchant_id, store_id=store_id, name=name, actor=ACTOR
        )
        return (await devices.offer_code(self.world.deployment, device_id, actor=ACTOR)).code

    async def paired(self, *, merchant_id: int = MERCHANT_ID, store_id: int = STORE_ID) -> Browser:
        """The browser of a new till."""
        browser = self.browser()
        answer = await browser.pair(await self.code(merchant_id=merchant_id, store_id=store_id))
        assert answer.document == {"go": "/cashier/sign-in"}, answer.text
        return browser

    async def signed_in(self, *, operator_id: str = TEST_OPERATOR, pin: str = PIN, **where: int) -> Browser:
        """A till with a cashier, by default the test cashier, who may refund."""
        browser = await self.paired(**where)
        answer = await browser.sign_in(pin, operator_id=operator_id)
        assert answer.document == {"go": "/cashier/"}, answer.text
        return browser

    async def cashier(
        self,
        name: str,
        *,
        pin: str = PIN,
        may_refund: bool = False,
        account_ids: tuple[int, ...] = (1, 2),
        merchant_id: int = MERCHANT_ID,
        store_id: int = STORE_ID,
    ) -> str:
        """A further cashier; returns the operator_id."""
        operator_id = await self.world.administration.add_operator(
            name, merchant_id=merchant_id, store_id=store_id, account_ids=account_ids
        )
        deployment = self.world.deployment
        deployment.parties.forget()
        if pin:
            await shifts.set_pin(deployment, operator_id, pin, actor=ACTOR)
        await shifts.set_may_refund(deployment, operator_id, may_refund=may_refund, actor=ACTOR)
        return operator_id

    async def app_id(self, merchant_id: int = MERCHANT_ID) -> int:
        """The integer id that the merchant's till orders carry."""
        return await till_app_id(self.world.deployment, merchant_id)

    async def orders(self) -> int:
        """How many orders there are, of whatever app."""
        return await self.world.number("SELECT count(*) FROM orders")


@asynccontextmanager
async def store(engine: str = "sqlite", **more: Any) -> AsyncIterator[Store]:
    """Arguments as for `world`."""
    async with world(engine, **more) as w:
        opened = Store(w)
        await shifts.set_pin(w.deployment, TEST_OPERATOR, PIN, actor=ACTOR)
        await shifts.set_may_refund(w.deployment, TEST_OPERATOR, may_refund=True, actor=ACTOR)
        try:
            yield opened
        finally:
            for http in opened.browsers:
                await http.close()


def new_number() -> str:
    return secrets.token_hex(16)
