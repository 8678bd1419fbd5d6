"""The load: tills that ask for orders, customers who pay them, and a note of every word they were given."""

import asyncio
import json
import random
import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp

from opentill.base.clock import real_now_ms
from tests.clients import Reply, Till

PATIENCE_S = 25.0
MAX_OPEN = 200
"""Orders that are lived through at the same time; beyond it the load waits."""
LOST, NOT_SENT, BUSY = "lost", "not sent", "2"
PAUSE_S = 0.3
LOOKS = 6
"""Queries before a customer's payment is given up for a refund."""


@dataclass(frozen=True)
class Place:
    """Where everything is. `notify_urls`: a merchant's address by its kind."""

    gateways: Sequence[str]
    twin: str
    notify_urls: Mapping[str, str]
    app: str
    key: str
    operator_id: str


@dataclass
class AskedRefund:
    """A refund under a number of the till's own; `words`: the answers, in order."""

    local_refund_no: str
    amount_fen: int
    words: list[str] = field(default_factory=list)


@dataclass
class AskedOrder:
    """An order that a till asked for, and what it was told."""

    local_order_no: str
    way: str
    channel: int
    amount_fen: int
    receiver: str
    words: list[str] = field(default_factory=list)
    """Error codes of the calls that open it, `0` is success; or LOST, NOT_SENT."""
    order_nos: set[str] = field(default_factory=set)
    """Numbers it was given with a success."""
    is_told_paid: bool = False
    is_reversed: bool = False
    paid_at_ms: int = 0
    """When the customer's phone said that the wallet took the money."""
    refunds: list[AskedRefund] = field(default_factory=list)


class Load:
    """At `rate` orders a second, by `chance`; `asked` is the tills' book."""

    def __init__(self, http: aiohttp.ClientSession, place: Place, *, rate: float, chance: random.Random) -> None:
        self.asked: list[AskedOrder] = []
        self.calls: Counter[str] = Counter()
        self.shift_ms = 0
        self._http = http
        self._place = place
        self._rate = rate
        self._chance = chance
        self._open: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(MAX_OPEN)
        self._is_stopping = False

    async def run(self) -> None:
        """Until `stop`; returns when every order that was begun has been lived through."""
        while not self._is_stopping:
            await self._places.acquire()
            task = asyncio.create_task(self._live(self._new_order()))
            self._open.add(task)
            task.add_done_callback(self._ended)
            await asyncio.sleep(self._chance.expovariate(self._rate))
        if self._open:
            await asyncio.gather(*self._open)

    def stop(self) -> None:
        self._is_stopping = True

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._open.discard(task)
        self._places.release()

    def _new_order(self) -> AskedOrder:
        draw = self._chance.random()
        way = "barcode" if draw < 0.15 else "scan"
        kinds = list(self._place.notify_urls)
        receiver = "good" if self._chance.random() < 0.8 else self._chance.choice(kinds)
        order = AskedOrder(
            local_order_no=f"C{self._chance.getrandbits(64):016x}",
            way=way,
            channel=self._chance.choice((1, 2)),
            amount_fen=self._chance.randint(2, 5000),
            receiver=receiver if way == "scan" else "",
        )
        self.asked.append(order)
        return order

    async def _live(self, order: AskedOrder) -> None:
        """One order's life, as far as it gets."""
        times = 2 if self._chance.random() < 0.08 else 1  # an impatient till asks twice at once
        replies = await asyncio.gather(*(self._open_order(order) for _ in range(times)))
        given = next((reply for reply in replies if reply is not None and reply.is_success), None)
        if given is None:
            await self._call("open.pay.query", {"local_order_no": order.local_order_no}, [])
            return
        fate = self._chance.random()
        if order.way == "scan" and fate < 0.06:
            reply = await self._call("open.pay.reverse", {"order_no": given.order_no}, [])
            order.is_reversed = reply is not None and reply.is_success
        elif order.way == "scan" and fate < 0.92:
            await self._pay(order, given.qr_code)
        if fate > 0.75 and (order.paid_at_ms or order.way == "barcode"):
            await self._refund(order, given.order_no)

    async def _open_order(self, order: AskedOrder) -> Reply | None:
        values: dict[str, object] = {"local_order_no": order.local_order_no, "amount": order.amount_fen}
        if order.way == "scan":
            values |= {"channel": order.channel, "notify_url": self._place.notify_urls[order.receiver]}
        else:
            values["barcode"] = _payment_code(order.channel)
        reply = await self._call(f"open.pay.{order.way}", values, order.words)
        if reply is not None and reply.is_success:
            order.order_nos.add(reply.order_no)
            order.is_told_paid = order.is_told_paid or reply.data.get("orderStatus") == "2"
        return reply

    async def _pay(self, order: AskedOrder, qr_code: str) -> None:
        try:
            async with self._http.post(
                f"{self._place.twin}/twin/api/pay", json={"qr_code": qr_code}, timeout=_patience()
            ) as reply:
                if reply.status == 200:
                    order.paid_at_ms = real_now_ms()
        except (aiohttp.ClientError, TimeoutError):
            pass  # whether the wallet took the money, its books say

    async def _refund(self, order: AskedOrder, order_no: str) -> None:
        """Ask until it is known to be paid, then for a refund, with the same number again when nobody knows."""
        for _ in range(LOOKS):
            reply = await self._call("open.pay.query", {"order_no": order_no}, [])
            if reply is not None and reply.is_success and reply.data["orderStatus"] == "2":
                break
            await asyncio.sleep(PAUSE_S)
        else:
            return
        refund = AskedRefund(f"R{secrets.token_hex(8)}", self._chance.randint(1, order.amount_fen))
        order.refunds.append(refund)
        for _ in range(3):
            values = {"local_refund_no": refund.local_refund_no, "refund_amount": refund.amount_fen}
            reply = await self._call("open.pay.refund", values | {"order_no": order_no}, refund.words)
            if reply is not None and reply.is_success:
                refund.words[-1] = f"refund {reply.data['refundStatus']}"
                return
            await asyncio.sleep(PAUSE_S)

    async def _call(self, command: str, params: Mapping[str, object], words: list[str]) -> Reply | None:
        """One call at any gateway; another one when nobody listens there. `words` gets the word. None: no answer."""
        word = NOT_SENT
        reply = None
        for gateway in self._chance.sample(self._place.gateways, len(self._place.gateways)):
            till = Till(
                self._http, gateway, lambda: real_now_ms() + self.shift_ms,
                app=self._place.app, key=self._place.key, operator_id=self._place.operator_id,
            )  # fmt: skip
            try:
                reply = await asyncio.wait_for(till.call(command, **params), PATIENCE_S)
                word = reply.code
            except aiohttp.ClientConnectorError:
                continue
            except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError):
                word = LOST
            break
        self.calls[word] += 1
        words.append(word)
        return reply


def _payment_code(channel: int) -> str:
    """Digits of a payment code whose owner pays at once (protocol 4.2)."""
    digits = f"{time.time_ns() % 10**12:012d}"
    return ("28" if channel == 1 else "13") + digits + "9999"


def _patience() -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=PATIENCE_S)
