"""Many more clients than a slow wallet allows: busy errors at once, nothing half done, memory within bounds."""

import asyncio
from dataclasses import dataclass

from opentill.services.places import PER_WALLET
from tests.clients import Reply, Till
from tests.e2e.towns import town

BEYOND = 128
CLIENTS = PER_WALLET + BEYOND
WALLET_S = 15
"""Long enough, on a busy machine too, for everybody beyond to hear busy before the wallet answers anybody."""
MAX_GROWTH_MIB = 64
PATIENT = {"OPENTILL_WALLET_TIMEOUT_S": "60"}
PATIENCE_S = 60.0
LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Answered:
    """What one client got."""

    local_order_no: str
    reply: Reply


async def ask(till: Till, number: int) -> Answered:
    local_order_no = f"O{number:04d}"
    return Answered(local_order_no, await till.scan(local_order_no=local_order_no, channel=1))


async def test_beyond_what_a_slow_wallet_allows_clients_hear_busy_at_once_and_nothing_is_half_done() -> None:
    async with town("sqlite", [], settings=PATIENT) as t:
        before_kib = t.gateways[0].rss_kib()
        await t.slow_wallets("alipay", delay_s=WALLET_S)

        calls = [asyncio.create_task(ask(t.tills[0], number)) for number in range(CLIENTS)]
        other_wallet = await t.tills[0].scan(channel=2)
        async with asyncio.timeout(PATIENCE_S):
            while sum(call.done() for call in calls) < BEYOND:
                await asyncio.wait(calls, timeout=LOOK_EVERY_S)
            while await t.slowed_calls() < PER_WALLET:
                await asyncio.wait(calls, timeout=LOOK_EVERY_S)
        early = [call.result() for call in calls if call.done()]
        again = await t.tills[0].scan(local_order_no=early[0].local_order_no, channel=2)
        await t.quick_wallets()
        answered = await asyncio.gather(*calls)

        busy = [each for each in answered if each.reply.code == "2"]
        served = [each for each in answered if each.reply.is_success]
        growth_mib = (t.gateways[0].rss_kib() - before_kib) / 1024
        print(f"\n{len(served)} served, {len(busy)} busy, memory {growth_mib:+.0f} MiB")
        assert other_wallet.is_success, other_wallet.message
        assert [each.reply.code for each in early] == ["2"] * BEYOND, "said while the wallet had answered nobody"
        assert (len(served), len(busy)) == (PER_WALLET, BEYOND)
        orders = {row["local_order_no"] for row in await t.rows("SELECT local_order_no FROM orders WHERE channel = 1")}
        assert orders == {each.local_order_no for each in served}
        assert growth_mib < MAX_GROWTH_MIB
        assert again.is_success, "busy: it may be repeated as it is"
