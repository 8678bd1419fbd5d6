"""Parts about `open.pay.scan`: clients and wallets, a slow wallet at half load, many merchants, two processes."""

import itertools
import time
from contextlib import AsyncExitStack

from bench import load, processes
from bench.stage import Meter, Sample, Stage, latencies

WALLETS = {"Alipay": 1, "WeChat Pay": 2}
HALF_LOAD_S = 6
_numbers = itertools.count(time.time_ns())


def scans(count: int, channel: int = 0, **more: str) -> list[bytes]:
    """Requests with fresh numbers; channel 0: both in turns."""
    return [load.scan_request(f"b{next(_numbers)}", channel or 1 + place % 2, **more) for place in range(count)]


async def clients(stage: Stage, engine: str, calls: int) -> list[Sample]:
    """Each wallet at 1, 16, 64 and 256 clients, as fast as answers come."""
    samples = []
    async with (
        stage.database(engine) as url,
        stage.stub() as (stub_url, stub_pid),
        stage.gateway(url, stub_url) as gateway,
    ):
        await load.run([gateway.port], scans(2), clients=1)
        rest_mb = processes.rss_mb(gateway.pid)
        await load.run([gateway.port], scans(400), clients=16)
        meter = Meter(stage, engine, {"gateway": gateway.pid, "stub": stub_pid})
        for count in (1, 16, 64, 256):
            for wallet, channel in WALLETS.items():
                requests = scans(calls if count > 1 else calls // 4, channel)
                meter.start()
                result = await load.run([gateway.port], requests, clients=count)
                values = {**latencies(result), **meter.per_call(len(requests)), "clients": count}
                samples.append(Sample("scan", engine, f"{wallet}, {count} clients", values))
        memory = {"rest_mb": rest_mb, "loaded_mb": processes.rss_mb(gateway.pid)}
        samples.append(Sample("memory", engine, "gateway", memory))
    return samples


async def half_load(stage: Stage, engine: str, calls: int) -> list[Sample]:
    """Latency added at half of what the gateway can do, with a wallet that answers in 0, 50 and 200 ms."""
    samples = []
    rate = 0.0
    for delay_ms in (0, 50, 200):
        async with (
            stage.database(engine) as url,
            stage.stub(delay_ms) as (stub_url, stub_pid),
            stage.gateway(url, stub_url) as gateway,
        ):
            await load.run([gateway.port], scans(400), clients=64)
            meter = Meter(stage, engine, {"gateway": gateway.pid, "stub": stub_pid})
            if not rate:
                rate = (await load.run([gateway.port], scans(calls), clients=64)).per_second / 2
            requests = scans(int(rate * HALF_LOAD_S))
            meter.start()
            found = latencies(await load.run([gateway.port], requests, clients=256, rate=rate))
            added = {name: found[name] - delay_ms for name in ("p50_ms", "p99_ms", "p999_ms")}
            values = {**added, "per_second": rate, **meter.per_call(len(requests))}
            samples.append(Sample("latency", engine, f"wallet answers in {delay_ms} ms", values))
    return samples


async def merchants(stage: Stage, engine: str, calls: int, count: int) -> list[Sample]:
    """Scans of `count` merchants in turns: the first call of each, which opens its keys, and all later ones."""
    names = [(f"M{number:05d}", f"O{number:05d}", 1 if number % 2 else 2) for number in range(1, count + 1)]

    def mix(size: int) -> list[bytes]:
        chosen = itertools.islice(itertools.cycle(names), size)
        return [
            load.scan_request(f"m{next(_numbers)}", channel, app=app, operator=operator)
            for app, operator, channel in chosen
        ]

    async with (
        stage.database(engine) as url,
        stage.stub() as (stub_url, _),
        stage.gateway(url, stub_url, merchants=count) as gateway,
    ):
        await load.run([gateway.port], scans(1), clients=1)  # answered once all merchants are there
        meter = Meter(stage, engine, {"gateway": gateway.pid})
        found = []
        for case, requests in (("first call of each", mix(count)), ("later calls", mix(calls))):
            meter.start()
            result = await load.run([gateway.port], requests, clients=64)
            values = {**latencies(result), **meter.per_call(len(requests))}
            found.append(Sample("merchants", engine, f"{count} merchants, {case}", values))
        meter.start()
        requests = scans(calls)
        result = await load.run([gateway.port], requests, clients=64)
        values = {**latencies(result), **meter.per_call(len(requests)), "rss_mb": processes.rss_mb(gateway.pid)}
        return [*found, Sample("merchants", engine, "one merchant, same process", values)]


async def two_processes(stage: Stage, engine: str, calls: int) -> list[Sample]:
    """One and two gateway processes on one database, the clients divided between them."""
    samples = []
    for count in (1, 2, 1, 2):
        async with AsyncExitStack() as stack:
            url = await stack.enter_async_context(stage.database(engine))
            stub_url, _ = await stack.enter_async_context(stage.stub())
            gateways = [await stack.enter_async_context(stage.gateway(url, stub_url)) for _ in range(count)]
            ports = [gateway.port for gateway in gateways]
            await load.run(ports, scans(400), clients=64)
            meter = Meter(stage, engine, {"gateway": [gateway.pid for gateway in gateways]})
            meter.start()
            requests = scans(calls)
            result = await load.run(ports, requests, clients=64)
            values = {**latencies(result), **meter.per_call(len(requests))}
            samples.append(Sample("processes", engine, f"{count} gateway processes", values))
    return samples
