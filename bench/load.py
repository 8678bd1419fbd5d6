"""A load generator that costs little: prepared requests over keep-alive connections, one outstanding on each."""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
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

    @property
    def per_second(self) -> float:
        return len(self.latencies_ms) / self.seconds if self.seconds else 0.0

    def percentile(self, percent: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


def scan_request(host: str, number: str, channel: int) -> bytes:
    """A signed `open.pay.scan` as bytes, ready to be sent."""
    form = {
        "amount": "1",
        "app": TEST_APP,
        "channel": str(channel),
        "local_order_no": number,
        "operator_id": TEST_OPERATOR,
        "timestamp": str(int(time.time() * 1000)),
    }
    text = "&".join(f"{name}={form[name]}" for name in sorted(form)) + f"&key={TEST_KEY}"
    form["sign"] = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    body = urlencode({**form, "command": "open.pay.scan", "version": "1.0"}).encode()
    return (
        b"POST /gatewayOpen.htm HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: %d\r\n\r\n" % (host.encode(), len(body))
    ) + body


async def run(
    host: str, port: int, *, clients: int, calls: int, make: Callable[[int], bytes], rate: float | None = None
) -> Result:
    """`calls` requests over `clients` connections; `rate` (per second) paces them, else as fast as answers come."""
    result = Result()
    counter = iter(range(calls))
    started = time.perf_counter()

    async def one_client() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for number in counter:
            if rate:
                await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
            request = make(number)
            sent = time.perf_counter()
            writer.write(request)
            body = await _read_reply(reader)
            elapsed_ms = (time.perf_counter() - sent) * 1000
            code = json.loads(body)["result"]["errorCode"]
            if code == "0":
                result.latencies_ms.append(elapsed_ms)
            else:
                result.errors[code] = result.errors.get(code, 0) + 1
        writer.close()

    await asyncio.gather(*(one_client() for _ in range(clients)))
    result.seconds = time.perf_counter() - started
    return result


async def _read_reply(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(_HEADER_END)
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return await reader.readexactly(int(value))
    raise ValueError("a reply without a length")
