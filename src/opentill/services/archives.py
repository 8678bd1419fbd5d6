"""Archives: the past of settled orders in a compressed file, first; its removal from the database, after.

Whatever ends a run, at any moment, nothing is lost: rows are removed only when a file that was read back has them.
A run that starts anew archives what is still in the database, so that some may be in two files.
"""

import asyncio
import contextlib
import fcntl
import gzip
import hashlib
import os
import stat
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from opentill.base.clock import Clock
from opentill.storage import archive, parties
from opentill.storage.archive import OrderPast
from opentill.storage.database import Database, Step, StepFailed
from opentill.storage.refusals import RefusedCall

DAY_MS = 86_400_000
DEFAULT_DAYS = 400
"""Wallets refund for a year (channels B.7); a month and more later nobody asks about an order any more."""
LEAST_DAYS = 30
"""The last attempt to tell a merchant is a day old by then, a late payment has come, and the month's books are done."""
ORDERS_PER_FILE = 50_000
"""Bounds what is archived twice when a run is ended, and the disk that a file takes before rows are removed."""
PAGE = 200
"""Orders read at once."""
ORDERS_PER_UNIT = 20
"""Removed in one transaction: some milliseconds, for which a gateway on SQLite has to wait."""
REFUSED_PER_UNIT = 200
FORMAT = 1
SUFFIX = ".jsonl.gz"
_PARTIAL = ".opentill-archive-*.partial"


class ArchiveProblem(Exception):
    """Nothing was removed that is not in a file; the text says what stood in the way."""


class Totals(msgspec.Struct, kw_only=True):
    """How far a run is."""

    files: list[str] = []
    orders: int = 0
    """With their past in a file."""
    removed: int = 0
    """And that past removed."""
    changed: int = 0
    """Left alone, because something happened to them meanwhile."""
    refused_calls: int = 0


Say = Callable[[Totals], None]
"""Hears how far a run is."""


class _Head(msgspec.Struct, frozen=True, tag_field="line", tag="archive"):
    format: int
    written_at_ms: int
    before_ms: int


class _Order(msgspec.Struct, frozen=True, tag_field="line", tag="order"):
    past: OrderPast


class _Refused(msgspec.Struct, frozen=True, tag_field="line", tag="refused_call"):
    call: RefusedCall


class _End(msgspec.Struct, frozen=True, tag_field="line", tag="end"):
    orders: int
    refused_calls: int


Line = _Head | _Order | _Refused | _End
_LINES = msgspec.json.Decoder(Line)


async def run(database: Database, clock: Clock, folder: Path, *, days: int, say: Say = lambda _: None) -> Totals:
    """Archive what is older than `days` into new files of `folder`, and remove it. `say` hears how far it is.

    Raises: ArchiveProblem (the folder or the disk), DatabaseUnavailable, DatabaseOverloaded.
    """
    check_folder(folder)
    if days < LEAST_DAYS:
        raise ArchiveProblem(f"at least {LEAST_DAYS} days: what is younger may still change")
    _remove_leftovers(folder)
    before_ms = clock.now_ms() - days * DAY_MS
    totals = Totals()
    lines = _lines(database, before_ms=before_ms)
    try:
        while (
            path := await _write_file(folder, lines, clock, before_ms=before_ms, totals=totals, say=say)
        ) is not None:
            await _remove(database, path, now_ms=clock.now_ms(), totals=totals, say=say)
    finally:
        await lines.aclose()
    return totals


def check_folder(folder: Path) -> None:
    """Raises ArchiveProblem for what is no folder of the operator's own."""
    try:
        mode = folder.stat().st_mode
    except OSError as error:
        raise ArchiveProblem(f"{folder}: {error.strerror}") from error
    if not stat.S_ISDIR(mode):
        raise ArchiveProblem(f"{folder} is not a folder")
    if mode & stat.S_IWOTH:
        raise ArchiveProblem(f"{folder}: everybody may write to it, and so replace an archive")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ArchiveProblem(f"{folder} cannot be written to")


def read_archive(path: Path) -> Iterator[OrderPast | RefusedCall]:
    """What an archive holds. Raises ArchiveProblem when it is not whole."""
    orders = refused = 0
    end: _End | None = None
    with _problems(path), gzip.open(path, "rb") as file:
        for number, raw in enumerate(file):
            line = _LINES.decode(raw)
            if (number == 0) is not isinstance(line, _Head) or end is not None:
                raise ArchiveProblem(f"{path}: its lines are in disorder")
            if isinstance(line, _Order):
                orders += 1
                yield line.past
            elif isinstance(line, _Refused):
                refused += 1
                yield line.call
            elif isinstance(line, _End):
                end = line
    if end is None or (end.orders, end.refused_calls) != (orders, refused):
        raise ArchiveProblem(f"{path} is not whole")


async def _lines(database: Database, *, before_ms: int) -> AsyncGenerator[_Order | _Refused, None]:
    """Everything to archive, app by app."""
    apps = [0, *(app.app_id for app in await parties.apps(database))]
    for app_id in apps:
        after, before = "1", f"1{before_ms:013d}"
        while after < before:
            to = await archive.window_end(database, app_id, after=after, before=before)
            found = await archive.settled_orders(database, app_id, after=after, to=to, before_ms=before_ms)
            for place in range(0, len(found), PAGE):
                for past in await archive.pasts(database, app_id, found[place : place + PAGE]):
                    yield _Order(past)
            after = to
        after_id = 0
        while calls := await archive.refused_calls(
            database, app_id, after_id=after_id, before_ms=before_ms, limit=PAGE
        ):
            for call in calls:
                yield _Refused(call)
            after_id = calls[-1].refusal_id


