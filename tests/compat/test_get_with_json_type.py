"""A GET that says it carries JSON and carries nothing: headers of the POST it was copied from."""

import hashlib
from collections.abc import Mapping
from urllib.parse import urlencode

from tests.clients import Reply
from tests.compat.life import APP, KEY, OPERATOR, life
from tests.world import World


async def call(w: World, name: str, own: Mapping[str, str]) -> Reply:
    values = {**own, "app": APP, "operator_id": OPERATOR, "timestamp": str(w.clock.now_ms())}
    text = "&".join(f"{key}={values[key]}" for key in sorted(values) if key != "refund_amount") + f"&key={KEY}"
    values |= {"sign": hashlib.md5(text.encode()).hexdigest(), "command": f"open.pay.{name}", "version": "1.0"}
    return await w.till.send("GET", query=urlencode(values), content_type="application/json")


async def test_a_client_that_gets_with_a_json_content_type_lives() -> None:
    row = await life("GET, JSON content type, no body", call)

    assert (row.buys, row.queries, row.refunds) == ("yes", "yes", "yes")
