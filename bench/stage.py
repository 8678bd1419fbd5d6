"""What a part of the benchmark plays on: a database, the wallets' stub, gateways, and the CPU that each uses."""

import resource
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from tests.databases import PostgresCluster

from bench import load, processes
from opentill.storage.database import ensure_schema

SQLITE, POSTGRES = "SQLite", "PostgreSQL"
ENGINES = (SQLITE, POSTGRES)


class Sample(msgspec.Struct, frozen=True):
    """What one round of one part found out about one case."""

    part: str
    engine: str
    case: str
    values: dict[str, float]


class Stage:
    """One run's folder, keys and PostgreSQL server."""

    def __init__(self, folder: Path, keys: Path, cluster: PostgresCluster) -> None:
        self.folder = folder
        self.keys = keys
        self._cluster = cluster
        self._count = 0

    @asynccontextmanager
    async def database(self, engine: str) -> AsyncIterator[str]:
        """The URL of a new database with the schema of this release."""
        if engine == POSTGRES:
            async with self._cluster.database() as url:
                yield url
            return
        self._count += 1
        path = self.folder / f"{self._count}.sqlite3"
        await ensure_schema(f"sqlite:///{path}")
        try:
            yield f"sqlite:///{path}"
        finally:
            for file in path.parent.glob(f"{path.name}*"):
                file.unlink()

    def database_cpu_s(self, engine: str) -> float:
        """What the database's own processes have used so far; SQLite has none."""
        return processes.cpu_of_family_s(self._cluster.pids()) if engine == POSTGRES else 0.0

    @asynccontextmanager
    async def stub(self, delay_ms: float = 0) -> AsyncIterator[tuple[str, int]]:
        """The wallets: their URL and their process."""
        port = processes.free_port()
        arguments = ["-m", "bench.stub", str(port), str(self.keys), str(delay_ms)]
        async with processes.running(arguments, port=port) as process:
            yield f"http://127.0.0.1:{port}", process.pid

    @asynccontextmanager
    async def gateway(self, url: str, stub_url: str, *, merchants: int = 0) -> AsyncIterator["Server"]:
        port = processes.free_port()
        arguments = ["-m", "bench.gateway", str(port), str(self.keys), url, stub_url, str(merchants)]
        async with processes.running(arguments, port=port) as process:
            yield Server(port, process.pid)


class Server(msgspec.Struct, frozen=True):
    """A running gateway."""

    port: int
    pid: int


class Meter:
    """CPU per call of each process while it is entered."""

    def __init__(self, stage: Stage, engine: str, pids: Mapping[str, int | Sequence[int]]) -> None:
        self._stage = stage
        self._engine = engine
        self._pids = pids
        self._before: dict[str, float] = {}

    def start(self) -> None:
        self._before = self._now()

    def per_call(self, calls: int) -> dict[str, float]:
        """Microseconds by `<process>_us` since `start`."""
        return {f"{name}_us": (value - self._before[name]) / calls * 1e6 for name, value in self._now().items()}

    def _now(self) -> dict[str, float]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        found = {"load": usage.ru_utime + usage.ru_stime, "database": self._stage.database_cpu_s(self._engine)}
        for name, pids in self._pids.items():
            found[name] = sum(processes.cpu_s(pid) for pid in ([pids] if isinstance(pids, int) else pids))
        return found


def latencies(result: load.Result) -> dict[str, float]:
    assert not result.errors, result.errors
    return {
        "per_second": result.per_second,
        "p50_ms": result.percentile(50),
        "p99_ms": result.percentile(99),
        "p999_ms": result.percentile(99.9),
    }
