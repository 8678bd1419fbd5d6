"""Every route of the console with what it takes to come there. Written by hand, so that a slip in the code shows.

A route that names something, in its path or in a field of its form, says how to make one that belongs to the other
merchant (`theirs`, `their_form`): nobody of the test merchant may learn that it exists, its own people may.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from opentill.domain.people import Permission, Role
from opentill.services import devices
from opentill.services.devices import Actor
from tests.web.console import things
from tests.web.console.kit import OTHER_MERCHANT_ID, Console, at

OPEN, SIGNED_IN = "open to everybody", "any signed-in person"
Theirs = Callable[[Console], Awaitable[str]]
TheirForm = Callable[[Console], Awaitable[dict[str, str]]]
P = Permission


@dataclass(frozen=True)
class Row:
    """One route. `everywhere`: the permission is needed at every merchant. `streams`: its answer has no end."""

    method: str
    path: str
    needs: Permission | str
    theirs: Theirs | None = None
    their_form: TheirForm | None = None
    everywhere: bool = False
    streams: bool = False


async def their_user(c: Console) -> str:
    """Somebody who works at the other merchant alone."""
    return str(await c.user_of(at(Role.READER, OTHER_MERCHANT_ID), login="theirs"))


def of_user(path: str) -> Theirs:
    async def made(c: Console) -> str:
        return path.format(await their_user(c))

    return made


async def their_store(c: Console) -> int:
    """The one the other merchant came with."""
    return await c.world.number("SELECT store_id FROM stores WHERE merchant_id = $1", OTHER_MERCHANT_ID)


async def their_device_form(c: Console) -> dict[str, str]:
    return {"store_id": str(await their_store(c)), "name": "till"}


def of_device(path: str) -> Theirs:
    async def made(c: Console) -> str:
        device_id = await devices.add(
            c.world.deployment,
            merchant_id=OTHER_MERCHANT_ID,
            store_id=await their_store(c),
            name=secrets.token_hex(8),
            actor=Actor("test", ""),
        )
        return path.format(device_id)

    return made


def of_cashier(path: str) -> Theirs:
    async def made(c: Console) -> str:
        operator_id = await c.world.administration.add_operator(
            "theirs", merchant_id=OTHER_MERCHANT_ID, store_id=await their_store(c), account_ids=[]
        )
        return path.format(operator_id)

    return made


ACCESS = (
    Row("GET", "/", SIGNED_IN),
    Row("GET", "/sign-in", OPEN),
    Row("POST", "/sign-in", OPEN),
    Row("POST", "/sign-out", SIGNED_IN),
    Row("GET", "/start", OPEN),
    Row("POST", "/start", OPEN),
    Row("GET", "/profile", SIGNED_IN),
    Row("GET", "/profile/password", SIGNED_IN),
    Row("POST", "/profile/password", SIGNED_IN),
    Row("GET", "/profile/totp", SIGNED_IN),
    Row("POST", "/profile/totp", SIGNED_IN),
    Row("POST", "/profile/totp/remove", SIGNED_IN),
    Row("POST", "/profile/sessions/end", SIGNED_IN),
    Row("GET", "/users", P.USERS_MANAGE),
    Row("POST", "/users", P.USERS_MANAGE),
    Row("GET", "/users/new", P.USERS_MANAGE),
    Row("GET", "/users/{user_id:int}", P.USERS_MANAGE, of_user("/users/{}")),
    Row("POST", "/users/{user_id:int}", P.USERS_MANAGE, of_user("/users/{}")),
    Row("POST", "/users/{user_id:int}/state", P.USERS_MANAGE, of_user("/users/{}/state")),
    Row("POST", "/users/{user_id:int}/reset", P.USERS_MANAGE, of_user("/users/{}/reset")),
    Row("GET", "/audit", P.AUDIT_READ, everywhere=True),
    Row("POST", "/audit/chain", P.AUDIT_READ, everywhere=True),
)

TILLS = (
    Row("GET", "/devices", P.MERCHANTS_MANAGE),
    Row("POST", "/devices", P.MERCHANTS_MANAGE, their_form=their_device_form),
    Row("POST", "/devices/{device_id:int}/code", P.MERCHANTS_MANAGE, of_device("/devices/{}/code")),
    Row("POST", "/devices/{device_id:int}/name", P.MERCHANTS_MANAGE, of_device("/devices/{}/name")),
    Row("POST", "/devices/{device_id:int}/state", P.MERCHANTS_MANAGE, of_device("/devices/{}/state")),
    Row("POST", "/devices/cashiers/{operator_id}/pin", P.MERCHANTS_MANAGE, of_cashier("/devices/cashiers/{}/pin")),
    Row(
        "POST",
        "/devices/cashiers/{operator_id}/refunds",
        P.MERCHANTS_MANAGE,
        of_cashier("/devices/cashiers/{}/refunds"),
    ),
)

INTEGRATION = (
    Row("GET", "/integration", P.INTEGRATION_READ),
    Row("GET", "/integration/{app_id:int}/{refusal_id:int}", P.INTEGRATION_READ, things.their_call),
    Row("GET", "/debugger", P.INTEGRATION_READ),
    Row("POST", "/debugger", P.INTEGRATION_READ),
)

APPS = (
    Row("GET", "/apps", P.APPS_READ),
    Row("POST", "/apps", P.APPS_MANAGE),
    Row("GET", "/apps/new", P.APPS_MANAGE),
    Row("GET", "/apps/{app}", P.APPS_READ, things.of_app("/apps/{}")),
    Row("POST", "/apps/{app}/name", P.APPS_MANAGE, things.of_app("/apps/{}/name")),
    Row("POST", "/apps/{app}/merchants", P.APPS_MANAGE, things.of_app("/apps/{}/merchants")),
    Row("POST", "/apps/{app}/rules/{group}", P.APPS_MANAGE, things.of_app("/apps/{}/rules/orders")),
    Row("POST", "/apps/{app}/key", P.APPS_MANAGE, things.of_app("/apps/{}/key")),
    Row("POST", "/apps/{app}/old-key/end", P.APPS_MANAGE, things.of_app("/apps/{}/old-key/end")),
    Row("POST", "/apps/{app}/state", P.APPS_MANAGE, things.of_app("/apps/{}/state")),
    Row("POST", "/apps/{app}/sample", P.APPS_MANAGE, things.of_app("/apps/{}/sample")),
)

_MERCHANT = "/merchants/{merchant_id:int}"
_CASHIER = f"{_MERCHANT}/cashiers/{{operator_id}}"
MERCHANTS = (
    Row("GET", "/merchants", P.MERCHANTS_READ),
    Row("POST", "/merchants", P.MERCHANTS_MANAGE, everywhere=True),
    Row("GET", _MERCHANT, P.MERCHANTS_READ, things.of_merchant("")),
    Row("POST", f"{_MERCHANT}/name", P.MERCHANTS_MANAGE, things.of_merchant("/name")),
    Row("POST", f"{_MERCHANT}/state", P.MERCHANTS_MANAGE, things.of_merchant("/state")),
    Row("POST", f"{_MERCHANT}/stores", P.MERCHANTS_MANAGE, things.of_merchant("/stores")),
    Row("POST", f"{_MERCHANT}/stores/{{store_id:int}}", P.MERCHANTS_MANAGE, things.of_store),
    Row("POST", f"{_MERCHANT}/cashiers", P.MERCHANTS_MANAGE, things.of_merchant("/cashiers")),
    Row("POST", f"{_CASHIER}/name", P.MERCHANTS_MANAGE, things.of_cashier("/name")),
    Row("POST", f"{_CASHIER}/accounts", P.MERCHANTS_MANAGE, things.of_cashier("/accounts")),
    Row("POST", f"{_CASHIER}/state", P.MERCHANTS_MANAGE, things.of_cashier("/state")),
    Row("POST", f"{_CASHIER}/replace", P.MERCHANTS_MANAGE, things.of_cashier("/replace")),
)

ORDERS = (
    Row("GET", "/dashboard", P.DASHBOARD),
    Row("GET", "/orders", P.ORDERS_READ),
    Row("GET", "/orders/export", P.ORDERS_EXPORT),
    Row("POST", "/orders/export", P.ORDERS_EXPORT),
    Row("GET", "/orders/exports", P.ORDERS_EXPORT),
    Row("GET", "/orders/{order_no:int}", P.ORDERS_READ, things.of_order("/orders/{}")),
    Row("POST", "/orders/{order_no:int}/ask", P.ORDERS_ACT, things.of_order("/orders/{}/ask")),
    Row("POST", "/orders/{order_no:int}/reverse", P.ORDERS_ACT, things.of_order("/orders/{}/reverse")),
    Row("GET", "/orders/{order_no:int}/refund", P.REFUND, things.of_order("/orders/{}/refund")),
    Row("POST", "/orders/{order_no:int}/refund", P.REFUND, things.of_order("/orders/{}/refund")),
    Row("POST", "/orders/{order_no:int}/decide", P.ORDERS_ACT, things.of_order("/orders/{}/decide")),
    Row("POST", "/orders/{order_no:int}/dismiss", P.ORDERS_ACT, things.of_order("/orders/{}/dismiss")),
    Row("POST", "/orders/{order_no:int}/tell", P.ORDERS_ACT, things.of_order("/orders/{}/tell")),
    Row("GET", "/notifications", P.NOTIFICATIONS_READ),
    Row("POST", "/notifications/resend", P.NOTIFICATIONS_RESEND, their_form=things.their_notification_form),
    Row("POST", "/notifications/resend-all", P.NOTIFICATIONS_RESEND),
    Row("POST", "/notifications/pause", P.NOTIFICATIONS_RESEND, their_form=things.their_receiver_form),
    Row("POST", "/notifications/resume", P.NOTIFICATIONS_RESEND, their_form=things.their_receiver_form),
    Row(
        "GET",
        "/notifications/{app_id:int}/{notification_id:int}",
        P.NOTIFICATIONS_READ,
        things.their_notification,
    ),
)

_ACCOUNT = "/accounts/{account_id:int}"
ACCOUNTS = (
    Row("GET", "/accounts", P.ACCOUNTS_READ),
    Row("POST", "/accounts", P.ACCOUNTS_MANAGE),
    Row("GET", "/accounts/new", P.ACCOUNTS_MANAGE),
    Row("GET", _ACCOUNT, P.ACCOUNTS_READ, things.of_account("")),
    Row("POST", _ACCOUNT, P.ACCOUNTS_MANAGE, things.of_account("")),
    Row("POST", f"{_ACCOUNT}/test", P.ACCOUNTS_MANAGE, things.of_account("/test")),
    Row("POST", f"{_ACCOUNT}/name", P.ACCOUNTS_MANAGE, things.of_account("/name")),
    Row("POST", f"{_ACCOUNT}/state", P.ACCOUNTS_MANAGE, things.of_account("/state")),
)

ROWS: Sequence[Row] = (*ACCESS, *ORDERS, *TILLS, *INTEGRATION, *APPS, *MERCHANTS, *ACCOUNTS)
"""Every area adds its own."""
