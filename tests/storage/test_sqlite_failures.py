"""SQLite: groups that share one commit, a full disk, and other processes on the same file."""

import asyncio
import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from opentill.storage import sqlite
from opentill.storage.database import (
    DatabaseOverloaded,
    DatabaseUnavailable,
    StatementRefused,
    Step,
    StepFailed,
    open_database,
)
from opentill.storage.sqlite import Writer
from tests.databases import fresh_database
from tests.storage.tables import CREATE, insert, lamps, states, switch

LONGEST_WAIT_S = 60
"""Real seconds after which who stands in the way is no longer waited for."""
BIG = b"\x01" * 200_000
DEFERRED = "CREATE TABLE sockets (lamp_id BIGINT REFERENCES lamps (lamp_id) DEFERRABLE INITIALLY DEFERRED, volt BIGINT)"


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


@contextlib.contextmanager
def writer_of(path: Path) -> Iterator[Writer]:
    writer = Writer(path)
    writer.commit([[CREATE], [Step(DEFERRED)]])
    try:
        yield writer
    finally:
        writer.close()


@contextlib.contextmanager
def somebody_writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process that holds the write lock."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    finally:
        connection.close()


def found(path: Path) -> dict[int, str]:
    connection = sqlite3.connect(path)
    try:
        return dict(connection.execute("SELECT lamp_id, state FROM lamps ORDER BY lamp_id").fetchall())
    finally:
        connection.close()


def test_in_one_commit_a_unit_that_is_off_is_undone_and_the_others_are_kept(tmp_path: Path) -> None:
    with writer_of(tmp_path / "lamps") as writer:
        units = [
            [insert(1), switch(1, expect="OFF", state="ON")],
            [insert(2), switch(2, expect="OFF", state="ON"), switch(2, expect="OFF", state="BROKEN")],
            [insert(3), Step("UPDATE nowhere SET a = 1")],
            [insert(1)],
            [insert(2)],
        ]

        answers = writer.commit(units)

        assert [type(answer) for answer in answers] == [list, StepFailed, StatementRefused, StepFailed, list]
        assert found(tmp_path / "lamps") == {1: "ON", 2: "OFF"}


def test_when_the_commit_fails_every_unit_of_the_group_is_undone(tmp_path: Path) -> None:
    with writer_of(tmp_path / "lamps") as writer:
        # Checked at the commit alone, so that the commit is what fails.
        dangling = [Step("INSERT INTO sockets (lamp_id) VALUES (99)")]

        answers = writer.commit([[insert(1)], dangling, [insert(1)], [insert(2)]])

        assert [type(answer) for answer in answers] == [
            DatabaseUnavailable,
            DatabaseUnavailable,
            StepFailed,
            DatabaseUnavailable,
        ]
        assert found(tmp_path / "lamps") == {}


def test_after_a_commit_that_failed_the_next_one_works(tmp_path: Path) -> None:
    with writer_of(tmp_path / "lamps") as writer:
        writer.commit([[Step("INSERT INTO sockets (lamp_id) VALUES (99)")]])

        (answer,) = writer.commit([[insert(1)]])

        assert isinstance(answer, list)
        assert found(tmp_path / "lamps") == {1: "OFF"}


def test_when_the_disk_is_full_every_unit_of_the_group_is_undone(tmp_path: Path) -> None:
    with writer_of(tmp_path / "lamps") as writer:
        writer.commit([[Step("PRAGMA max_page_count = 20")]])

        answers = writer.commit([[insert(1)], [insert(2, picture=BIG)], [insert(3)]])

        assert [type(answer) for answer in answers] == [DatabaseUnavailable] * 3
        assert "full" in str(answers[0])
        assert found(tmp_path / "lamps") == {}


async def test_it_heals_when_the_disk_has_room_again() -> None:
    async with lamps("sqlite") as (_, database):
        await database.write([Step("PRAGMA max_page_count = 20")])
        with pytest.raises(DatabaseUnavailable):
            await database.write([insert(1, picture=BIG)])
        await database.write([Step("PRAGMA max_page_count = 100000")])

        await database.write([insert(1, picture=BIG)])

        assert await states(database) == {1: "OFF"}


