"""The floor: what RSA, a bare server, a bare client and the same SQL cost on this machine, CPU microseconds each."""

import asyncio
import os
import resource
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bench import load, processes
from opentill.base import numbers
from opentill.base.outbound import Outbound
from opentill.domain.order import Order, OrderState, PaymentWay
from opentill.storage import history
from opentill.storage import orders as rows
from opentill.storage.database import open_database

_TEXT = b"a" * 400
CONCURRENT = 64


class Floor(msgspec.Struct, frozen=True):
    """CPU microseconds."""

    sign_us: float
    verify_us: float
    server_us: float
    client_us: float
    sql_us: dict[str, float]

    def scan_us(self, engine: str) -> float:
        """Two signs, one verify, one bare request in, one bare call out, and the statements of one scan."""
        return 2 * self.sign_us + self.verify_us + self.server_us + self.client_us + self.sql_us[engine]


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
        requests = [load.scan_request("bench", f"bare{number}", 1) for number in range(calls)]
        await load.run("127.0.0.1", port, clients=16, calls=200, make=lambda number: requests[number % calls])
        before = processes.cpu_s(process.pid)
        await load.run("127.0.0.1", port, clients=CONCURRENT, calls=calls, make=lambda number: requests[number])
        return (processes.cpu_s(process.pid) - before) / calls * 1e6


async def client_us(calls: int) -> float:
    """A bare call out with the client the gateway uses."""
    port = processes.free_port()
    async with processes.running(["-m", "bench.bare", str(port)], port=port), Outbound() as outbound:
        body = load.scan_request("bench", "client", 1).partition(b"\r\n\r\n")[2]

        async def one() -> None:
            await outbound.send("POST", f"http://127.0.0.1:{port}/", body=body, timeout_s=10)

        return await _cpu_us(calls, one)


async def sql_us(url: str, calls: int) -> float:
    """The statements of a scan (order and event, QR code and event) in two units each, as the gateway writes them.

    On PostgreSQL its own processes' CPU comes on top; the report counts it on both sides.
    """
    database = await open_database(url)
    counter = iter(range(calls))

    async def one() -> None:
        order = _order(next(counter))
        event = history.add_event(1, order.order_no, now_ms=order.created_at_ms, kind="CREATED", detail={"way": "SCAN"})
        await database.write([rows.insert(order), event])
        keep = rows.keep_qr(1, order.order_no, expected=OrderState.CREATED, qr_text="https://qr", poll_at_ms=1)
        event = history.add_event(1, order.order_no, now_ms=order.created_at_ms, kind="WAITING", detail={"code": "1"})
        await database.write([keep, event])

    try:
        return await _cpu_us(calls, one)
    finally:
        await database.close()


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


async def _cpu_us(calls: int, one: Callable[[], Awaitable[None]]) -> float:
    """This process's CPU per call, all its threads included, `CONCURRENT` calls at a time."""
    numbers_left = iter(range(calls))

    async def lane() -> None:
        for _ in numbers_left:
            await one()

    before = _self_cpu_s()
    await asyncio.gather(*(lane() for _ in range(CONCURRENT)))
    return (_self_cpu_s() - before) / calls * 1e6


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
