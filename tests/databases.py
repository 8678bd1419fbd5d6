"""Real databases for tests: `@on_both_engines` and `async with fresh_database(engine) as (url, database)`.

PostgreSQL is a cluster of this process's own, started when first needed, in a temporary folder, on a Unix socket.
Every test gets its own database, copied from a migrated template.
"""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import asyncpg
import pytest

from opentill.storage.database import Database, ensure_schema, open_database

ENGINES = ("sqlite", "postgresql")
on_both_engines = pytest.mark.parametrize("engine", ENGINES)
on_postgres = pytest.mark.parametrize("engine", ["postgresql"])
on_sqlite = pytest.mark.parametrize("engine", ["sqlite"])

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
TEMPLATE = "template_migrated"
# A test's data need not survive a power failure.
SERVER_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "deadlock_timeout": "50ms",
}

DURABLE = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum")
"""What a server in earnest has on."""


@contextlib.asynccontextmanager
async def fresh_database(
    engine: str, *, is_migrated: bool = True, connections: int = 10, inline: bool = False
) -> AsyncIterator[tuple[str, Database]]:
    """A database of the test's own, opened, and its URL. `is_migrated=False`: without any table."""
    async with fresh_url(engine, is_migrated=is_migrated) as url:
        database = await open_database(url, connections=connections, inline=inline)
        try:
            yield url, database
        finally:
            await database.close()


@contextlib.asynccontextmanager
async def fresh_url(engine: str, *, is_migrated: bool = True) -> AsyncIterator[str]:
    """The URL of a database of the test's own. It is gone afterwards, whoever is still connected."""
    async with _SERVERS[engine].database(is_migrated=is_migrated) as url:
        yield url


def stop_servers() -> None:
    """End what was started. Called once, after the last test."""
    for server in _SERVERS.values():
        server.stop()


class _SqliteFiles:
    def __init__(self) -> None:
        self._folder: Path | None = None

    @contextlib.asynccontextmanager
    async def database(self, *, is_migrated: bool) -> AsyncIterator[str]:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="opentill-sqlite-"))
        if is_migrated and not (self._folder / TEMPLATE).exists():
            await ensure_schema(f"sqlite:///{self._folder / TEMPLATE}")
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            path = Path(folder) / "opentill.sqlite3"
            if is_migrated:
                shutil.copyfile(self._folder / TEMPLATE, path)
            yield f"sqlite:///{path}"

    def stop(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder = None


class PostgresCluster:
    """A PostgreSQL server in a temporary folder. It also ends when this process is killed.

    `is_durable`: commits wait for the disk, as in production; tests need not.
    """

    def __init__(self, *, is_durable: bool = False, more_settings: Mapping[str, str] | None = None) -> None:
        durable = dict.fromkeys(DURABLE, "on") if is_durable else {}
        self._more_settings = {**durable, **(more_settings or {})}
        self._folder: Path | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._has_template = False

    @contextlib.asynccontextmanager
    async def database(self, *, is_migrated: bool = True) -> AsyncIterator[str]:
        """The URL of a new database, dropped afterwards."""
        if self._server is None:
            self.start()
        if is_migrated and not self._has_template:
            await self._admin(f"CREATE DATABASE {TEMPLATE}")
            await ensure_schema(self.url(TEMPLATE))
            self._has_template = True
        name = f"test_{next(self._numbers)}"
        await self._admin(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE if is_migrated else 'template0'}")
        try:
            yield self.url(name)
        finally:
            if self._server is not None:
                await self._admin(f"DROP DATABASE {name} WITH (FORCE)")

    def start(self) -> None:
        """Start the server; the first time, make its cluster. Fails the test if PostgreSQL is not installed."""
        if self._folder is None:
            self._folder = _new_folder()
            initdb = [_binary("initdb"), "-D", str(self._folder / "data"), "-U", "postgres", "--auth=trust"]
            _run([*initdb, "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"])
        settings = SERVER_SETTINGS | self._more_settings | {"unix_socket_directories": str(self._folder)}
        options = itertools.chain.from_iterable(("-c", f"{name}={value}") for name, value in settings.items())
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [*_unprivileged(), _binary("postgres"), "-D", str(self._folder / "data"), *options],
                stdout=log, stderr=log, cwd="/",
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT_S
        while subprocess.run([_binary("pg_isready"), "-q", "-h", str(self._folder)], check=False).returncode != 0:
            if self._server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.02)

    def stop_server(self) -> None:
        """End the server, but keep its data: `start` brings it back."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)  # fast shutdown: does not wait for clients
            self._server.wait(STOP_TIMEOUT_S)
            self._server = None

    def kill_server(self) -> None:
        """kill -9 for every process of the server at once; `start` recovers what was committed."""
        if self._server is not None:
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._server.wait(STOP_TIMEOUT_S)
            self._server = None

    def pids(self) -> list[int]:
        """The processes of the running server, its first one first."""
        assert self._server is not None
        listed = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text()
        return [self._server.pid, *(int(pid) for pid in listed.split())]

    def standby(self) -> "PostgresCluster":
        """A running copy that follows this server and can only be read until it is promoted."""
        copy = PostgresCluster()
        copy._folder = _new_folder()
        target = ["-D", str(copy._folder / "data"), "--write-recovery-conf", "--no-sync"]
        source = ["-h", str(self._folder), "-U", "postgres", "--checkpoint=fast", "--wal-method=stream"]
        _run([_binary("pg_basebackup"), *target, *source])
        copy.start()
        return copy

    def promote(self) -> None:
        """Let a standby be the server that is written to."""
        _run([_binary("pg_ctl"), "promote", "-w", "-D", f"{self._folder}/data"])

    @property
    def folder(self) -> Path:
        """Where it listens."""
        assert self._folder is not None
        return self._folder

    def stop(self) -> None:
        """End the server and remove its data."""
        self.stop_server()
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder = None
            self._has_template = False

    def url(self, name: str) -> str:
        """The URL of the database `name`."""
        return f"postgresql://postgres@/{name}?host={self._folder}"

    async def _admin(self, sql: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


def _new_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="opentill-pg-", dir="/tmp"))
    if os.geteuid() == 0:
        user = pwd.getpwnam(_unprivileged_user())
        os.chown(folder, user.pw_uid, user.pw_gid)
    return folder


def _binary(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4].split(".")[0]))
    if found:
        return str(found[-1])
    return shutil.which(name) or pytest.fail(f"{name} of PostgreSQL is missing: run `make setup`")


def _unprivileged() -> list[str]:
    """The start of a command: PostgreSQL refuses to run as root, and it must not outlive us."""
    prefix = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        user = pwd.getpwnam(_unprivileged_user())
        prefix += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return prefix


def _unprivileged_user() -> str:
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _run(command: list[str]) -> None:
    done = subprocess.run([*_unprivileged(), *command], capture_output=True, check=False, text=True, cwd="/")
    if done.returncode != 0:
        pytest.fail(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


_SERVERS: dict[str, _SqliteFiles | PostgresCluster] = {"sqlite": _SqliteFiles(), "postgresql": PostgresCluster()}
