"""Archives: what leaves the database is in a file first, and nothing leaves it that somebody may still need."""

import asyncio
import contextlib
import fcntl
import gzip
import os
import resource
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import pytest

from opentill.services import archives
from opentill.services.archives import ArchiveProblem, Totals, read_archive
from opentill.services.doctor_books import check_books
from opentill.services.findings import Level
from opentill.storage import archive, history
from opentill.storage.archive import ARCHIVED, OrderPast
from opentill.storage.database import Database, DatabaseUnavailable, open_database
from opentill.storage.refusals import RefusedCall
from tests.databases import on_both_engines
from tests.doctor.patients import patient_of
from tests.faulty_databases import FaultyDatabase
from tests.orders import ALIPAY, ask, at_once, paid, scanned
from tests.shops import Answer
from tests.twin.world import NOON_MS
from tests.web.test_secrets import leaks, secrets_of
from tests.world import MASTER_KEY, TEST_APP_ID, World, ground, running, world

DAYS = archives.DEFAULT_DAYS


async def told_and_refunded(w: World, number: str) -> str:
    """An order with everything in its past, settled for good."""
    w.shop.answers = [Answer(500)]
    order_no = await paid(w, amount=500, notify_url=w.shop.url, local_order_no=number)
    await w.advance(10)
    await ask(w, "refund", order_no=order_no, refund_amount=200)
    await ask(w, "scan", channel=ALIPAY, amount=1, local_order_no=number)
    await w.deployment.replies.settled()
    return order_no


async def rested(w: World) -> None:
    """So much time passes that all is over."""
    await w.advance((DAYS + 1) * 86_400)


async def archived(w: World, folder: Path, *, days: int = DAYS) -> Totals:
    return await archives.run(w.database, w.clock, folder, days=days)


async def kinds(w: World, order_no: str) -> list[str]:
    rows = await w.rows("SELECT kind FROM history WHERE order_no = $1 ORDER BY event_id", order_no)
    return [row["kind"] for row in rows]


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def found_in(folder: Path) -> dict[str, list[OrderPast | RefusedCall]]:
    return {path.name: list(read_archive(path)) for path in files_in(folder)}


def orders_in(folder: Path) -> list[str]:
    return [each.order_no for content in found_in(folder).values() for each in content if isinstance(each, OrderPast)]


@on_both_engines
async def test_the_past_of_a_settled_order_moves_into_a_file(engine: str, tmp_path: Path) -> None:
    async with world(engine) as w:
        order_no = await told_and_refunded(w, "A-1")
        before = await w.rows("SELECT event_id, kind, detail FROM history WHERE order_no = $1 ORDER BY 1", order_no)
        staying = {
            table: [dict(row) for row in await w.rows(f"SELECT * FROM {table}")]
            for table in ("orders", "refunds", "payments", "notifications", "sales_hours")
        }
        await rested(w)

        totals = await archived(w, tmp_path)

        [(name, [past, *calls])] = found_in(tmp_path).items()
        assert isinstance(past, OrderPast)
        assert [(event.event_id, event.kind, event.detail) for event in past.history] == [
            (row["event_id"], row["kind"], row["detail"]) for row in before
        ]
        assert [attempt.status for attempt in past.attempts] == [500, 200]
        assert (past.order["local_order_no"], past.order["state"], past.order["amount_fen"]) == ("A-1", "PAID", 500)
        assert {call.name for call in calls if isinstance(call, RefusedCall)} <= {"DUPLICATE_ORDER"}
        assert (totals.files, totals.orders, totals.removed) == ([name], 1, 1)
        # What the books are summed from stays, and a note of where the rest is.
        assert await kinds(w, order_no) == ["REFUND_SUCCEEDED", ARCHIVED]
        assert await w.number("SELECT count(*) FROM notification_attempts") == 0
        assert await w.number("SELECT count(*) FROM refused_calls") == 0
        for table, rows in staying.items():
            assert [dict(row) for row in await w.rows(f"SELECT * FROM {table}")] == rows, table
        assert (await w.scan(local_order_no="A-1")).code == "60"


