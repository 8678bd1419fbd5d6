"""A GET with everything in its encoded query."""

import hashlib
from collections.abc import Mapping
from urllib.parse import quote

from tests.clients import Reply
from tests.compat.life import APP, KEY, OPERATOR, life
from tests.world import World


async def call(w: World, name: str, own: Mapping[str, str]) -> Reply:
    values = {**own, "app": APP, "operator_id": OPERATOR, "timestamp": str(w.clock.now_ms())}
    text = "&".join(f"{key}={values[key]}" for key in sorted(values) if key != "refund_amount") + f"&key={KEY}"
    values |= {"sign": hashlib.md5(text.encode()).hexdigest(), "command": f"open.pay.{name}", "version": "1.0"}
    return await w.till.send("GET", query="&".join(f"{key}={quote(value, safe='')}" for key, value in values.items()))


async def test_a_client_that_gets_lives() -> None:
    row = await life("GET, encoded query", call)

    assert (row.buys, row.queries, row.refunds) == ("yes", "yes", "yes")
