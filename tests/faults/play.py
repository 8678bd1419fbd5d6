"""Plays a cell in a world of its own and tells what was seen."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec

from opentill.domain.refund import RefundState
from tests.faults.cells import Cell
from tests.faults.truth import Books, check_always, check_end, read_books
from tests.orders import ALIPAY, ASKS_PASSWORD, CODES, PAYS, ask, fault, paid, scanned
from tests.wallets import hanging_up_at_once
from tests.world import World, world

AMOUNT_FEN = 1000
REFUND_FEN = 300
SLOW_S = 2
LATE_S = 600
# The worker asks after 5, 10, 20, 40 s and each minute, and at the end of the order's life (design 7).
LOOKS_S = (5, 15, 90, 700)
AFTER_LIFE_S = (0, 120, 3_600)


class Seen(msgspec.Struct, frozen=True):
    """What OpenTill did: told whoever asked, the order right after, and how it ended."""

    told: str
    after: str
    end: str


async def play(cell: Cell, engine: str = "sqlite") -> Seen:
    """Run the cell, checking what must always hold on the way. Raises AssertionError."""
    async with world(engine) as w, hanging_up_at_once(w):
        await w.set_rules(w.till, default_notify_url=w.shop.url)
        told = await _SCENES[cell.operation](w, cell)
        await _passing(w, w.settle())
        order_no = await _only_order(w)
        after = await read_books(w, order_no)
        check_always(after)
        await _assert_it_happened(w, cell)
        return Seen(told, _words(after), _words(await _ended(w, order_no)))


# --- one scene per operation; each returns what the caller is told


async def _create(w: World, cell: Cell) -> str:
    """A QR code is asked for; who gets one pays."""
    await _let(w, cell)
    reply = await ask(w, "scan", channel=cell.channel, amount=AMOUNT_FEN, local_order_no="T-1")
    if not reply.is_success:
        return f"error {reply.code}"
    if not (await w.order(reply.order_no)).received_fen:
        await w.pay(reply.qr_code)
    return "qrCode"


async def _barcode(w: World, cell: Cell) -> str:
    """The cashier scans a payment code whose owner pays at once."""
    await _second_later(w, cell, "callback")
    await _let(w, cell)
    return await _charged(w, cell, PAYS)


async def _query(w: World, cell: Cell) -> str:
    """A customer has paid, the callback is lost, and the till asks before the worker does."""
    await fault(w, cell.channel, "callback", "callback_never")
    order_no = await paid(w, channel=cell.channel, amount=AMOUNT_FEN)
    await _let(w, cell)
    reply = await ask(w, "query", order_no=order_no)
    return f"orderStatus {reply.data['orderStatus']}" if reply.is_success else f"error {reply.code}"


async def _refund(w: World, cell: Cell) -> str:
    """3 of 10 yuan go back."""
    order_no = await paid(w, channel=cell.channel, amount=AMOUNT_FEN)
    if cell.channel == ALIPAY:  # WeChat Pay takes two seconds anyway
        await _second_later(w, cell, "refund_callback")
    await _let(w, cell)
    reply = await ask(w, "refund", order_no=order_no, refund_amount=REFUND_FEN)
    return f"refundStatus {reply.data['refundStatus']}" if reply.is_success else f"error {reply.code}"


async def _close(w: World, cell: Cell) -> str:
    """A customer has opened the cashier of a QR code and not paid; the till reverses."""
    order = await scanned(w, channel=cell.channel, amount=AMOUNT_FEN)
    await w.ask_twin("POST", "/api/scan", qr_code=order.qr_code)
    await _second_later(w, cell, "callback")
    await _let(w, cell)
    reply = await ask(w, "reverse", order_no=order.order_no)
    return "success" if reply.is_success else f"error {reply.code}"


async def _reverse(w: World, cell: Cell) -> str:
    """A payment code whose owner is asked for the password and does not enter it; the cashier reverses."""
    assert await _charged(w, cell, ASKS_PASSWORD) == "orderStatus 1"
    await _second_later(w, cell, "callback")
    await _let(w, cell)
    reply = await ask(w, "reverse", local_order_no="T-1")
    return "success" if reply.is_success else f"error {reply.code}"


async def _callback(w: World, cell: Cell) -> str:
    """A customer pays and the wallet tells us; what the wallet hears."""
    reply = await scanned(w, channel=cell.channel, amount=AMOUNT_FEN)
    await _let(w, cell)
    await w.pay(reply.qr_code)
    (callback,) = (await w.wallet_trades(reply.order_no))[0]["callbacks"]
    if not callback["sent"]:
        return "nothing"
    return "accepted" if callback["state"] == "DONE" else f"refused {callback['last_answer'].split()[0]}"


_SCENES: dict[str, Callable[[World, Cell], Awaitable[str]]] = {
    "create": _create, "barcode": _barcode, "query": _query, "refund": _refund, "close": _close, "reverse": _reverse,
    "callback": _callback,
}  # fmt: skip


async def _charged(w: World, cell: Cell, payer: str) -> str:
    barcode = CODES[cell.channel] + payer
    reply = await ask(w, "barcode", barcode=barcode, amount=AMOUNT_FEN, local_order_no="T-1")
    return f"orderStatus {reply.data['orderStatus']}" if reply.is_success else f"error {reply.code}"


async def _let(w: World, cell: Cell) -> None:
    """The fault waits for its operation."""
    delay_s = {"slow": SLOW_S, "callback_late": LATE_S}.get(cell.fault, 0)
    await fault(w, cell.channel, cell.twin_operation, cell.fault, times=cell.times, delay_s=delay_s)


async def _second_later(w: World, cell: Cell, operation: str) -> None:
    """What the wallet would tell at once comes a second later: whether it beats the answer is not left to chance."""
    if cell.fault != "callback_first":
        await fault(w, cell.channel, operation, "callback_late", delay_s=1)


async def _assert_it_happened(w: World, cell: Cell) -> None:
    _, answer = await w.ask_twin("GET", "/api/faults")
    hits = [waiting["hits"] for waiting in answer["faults"] if waiting["operation"] == cell.twin_operation]
    assert hits[-1] > 0, "the fault happened to nobody"


async def _only_order(w: World) -> str:
    (row,) = await w.rows("SELECT order_no FROM orders")
    return str(row["order_no"])


# --- time


async def _ended(w: World, order_no: str) -> Books:
    """Both sides' books after the worker has had its time."""
    now_ms, expires_at_ms = w.clock.now_ms(), (await w.order(order_no)).expires_at_ms
    looks_ms = [now_ms + 1000 * after_s for after_s in LOOKS_S]
    looks_ms += [expires_at_ms + 1000 * after_s for after_s in AFTER_LIFE_S if expires_at_ms + 1000 * after_s > now_ms]
    books = await read_books(w, order_no)
    for at_ms in sorted(looks_ms):
        if not await _goes_on(w):
            break
        w.clock.advance(at_ms - w.clock.now_ms())
        await _passing(w, w.settle())
        books = await read_books(w, order_no)
        check_always(books)
    check_end(books)
    return books