async def test_two_processes_write_to_one_file_at_once() -> None:
    async with lamps("sqlite") as (url, database):
        other = await open_database(url)
        try:
            await asyncio.gather(
                *(
                    (database if number % 2 else other).write(
                        [insert(number), switch(number, expect="OFF", state="ON")]
                    )
                    for number in range(200)
                )
            )

            assert await states(other) == dict.fromkeys(range(200), "ON")
        finally:
            await other.close()


async def test_a_process_that_opens_and_closes_the_file_takes_nothing_away_from_the_one_that_serves() -> None:
    async with lamps("sqlite") as (url, database):
        await database.write([insert(1)])
        seen_before = seen_by_another_process(path_of(url))

        await database.write([insert(2)])

        assert (seen_before, seen_by_another_process(path_of(url))) == ("1", "2")


def seen_by_another_process(path: Path) -> str:
    """Lamps that a process sees which opens the file, counts and closes it: the CLI beside the gateway, a backup."""
    script = f"import sqlite3; c = sqlite3.connect({str(path)!r}); " + (
        "print(c.execute('SELECT COUNT(*) FROM lamps').fetchone()[0], end=''); c.close()"
    )
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout


async def test_a_unit_waits_for_another_process_to_commit() -> None:
    async with lamps("sqlite") as (url, database):
        with somebody_writing(path_of(url)) as connection:
            connection.execute("INSERT INTO lamps (lamp_id, state) VALUES (1, 'OFF')")
            writing = asyncio.create_task(database.write([switch(1, expect="OFF", state="ON")]))
            reading = await states(database)
            connection.execute("COMMIT")
            await writing

        assert reading == {}
        assert await states(database) == {1: "ON"}


async def test_a_unit_that_waits_too_long_for_another_process_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 20)
    async with lamps("sqlite") as (url, database):
        with somebody_writing(path_of(url)), pytest.raises(DatabaseUnavailable, match="locked"):
            await database.write([insert(1)])

        await database.write([insert(2)])

        assert await states(database) == {2: "OFF"}


async def test_more_units_than_may_wait_are_refused_and_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "MAX_WAITING_UNITS", 10)
    async with lamps("sqlite") as (url, database):
        with somebody_writing(path_of(url)):
            tasks = [asyncio.create_task(database.write([insert(number)])) for number in range(50)]
            await asyncio.sleep(0)
            refused = {number for number, task in enumerate(tasks) if task.done()}
        answers = await asyncio.gather(*tasks, return_exceptions=True)

        assert len(refused) >= 50 - 10 - sqlite.MAX_GROUP
        assert refused == {number for number, answer in enumerate(answers) if isinstance(answer, DatabaseOverloaded)}
        assert (await states(database)).keys() == set(range(50)) - refused


async def test_a_slow_report_does_not_stand_in_the_way_of_a_read(monkeypatch: pytest.MonkeyPatch) -> None:
    is_read = threading.Event()
    with monkeypatch.context() as opening:
        opening.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=connection_that_waits_for(is_read)))
        async with lamps("sqlite") as (_, database):
            report = asyncio.create_task(database.read("SELECT is_read_within($1) AS is_read", LONGEST_WAIT_S))
            await asyncio.sleep(0)

            await states(database)
            is_read.set()

            assert [row["is_read"] for row in await report] == [1]


def connection_that_waits_for(event: threading.Event) -> type[sqlite3.Connection]:
    """A kind of connection whose SQL can wait: `is_read_within(seconds)` says whether `event` was set in time."""

    class Waiting(sqlite3.Connection):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.create_function("is_read_within", 1, event.wait)

    return Waiting


def test_what_is_committed_survives_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "lamps"
    program = f"""
import asyncio, os, signal
from opentill.storage.database import open_database
from tests.storage.tables import CREATE, insert

async def main():
    database = await open_database("sqlite:///{path}")
    await database.write([CREATE])
    await asyncio.gather(*(database.write([insert(number), insert(-number)]) for number in range(1, 101)))
    for number in range(101, 201):
        asyncio.ensure_future(database.write([insert(number), insert(-number)]))
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, cwd=Path(__file__).parents[2])

    numbers = found(path).keys()
    assert done.returncode == -9
    assert set(range(1, 101)) <= numbers
    assert {-number for number in numbers} == numbers


def test_when_the_disk_fails_in_the_commit_the_outcome_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "lamps"
    # The limit lets writing fail where the commit is written, and with another error than a full disk.
    program = f"""
