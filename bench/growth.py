"""What calls and pages cost when millions of orders are there already: in turns with an empty database."""

import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from bench import callbacks, load
from bench.callbacks import Callbacks
from bench.filling import YEAR_MS, fill
from bench.scans import scans
from bench.stage import Meter, Sample, Server, Stage, latencies
from opentill.services.dashboard import dashboard
from opentill.services.search import MOST_ROWS, Scope
from opentill.storage import notifications, orders, refunds, search
from opentill.storage.database import Database, open_database
from opentill.storage.search import OrderFilter

TURNS = 4
LOOKS = 15
DAY_MS = 86_400_000
NEVER_FEN = 10**9
EMPTY = "empty tables"


async def growth(stage: Stage, engine: str, calls: int, rows: int) -> list[Sample]:
    """Scans, callbacks and queries of two gateways in turns; then what people and the worker look for."""
    samples = []
    full = f"{rows:,} orders"
    async with AsyncExitStack() as opened:
        urls = {case: await opened.enter_async_context(stage.database(engine)) for case in (EMPTY, full)}
        stub_url, _ = await opened.enter_async_context(stage.stub())
        filled_s = await fill(urls[full], rows)
        gateways = {case: await opened.enter_async_context(stage.gateway(url, stub_url)) for case, url in urls.items()}
        for gateway in gateways.values():
            await load.run([gateway.port], scans(400), clients=64)
        for _ in range(TURNS):
            for case, gateway in gateways.items():
                samples += await _calls(stage, engine, gateway, case, calls // 2)
        for case, url in urls.items():
            samples += await _looks(engine, url, case)
    samples.append(Sample("growth", engine, f"filling, {full}", {"filled_s": filled_s}))
    return samples


async def _calls(stage: Stage, engine: str, gateway: Server, case: str, calls: int) -> list[Sample]:
    """Orders are opened, paid by the wallet's word, and asked for: 64 clients each."""
    order_nos = [""] * calls
    maker = Callbacks(stage.keys)
    meter = Meter(stage, engine, {"gateway": gateway.pid})
    samples = []

    def keep(place: int, body: bytes) -> None:
        order_nos[place] = load.order_no_of(body)

    for what, code in (("scan", load.code_of), ("callback", callbacks.code_of), ("query", load.code_of)):
        if what == "scan":
            requests = scans(calls, 1)
        elif what == "callback":
            requests = [maker.paid(1, order_no, 1) for order_no in order_nos]
        else:
            requests = [load.query_request(order_no) for order_no in order_nos]
        meter.start()
        result = await load.run([gateway.port], requests, clients=64, code=code, keep=keep if what == "scan" else None)
        values = {**latencies(result), **meter.per_call(calls)}
        samples.append(Sample("growth", engine, f"{what}, {case}", values))
    return samples


async def _looks(engine: str, url: str, case: str) -> list[Sample]:
    """How long the console's pages and the worker's lists take, each alone."""
    database = await open_database(url)
    try:
        return [
            Sample("looks", engine, f"{name}, {case}", {"p50_ms": await _median_ms(look)})
            for name, look in _all_looks(database)
        ]
    finally:
        await database.close()


def _all_looks(database: Database) -> list[tuple[str, Callable[[], Awaitable[object]]]]:
    now_ms = time.time_ns() // 1_000_000
    newest_no = search.least_order_no(now_ms + DAY_MS)
    some_day_ms = now_ms - YEAR_MS // 2
    scope = Scope((1,), None)

    def page(wanted: OrderFilter) -> Callable[[], Awaitable[object]]:
        return lambda: search.newest(database, 1, wanted, before=newest_no, limit=51, most_rows=MOST_ROWS)

    def figures(days: int) -> Callable[[], Awaitable[object]]:
        from_ms = now_ms - days * DAY_MS
        return lambda: dashboard(database, scope, from_ms=from_ms, to_ms=now_ms, now_ms=now_ms)

    return [
        ("newest orders", page(OrderFilter())),
        ("orders of one day", page(OrderFilter(from_ms=some_day_ms, to_ms=some_day_ms + DAY_MS))),
        (f"a filter that matches nothing in {MOST_ROWS:,} orders", page(OrderFilter(amount_from_fen=NEVER_FEN))),
        ("orders that need a person", page(OrderFilter(needs_person=True))),
        ("order by the wallet's number", lambda: search.orders_of_channel_trade_no(database, 1, "20x")),
        ("order by the integrator's number", lambda: search.by_local_order_no(database, 1, "Lx")),
        ("dashboard of a day", figures(1)),
        ("dashboard of thirty days", figures(30)),
        ("orders to be asked about", lambda: orders.due_polls(database, now_ms=1, limit=500)),
        ("when to ask next", lambda: orders.next_poll_ms(database)),
        ("notifications that are due", lambda: notifications.due(database, now_ms=1, limit=500)),
        ("refunds that are due", lambda: refunds.due(database, now_ms=1, limit=500)),
    ]


async def _median_ms(look: Callable[[], Awaitable[object]]) -> float:
    taken = []
    for _ in range(LOOKS):
        started = time.perf_counter()
        await look()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)