async def test_an_archive_is_for_its_owner_only_and_replaces_nothing(tmp_path: Path) -> None:
    async with world() as w:
        first, second = await told_and_refunded(w, "A-1"), await told_and_refunded(w, "A-2")
        await rested(w)
        await w.change("UPDATE orders SET attention = 'SEEN LATER' WHERE order_no = $1", second)
        await archived(w, tmp_path)
        await w.change("UPDATE orders SET attention = '' WHERE order_no = $1", second)

        await archived(w, tmp_path)  # at the same second

        assert orders_in(tmp_path) == [first, second]
        assert [path.name[-11:] for path in files_in(tmp_path)] == ["-1.jsonl.gz", "-2.jsonl.gz"]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files_in(tmp_path)} == {0o600}


async def test_a_second_run_finds_nothing_to_do(tmp_path: Path) -> None:
    async with world() as w:
        await told_and_refunded(w, "A-1")
        await rested(w)
        await archived(w, tmp_path)

        again = await archived(w, tmp_path)

        assert again == Totals()
        assert len(files_in(tmp_path)) == 1


@on_both_engines
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE orders SET state = 'WAITING'",
        "UPDATE orders SET attention = 'LATE'",
        "UPDATE orders SET refunding_fen = 1",
        "UPDATE orders SET poll_at_ms = 99999999999999",
        "UPDATE refunds SET state = 'PENDING'",
        "UPDATE refunds SET due_at_ms = 99999999999999",
        "UPDATE payments SET role = 'WRONG_AMOUNT'",
        "UPDATE payments SET role = 'SURPLUS'",
        "UPDATE notifications SET state = 'DEAD'",
        "UPDATE notifications SET state = 'DUE', due_at_ms = 99999999999999",
        "UPDATE history SET at_ms = 99999999999999 WHERE kind = 'PAID'",
    ],
)
async def test_what_is_open_held_owed_or_recent_is_left_alone(engine: str, change: str, tmp_path: Path) -> None:
    async with world(engine, works=False) as w:
        order_no = await settled_at_once(w)
        w.clock.advance((DAYS + 1) * archives.DAY_MS)
        await w.change(change)
        before = await kinds(w, order_no)

        await archived(w, tmp_path)

        assert orders_in(tmp_path) == []
        assert await kinds(w, order_no) == before


@pytest.mark.parametrize(("days", "count"), [(DAYS, 0), (DAYS - 1, 1)])
async def test_an_order_has_to_have_rested_for_so_long(days: int, count: int, tmp_path: Path) -> None:
    async with world(works=False) as w:
        await settled_at_once(w)
        w.clock.advance(DAYS * archives.DAY_MS - 60_000)

        totals = await archived(w, tmp_path, days=days)

        assert totals.orders == count


@on_both_engines
async def test_the_doctor_finds_the_books_as_they_were(engine: str, tmp_path: Path) -> None:
    async with world(engine) as w:
        await told_and_refunded(w, "A-1")
        await rested(w)

        await archived(w, tmp_path)

        findings = await check_books(patient_of(w, is_whole=True))
        assert {finding.level for finding in findings} == {Level.OK}, findings


async def test_no_secret_gets_into_an_archive(tmp_path: Path) -> None:
    async with world() as w:
        secrets = await secrets_of(w, w.till)
        order_no = await told_and_refunded(w, "A-1")
        form = w.till.form("open.pay.query", order_no=order_no)
        await w.till.post({**form, "key": w.till.key, "remark": f"key={w.till.key}"})
        await w.deployment.replies.settled()
        await rested(w)

        await archived(w, tmp_path)

        [path] = files_in(tmp_path)
        text = gzip.decompress(path.read_bytes()).decode()
        assert "key=***" in text
        assert leaks(secrets, text) == []


# --- what goes wrong


@on_both_engines
async def test_a_run_that_ends_between_file_and_removal_loses_nothing(engine: str, tmp_path: Path) -> None:
    async with world(engine, works=False) as w:
        order_no = await settled_at_once(w)
        w.clock.advance((DAYS + 1) * archives.DAY_MS)
        before = await kinds(w, order_no)
        database = FaultyDatabase(w.database)
        database.before = lambda sql: DatabaseUnavailable("gone") if sql.startswith("DELETE") else None

        with pytest.raises(DatabaseUnavailable):
            await archives.run(cast(Database, database), w.clock, tmp_path, days=DAYS)
        assert await kinds(w, order_no) == before
        await archived(w, tmp_path)

        # In two files, and gone once.
        assert orders_in(tmp_path) == [order_no, order_no]
        assert (await kinds(w, order_no))[-1] == ARCHIVED


