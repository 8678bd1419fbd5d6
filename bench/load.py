"""A load generator that costs little: prepared requests over keep-alive connections, one outstanding on each."""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from opentill.services.access import TEST_APP, TEST_KEY, TEST_OPERATOR

_HEADER_END = b"\r\n\r\n"


@dataclass
class Result:
    """Latencies in milliseconds of the calls that succeeded, the rest counted by what was answered."""

    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    sent_ns: dict[int, int] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        return len(self.latencies_ms) / self.seconds if self.seconds else 0.0

    def percentile(self, percent: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


def scan_request(
    number: str, channel: int, *, notify_url: str = "", app: str = TEST_APP, operator: str = TEST_OPERATOR
) -> bytes:
    """A signed `open.pay.scan` as bytes, ready to be sent."""
    form = {"amount": "1", "channel": str(channel), "local_order_no": number}
    return _request("scan", form, {"notify_url": notify_url} if notify_url else {}, app=app, operator=operator)


def query_request(order_no: str) -> bytes:
    return _request("query", {"order_no": order_no})


def refund_request(order_no: str) -> bytes:
    """All of it back."""
    return _request("refund", {"order_no": order_no})


def post(path: str, content_type: str, body: bytes, *, headers: Mapping[str, str] = {}) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {content_type}\r\n{lines}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _request(
    command: str,
    signed: Mapping[str, str],
    unsigned: Mapping[str, str] = {},
    *,
    app: str = TEST_APP,
    operator: str = TEST_OPERATOR,
) -> bytes:
    form = {**signed, "app": app, "operator_id": operator, "timestamp": str(int(time.time() * 1000))}
    text = "&".join(f"{name}={form[name]}" for name in sorted(form)) + f"&key={TEST_KEY}"
    form["sign"] = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    body = urlencode({**form, **unsigned, "command": f"open.pay.{command}", "version": "1.0"}).encode()
    return post("/gatewayOpen.htm", "application/x-www-form-urlencoded", body)


def code_of(body: bytes) -> str:
    """The error number of a reply."""
    return str(json.loads(body)["result"]["errorCode"])


def order_no_of(body: bytes) -> str:
    """Our number in the reply to a scan."""
    return str(json.loads(body)["data"]["cbOrderNo"])


async def run(
    ports: Sequence[int],
    requests: Sequence[bytes],
    *,
    clients: int,
    rate: float | None = None,
    code: Callable[[bytes], str] = code_of,
    keep: Callable[[int, bytes], None] | None = None,
) -> Result:
    """All requests over `clients` connections to the ports; `rate` (per second) paces them.

    Without a rate they go as fast as answers come. `keep` is given each request's place and its reply's body.
    """
    result = Result()
    calls = len(requests)
    counter = iter(range(calls))
    started = time.perf_counter()

    async def one_client(place: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", ports[place % len(ports)])
        for number in counter:
            if rate:
                await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
            result.sent_ns[number] = time.time_ns()
            sent = time.perf_counter()
            writer.write(requests[number])
            body = await _read_reply(reader)
            elapsed_ms = (time.perf_counter() - sent) * 1000
            answered = code(body)
            if answered == "0":
                result.latencies_ms.append(elapsed_ms)
            else:
                result.errors[answered] = result.errors.get(answered, 0) + 1
            if keep:
                keep(number, body)
        writer.close()

    await asyncio.gather(*(one_client(place) for place in range(min(clients, calls))))
    result.seconds = time.perf_counter() - started
    return result


async def _read_reply(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(_HEADER_END)
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return await reader.readexactly(int(value))
    if b" 204 " in head[:20]:
        return b""
    raise ValueError("a reply without a length")