import os, resource
from pathlib import Path
from opentill.storage.sqlite import Writer
from tests.storage.tables import CREATE, insert

writer = Writer(Path("{path}"))
writer.commit([[CREATE]])
size = os.path.getsize("{path}-wal")
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5000, resource.RLIM_INFINITY))
(answer,) = writer.commit([[insert(1, picture=b"1" * 50_000)]])
print(type(answer).__name__)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
(answer,) = writer.commit([[insert(2)]])
print(type(answer).__name__)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2], capture_output=True, text=True
    )

    assert done.stdout.split() == ["OutcomeUnknown", "list"]
    assert found(path) == {2: "OFF"}


async def test_the_files_are_nobody_elses_business() -> None:
    async with lamps("sqlite") as (url, database):
        await database.write([insert(1)])

        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in path_of(url).parent.iterdir()}

        assert set(modes.values()) == {0o600}
        assert len(modes) == 3


async def test_commits_are_on_the_disk_and_keys_are_checked() -> None:
    async with lamps("sqlite") as (_, database):
        pragmas = ["journal_mode", "synchronous", "foreign_keys", "busy_timeout"]

        answers = await database.write([Step(f"PRAGMA {name}") for name in pragmas])

        values = [next(iter(dict(row).values())) for (row,) in answers]
        assert values == ["wal", 2, 1, sqlite.BUSY_TIMEOUT_MS]


async def test_a_read_cannot_write() -> None:
    async with lamps("sqlite") as (_, database):
        with pytest.raises((StatementRefused, DatabaseUnavailable)):
            await database.read("INSERT INTO lamps (lamp_id, state) VALUES (1, 'OFF') RETURNING lamp_id")

        assert await states(database) == {}


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot open"):
        await open_database(f"sqlite:///{tmp_path}/nowhere/lamps")


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "lamps").write_bytes(os.urandom(8192))

    with pytest.raises(DatabaseUnavailable, match="not a database"):
        await open_database(f"sqlite:///{tmp_path}/lamps")


async def test_a_relative_path_starts_where_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    database = await open_database("sqlite:///lamps")
    await database.close()

    assert (tmp_path / "lamps").exists()


async def test_many_who_open_a_new_file_at_once_all_can(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from opentill.storage.database import open_database, Step\n"
        "async def main():\n"
        "    database = await open_database(sys.argv[1])\n"
        "    await database.write([Step('CREATE TABLE IF NOT EXISTS t (a BIGINT)')])\n"
        "    await database.close()\n"
        "asyncio.run(main())"
    )
    url = f"sqlite:///{tmp_path}/lamps"

    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, url, stderr=asyncio.subprocess.PIPE)
        for _ in range(3)
    ]
    said = [await process.communicate() for process in processes]

    assert [process.returncode for process in processes] == [0] * 3, said


async def test_inline_does_everything_before_it_returns() -> None:
    async with fresh_database("sqlite", is_migrated=False, inline=True) as (_, database):
        await database.write([CREATE])
        woken = database.wake_event("notify")

        writing = database.write([insert(1)], wakes=["notify"])
        with pytest.raises(StopIteration):
            writing.send(None)

        assert woken.is_set()
        assert await states(database) == {1: "OFF"}
        with pytest.raises(StepFailed):
            await database.write([insert(2), insert(1)])
        assert await states(database) == {1: "OFF"}


async def test_inline_and_closed_nothing_can_be_done_any_more() -> None:
    async with fresh_database("sqlite", is_migrated=False, inline=True) as (_, database):
        await database.write([CREATE])

        await database.close()

        with pytest.raises(DatabaseUnavailable):
            await database.write([insert(1)])
        with pytest.raises(DatabaseUnavailable):
            await database.read("SELECT 1 AS answer")


@pytest.mark.parametrize(
    ("url", "inline"),
    [
        ("", False),
        ("sqlite://", False),
        ("sqlite:///", False),
        ("mysql://root:password@localhost/till", False),
        ("postgres://root:password@localhost/till", False),
        ("postgresql://root:password@localhost/till", True),
    ],
)
async def test_other_urls_are_refused_without_quoting_them(url: str, inline: bool) -> None:
    with pytest.raises(ValueError, match="a database URL starts with") as refused:
        await open_database(url, inline=inline)

    assert "password" not in str(refused.value)
