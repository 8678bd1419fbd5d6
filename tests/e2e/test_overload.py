"""Many more clients than a slow wallet allows: quick busy errors, nothing half done, memory within bounds."""

import asyncio
import statistics
import time
from dataclasses import dataclass

from opentill.services.places import PER_WALLET
from tests.clients import Reply, Till
from tests.e2e.towns import town

CLIENTS = PER_WALLET + 128
WALLET_S = 3
MAX_GROWTH_MIB = 64
PATIENT = {"OPENTILL_WALLET_TIMEOUT_S": "30"}


@dataclass(frozen=True)
class Answered:
    """What one client got, how long it took."""

    local_order_no: str
    reply: Reply
    took_s: float


async def ask(till: Till, number: int) -> Answered:
    began = time.monotonic()
    local_order_no = f"O{number:04d}"
    reply = await till.scan(local_order_no=local_order_no, channel=1)
    return Answered(local_order_no, reply, time.monotonic() - began)


async def test_beyond_what_a_slow_wallet_allows_clients_hear_busy_at_once_and_nothing_is_half_done() -> None:
    async with town("sqlite", [], settings=PATIENT) as t:
        before_kib = t.gateways[0].rss_kib()
        await t.slow_wallets("alipay", delay_s=WALLET_S)

        calls = [asyncio.create_task(ask(t.tills[0], number)) for number in range(CLIENTS)]
        other_wallet = await t.tills[0].scan(channel=2)
        answered = await asyncio.gather(*calls)

        busy = [each for each in answered if each.reply.code == "2"]
        served = [each for each in answered if each.reply.is_success]
        growth_mib = (t.gateways[0].rss_kib() - before_kib) / 1024
        quick_s = statistics.median(each.took_s for each in busy)
        print(f"\n{len(served)} served, {len(busy)} busy after {quick_s:.2f} s (median), memory {growth_mib:+.0f} MiB")
        assert other_wallet.is_success, other_wallet.message
        assert len(served) + len(busy) == CLIENTS
        assert len(served) >= PER_WALLET
        assert len(busy) > 0
        assert quick_s < WALLET_S
        orders = {row["local_order_no"] for row in await t.rows("SELECT local_order_no FROM orders WHERE channel = 1")}
        assert orders == {each.local_order_no for each in served}
        assert growth_mib < MAX_GROWTH_MIB
        again = await t.tills[0].scan(local_order_no=busy[0].local_order_no, channel=2)
        assert again.is_success, "busy: it may be repeated as it is"
