"""The floor: what RSA, a bare server, a bare client and the same SQL cost on this machine, CPU microseconds each."""

import asyncio
import os
import resource
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bench import load, processes
from opentill.base import numbers
from opentill.domain.notification import Notification, NotificationState
from opentill.domain.order import Order, OrderState, PaymentWay
from opentill.storage import history, notifications
from opentill.storage import orders as rows
from opentill.storage.database import SQLITE_PREFIX, Step
from opentill.storage.notifications import Attempt, DueNotification

CONCURRENT = 64
BATCH = 16
"""Requests in one transaction: about what 64 clients bring together."""

_TEXT = b"a" * 400
_NAMES = tuple(str(number) for number in range(1, 100))


class Floor(msgspec.Struct, frozen=True):
    """CPU microseconds; those of `scan_sql` and `notification_sql` include the database's own processes."""

    sign_us: float
    verify_us: float
    server_us: float
    client_us: float
    scan_sql_us: float
    notification_sql_us: float

    @property
    def scan_us(self) -> float:
        """Two signs, one verify, one bare request in, one bare call out, and the statements of one scan."""
        return 2 * self.sign_us + self.verify_us + self.server_us + self.client_us + self.scan_sql_us

    @property
    def notification_us(self) -> float:
        """One sign, one bare call out, and the statements of one delivery."""
        return self.sign_us + self.client_us + self.notification_sql_us


async def measured(url: str, keys: Path, calls: int, database_s: Callable[[], float]) -> Floor:
    """`database_s`: the CPU seconds that the database's own processes have used so far."""
    with processes.busy_neighbour():
        sign_us, verify_us = rsa_us(read_private(keys))
        scan_sql_us = await _sql_us(url, [], _scan_batches(calls), database_s)
        notification_sql_us = await _sql_us(url, *_notification_batches(calls), database_s)
    return Floor(sign_us, verify_us, await server_us(calls), await client_us(calls), scan_sql_us, notification_sql_us)


