"""`make bench`: floors and the gateway in one run, interleaved, medians over rounds; writes bench/REPORT.md."""

import argparse
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop
from tests.databases import PostgresCluster

from bench import floor, load, processes, report
from bench.floor import Floor
from bench.keys import write_keys
from bench.report import Cell, Measured, Run
from opentill.storage.database import ensure_schema

WALLETS = {"Alipay": 1, "WeChat Pay": 2}
POSTGRES_PROCESSES = "postgres"


async def main() -> None:
    options = _options()
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="opentill-bench-") as folder:
        keys = Path(folder) / "keys.json"
        write_keys(keys)
        cluster = PostgresCluster(is_durable=True)
        try:
            for number in range(1, options.rounds + 1):
                for engine in ("SQLite", "PostgreSQL"):
                    print(f"round {number} of {options.rounds}, {engine}: floor ...", flush=True)
                    async with _database(engine, cluster, Path(folder) / f"{number}") as url:
                        measured_floor = await _floor(engine, url, keys, options.calls)
                        print(f"round {number} of {options.rounds}, {engine}: gateway ...", flush=True)
                        runs.append(await _gateway(engine, url, keys, measured_floor, options))
        finally:
            cluster.stop()
    path = report.write(runs, options.out, command=f"make bench ROUNDS={options.rounds} CALLS={options.calls}")
    print(f"Written: {path}")


async def _floor(engine: str, url: str, keys: Path, calls: int) -> Floor:
    sign_us, verify_us = floor.rsa_us(floor.read_private(keys))
    before = processes.cpu_of_user_s(POSTGRES_PROCESSES)
    sql_us = await floor.sql_us(url, calls)
    sql_us += (processes.cpu_of_user_s(POSTGRES_PROCESSES) - before) / calls * 1e6
    return Floor(
        sign_us=sign_us,
        verify_us=verify_us,
        server_us=await floor.server_us(calls),
        client_us=await floor.client_us(calls),
        sql_us={engine: sql_us},
    )


async def _gateway(engine: str, url: str, keys: Path, floor_of_run: Floor, options: argparse.Namespace) -> Run:
    stub_port, port = processes.free_port(), processes.free_port()
    stub = ["-m", "bench.stub", str(stub_port), str(keys), str(options.wallet_ms)]
    gateway = ["-m", "bench.gateway", str(port), str(keys), url, f"http://127.0.0.1:{stub_port}"]
    async with processes.running(stub, port=stub_port):
        started = time.perf_counter()
        async with processes.running(gateway, port=port) as process:
            first = await load.run("127.0.0.1", port, clients=1, calls=1, make=lambda _: _request(1))
            cold_s = time.perf_counter() - started
            assert not first.errors, first.errors
            rest_mb = processes.rss_mb(process.pid)
            await load.run("127.0.0.1", port, clients=16, calls=200, make=lambda n: _request(1 + n % 2))
            cells = [
                await _cell(process.pid, port, wallet, clients, options.calls)
                for clients in options.clients
                for wallet in WALLETS
            ]
            return Run(engine, floor_of_run, cells, cold_s, rest_mb, processes.rss_mb(process.pid))


async def _cell(pid: int, port: int, wallet: str, clients: int, calls: int) -> Cell:
    before = processes.cpu_s(pid)
    before_pg = processes.cpu_of_user_s(POSTGRES_PROCESSES)
    requests = [_request(WALLETS[wallet]) for _ in range(calls)]
    result = await load.run("127.0.0.1", port, clients=clients, calls=calls, make=lambda number: requests[number])
    assert not result.errors, result.errors
    cpu = processes.cpu_s(pid) - before
    cpu_pg = processes.cpu_of_user_s(POSTGRES_PROCESSES) - before_pg
    return Cell(
        wallet,
        clients,
        Measured(
            per_second=result.per_second,
            p50_ms=result.percentile(50),
            p99_ms=result.percentile(99),
            p999_ms=result.percentile(99.9),
            cpu_us=cpu / calls * 1e6,
            database_us=cpu_pg / calls * 1e6,
        ),
    )


def _request(channel: int) -> bytes:
    return load.scan_request("bench", f"b{time.time_ns()}", channel)


@asynccontextmanager
async def _database(engine: str, cluster: PostgresCluster, folder: Path) -> AsyncIterator[str]:
    if engine == "PostgreSQL":
        async with cluster.database() as url:
            yield url
        return
    folder.mkdir()
    url = f"sqlite:///{folder / 'bench.sqlite3'}"
    await ensure_schema(url)
    yield url


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--wallet-ms", type=float, default=0.0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    return parser.parse_args()


if __name__ == "__main__":
    uvloop.run(main())
