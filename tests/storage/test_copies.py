"""Copies of a SQLite database are made while it is in use and brought back whole, or nothing is changed."""

import contextlib
import os
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess, run

import pytest

from opentill.services.doctor_books import check_books
from opentill.services.findings import Level
from opentill.storage.copies import CopyProblem, back_up, restore
from tests.databases import PostgresCluster, fresh_url
from tests.doctor.patients import patient_of
from tests.orders import paid
from tests.world import ground, running


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def merchants(path: Path) -> list[str]:
    with opened(path) as connection:
        return [row[0] for row in connection.execute("SELECT name FROM merchants ORDER BY merchant_id")]


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def add_merchant(connection: sqlite3.Connection, number: int) -> None:
    connection.execute("INSERT INTO merchants VALUES (?, ?, 0, 0)", (number, f"merchant {number}"))


async def made(folder: Path) -> Path:
    """A database as `serve` leaves it: newest schema, WAL."""
    path = folder / "opentill.sqlite3"
    async with fresh_url("sqlite") as url:
        shutil.copyfile(url.removeprefix("sqlite:///"), path)
    with opened(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    return path


async def test_a_copy_has_what_was_committed_and_nothing_that_was_not(tmp_path: Path) -> None:
    path, target = await made(tmp_path), tmp_path / "copy.sqlite3"
    with opened(path) as writer, opened(path) as other:
        add_merchant(writer, 1)
        other.execute("BEGIN IMMEDIATE")
        add_merchant(other, 2)

        back_up(path, target)

    assert merchants(target) == ["merchant 1"]


async def test_a_copy_is_one_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    path, target = await made(tmp_path), tmp_path / "copies" / "copy.sqlite3"
    target.parent.mkdir()

    back_up(path, target)

    assert names_in(target.parent) == ["copy.sqlite3"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


async def test_a_gateway_that_goes_on_does_not_spoil_its_copy(tmp_path: Path) -> None:
    async with ground() as g:
        path, target = Path(g.database_url.removeprefix("sqlite:///")), tmp_path / "copy.sqlite3"
        async with running(g) as w:
            before = await paid(w)
            back_up(path, target)
            after = await paid(w)
        kept = restore(target, path)
        async with running(g) as w:
            known = [row["order_no"] for row in await w.rows("SELECT order_no FROM orders ORDER BY order_no")]
            w.clock.advance(2 * 3_600_000)

            found = await check_books(patient_of(w, is_whole=True))

    assert known == [before]
    assert [finding.level for finding in found] == [Level.OK, Level.OK]
    assert kept is not None
    assert after not in known


async def test_what_was_there_is_kept_under_a_name_of_its_own(tmp_path: Path) -> None:
    path, target = await made(tmp_path), tmp_path / "copy.sqlite3"
    back_up(path, target)
    with opened(path) as connection:
        add_merchant(connection, 1)

    first = restore(target, path)
    second = restore(target, path)

    assert (merchants(path), first and merchants(first), second and merchants(second)) == ([], ["merchant 1"], [])
    assert first != second


async def test_the_newest_changes_beside_the_file_do_not_come_back_with_the_old_copy(tmp_path: Path) -> None:
    path, target = await made(tmp_path), tmp_path / "copy.sqlite3"
    back_up(path, target)
    kill_after_writing(path)
    assert path.with_name(f"{path.name}-wal").exists()

    restore(target, path)

    assert merchants(path) == []


def kill_after_writing(path: Path) -> None:
    """A writer dies: what it committed is in the file's companion only."""
    program = (
        "import os, sqlite3\n"
        f"c = sqlite3.connect({str(path)!r}, isolation_level=None)\n"
        "c.execute('PRAGMA wal_autocheckpoint = 0')\n"
        "c.execute(\"INSERT INTO merchants VALUES (1, 'merchant 1', 0, 0)\")\n"
        "os.kill(os.getpid(), 9)"
    )
    run([sys.executable, "-c", program], check=False)


async def test_a_database_that_somebody_has_open_is_not_replaced(tmp_path: Path) -> None:
    path, target = await made(tmp_path), tmp_path / "copy.sqlite3"
    back_up(path, target)
    with opened(path) as gateway:
        add_merchant(gateway, 1)

        with pytest.raises(CopyProblem, match="stop the gateway first"):
            restore(target, path)

    assert merchants(path) == ["merchant 1"]
    assert names_in(tmp_path) == ["copy.sqlite3", "opentill.sqlite3"]


async def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path, target = await made(tmp_path), tmp_path / "copy.sqlite3"
    target.write_text("precious")

    with pytest.raises(CopyProblem, match="exists already"):
        back_up(path, target)

    assert target.read_text() == "precious"


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be read as one" * 100])
async def test_what_is_no_copy_of_a_gateway_is_not_brought_back(tmp_path: Path, content: bytes) -> None:
    path, broken = await made(tmp_path), tmp_path / "broken"
    broken.write_bytes(content)

    with pytest.raises(CopyProblem):
        restore(broken, path)

    assert merchants(path) == []
    assert names_in(tmp_path) == ["broken", "opentill.sqlite3"]


async def test_a_copy_with_a_flaw_is_not_brought_back(tmp_path: Path) -> None:
    path, target = await made(tmp_path), tmp_path / "copy.sqlite3"
    back_up(path, target)
    whole = bytearray(target.read_bytes())
    whole[4096 * 3 : 4096 * 6] = os.urandom(4096 * 3)
    target.write_bytes(whole)

    with pytest.raises(CopyProblem):
        restore(target, path)

    assert merchants(path) == []


async def test_a_disk_that_is_not_there_leaves_nothing_behind(tmp_path: Path) -> None:
    path = await made(tmp_path)

    with pytest.raises(CopyProblem):
        back_up(path, tmp_path / "nowhere" / "copy.sqlite3")

    assert names_in(tmp_path) == ["opentill.sqlite3"]


async def test_the_commands_copy_and_bring_back(tmp_path: Path) -> None:
    path, target = await made(tmp_path), tmp_path / "copy.sqlite3"
    with opened(path) as connection:
        add_merchant(connection, 1)

    copied = typed("backup", str(target), url=f"sqlite:///{path}")
    path.unlink()
    restored = typed("restore", str(target), url=f"sqlite:///{path}")

    assert (copied.returncode, restored.returncode) == (0, 0), copied.stderr + restored.stderr
    assert merchants(path) == ["merchant 1"]


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_for_postgresql_the_commands_lead_to_the_manual(tmp_path: Path, command: str) -> None:
    done = typed(command, str(tmp_path / "copy"), url=PostgresCluster().url("x"))

    assert (done.returncode, "docs/operations.md" in done.stderr) == (1, True)


def typed(*arguments: str, url: str) -> CompletedProcess[str]:
    environment = os.environ | {"OPENTILL_DATABASE_URL": url}
    return run(
        [sys.executable, "-m", "opentill.cli.main", "data", *arguments],
        env=environment, check=False, capture_output=True, text=True,
    )  # fmt: skip