async def _goes_on(w: World) -> bool:
    """Whether the worker or a wallet means to do anything more."""
    plans = (("orders", "poll_at_ms"), ("refunds", "due_at_ms"), ("notifications", "due_at_ms"))
    planned = [await w.number(f"SELECT count(*) FROM {table} WHERE {at} > 0") for table, at in plans]
    return w.twin._context.callbacks.next_due_ms() is not None or any(planned)


async def _passing(w: World, call: Coroutine[Any, Any, None]) -> None:
    """Wait for `call`; time passes as far as a wallet is slow to answer the worker."""
    task = asyncio.create_task(call)
    while not task.done():
        if (next_ms := w.clock.earliest_wait_ms()) is not None:
            w.clock.advance(max(next_ms - w.clock.now_ms(), 0))
        await asyncio.wait([task], timeout=0.002)
    await task


def _words(books: Books) -> str:
    """An order in a few words of the code's own; `tests/faults/document.py` knows them in plain ones."""
    order = books.order
    words = [order.state.value]
    words += ["notified"] * bool(books.notified)
    words += ["refunded"] * (order.refunded_fen > 0)
    words += ["refunding"] * any(refund.state is RefundState.PENDING for refund in books.refunds)
    words += [f"alarm {order.attention}"] * bool(order.attention)
    return ", ".join(words)