def rsa_us(private_pem: str) -> tuple[float, float]:
    """One sign and one verify of RSA-2048 with SHA-256."""
    key = load_pem_private_key(private_pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    public = key.public_key()
    signature = key.sign(_TEXT, padding.PKCS1v15(), hashes.SHA256())
    sign = _timed(1000, lambda: key.sign(_TEXT, padding.PKCS1v15(), hashes.SHA256()))
    verify = _timed(5000, lambda: public.verify(signature, _TEXT, padding.PKCS1v15(), hashes.SHA256()))
    return sign, verify


async def server_us(calls: int) -> float:
    """The same form through a bare ASGI application: its process's CPU per request."""
    port = processes.free_port()
    async with processes.running(["-m", "bench.bare", str(port)], port=port) as process:
        requests = [load.scan_request(f"bare{number}", 1) for number in range(calls)]
        await load.run([port], requests[:200], clients=16)
        before = processes.cpu_s(process.pid)
        await load.run([port], requests, clients=CONCURRENT)
        return (processes.cpu_s(process.pid) - before) / calls * 1e6


async def client_us(calls: int) -> float:
    """A bare call out with aiohttp, which is what the gateway's calls are made with."""
    port = processes.free_port()
    async with processes.running(["-m", "bench.bare", str(port)], port=port), aiohttp.ClientSession() as session:
        body = load.scan_request("client", 1).partition(b"\r\n\r\n")[2]
        numbers_left = iter(range(calls))

        async def lane() -> None:
            for _ in numbers_left:
                async with session.post(f"http://127.0.0.1:{port}/", data=body) as reply:
                    await reply.read()

        before = _self_cpu_s()
        await asyncio.gather(*(lane() for _ in range(CONCURRENT)))
        return (_self_cpu_s() - before) / calls * 1e6


Unit = list[Step]
Batch = list[Unit]


def _scan_batches(calls: int) -> list[Batch]:
    """First writes (order and event) and second writes (QR code and event) in turns."""
    batches: list[Batch] = []
    for start in range(0, calls, BATCH):
        orders = [_order(number) for number in range(start, start + BATCH)]
        batches.append([[rows.insert(order), _event(order, "CREATED")] for order in orders])
        batches.append([[_keep(order), _event(order, "WAITING")] for order in orders])
    return batches


def _notification_batches(calls: int) -> tuple[list[Batch], list[Batch]]:
    """What has to be there before, and the writes of a delivery: claims, and what came of the attempts."""
    there: list[Batch] = []
    batches: list[Batch] = []
    for start in range(0, calls, BATCH):
        orders = [_order(number) for number in range(start, start + BATCH)]
        debts = [_debt(order) for order in orders]
        there.append([[rows.insert(order), debt] for order, debt in zip(orders, debts, strict=True)])
        dues = [DueNotification(1, _number(debt.args[1]), "http://a", 1) for debt in debts]
        batches.append([[notifications.claim(due, lease_until_ms=2)] for due in dues])
        batches.append([_delivered(due) for due in dues])
    return there, batches


def _keep(order: Order) -> Step:
    return rows.keep_qr(1, order.order_no, expected=OrderState.CREATED, qr_text="https://qr", poll_at_ms=1)


def _event(order: Order, kind: str) -> Step:
    return history.add_event(1, order.order_no, now_ms=order.created_at_ms, kind=kind, detail={"way": "SCAN"})


def _debt(order: Order) -> Step:
    return notifications.insert(1, order.order_no, kind="PAYMENT", url="http://a", fields={"body": "b" * 300}, now_ms=1)


def _delivered(due: DueNotification) -> Unit:
    notification = Notification(
        app_id=1, notification_id=due.notification_id, order_no="", kind="PAYMENT", url="", fields={}, sign="",
        state=NotificationState.DUE, attempts=0, due_at_ms=2, created_at_ms=1, ended_at_ms=0,
    )  # fmt: skip
    attempt = Attempt(attempt=1, at_ms=1, elapsed_ms=1, status=200, body="success", problem="")
    state = NotificationState.DELIVERED
    end = notifications.end_attempt(notification, state=state, due_at_ms=0, sign="s" * 344, now_ms=3)
    return [end, notifications.insert_attempt(notification, attempt)]


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value


async def _sql_us(url: str, there: list[Batch], batches: list[Batch], database_s: Callable[[], float]) -> float:
    """The statements by the bare driver, a transaction for each batch: CPU of both sides per request, two writes."""
    if url.startswith(SQLITE_PREFIX):
        write, close = _bare_sqlite(url)
    else:
        write, close = await _bare_postgres(url)
    try:
        for batch in there:
            await write(batch)
        before = _self_cpu_s() + database_s()
        for batch in batches:
            await write(batch)
        return (_self_cpu_s() + database_s() - before) / (len(batches) / 2 * BATCH) * 1e6
    finally:
        await close()


Write = Callable[[Batch], Awaitable[None]]
Close = Callable[[], Awaitable[None]]


def _bare_sqlite(url: str) -> tuple[Write, Close]:
    connection = sqlite3.connect(url.removeprefix(SQLITE_PREFIX), isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")

    async def write(batch: Batch) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for unit in batch:
            for step in unit:
                connection.execute(step.sql, dict(zip(_NAMES, step.args, strict=False))).fetchall()
        connection.execute("COMMIT")

    async def close() -> None:
        connection.close()

    return write, close


async def _bare_postgres(url: str) -> tuple[Write, Close]:
    """With arrays where a statement has such a form, else one execution each."""
    connection = await asyncpg.connect(url)
    prepared: dict[str, Any] = {}

    async def execute(sql: str, args: Sequence[object]) -> None:
        if sql not in prepared:
            prepared[sql] = await connection.prepare(sql)
        await prepared[sql].fetch(*args)

    async def write(batch: Batch) -> None:
        async with connection.transaction():
            for steps in zip(*batch, strict=True):
                if steps[0].many:
                    await execute(steps[0].many, list(zip(*(step.args for step in steps), strict=True)))
                    continue
                for step in steps:
                    await execute(step.sql, step.args)

    return write, connection.close


def _order(number: int) -> Order:
    now_ms = time.time_ns() // 1_000_000
    order_no = numbers.new_order_no(numbers.PAYMENT, app_id=1, now_ms=now_ms)
    return Order(
        app_id=1, order_no=order_no, local_order_no=f"floor{os.getpid()}-{time.time_ns()}-{number}", attempt=1,
        merchant_id=1, store_id=1, operator_id="o", account_id=1, channel=1, way=PaymentWay.SCAN,
        state=OrderState.CREATED, amount_fen=1, un_discount_fen=None, subject="", goods=(), notify_url="",
        device_create_ip="", created_at_ms=now_ms, expires_at_ms=now_ms + 7_200_000, trade_no=order_no,
        poll_at_ms=now_ms + 30_000, request_sign="0" * 32,
    )  # fmt: skip


def _self_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _timed(calls: int, one: Callable[[], object]) -> float:
    before = _self_cpu_s()
    for _ in range(calls):
        one()
    return (_self_cpu_s() - before) / calls * 1e6


def read_private(keys_file: Path) -> str:
    return str(msgspec.json.decode(keys_file.read_bytes())["merchant_private"])
