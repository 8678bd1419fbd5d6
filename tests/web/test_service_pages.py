"""The pages for machines: public key, health, metrics."""

import base64
import hashlib
from ipaddress import ip_network

from tests.databases import on_both_engines
from tests.world import ground, running, world


async def test_the_public_key_is_base64_der_and_nothing_else() -> None:
    async with world() as w, w.http.get(w.base_url + "/public-key") as reply:
        text = await reply.text()

        der = base64.b64decode(text, validate=True)
        assert reply.headers["content-type"].startswith("text/plain")
        assert reply.headers["x-key-fingerprint"] == "SHA256:" + hashlib.sha256(der).hexdigest()
        assert "\n" not in text


@on_both_engines
async def test_the_platforms_key_is_the_same_after_every_start(engine: str) -> None:
    async with ground(engine) as g:
        keys = []
        for _ in range(2):
            async with running(g) as w:
                keys.append(w.public_key)

        assert keys[0] == keys[1]


async def test_health_is_a_question_to_the_database() -> None:
    async with world() as w:
        before = await w.get("/healthz")
        await w.database.close()

        assert (before, await w.get("/healthz")) == ((200, "ok"), (503, "database unavailable"))


async def test_metrics_count_calls_by_command_and_number_and_no_caller_makes_new_names() -> None:
    async with world() as w:
        await w.scan(notify_url=w.shop.url)
        await w.scan(amount=0)
        for number in range(50):
            await w.till.call(f"open.pay.x{number}", app=f"A{number}")
        _, text = await w.get("/metrics")

        assert 'opentill_requests_total{code="0",command="open.pay.scan"} 1.0' in text
        assert 'opentill_requests_total{code="42",command="open.pay.scan"} 1.0' in text
        assert 'opentill_requests_total{code="11",command="-"} 50.0' in text
        assert "x49" not in text


async def test_metrics_follow_an_order() -> None:
    async with world() as w:
        await w.pay((await w.scan(channel=2, notify_url=w.shop.url)).qr_code)
        _, text = await w.get("/metrics")

        for line in (
            'opentill_order_moves_total{state="WAITING"} 1.0',
            'opentill_order_moves_total{state="PAID"} 1.0',
            'opentill_callbacks_total{channel="wechat",result="applied"} 1.0',
            'opentill_wallet_calls_total{channel="wechat",operation="create",outcome="accepted"} 1.0',
            'opentill_deliveries_total{result="DELIVERED"} 1.0',
        ):
            assert line in text


async def test_metrics_are_for_named_networks_only() -> None:
    async with world(metrics_networks=(ip_network("203.0.113.0/24"),)) as w:
        status, text = await w.get("/metrics")

        assert (status, "opentill_" in text) == (403, False)


async def test_an_unknown_page_is_a_plain_404() -> None:
    async with world() as w:
        assert (await w.get("/nowhere"))[0] == 404
