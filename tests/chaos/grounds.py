"""The two databases a run can stand on, and what can happen to them."""

import asyncio
import contextlib
import os
import pwd
import resource
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

import asyncpg

from opentill.storage.database import ensure_schema
from tests.databases import PostgresCluster

SQLITE_DISK_MIB, POSTGRES_DISK_MIB = 64, 160
CHUNK = 65_536
DOWN_S, FROZEN_S, FULL_S, READ_ONLY_S = 1.5, 2.0, 2.0, 2.0
LOCKED_S = 6.0
"""Longer than the gateway waits for another process that writes."""
NAME = "chaos"

Accident = Callable[[], Awaitable[None]]


class Ground(Protocol):
    """A database of a run. `accidents`: what can happen to it, each healed when it returns."""

    url: str
    disk: str
    """How a full disk is made, for the report."""

    async def open(self) -> None: ...

    def accidents(self, gateway_pid: Callable[[], int]) -> Mapping[str, Accident]:
        """`gateway_pid` tells a process that writes there, for what happens to processes and not to databases."""
        ...

    def keep(self, folder: Path) -> None:
        """Copy what would be lost with the ground."""
        ...

    def close(self) -> None: ...


class SmallDisk:
    """A file system of a few MiB of its own, which can be filled to the brim; needs root. 0 MiB: only a folder."""

    def __init__(self, folder: Path, *, mib: int) -> None:
        self.folder = folder
        folder.mkdir()
        mounting = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0777", "tmpfs", str(folder)]
        self.is_mounted = mib > 0 and subprocess.run(mounting, check=False, capture_output=True).returncode == 0

    async def be_full(self, seconds: float) -> None:
        """Not a byte is free for a while."""
        ballast = self.folder / "ballast"
        await asyncio.to_thread(_fill, ballast)
        try:
            # What the database frees meanwhile is taken too.
            for _ in range(10):
                await asyncio.sleep(seconds / 10)
                await asyncio.to_thread(_fill, ballast)
        finally:
            ballast.unlink()

    def close(self) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


class SqliteGround:
    """A file on a small disk."""

    def __init__(self, folder: Path, *, is_small: bool = True) -> None:
        self._disk = SmallDisk(folder / "database", mib=SQLITE_DISK_MIB if is_small else 0)
        self._file = folder / "database" / "opentill.sqlite3"
        self.url = f"sqlite:///{self._file}"
        self.disk = (
            f"a tmpfs of {SQLITE_DISK_MIB} MiB, filled" if self._disk.is_mounted else "RLIMIT_FSIZE (no root, no mount)"
        )

    async def open(self) -> None:
        await ensure_schema(self.url)

    def accidents(self, gateway_pid: Callable[[], int]) -> Mapping[str, Accident]:
        async def disk_full() -> None:
            if self._disk.is_mounted:
                await self._disk.be_full(FULL_S)
            else:
                await _files_may_not_grow(gateway_pid(), self._file, FULL_S)

        return {"disk full": disk_full, "database locked": self._locked}

    def keep(self, folder: Path) -> None:
        if self._disk.is_mounted:
            shutil.copytree(self._disk.folder, folder / "database-kept")

    def close(self) -> None:
        self._disk.close()

    async def _locked(self) -> None:
        """Another process writes for longer than the gateway waits."""
        with contextlib.closing(
            sqlite3.connect(self._file, timeout=30, isolation_level=None, check_same_thread=False)
        ) as other:
            await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            await asyncio.sleep(LOCKED_S)
            other.execute("ROLLBACK")


class PostgresGround:
    """A cluster of the run's own whose commits wait for the disk; the data lies in a tablespace on a small one."""

    def __init__(self, folder: Path, *, is_small: bool = True) -> None:
        self._cluster = PostgresCluster(is_durable=True)
        self._disk = SmallDisk(folder / "tablespace", mib=POSTGRES_DISK_MIB if is_small else 0)
        self.url = ""
        self.disk = (
            f"a tablespace on a tmpfs of {POSTGRES_DISK_MIB} MiB, filled"
            if self._disk.is_mounted
            else "left out (no root)"
        )

    async def open(self) -> None:
        await asyncio.to_thread(self._cluster.start)
        if self._disk.is_mounted:
            for above in (self._disk.folder.parent, self._disk.folder):
                above.chmod(0o755)
            place = self._disk.folder / "data"
            place.mkdir()
            owner = pwd.getpwuid(os.stat(f"/proc/{self._cluster.pids()[0]}").st_uid)
            os.chown(place, owner.pw_uid, owner.pw_gid)
            await self._admin(f"CREATE TABLESPACE small LOCATION '{place}'")
            await self._admin(f"CREATE DATABASE {NAME} TABLESPACE small")
        else:
            await self._admin(f"CREATE DATABASE {NAME}")
        self.url = self._cluster.url(NAME)
        await ensure_schema(self.url)

    def accidents(self, gateway_pid: Callable[[], int]) -> Mapping[str, Accident]:  # noqa: ARG002
        found: dict[str, Accident] = {
            "PostgreSQL killed": self._killed,
            "PostgreSQL restarted": self._restarted,
            "PostgreSQL frozen": self._frozen,
            "connections cut": self._cut,
            "read-only moment": self._read_only,
        }
        if self._disk.is_mounted:
            found["disk full"] = lambda: self._disk.be_full(FULL_S)
        return found

    def keep(self, folder: Path) -> None:
        dumped = subprocess.run(["pg_dump", "--dbname", self.url], check=False, capture_output=True)
        (folder / "database.sql").write_bytes(dumped.stdout + dumped.stderr)

    def close(self) -> None:
        self._cluster.stop()
        self._disk.close()

    async def _killed(self) -> None:
        await asyncio.to_thread(self._cluster.kill_server)
        await asyncio.sleep(DOWN_S)
        await asyncio.to_thread(self._cluster.start)

    async def _restarted(self) -> None:
        await asyncio.to_thread(self._cluster.stop_server)
        await asyncio.sleep(DOWN_S)
        await asyncio.to_thread(self._cluster.start)

    async def _frozen(self) -> None:
        """It does not answer, but its connections are open."""
        pids = self._cluster.pids()
        _signal(pids, signal.SIGSTOP)
        try:
            await asyncio.sleep(FROZEN_S)
        finally:
            _signal(pids, signal.SIGCONT)

    async def _cut(self) -> None:
        await self._admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{NAME}'")

    async def _read_only(self) -> None:
        await self._admin(f"ALTER DATABASE {NAME} SET default_transaction_read_only = on")
        try:
            await self._cut()
            await asyncio.sleep(READ_ONLY_S)
        finally:
            await self._admin(f"ALTER DATABASE {NAME} SET default_transaction_read_only = off")

    async def _admin(self, sql: str) -> None:
        connection = await asyncpg.connect(self._cluster.url("postgres"))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


GROUNDS: Mapping[str, type[SqliteGround] | type[PostgresGround]] = {
    "sqlite": SqliteGround,
    "postgresql": PostgresGround,
}


def _fill(ballast: Path) -> None:
    """Write until nothing more goes in."""
    with ballast.open("ab", buffering=0) as file:
        for size in (CHUNK, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass


async def _files_may_not_grow(pid: int, file: Path, seconds: float) -> None:
    """What a full disk is to a process, where there is no disk to fill: no file of it may get longer."""
    longest = max(path.stat().st_size for path in file.parent.glob(f"{file.name}*"))
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (longest, hard))
    try:
        await asyncio.sleep(seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
