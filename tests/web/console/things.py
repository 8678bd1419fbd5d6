"""Things of the other merchant: apps, refused calls, stores, cashiers, accounts. Each says the path to it."""

import re
from collections.abc import Awaitable, Callable

from opentill.domain.parties import AppRules
from opentill.domain.people import Role
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