async def test_an_order_that_changes_meanwhile_is_left_alone(tmp_path: Path) -> None:
    async with world(works=False) as w:
        orders = [await settled_at_once(w) for _ in range(3)]
        w.clock.advance((DAYS + 1) * archives.DAY_MS)
        path = w.deployment.settings.database_url.removeprefix("sqlite:///")

        def something_happens(totals: Totals) -> None:
            if totals.files and not totals.removed:
                with sqlite3.connect(path) as connection:
                    connection.execute(
                        "INSERT OR IGNORE INTO history VALUES (?, ?, 1, 1, 'SEEN', '{}')", (TEST_APP_ID, orders[1])
                    )
                connection.close()

        totals = await archives.run(w.database, w.clock, tmp_path, days=DAYS, say=something_happens)

        assert (totals.orders, totals.removed, totals.changed) == (3, 2, 1)
        assert [(await kinds(w, order_no))[-1] == ARCHIVED for order_no in orders] == [True, False, True]


async def test_many_orders_go_into_several_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with world(works=False) as w:
        monkeypatch.setattr(archives, "ORDERS_PER_FILE", 2)
        monkeypatch.setattr(archives, "ORDERS_PER_UNIT", 1)
        monkeypatch.setattr(archive, "WINDOW", 4)
        orders = [await settled_at_once(w) for _ in range(5)]
        w.clock.advance((DAYS + 1) * archives.DAY_MS)

        totals = await archived(w, tmp_path)

        assert (len(totals.files), totals.removed) == (3, 5)
        assert orders_in(tmp_path) == orders


async def test_bad_folders_are_refused(tmp_path: Path) -> None:
    async with world(works=False) as w:
        (tmp_path / "file").touch()
        (tmp_path / "open").mkdir(mode=0o777)
        (tmp_path / "open").chmod(0o777)

        for name in ("nowhere", "file", "open"):
            with pytest.raises(ArchiveProblem, match=name):
                await archived(w, tmp_path / name)
        with pytest.raises(ArchiveProblem, match="30 days"):
            await archived(w, tmp_path, days=archives.LEAST_DAYS - 1)


async def test_a_full_disk_removes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    # PostgreSQL's files belong to another process, so that the limit meets the archive alone.
    async with world("postgresql", works=False) as w:
        order_no = await settled_at_once(w)
        w.clock.advance((DAYS + 1) * archives.DAY_MS)
        before = await kinds(w, order_no)

        with files_of_at_most(200), pytest.raises(ArchiveProblem, match="too large"):
            await archived(w, tmp_path)

        assert files_in(tmp_path) == []
        assert await kinds(w, order_no) == before


