"""Yuan times a hundred is a float; PHP prints it with 14 digits, so 0.29 yuan goes out as 29."""

import hashlib
from collections.abc import Mapping
from urllib.parse import urlencode

from tests.clients import FORM, Reply
from tests.compat.life import APP, KEY, OPERATOR, life
from tests.world import World


def php_text(number: float) -> str:
    return f"{number:.14g}"


async def call(w: World, name: str, own: Mapping[str, str]) -> Reply:
    sent = {**own, "operator_id": OPERATOR, "app": APP, "timestamp": php_text(w.clock.now_ms() / 1000 * 1000)}
    if "amount" in sent:
        yuan = 0.29
        assert yuan * 100 != 29
        sent["amount"] = php_text(yuan * 100)
    signed = {key: value for key, value in sent.items() if key != "refund_amount"}
    text = "&".join(f"{key}={signed[key]}" for key in sorted(signed)) + f"&key={KEY}"
    sent |= {"command": f"open.pay.{name}", "version": "1.0", "sign": hashlib.md5(text.encode()).hexdigest()}
    return await w.till.send("POST", body=urlencode(sent).encode(), content_type=FORM)


async def test_a_client_whose_amount_is_a_float_lives() -> None:
    row = await life("form, amount a float that prints as an integer", call, amount="29")

    assert (row.buys, row.queries, row.refunds) == ("yes", "yes", "yes")
