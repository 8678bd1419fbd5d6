"""The interfaces by their older names, `caibao.pay.*`."""

import hashlib
from collections.abc import Mapping
from urllib.parse import urlencode

from tests.clients import FORM, Reply
from tests.compat.life import APP, KEY, OPERATOR, life
from tests.world import World


async def call(w: World, name: str, own: Mapping[str, str]) -> Reply:
    values = {**own, "app": APP, "operator_id": OPERATOR, "timestamp": str(w.clock.now_ms())}
    text = "&".join(f"{key}={values[key]}" for key in sorted(values) if key != "refund_amount") + f"&key={KEY}"
    values |= {"sign": hashlib.md5(text.encode()).hexdigest(), "command": f"caibao.pay.{name}"}
    return await w.till.send("POST", body=urlencode(values).encode(), content_type=FORM)


async def test_a_client_of_the_older_names_lives() -> None:
    row = await life("form, caibao.pay.* names, no version", call)

    assert (row.buys, row.queries, row.refunds) == ("yes", "yes", "yes")
