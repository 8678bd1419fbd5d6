"""Those who act in the world: tills, the receivers of their shops, and the people who pay."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from random import Random
from typing import Any, Protocol, cast

import aiohttp
import msgspec

from opentill.base.outbound import NotSent, Outbound, ReplyLost
from opentill.services import links, orders
from opentill.services.deployment import Deployment
from opentill.storage import trades as trade_rows
from tests.clients import Reply, Till, hmac_sha256
from tests.simulation.ground import GATEWAY, Party
from tests.simulation.network import Connection, Request, run_app
from tests.simulation.scenario import Act, Deal, Merchant

TILL_PATIENCE_S = 20.0
TRIES = 3
BUYERS = {"alice": "2088000000000001", "bob": "2088000000000002"}
"""By what Alipay knows the people who pay."""


class Observer(Protocol):
    """Hears what is said between the gateway and the merchants."""

    def told(self, till: "SimTill", form: Mapping[str, str], reply: Reply) -> None: ...

    def delivered(self, shop: "Shop", body: bytes, *, is_accepted: bool) -> None: ...


class Stage(Protocol):
    """What people need of the world."""

    @property
    def observer(self) -> Observer: ...

    def now_ms(self) -> int: ...

    def sleep_until(self, at_ms: int) -> Awaitable[None]: ...

    def twin_app(self) -> Any: ...

    def ask_gateway(self, call: Callable[[Deployment], Coroutine[Any, Any, Any]]) -> Awaitable[Any]:
        """Run something inside a process that serves; None when it crashes or refuses."""
        ...

    def tell(self, text: str) -> None: ...

    def watch(self, task: "asyncio.Task[Any]") -> None: ...


class SimTill(Till):
    """An integrator of the simulated world."""

    def __init__(self, stage: Stage, party: Party, merchant: Merchant, outbound: Outbound) -> None:
        http = cast(aiohttp.ClientSession, None)
        super().__init__(http, GATEWAY, stage.now_ms, app=party.app, key=party.key, operator_id=party.operator_id)
        self.party = party
        self.rules = merchant.rules
        self._stage = stage
        self._outbound = outbound

    def sign(self, form: Mapping[str, str]) -> str:
        return hmac_sha256(form, self.key) if self.rules.is_strict else super().sign(form)

    async def post(self, form: Mapping[str, str]) -> Reply:
        reply = await super().post(form)
        self._stage.observer.told(self, form, reply)
        return reply

    async def send(
        self, method: str, *, query: str = "", body: bytes | None = None, content_type: str | None = None
    ) -> Reply:
        """Raises NotSent, ReplyLost."""
        headers = {"Content-Type": content_type} if content_type else {}
        found = await self._outbound.send(
            method, self.url + (f"?{query}" if query else ""), headers=headers, body=body, timeout_s=TILL_PATIENCE_S
        )
        return Reply(found.status, found.headers, found.body, msgspec.json.decode(found.body))


class Shop:
    """A receiver of notifications, as its merchant is."""

    def __init__(self, stage: Stage, party: Party, merchant: Merchant, chance: Random, start_ms: int) -> None:
        self.party = party
        self.name = f"shop{party.app_id}"
        self.url = f"http://{self.name}/notify"
        self._stage = stage
        self._kind = merchant.shop
        self._mended_at_ms = start_ms + merchant.mended_at_ms if merchant.mended_at_ms else 0
        self._chance = chance
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def kind(self) -> str:
        is_mended = self._mended_at_ms and self._stage.now_ms() >= self._mended_at_ms
        return "good" if is_mended else self._kind

    @property
    def is_good_in_the_end(self) -> bool:
        return self._kind == "good" or bool(self._mended_at_ms)

    def serve(self, request: Request, connection: Connection) -> bool:
        kind = self.kind
        if kind in ("dead", "away"):
            return False
        if kind == "flaky" and self._chance.random() < 0.3:
            return False
        task = asyncio.get_running_loop().create_task(self._answer(kind, request, connection))
        self._stage.watch(task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _answer(self, kind: str, request: Request, connection: Connection) -> None:
        status, body = 200, b"success"
        if kind == "wrong" or (kind == "flaky" and self._chance.random() < 0.5):
            status, body = self._chance.choice(((200, b"SUCCESS"), (500, b"success"), (302, b""), (200, b"success\n")))
        if kind == "slow":
            await asyncio.sleep(self._chance.choice((1, 9, 12)))
        self._stage.observer.delivered(self, request.body, is_accepted=(status, body) == (200, b"success"))
        connection.reply(status, {}, body)


class Customers:
    """One deal's parties: its till asks for the order, its people do what the deal says."""

    def __init__(self, stage: Stage, deal: Deal, till: SimTill, shop: Shop) -> None:
        self._stage = stage
        self._deal = deal
        self._till = till
        self._shop = shop
        self._chance = Random(deal.seed)
        self._opened = asyncio.Event()
        self._form: dict[str, str] = {}
        self.order_no = ""
        self._code = ""

    async def live(self) -> None:
        """All of it, until the last act is over."""
        start_ms = self._stage.now_ms() + self._deal.at_ms
        await self._stage.sleep_until(start_ms)
        acts = [asyncio.ensure_future(self._act(act, start_ms)) for act in self._deal.acts]
        try:
            await self._open()
        finally:
            self._opened.set()
        await asyncio.gather(*acts)

    async def _open(self) -> None:
        deal = self._deal
        self._form = self._till.form(f"open.pay.{deal.way}", **self._opening())
        for attempt in range(TRIES):
            try:
                self._take(await self._till.post(self._form))
            except NotSent:
                await asyncio.sleep(1 + self._chance.random())
                continue
            except ReplyLost:
                if deal.patience == "ask":
                    await self._ask_for_order()
                if deal.patience != "retry" or attempt == TRIES - 1:
                    return
                continue
            return

    def _opening(self) -> dict[str, object]:
        deal = self._deal
        common: dict[str, object] = {
            "local_order_no": f"D{deal.number}",
            "amount": deal.amount_fen,
            "un_discount_amount": deal.un_discount_fen,
            "subject": f"deal {deal.number}",
            "goods_list": deal.goods or None,
            "version": "1.1",
        }
        if deal.way != "barcode" and deal.is_notified:
            common["notify_url"] = self._shop.url
        match deal.way:
            case "scan":
                return common | {"channel": deal.channel}
            case "barcode":
                head = "2801234567" if deal.channel == 1 else "13012345678901"
                middle = f"{deal.number:02d}" if deal.channel == 1 else ""
                return common | {"barcode": f"{head}{middle}{deal.behaviour}"}
            case "mp":
                return common | {"sub_app_id": self._till.party.appid, "open_id": "openid-alice"}
        return common

    def _take(self, reply: Reply) -> None:
        """What the till learns from a reply to its opening."""
        if not reply.is_success:
            return
        data = reply.data
        self.order_no = data.get("cbOrderNo", "") or self.order_no
        if self._deal.way == "scan":
            self._code = data["qrCode"]
        elif self._deal.way == "mp":
            self._code = data["package"].removeprefix("prepay_id=")

    async def _ask_for_order(self) -> None:
        with contextlib.suppress(NotSent, ReplyLost):
            reply = await self._till.call("open.pay.query", local_order_no=f"D{self._deal.number}")
            if reply.is_success:
                self.order_no = reply.data["cbOrderNo"]

    # --- acts

    async def _act(self, act: Act, start_ms: int) -> None:
        await self._stage.sleep_until(start_ms + act.after_ms)
        if act.kind not in ("same_again", "number_again"):
            await self._opened.wait()
        with contextlib.suppress(NotSent, ReplyLost):
            await getattr(self, f"_{act.kind}")(act)

    async def _pay(self, act: Act) -> None:
        code = await self._code_for(act.text)
        if code:
            await self._stage.sleep_until(self._stage.now_ms() + act.think_ms)
            await self._twin("/api/pay", qr_code=code, payer=act.text)

    async def _fail_to_pay(self, act: Act) -> None:
        code = await self._code_for(act.text)
        if code:
            await self._twin("/api/pay", qr_code=code, payer=act.text, result="fail")

    async def _password(self, _: Act) -> None:
        await self._type_password("success")

    async def _wrong_password(self, _: Act) -> None:
        await self._type_password("fail")

    async def _type_password(self, result: str) -> None:
        # The number is the wallet's affair: the payer just sees the question on the phone.
        order_no = self.order_no or await self._number_by_heart()
        if order_no:
            await self._twin("/api/password", out_trade_no=order_no, result=result)

    async def _query(self, _: Act) -> None:
        await self._till.call("open.pay.query", **self._named())

    async def _reverse(self, _: Act) -> None:
        await self._till.call("open.pay.reverse", **self._named())

    async def _same_again(self, _: Act) -> None:
        if self._form:
            self._take(await self._till.post(self._form))

    async def _number_again(self, _: Act) -> None:
        self._take(await self._till.call(f"open.pay.{self._deal.way}", **self._opening()))

    async def _refund(self, act: Act) -> None:
        await self._give_back(act, times=1)

    async def _refund_twice(self, act: Act) -> None:
        await self._give_back(act, times=2)

    async def _refund_numbered(self, act: Act) -> None:
        await self._give_back(act, times=2, local_refund_no=f"D{self._deal.number}-{act.text}")

    async def _give_back(self, act: Act, *, times: int, **more: object) -> None:
        form = self._till.form(
            "open.pay.refund", refund_amount=act.fen or None, reason=act.text, **self._named(), **more
        )
        await asyncio.gather(*(self._till.post(form) for _ in range(times)), return_exceptions=True)

    async def _look(self, _: Act) -> None:
        async def look(deployment: Deployment) -> None:
            order = await links.find_order(deployment, self.order_no)
            if order is not None:
                await links.look(deployment, order, asks_wallet=True)

        await self._stage.ask_gateway(look)

    async def _abnormal(self, _: Act) -> None:
        await self._end_refunds("ABNORMAL")

    async def _refund_closed(self, _: Act) -> None:
        await self._end_refunds("CLOSED")

    async def _end_refunds(self, status: str) -> None:
        """A person at WeChat Pay decides how refunds that are being processed end."""
        if self._deal.channel != 2 or not self.order_no:
            return
        trades = await self._twin_get(f"/api/trades?out_trade_no={self.order_no}")
        for trade in trades["trades"]:
            for refund in trade["refunds"]:
                await self._twin(
                    "/api/refunds", out_refund_no=refund["out_refund_no"], status=status, mchid=self._till.party.mchid
                )

    def _named(self) -> dict[str, object]:
        if self.order_no and self._chance.random() < 0.7:
            return {"order_no": self.order_no}
        return {"local_order_no": f"D{self._deal.number}"}

    async def _number_by_heart(self) -> str:
        async def find(deployment: Deployment) -> str:
            found = await orders.find_order(deployment, self._till.party.app_id, local_order_no=f"D{self._deal.number}")
            return found.order_no if found else ""

        return await self._stage.ask_gateway(find) or ""

    async def _code_for(self, payer: str) -> str:
        """What this payer's phone was shown: the order's QR code, or, of a link, a trade of the payer's own."""
        if self._deal.way != "h5":
            return self._code

        async def open_link(deployment: Deployment) -> trade_rows.OpenTrade | None:
            order = await links.find_order(deployment, self.order_no)
            operator = await deployment.parties.operator(self._till.operator_id)
            wallets = await links.wallets_of(deployment, operator)
            # Everybody has both wallets; the second payer prefers the other one.
            number = self._deal.channel if payer == "alice" else 3 - self._deal.channel
            if (
                order is None
                or number not in wallets
                or links.status_of(order, now_ms=self._stage.now_ms()) != "waiting"
            ):
                return None
            name = BUYERS[payer] if number == 1 else f"openid-{payer}"
            return await links.open_trade(deployment, order, wallets[number], name)

        trade = await self._stage.ask_gateway(open_link)
        if trade is None or not trade.page_values:
            return ""
        values = msgspec.json.decode(trade.page_values)
        return str(values["package"].removeprefix("prepay_id=") if trade.channel == 2 else values["tradeNO"])

    async def _twin(self, path: str, **values: object) -> dict[str, Any]:
        """What a person does on the phone: no network comes between."""
        self._stage.tell(f"person: {path} {values}")
        return await self._ask("POST", path, msgspec.json.encode(values))

    async def _twin_get(self, path: str) -> dict[str, Any]:
        return await self._ask("GET", path, b"")

    async def _ask(self, method: str, target: str, body: bytes) -> dict[str, Any]:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        connection = Connection(lambda response: answer.set_result(response.body if response else b"{}"))
        connection.request_body = body
        path, _, query = target.partition("?")
        request = Request(method, path, query, {"content-type": "application/json"}, body)
        await run_app(self._stage.twin_app(), request, connection)
        found: dict[str, Any] = msgspec.json.decode(await answer)
        self._stage.tell(f"phone: {found}"[:500])
        return found
