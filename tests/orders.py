"""Steps that tests of the interfaces share: an order that is paid, a refund that is waited for, what the books say.

The clock stands still, so two calls with the same parameters are the same bytes; `ask` moves it by a millisecond first.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, TypeVar

import pytest

from opentill.domain.parties import AppRules
from opentill.domain.refund import Refund
from opentill.storage import refunds
from tests.clients import Reply, Till, hmac_sha256, is_signed
from tests.world import MERCHANT_ID, STORE_ID, TEST_APP_ID, World

T = TypeVar("T")

ALIPAY, WECHAT = 1, 2
on_each_wallet = pytest.mark.parametrize("channel", [ALIPAY, WECHAT], ids=["alipay", "wechat"])

# protocol 4.2: a payment code tells its wallet by its first digits; the twin's payer behind it by the last four.
CODES = {ALIPAY: "28012345678901", WECHAT: "13012345678901"}
PAYS, ASKS_PASSWORD, LACKS_MONEY, LEAVES_UNKNOWN = "1234", "0001", "0002", "0003"


async def ask(w: World, command: str, *, till: Till | None = None, **params: object) -> Reply:
    """Any interface, a millisecond later than everything before, waiting as long as it takes."""
    w.clock.advance(1)
    return await w.meanwhile((till or w.till).call(f"open.pay.{command}", **params))


async def scanned(
    w: World, *, channel: int = ALIPAY, amount: int = 1000, till: Till | None = None, **more: Any
) -> Reply:
    """An order nobody has paid."""
    w.clock.advance(1)
    reply = await (till or w.till).scan(channel=channel, amount=amount, **more)
    assert reply.is_success, reply.message
    return reply


async def paid(w: World, *, channel: int = ALIPAY, amount: int = 1000, till: Till | None = None, **more: Any) -> str:
    """The number of an order that was scanned and paid."""
    reply = await scanned(w, channel=channel, amount=amount, till=till, **more)
    await w.pay(reply.qr_code)
    return reply.order_no


async def status(w: World, order_no: str, *, till: Till | None = None) -> str:
    """orderStatus as a query answers it."""
    reply = await ask(w, "query", till=till, order_no=order_no)
    assert reply.is_success, reply.message
    return reply.data["orderStatus"]


async def at_once(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    return await asyncio.gather(*calls)


async def refunds_of(w: World, order_no: str, *, app_id: int = TEST_APP_ID) -> list[Refund]:
    return await refunds.of_order(w.database, app_id, order_no)


async def refunded_at_wallet(w: World, order_no: str) -> list[int]:
    """The refunds in the wallet's books, fen, oldest first."""
    found = await w.wallet_trades(order_no)
    return [refund["amount_fen"] for trade in found for refund in trade["refunds"]]


async def audited(w: World) -> list[str]:
    """What was refused and written down, oldest first, e.g. SIGN_REUSED."""
    rows = await w.rows("SELECT name FROM refused_calls ORDER BY refusal_id")
    return [row["name"] for row in rows]


async def fault(w: World, channel: int, operation: str, name: str, **more: object) -> None:
    """Something goes wrong at the wallet (the twin's `/api/faults`); once, unless `times` says otherwise."""
    values = {"wallet": {ALIPAY: "alipay", WECHAT: "wechat"}[channel], "operation": operation, "fault": name}
    answered, answer = await w.ask_twin("POST", "/api/faults", **values, **more)
    assert answered == 200, answer


async def wrongly_charged(w: World, channel: int) -> Reply:
    """The answer to a charge of ten yuan whose wallet once speaks of another amount."""
    await fault(w, channel, "pay", "wrong_amount")
    if channel == ALIPAY:
        # Its callback names the right amount and may outrun the answer; WeChat Pay sends none for a charge.
        await fault(w, channel, "callback", "callback_never")
    return await ask(w, "barcode", barcode=CODES[channel] + PAYS, amount=1000, local_order_no="T-1")


def lacks_money(w: World, channel: int, *, is_out: bool = True) -> None:
    """The merchant's balance at the wallet does not cover refunds, or does again."""
    number = w.twin.alipay_merchant().app_id if channel == ALIPAY else w.twin.wechat_merchant().mchid
    name = {ALIPAY: "alipay", WECHAT: "wechat"}[channel]
    w.twin._context.merchants.set_out_of_money(name, number, is_out=is_out)


class StrictTill(Till):
    """An integrator that signs every parameter (protocol 8.3)."""

    def sign(self, form: Mapping[str, str]) -> str:
        return hmac_sha256(form, self.key)


async def strict_till(w: World, **rules: Any) -> Till:
    """Another integrator for the test merchant, strict."""
    made = await w.add_till(rules=AppRules(sign_method="HMAC-SHA256", **rules))
    return StrictTill(w.http, w.base_url, w.clock.now_ms, app=made.app, key=made.key)


async def other_operator(w: World, till: Till) -> Till:
    """The same app acting for a cashier of another merchant that it serves too."""
    merchant_id, store_id = await w.administration.add_merchant("another merchant")
    made = await w.administration.add_app(
        "both", [MERCHANT_ID, merchant_id], rules=AppRules(), app=till.app, key=till.key, exist_ok=True
    )
    assert made.app == till.app
    operator_id = await w.administration.add_operator(
        "another cashier", merchant_id=merchant_id, store_id=store_id, account_ids=[]
    )
    assert store_id != STORE_ID
    w.deployment.parties.forget()
    return Till(w.http, w.base_url, w.clock.now_ms, app=till.app, key=till.key, operator_id=operator_id)


def is_signed_over(w: World, reply: Reply, names: str) -> bool:
    """Whether the reply's sign is over exactly these fields (the gaps of the list are spaces)."""
    return is_signed({name: reply.data[name] for name in names.split()}, reply.data["sign"], w.public_key)
