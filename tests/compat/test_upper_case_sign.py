"""The signature in upper case, as .NET prints bytes."""

import hashlib
from collections.abc import Mapping
from urllib.parse import urlencode

from tests.clients import FORM, Reply
from tests.compat.life import APP, KEY, OPERATOR, life
from tests.world import World


async def call(w: World, name: str, own: Mapping[str, str]) -> Reply:
    values = {**own, "app": APP, "operator_id": OPERATOR, "timestamp": str(w.clock.now_ms())}
    text = "&".join(f"{key}={values[key]}" for key in sorted(values) if key != "refund_amount") + f"&key={KEY}"
    values |= {"sign": hashlib.md5(text.encode()).hexdigest().upper(), "command": f"open.pay.{name}", "version": "1.1"}
    return await w.till.send("POST", body=urlencode(values).encode(), content_type=FORM)


async def test_a_client_that_signs_in_upper_case_lives() -> None:
    row = await life("form, upper-case sign, version 1.1", call)

    assert (row.buys, row.queries, row.refunds) == ("yes", "yes", "yes")
