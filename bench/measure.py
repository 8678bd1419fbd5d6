"""`python -m bench.measure`: what an order's whole life writes and costs, with real rows on both engines.

One order: a scan with one line of goods, paid at the wallet, its callback, the notification, one query. Prints lines
for `figures.toml`; run it on an idle machine.
"""

import argparse
import asyncio
import re
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests import databases
from tests.clients import Till
from tests.databases import PostgresCluster
from tests.letters import caught, caught_letters
from tests.world import MERCHANT_ID, STORE_ID, Ground, World, ground, running

from bench.processes import cpu_s
from opentill.base import logs
from opentill.storage.layout import order_family

GOODS = '[{"goods_name":"拿铁咖啡","goods_num":"SKU-1024","sell_amount":"1","goods_price":"18.00"}]'
WARM_UP = 64
AT_ONCE = 16
_PAGES = "SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()"
_WAL = "SELECT CAST(pg_current_wal_insert_lsn() - '0/0' AS BIGINT)"
_STATEMENT = re.compile(rb"LOG:  (?:statement|execute [^:]*): (\S+)")


async def cashiers(w: World) -> list[Till]:
    """As many as orders are under way: each counts its sales in rows of its own."""
    tills = []
    for number in range(AT_ONCE):
        operator_id = await w.administration.add_operator(
            f"cashier {number}", merchant_id=MERCHANT_ID, store_id=STORE_ID, account_ids=[1, 2]
        )
        tills.append(Till(w.http, w.base_url, w.clock.now_ms, operator_id=operator_id))
    w.deployment.parties.forget()
    return tills


async def lives(w: World, tills: Sequence[Till], count: int) -> None:
    """So many orders from scan to the end, one of each till at a time."""

    async def scan(till: Till) -> str:
        reply = await till.scan(channel=1, amount=1800, subject="午餐", notify_url=w.shop.url, goods_list=GOODS)
        assert reply.is_success, reply.message
        return reply.qr_code

    for _ in range(count // len(tills)):
        codes = await asyncio.gather(*(scan(till) for till in tills))
        heard = len(w.shop.heard)
        for code in codes:
            status, _ = await w.ask_twin("POST", "/api/pay", qr_code=code)
            assert status == 200
        # Not `settle`: its own looks would be counted.
        await w.shop.arrived(heard + len(codes))
        w.clock.advance(1)


async def postgres(count: int) -> dict[str, float]:
    """Bytes per table, WAL, round trips, commits and CPU of the server, per order."""
    # Without fsync: how long a disk takes, and what the system spends on it, is another figure.
    server = PostgresCluster()
    server._more_settings |= {"synchronous_commit": "on", "full_page_writes": "on", "autovacuum": "on"}
    databases._SERVERS["postgresql"] = server
    try:
        async with ground("postgresql") as g, running(g) as w:
            return await _written(w, server, count) | await _sent(g, w, count // 2)
    finally:
        server.stop()


async def _written(w: World, server: PostgresCluster, count: int) -> dict[str, float]:
    tills = await cashiers(w)
    await lives(w, tills, WARM_UP)
    before, wal, cpu_us = await _sizes(w), await w.number(_WAL), _server_cpu_s(server) * 1e6
    await lives(w, tills, count)
    written = {"database_cpu_us": _server_cpu_s(server) * 1e6 - cpu_us, "wal_bytes": await w.number(_WAL) - wal}
    after = await _sizes(w)
    written |= {f"bytes_{table}": after[table] - before[table] for table in after}
    return {name: value / count for name, value in written.items()}


async def _sent(g: Ground, w: World, count: int) -> dict[str, float]:
    """What goes to the server, from its own log: new connections write it."""
    parts = urlsplit(g.database_url)
    log = Path(parse_qs(parts.query)["host"][0]) / "log"
    await w.change(f"ALTER DATABASE {parts.path[1:]} SET log_statement = 'all'")
    async with running(g) as again:
        tills = await cashiers(again)
        await lives(again, tills, WARM_UP)
        start = log.stat().st_size
        await lives(again, tills, count)
        words = _STATEMENT.findall(log.read_bytes()[start:])
    return {"round_trips": len(words) / count, "commits": words.count(b"COMMIT") / count}


async def sqlite(count: int) -> dict[str, float]:
    """Bytes of the file per order."""
    async with ground("sqlite") as g, running(g) as w:
        tills = await cashiers(w)
        await lives(w, tills, WARM_UP)
        before = await w.number(_PAGES)
        await lives(w, tills, count)
        return {"sqlite_bytes": (await w.number(_PAGES) - before) / count}


async def calls(count: int) -> dict[str, float]:
    """CPU of a callback with its notification and of a query. In it: who sends them, and the shop that hears one."""
    async with ground("sqlite") as g, running(g, works=False, **caught(g)) as w:
        orders = [await w.scan(channel=1, amount=1800, notify_url=w.shop.url) for _ in range(count)]
        for order in orders:
            await w.ask_twin("POST", "/api/pay", qr_code=order.qr_code)
        await w.settle()
        letters = caught_letters(w)
        assert len(letters) == count
        w.worker.start()
        w.workers.append(w.worker)
        heard = len(w.shop.heard)
        cpu_us = _cpu_us()
        for start in range(0, count, AT_ONCE):
            await asyncio.gather(*(letter.deliver(w) for letter in letters[start : start + AT_ONCE]))
        await w.shop.arrived(heard + count)
        callback_us = (_cpu_us() - cpu_us) / count
        cpu_us = _cpu_us()
        for start in range(0, count, AT_ONCE):
            asked = (w.till.call("open.pay.query", order_no=o.order_no) for o in orders[start : start + AT_ONCE])
            assert all(reply.is_success for reply in await asyncio.gather(*asked))
        query_us = (_cpu_us() - cpu_us) / count
        return {"callback_and_notification_gross_us": callback_us, "query_gross_us": query_us}


async def _sizes(w: World) -> dict[str, int]:
    return {table: await w.number(f"SELECT pg_total_relation_size('{table}')") for table in order_family()}


def _server_cpu_s(server: PostgresCluster) -> float:
    return sum(cpu_s(pid) for pid in server.pids())


def _cpu_us() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1e6


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.measure")
    parser.add_argument("--orders", type=int, default=640)
    count = parser.parse_args().orders // AT_ONCE * AT_ONCE
    logs.configure(level="error")
    started = time.monotonic()
    for found in (await calls(count // 2), await sqlite(count), await postgres(count)):
        for name, value in found.items():
            print(f"{name} = {value:.1f}", flush=True)
    print(f"# {count} orders, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    asyncio.run(main())
