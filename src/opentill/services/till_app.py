"""The app that a merchant's tills sell under: the gateway's own, without a key (decision 10)."""

import msgspec

from opentill.base.errors import GatewayError
from opentill.domain.parties import INTERNAL_APP_PREFIX, App, AppRules
from opentill.domain.till import SALE_LIFE_MS
from opentill.services.deployment import Deployment
from opentill.storage import parties as rows
from opentill.storage import till_sales
from opentill.storage.database import StepFailed

NAME = "收银台"
MAX_DRAWS = 5

_RULES = AppRules(order_life_ms=SALE_LIFE_MS, goods_price_unit="fen")


async def till_app(deployment: Deployment, merchant_id: int) -> App:
    """Made when the merchant's tills first need it. Raises BUSY."""
    name = f"{INTERNAL_APP_PREFIX}{merchant_id}"
    for _ in range(MAX_DRAWS):
        found = await deployment.parties.app(name)
        if found is not None:
            return found
        try:
            await _make(deployment, name, merchant_id)
        except StepFailed:
            continue  # somebody else made it, or took the number
        finally:
            deployment.parties.forget()
    raise GatewayError("BUSY", note="no free app number")


async def till_app_id(deployment: Deployment, merchant_id: int) -> int:
    """The integer that a merchant's till orders carry."""
    return (await till_app(deployment, merchant_id)).app_id


async def _make(deployment: Deployment, name: str, merchant_id: int) -> None:
    insert = rows.insert_app(
        name,
        NAME,
        key_sealed="",
        rules=msgspec.json.encode(_RULES).decode(),
        now_ms=deployment.clock.now_ms(),
    )
    await deployment.database.write([insert, till_sales.link_app(name, merchant_id), rows.bump_version()])