async def _write_file(
    folder: Path,
    lines: AsyncIterator[_Order | _Refused],
    clock: Clock,
    *,
    before_ms: int,
    totals: Totals,
    say: Say,
) -> Path | None:
    """A new, whole, durable file with the next lines; None: there are no more."""
    first = await anext(lines, None)
    if first is None:
        return None
    now_ms = clock.now_ms()
    partial = folder / f".opentill-archive-{now_ms}-{os.getpid()}.partial"
    with _problems(folder):
        with _new_file(partial) as raw:
            try:
                digest = hashlib.sha256()
                with gzip.GzipFile("", "wb", fileobj=raw, mtime=now_ms // 1000) as file:
                    _put(file, digest, _Head(FORMAT, now_ms, before_ms))
                    orders = refused = 0
                    line: _Order | _Refused | None = first
                    while line is not None:
                        _put(file, digest, line)
                        orders, refused = orders + isinstance(line, _Order), refused + isinstance(line, _Refused)
                        if orders + refused == ORDERS_PER_FILE:
                            break
                        if (orders + refused) % PAGE == 0:
                            say(msgspec.structs.replace(totals, orders=totals.orders + orders))
                        line = await anext(lines, None)
                    _put(file, digest, _End(orders, refused))
                raw.flush()
                os.fsync(raw.fileno())
                _verify(partial, digest.hexdigest())
                path = _named(folder, partial, now_ms)
            finally:
                partial.unlink(missing_ok=True)
        _sync(folder)
    totals.files.append(path.name)
    totals.orders += orders
    totals.refused_calls += refused
    say(totals)
    return path


def _new_file(partial: Path) -> BinaryIO:
    """Locked until it is closed: who finds one that nobody holds may throw it away."""
    file = os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _put(file: gzip.GzipFile, digest: "hashlib._Hash", line: Line) -> None:
    raw = msgspec.json.encode(line) + b"\n"
    digest.update(raw)
    file.write(raw)


def _verify(path: Path, expected: str) -> None:
    """Read what is on the disk, as somebody will some day."""
    for _ in read_archive(path):
        pass
    digest = hashlib.sha256()
    with gzip.open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() != expected:
        raise ArchiveProblem(f"{path}: what was read back is not what was written")


def _named(folder: Path, partial: Path, now_ms: int) -> Path:
    """A name that nothing has yet: a link, unlike a renaming, replaces nothing."""
    stamp = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    number = 1
    while True:
        path = folder / f"opentill-archive-{stamp}-{number}{SUFFIX}"
        try:
            os.link(partial, path)
        except FileExistsError:
            number += 1
        else:
            return path


async def _remove(database: Database, path: Path, *, now_ms: int, totals: Totals, say: Say) -> None:
    """What the file has goes from the database, as it is in the file."""
    pasts: list[OrderPast] = []
    calls: list[RefusedCall] = []
    for each in read_archive(path):
        if isinstance(each, OrderPast):
            pasts.append(each)
        else:
            calls.append(each)
        if len(pasts) == ORDERS_PER_UNIT:
            await _remove_pasts(database, pasts, path.name, now_ms=now_ms, totals=totals)
            pasts = []
            say(totals)
        if len(calls) == REFUSED_PER_UNIT:
            await _write(database, [archive.remove_refused(call) for call in calls])
            calls = []
    await _remove_pasts(database, pasts, path.name, now_ms=now_ms, totals=totals)
    if calls:
        await _write(database, [archive.remove_refused(call) for call in calls])
    say(totals)


async def _remove_pasts(
    database: Database, pasts: Sequence[OrderPast], file: str, *, now_ms: int, totals: Totals
) -> None:
    if not pasts:
        return
    try:
        await _write(database, [step for past in pasts for step in archive.remove(past, file=file, now_ms=now_ms)])
    except StepFailed:
        if len(pasts) == 1:
            totals.changed += 1
            return
        # Nothing was removed: one of them is not as it is in the file any more.
        for past in pasts:
            await _remove_pasts(database, [past], file, now_ms=now_ms, totals=totals)
        return
    totals.removed += len(pasts)


async def _write(database: Database, unit: Sequence[Step]) -> None:
    """A lock of SQLite is not handed on in turn: who takes it again at once leaves the gateway waiting."""
    started = time.monotonic()
    await database.write(unit)
    if database.dialect == "sqlite":
        await asyncio.sleep(time.monotonic() - started)


def _remove_leftovers(folder: Path) -> None:
    """Files that an earlier run was writing when it was killed."""
    for path in folder.glob(_PARTIAL):
        with contextlib.suppress(OSError), path.open("rb") as file:
            _remove_if_free(file, path)


def _remove_if_free(file: BinaryIO, path: Path) -> None:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    path.unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _problems(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, msgspec.MsgspecError) as error:
        raise ArchiveProblem(f"{path}: {error}") from error