async def test_what_a_killed_run_left_is_thrown_away_and_what_another_run_writes_is_not(tmp_path: Path) -> None:
    async with world(works=False) as w:
        left, written = (tmp_path / f".opentill-archive-{name}.partial" for name in ("left", "written"))
        left.touch()
        with written.open("wb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)

            await archived(w, tmp_path)

        assert files_in(tmp_path) == [written]


@pytest.mark.parametrize("cut", [1, 40, 4_000_000])
def test_a_file_that_is_not_whole_is_known_for_it(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    lines = [archives._Head(1, 1, 1), archives._End(0, 0)]
    whole = gzip.compress(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    path.write_bytes(whole)
    assert list(read_archive(path)) == []
    path.write_bytes(whole[:-cut] if cut < len(whole) else gzip.compress(msgspec.json.encode(lines[0]) + b"\n"))

    with pytest.raises(ArchiveProblem):
        list(read_archive(path))


@on_both_engines
async def test_the_gateway_goes_on_meanwhile(engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with world(engine, works=False) as w:
        monkeypatch.setattr(archives, "ORDERS_PER_UNIT", 2)
        orders = [await settled_at_once(w) for _ in range(10)]
        w.clock.advance((DAYS + 1) * archives.DAY_MS)
        # As the command has: another connection, for SQLite another writer.
        database = await open_database(w.deployment.settings.database_url, connections=2)

        run = asyncio.create_task(archives.run(database, w.clock, tmp_path, days=DAYS))
        scans = await at_once(w.scan() for _ in range(20))

        totals = await run
        await database.close()
        assert totals.removed == len(orders)
        assert all(reply.is_success for reply in scans)


# --- the command


async def test_a_command_that_is_killed_is_repeated(tmp_path: Path) -> None:
    async with ground("sqlite", now_ms=NOON_MS - (DAYS + 40) * archives.DAY_MS) as g:
        async with running(g, works=False) as w:
            order_no = await settled_at_once(w)
            before = await kinds(w, order_no)
            await multiplied(w, order_no, 400)
        command = [sys.executable, "-m", "opentill.cli.main", "data", "archive", str(tmp_path)]
        environment = {**os.environ, "OPENTILL_DATABASE_URL": g.database_url, "OPENTILL_MASTER_KEY": MASTER_KEY}
        killed_at_the_first_file(command, environment, tmp_path)

        repeated = await asyncio.create_subprocess_exec(*command, env=environment)
        code = await repeated.wait()

        assert code == 0
        database = await open_database(g.database_url)
        left = await database.read("SELECT DISTINCT kind FROM history")
        await database.close()
        assert [row["kind"] for row in left] == [ARCHIVED]
        pasts = {
            past.order_no: past
            for content in found_in(tmp_path).values()
            for past in content
            if isinstance(past, OrderPast)
        }
        assert len(pasts) == 401
        assert all([event.kind for event in past.history] == before for past in pasts.values())


def killed_at_the_first_file(command: list[str], environment: dict[str, str], folder: Path) -> None:
    """kill -9, while what is in the file is being removed."""
    process = subprocess.Popen(command, env=environment)
    while not list(folder.glob("*.gz")) and process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.002)
    process.kill()
    process.wait()


async def settled_at_once(w: World) -> str:
    """An order with a payment, a refund and a notification, without a worker that would do them."""
    order_no = (await scanned(w, notify_url=w.shop.url)).order_no
    await w.deployment.replies.settled()
    now_ms = w.clock.now_ms()
    await w.change("UPDATE orders SET state = 'PAID', poll_at_ms = 0 WHERE order_no = $1", order_no)
    await w.change(
        "INSERT INTO payments (app_id, order_no, channel, channel_trade_no, trade_no, account_id, role, amount_fen, "
        "received_fen, discount_fen, line_discounts, paid_at_ms, recorded_at_ms) "
        "VALUES (1, $1, 1, 'T', $1, 1, 'EFFECTIVE', 1000, 1000, 0, '[]', $2, $2)",
        order_no,
        now_ms,
    )
    await w.change(
        "INSERT INTO refunds (app_id, refund_no, order_no, operator_id, trade_no, channel, account_id, cause, "
        "amount_fen, wallet_fen, reason, state, created_at_ms, due_at_ms) "
        "VALUES (1, $2, $1, 'o', $1, 1, 1, 'REQUESTED', 1, 1, '', 'SUCCEEDED', $3, 0)",
        order_no,
        f"R{order_no}",
        now_ms,
    )
    await w.change(
        "INSERT INTO notifications (app_id, notification_id, order_no, kind, url, fields, state, attempts, due_at_ms, "
        "created_at_ms, ended_at_ms) VALUES (1, $2, $1, 'PAYMENT', 'http://a', '{}', 'DELIVERED', 1, 0, $3, $3)",
        order_no,
        history.new_event_id(now_ms),
        now_ms,
    )
    event = history.add_event(TEST_APP_ID, order_no, now_ms=now_ms, kind="PAID", detail={"amount_fen": "1000"})
    await w.database.write([event])
    return order_no


async def multiplied(w: World, order_no: str, count: int) -> None:
    """So many more orders like it."""
    columns = {
        table: [name for name in dict((await w.rows(f"SELECT * FROM {table} LIMIT 1"))[0]) if name != "order_no"]
        for table in ("orders", "history")
    }
    for number in range(count):
        copy = f"{order_no[:-5]}{number:05d}"
        for table, names in columns.items():
            values = [f"'{copy}'" if name == "local_order_no" else name for name in names]
            await w.change(
                f"INSERT INTO {table} (order_no, {', '.join(names)}) SELECT $1, {', '.join(values)} FROM {table} "
                "WHERE order_no = $2",
                copy,
                order_no,
            )


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A disk that is full, as far as this process can tell."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
