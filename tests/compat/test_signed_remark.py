"""A parameter the protocol does not know, sent and signed with everything else (refund_amount too)."""

import hashlib
from collections.abc import Mapping
from urllib.parse import urlencode

from tests.clients import FORM, Reply
from tests.compat.life import APP, KEY, OPERATOR, life
from tests.world import World


async def call(w: World, name: str, own: Mapping[str, str]) -> Reply:
    values = {**own, "app": APP, "operator_id": OPERATOR, "timestamp": str(w.clock.now_ms()), "remark": "三号桌"}
    text = "&".join(f"{key}={values[key]}" for key in sorted(values)) + f"&key={KEY}"
    values |= {"sign": hashlib.md5(text.encode()).hexdigest(), "command": f"open.pay.{name}", "version": "1.0"}
    return await w.till.send("POST", body=urlencode(values).encode(), content_type=FORM)


async def test_a_client_that_signs_a_remark_lives() -> None:
    row = await life("form, extra signed remark", call)

    assert (row.buys, row.queries, row.refunds) == ("yes", "yes", "yes")
