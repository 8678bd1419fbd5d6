"""PHP hands curl an array: multipart, and what the signature was made from goes along."""

import hashlib
from collections.abc import Mapping

from tests.clients import Reply
from tests.compat.life import APP, KEY, OPERATOR, life
from tests.world import World

BOUNDARY = "------------------------d74496d66958873e"


async def call(w: World, name: str, own: Mapping[str, str]) -> Reply:
    array = {**own, "operator_id": OPERATOR, "app": APP, "timestamp": str(w.clock.now_ms())}
    unsigned = {"refund_amount": array.pop("refund_amount")} if "refund_amount" in array else {}
    text = "&".join(f"{key}={array[key]}" for key in sorted(array)) + f"&key={KEY}"
    sign = hashlib.md5(text.encode()).hexdigest()
    array |= {"command": f"open.pay.{name}", "version": "1.0", "key": KEY, "signString": text, "sign": sign, **unsigned}
    head = 'Content-Disposition: form-data; name="{}"\r\n\r\n'
    parts = [f"--{BOUNDARY}\r\n{head.format(key)}{value}\r\n" for key, value in array.items()]
    body = "".join(parts) + f"--{BOUNDARY}--\r\n"
    return await w.till.send("POST", body=body.encode(), content_type=f"multipart/form-data; boundary={BOUNDARY}")


async def test_a_php_client_that_gives_curl_an_array_lives() -> None:
    row = await life("PHP curl array (multipart, key and signString sent along)", call)

    assert (row.buys, row.queries, row.refunds) == ("yes", "yes", "yes")
