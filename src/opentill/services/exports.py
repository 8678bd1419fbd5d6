"""Orders as files: CSV as it is read, XLSX by way of a temporary file; never more than a page of orders in memory."""

import asyncio
import csv
import io
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from opentill.base.money import yuan_text
from opentill.services import search
from opentill.services.deployment import Deployment
from opentill.services.directory import Directory
from opentill.services.search import Scope
from opentill.services.statistics import CHINA_OFFSET_MS
from opentill.storage import exports as rows
from opentill.storage.search import FoundOrder, OrderFilter

CSV, XLSX = "csv", "xlsx"
MOST_ROWS = {CSV: 1_000_000, XLSX: 200_000}
"""A sheet of a million rows is more than spreadsheets open gladly, and XLSX takes a hundred times longer to write."""
PAGE = 1_000
CHUNK_BYTES = 65_536
FORGET_AFTER_MS = 86_400_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_MOST_DIGITS = 11
"""Longer runs of digits are numbers to no spreadsheet; it would round them."""

COLUMNS = (
    "created", "merchant", "store", "cashier", "app", "local_order_no", "order_no", "channel_trade_no", "subject",
    "wallet", "way", "status", "amount", "received", "discount", "refunded", "paid",
)  # fmt: skip
_MONEY = frozenset({"amount", "received", "discount", "refunded"})


class Words(msgspec.Struct, frozen=True):
    """What the file says in the reader's language: the heads of its columns, wallets, ways and states."""

    columns: Mapping[str, str]
    wallets: Mapping[int, str]
    ways: Mapping[str, str]
    statuses: Mapping[str, str]
    cut: str


Cells = dict[str, str | int]


class SheetFailed(Exception):
    """The process that writes a sheet ended early: no space is left, or it was killed."""


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. `export_id`: under which it says how far it is."""

    export_id: int
    scope: Scope
    wanted: OrderFilter
    names: Directory
    words: Words


async def as_csv(deployment: Deployment, export: Export) -> AsyncIterator[bytes]:
    """The file in pieces, UTF-8 with the mark that spreadsheets want."""
    yield "\ufeff".encode() + _csv([export.words.columns[name] for name in COLUMNS])
    async for page in _pages(deployment, export, most=MOST_ROWS[CSV]):
        yield b"".join(_csv([_csv_cell(name, each[name]) for name in COLUMNS]) for each in page)


async def as_xlsx(deployment: Deployment, export: Export) -> AsyncIterator[bytes]:
    """The file in pieces, once it is written, by a process of its own. Raises SheetFailed."""
    with tempfile.TemporaryFile() as file:
        writer = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "opentill.services.sheets", stdin=asyncio.subprocess.PIPE, stdout=file
        )
        try:
            await _feed(writer, [[export.words.columns[name] for name in COLUMNS]])
            async for page in _pages(deployment, export, most=MOST_ROWS[XLSX]):
                await _feed(writer, [[each[name] for name in COLUMNS] for each in page])
            await _end(writer)
        except OSError as error:
            raise SheetFailed from error
        finally:
            if writer.returncode is None:
                writer.kill()
                await writer.wait()
        if writer.returncode:
            raise SheetFailed
        file.seek(0)
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk


async def _feed(writer: asyncio.subprocess.Process, lines: Sequence[Sequence[str | int]]) -> None:
    assert writer.stdin is not None, "it was opened with a pipe"
    writer.stdin.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    await writer.stdin.drain()


async def _end(writer: asyncio.subprocess.Process) -> None:
    assert writer.stdin is not None, "it was opened with a pipe"
    writer.stdin.close()
    await writer.stdin.wait_closed()
    await writer.wait()


async def _pages(deployment: Deployment, export: Export, *, most: int) -> AsyncIterator[list[Cells]]:
    """Orders newest first, as cells; it is told how far this is. The last line of a file that is cut says so."""
    database, done, reached_ms, before, state = deployment.database, 0, 0, "", rows.FAILED
    try:
        while True:
            page = await search.page(
                database, export.scope, export.wanted, before=before, limit=min(PAGE, most - done)
            )  # fmt: skip
            done, before = done + len(page.orders), page.before
            reached_ms = page.orders[-1].created_at_ms if page.orders else page.reached_ms or reached_ms
            cells = [_cells(order, export) for order in page.orders]
            is_cut = bool(before) and done >= most
            if is_cut:
                last: Cells = {**dict.fromkeys(COLUMNS, ""), "created": export.words.cut.format(count=most)}
                cells.append(last)
            yield cells
            if is_cut or not before:
                break
            await _tell(deployment, export, rows.RUNNING, done, reached_ms)
        state = rows.DONE
    finally:
        await _tell(deployment, export, state, done, reached_ms)


async def _tell(deployment: Deployment, export: Export, state: str, done: int, reached_ms: int) -> None:
    now_ms = deployment.clock.now_ms()
    step = rows.progress(export.export_id, state=state, rows_done=done, reached_ms=reached_ms, now_ms=now_ms)
    await deployment.database.write([step])


def _cells(order: FoundOrder, export: Export) -> Cells:
    """Texts, and amounts in fen."""
    names, words = export.names, export.words
    store, cashier = names.stores.get(order.store_id), names.operators.get(order.operator_id)
    return {
        "created": _time(order.created_at_ms),
        "merchant": names.merchants.get(order.merchant_id, str(order.merchant_id)),
        "store": store.name if store else str(order.store_id),
        "cashier": cashier.name if cashier else order.operator_id,
        "app": names.apps.get(order.app_id, str(order.app_id)),
        "local_order_no": order.local_order_no,
        "order_no": order.order_no,
        "channel_trade_no": order.channel_trade_no,
        "subject": order.subject,
        "wallet": words.wallets.get(order.channel, ""),
        "way": words.ways[order.way.value],
        "status": words.statuses[order.status.value],
        "amount": order.amount_fen,
        "received": order.received_fen,
        "discount": order.discount_fen,
        "refunded": order.refunded_fen,
        "paid": _time(order.paid_at_ms),
    }


def _csv(cells: Sequence[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue().encode()


def _csv_cell(name: str, value: str | int) -> str:
    """A text that a spreadsheet reads as this text: no formula, no rounded number."""
    if name in _MONEY and isinstance(value, int):
        return yuan_text(value)
    text = str(value)
    if text.startswith(_FORMULA):
        return f"'{text}"
    return f"{text}\t" if text.isdigit() and len(text) > _MOST_DIGITS else text


FORMATS: Mapping[str, Callable[[Deployment, Export], AsyncIterator[bytes]]] = {CSV: as_csv, XLSX: as_xlsx}
MEDIA_TYPES = {
    CSV: "text/csv; charset=utf-8",
    XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def _time(at_ms: int) -> str:
    """On Shanghai's clock, as spreadsheets read it."""
    return datetime.fromtimestamp((at_ms + CHINA_OFFSET_MS) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S") if at_ms else ""
