"""Parts about everything after the scan: callbacks, queries, refunds, notifications."""

import asyncio
import json
import os
import signal
import time
from typing import Any

from bench import callbacks, load, processes
from bench.callbacks import Callbacks
from bench.scans import scans
from bench.stage import Meter, Sample, Stage, latencies

HOSTS = 100
"""Receivers, each with an address of its own in 127/8: at most eight notifications go to one at a time."""
ACCOUNTS = {1: 1, 2: 2}
DELIVERY_LIMIT_S = 60
HALF_LOAD_S = 6


async def operations(stage: Stage, engine: str, calls: int) -> list[Sample]:
    """Callbacks of both wallets, queries of paid and of waiting orders, refunds: 64 clients each."""
    samples = []
    maker = Callbacks(stage.keys)
    async with (
        stage.database(engine) as url,
        stage.stub() as (stub_url, stub_pid),
        stage.gateway(url, stub_url) as gateway,
    ):
        meter = Meter(stage, engine, {"gateway": gateway.pid, "stub": stub_pid})
        for wallet, channel in (("Alipay", 1), ("WeChat Pay", 2)):
            order_nos = await _opened(gateway.port, scans(calls, channel))
            await _wait_until_asked_again_is_due(order_nos)
            paid = [maker.paid(channel, order_no, ACCOUNTS[channel]) for order_no in order_nos]
            tables = (
                (f"query of a waiting order, {wallet}", [load.query_request(no) for no in order_nos], load.code_of),
                (f"callback, {wallet}", paid, callbacks.code_of),
                (f"query of a paid order, {wallet}", [load.query_request(no) for no in order_nos], load.code_of),
                (f"refund, {wallet}", [load.refund_request(no) for no in order_nos], load.code_of),
            )
            for case, requests, code in tables:
                meter.start()
                result = await load.run([gateway.port], requests, clients=64, code=code)
                values = {**latencies(result), **meter.per_call(len(requests))}
                samples.append(Sample("operations", engine, case, values))
    return samples


async def notifications(stage: Stage, engine: str, calls: int) -> list[Sample]:
    """A backlog delivered by the worker, without and with dead receivers; then callbacks at half load with it."""
    samples = []
    for case, dead_hosts in (("all receivers answer", 0), ("1% of the receivers never answer", HOSTS // 100)):
        port, dead_port = processes.free_port(), processes.free_port()
        async with (
            stage.database(engine) as url,
            stage.stub() as (stub_url, _),
            processes.running(["-m", "bench.receiver", str(port), str(dead_port)], port=port),
            stage.gateway(url, stub_url) as gateway,
        ):
            requests = [
                load.scan_request(f"n{time.time_ns()}{place}", 1, notify_url=_url(place, port, dead_port, dead_hosts))
                for place in range(calls)
            ]
            order_nos = await _opened(gateway.port, requests)
            await _pay(stage, gateway.port, order_nos)
            living = calls - sum(place % HOSTS < dead_hosts for place in range(calls))
            meter = Meter(stage, engine, {"gateway": gateway.pid})
            meter.start()
            started = time.perf_counter()
            os.kill(gateway.pid, signal.SIGUSR1)
            await _delivered(port, living)
            seconds = time.perf_counter() - started
            values = {"per_second": living / seconds, **meter.per_call(living)}
            samples.append(Sample("notifications", engine, case, values))
            if not dead_hosts:
                samples.append(await _callback_to_notification(stage, engine, gateway.port, port, living))
    return samples


async def _callback_to_notification(stage: Stage, engine: str, port: int, receiver: int, already: int) -> Sample:
    """From the callback's sending to the notification's arrival, at half of what both together can do.

    A callback waits for the wallet's connection, the gateway, two commits, a signature, and the merchant's server.
    """
    maker = Callbacks(stage.keys)
    rate = await _sustained(stage, port, receiver, already) / 2
    count = int(rate * HALF_LOAD_S)
    before = await _asked(receiver, "/")
    order_nos = await _opened(port, _notified(count, receiver))
    requests = [maker.paid(1, order_no, ACCOUNTS[1]) for order_no in order_nos]
    result = await load.run([port], requests, clients=64, rate=rate, code=callbacks.code_of)
    await _delivered(receiver, before + count)
    came: dict[str, int] = await _asked(receiver, "/came")
    waits = load.Result(latencies_ms=[(came[no] - result.sent_ns[place]) / 1e6 for place, no in enumerate(order_nos)])
    values = {"p50_ms": waits.percentile(50), "p99_ms": waits.percentile(99), "per_second": rate}
    return Sample("notifications", engine, "callback sent until notification there, half load", values)


async def _sustained(stage: Stage, port: int, receiver: int, already: int) -> float:
    """Callbacks per second with their notifications, as fast as they go."""
    count = 600
    order_nos = await _opened(port, _notified(count, receiver))
    started = time.perf_counter()
    await _pay(stage, port, order_nos)
    await _delivered(receiver, already + count)
    return count / (time.perf_counter() - started)


def _notified(count: int, receiver: int) -> list[bytes]:
    return [
        load.scan_request(f"h{time.time_ns()}{place}", 1, notify_url=_url(place, receiver, 0, 0))
        for place in range(count)
    ]


def _url(place: int, port: int, dead_port: int, dead_hosts: int) -> str:
    host = place % HOSTS
    return f"http://127.0.1.{host + 1}:{dead_port if host < dead_hosts else port}/paid"


async def _opened(port: int, requests: list[bytes]) -> list[str]:
    """Our numbers of the orders that the scans opened, in their order."""
    order_nos = [""] * len(requests)

    def keep(number: int, body: bytes) -> None:
        order_nos[number] = load.order_no_of(body)

    await load.run([port], requests, clients=64, keep=keep)
    return order_nos


async def _pay(stage: Stage, port: int, order_nos: list[str]) -> None:
    maker = Callbacks(stage.keys)
    requests = [maker.paid(1, order_no, ACCOUNTS[1]) for order_no in order_nos]
    latencies(await load.run([port], requests, clients=64, code=callbacks.code_of))


async def _wait_until_asked_again_is_due(order_nos: list[str]) -> None:
    """Within two seconds of a scan a query is answered without the wallet."""
    assert all(order_nos)
    await asyncio.sleep(2.1)


async def _delivered(receiver: int, count: int) -> None:
    async with asyncio.timeout(DELIVERY_LIMIT_S):
        while await _asked(receiver, "/") < count:  # noqa: ASYNC110 - another process's event
            await asyncio.sleep(0.02)


async def _asked(receiver: int, path: str) -> Any:
    """`/`: how many notifications came; `/came`: when each order's did, nanoseconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", receiver)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
    _, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return json.loads(body)
