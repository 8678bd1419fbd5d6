"""Things of the other merchant: apps, refused calls, stores, cashiers, accounts. Each says the path to it."""

import re
from collections.abc import Awaitable, Callable

from opentill.base import numbers
from opentill.domain.order import Order, OrderState, PaymentWay
from opentill.domain.parties import ALIPAY, AppRules
from opentill.domain.people import Role
from opentill.storage import notifications, orders
from tests.clients import Till
from tests.web.console.kit import OTHER_MERCHANT_ID, Console, at

Theirs = Callable[[Console], Awaitable[str]]


async def their_app(c: Console) -> str:
    """An app that acts for the other merchant alone."""
    made = await c.world.administration.add_app("theirs", [OTHER_MERCHANT_ID], rules=AppRules())
    c.world.deployment.parties.forget()
    return made.app


async def their_call(c: Console) -> str:
    """The page of a refused call of the other merchant's app."""
    app = await their_app(c)
    await Till(c.world.http, c.world.base_url, c.world.clock.now_ms, app=app).scan()
    token = c.tokens.copy()
    log = await c.get(f"/integration?app={app}", as_=at(Role.DEVELOPER, OTHER_MERCHANT_ID))
    c.tokens = token
    found = re.search(r'"/console(/integration/\d+/\d+)"', log.text)
    assert found is not None
    return found[1]


def of_app(path: str) -> Theirs:
    async def made(c: Console) -> str:
        return path.format(await their_app(c))

    return made


async def their_store(c: Console) -> int:
    """A store of the other merchant."""
    return await c.world.administration.add_store(OTHER_MERCHANT_ID, "theirs")


async def their_cashier(c: Console) -> str:
    """Somebody who takes payments for the other merchant."""
    return await c.world.administration.add_operator(
        "theirs", merchant_id=OTHER_MERCHANT_ID, store_id=await their_store(c), account_ids=[]
    )


def of_merchant(path: str) -> Theirs:
    """`path` below the other merchant's page."""

    async def made(_: Console) -> str:
        return f"/merchants/{OTHER_MERCHANT_ID}{path}"

    return made


async def of_store(c: Console) -> str:
    return f"/merchants/{OTHER_MERCHANT_ID}/stores/{await their_store(c)}"


def of_cashier(path: str) -> Theirs:
    """`path` below a cashier of the other merchant."""

    async def made(c: Console) -> str:
        return f"/merchants/{OTHER_MERCHANT_ID}/cashiers/{await their_cashier(c)}{path}"

    return made


async def their_order(c: Console) -> Order:
    """An order of the other merchant that nobody has paid."""
    app_id = await c.world.number("SELECT app_id FROM apps WHERE app = $1", await their_app(c))
    now_ms = c.world.clock.now_ms()
    order_no = numbers.new_order_no(numbers.PAYMENT, app_id=app_id, now_ms=now_ms)
    order = Order(
        app_id=app_id,
        order_no=order_no,
        local_order_no=order_no,
        attempt=1,
        merchant_id=OTHER_MERCHANT_ID,
        store_id=0,
        operator_id="theirs",
        account_id=0,
        channel=1,
        way=PaymentWay.SCAN,
        state=OrderState.WAITING,
        amount_fen=100,
        un_discount_fen=None,
        subject="",
        goods=(),
        notify_url="",
        device_create_ip="",
        created_at_ms=now_ms,
        expires_at_ms=now_ms + 60_000,
    )
    await c.world.database.write([orders.insert(order)])
    return order


def of_order(path: str) -> Theirs:
    async def made(c: Console) -> str:
        return path.format((await their_order(c)).order_no)

    return made


async def their_notification(c: Console, form: str = "/notifications/{}/{}") -> str:
    """The page of what the other merchant is owed."""
    order = await their_order(c)
    step = notifications.insert(
        order.app_id, order.order_no, kind="PAYMENT", url="http://127.0.0.1:9/", fields={},
        now_ms=c.world.clock.now_ms(),
    )  # fmt: skip
    await c.world.database.write([step])
    return form.format(order.app_id, step.args[1])


async def their_notification_form(c: Console) -> dict[str, str]:
    return {"one": await their_notification(c, "{}-{}")}


async def their_receiver_form(c: Console) -> dict[str, str]:
    """A receiver of an app that acts for the other merchant alone."""
    app_id = await c.world.number("SELECT app_id FROM apps WHERE app = $1", await their_app(c))
    return {"app_id": str(app_id), "receiver": "theirs.example"}


async def their_account(c: Console) -> int:
    """The other merchant's account at Alipay, with the keys of the test merchant's."""
    settings = await c.world.administration.account_settings(1)
    return await c.world.administration.add_account(
        "theirs", merchant_id=OTHER_MERCHANT_ID, channel=ALIPAY, settings=settings
    )


def of_account(path: str) -> Theirs:
    """`path` below an account of the other merchant."""

    async def made(c: Console) -> str:
        return f"/accounts/{await their_account(c)}{path}"

    return made
