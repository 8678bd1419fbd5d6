"""Java's RestTemplate posts a map: a JSON object, its numbers as strings."""

import hashlib
import json
from collections.abc import Mapping

from tests.clients import Reply
from tests.compat.life import APP, KEY, OPERATOR, life
from tests.world import World


async def call(w: World, name: str, own: Mapping[str, str]) -> Reply:
    tree = dict(sorted({**own, "operator_id": OPERATOR, "app": APP, "timestamp": str(w.clock.now_ms())}.items()))
    text = "".join(f"{key}={value}&" for key, value in tree.items() if key != "refund_amount") + f"key={KEY}"
    tree |= {"command": f"open.pay.{name}", "version": "1.0", "sign": hashlib.md5(text.encode()).hexdigest()}
    body = json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
    return await w.till.send("POST", body=body, content_type="application/json;charset=UTF-8")


async def test_a_java_client_that_posts_json_lives() -> None:
    row = await life("Java RestTemplate (JSON, numbers as strings)", call)

    assert (row.buys, row.queries, row.refunds) == ("yes", "yes", "yes")
