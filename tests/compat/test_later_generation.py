"""A client of the later protocol, 2.0. It can't live here, but it is told why in words meant for it."""

import hashlib
import json
from collections.abc import Mapping

from tests.clients import Reply
from tests.compat.life import APP, KEY, OPERATOR, life
from tests.world import World


async def call(w: World, name: str, own: Mapping[str, str]) -> Reply:
    values = {
        "command": f"open.api.trade.{name}", "version": "2.0", "app_id": APP, "operator_id": OPERATOR,
        "sign_type": "MD5", "request_id": str(w.clock.now_ms()), "timestamp": str(w.clock.now_ms()), **own,
    }  # fmt: skip
    text = "&".join(f"{key}={values[key]}" for key in sorted(values)) + f"&key={KEY}"
    body = json.dumps({**values, "sign": hashlib.md5(text.encode()).hexdigest()}).encode()
    reply = await w.till.send("POST", body=body, content_type="application/json")
    assert "2.0版" in reply.message
    return reply


async def test_a_client_of_the_later_generation_is_told_that_it_is_one() -> None:
    row = await life("2.0 client (told that it speaks another protocol)", call)

    assert (row.buys, row.queries, row.refunds) == ("error 12", "error 12", "error 12")
