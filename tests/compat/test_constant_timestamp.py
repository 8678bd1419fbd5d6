"""The timestamp of the published example, for ever. The app's tolerance is 0 for it; money does not go back on it."""

import hashlib
from collections.abc import Mapping
from urllib.parse import urlencode

from tests.clients import FORM, Reply
from tests.compat.life import APP, KEY, OPERATOR, life
from tests.world import World


async def call(w: World, name: str, own: Mapping[str, str]) -> Reply:
    values = {**own, "app": APP, "operator_id": OPERATOR, "timestamp": "1460512556270"}
    text = "&".join(f"{key}={values[key]}" for key in sorted(values) if key != "refund_amount") + f"&key={KEY}"
    values |= {"sign": hashlib.md5(text.encode()).hexdigest(), "command": f"open.pay.{name}", "version": "1.0"}
    return await w.till.send("POST", body=urlencode(values).encode(), content_type=FORM)


async def test_a_client_with_a_constant_timestamp_buys_and_queries() -> None:
    row = await life("form, hard-coded old timestamp, tolerance 0", call, tolerance_ms=0)

    assert (row.buys, row.queries, row.refunds) == ("yes", "yes", "error 24")
