"""Every optional parameter is sent, empty where there is nothing to say."""

import hashlib
from collections.abc import Mapping
from urllib.parse import urlencode

from tests.clients import FORM, Reply
from tests.compat.life import APP, KEY, OPERATOR, life
from tests.world import World

OPTIONAL = {
    "scan": ("un_discount_amount", "goods_list", "notify_url", "device_create_ip"),
    "query": ("order_no",),
    "refund": ("order_no", "reason"),
}


async def call(w: World, name: str, own: Mapping[str, str]) -> Reply:
    values = {**dict.fromkeys(OPTIONAL[name], ""), **own, "app": APP, "operator_id": OPERATOR}
    values |= {"timestamp": str(w.clock.now_ms())}
    signed = {key: value for key, value in values.items() if value and key != "refund_amount"}
    text = "&".join(f"{key}={signed[key]}" for key in sorted(signed)) + f"&key={KEY}"
    values |= {"sign": hashlib.md5(text.encode()).hexdigest(), "command": f"open.pay.{name}", "version": ""}
    return await w.till.send("POST", body=urlencode(values).encode(), content_type=FORM)


async def test_a_client_that_sends_empty_parameters_lives() -> None:
    row = await life("form, empty optional parameters sent", call)

    assert (row.buys, row.queries, row.refunds) == ("yes", "yes", "yes")
