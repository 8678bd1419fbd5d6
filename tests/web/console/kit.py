"""A world with people of every role, and a browser without a screen for each of them.

    async def test_a_reader_sees_no_users() -> None:
        async with console() as c:
            page = await c.get("/users", as_=Role.READER)

            assert page.status == 403

`as_`: a role (the owner has it at every merchant, the others at the test merchant), a role at another merchant
(`at(Role.MANAGER, OTHER_MERCHANT_ID)`), or None for somebody who is not signed in. Forms get their CSRF token by
themselves. There is a second merchant whose things nobody of the first may see.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from multidict import CIMultiDictProxy

from opentill.domain.people import EVERY_MERCHANT, Grant, Role
from opentill.services import passwords, sessions
from opentill.storage import people as rows
from opentill.web.console.cookies import Cookies
from opentill.web.pages import Texts, all_texts
from tests.world import MERCHANT_ID, World, world

OTHER_MERCHANT_ID = 2
PASSWORD = "correct horse battery"
"""Everybody's."""

As = Role | tuple[Grant, ...] | None

_HASHES: list[str] = []


def at(role: Role, *merchant_ids: int) -> tuple[Grant, ...]:
    """Somebody with this role at these merchants."""
    return tuple(Grant(merchant_id, role) for merchant_id in merchant_ids)


def grants_of(as_: Role) -> tuple[Grant, ...]:
    return at(as_, EVERY_MERCHANT if as_ is Role.OWNER else MERCHANT_ID)


@dataclass(frozen=True)
class Answer:
    """What came back. `location` is below /console for a redirect into it."""

    status: int
    text: str
    headers: CIMultiDictProxy[str]
    cookies: Mapping[str, str]

    @property
    def location(self) -> str:
        return self.headers.get("location", "").removeprefix("/console")


@dataclass
class Console:
    """The console of one world. `tokens`: the sessions that were opened, by who has them."""

    world: World
    cookies: Cookies
    tokens: dict[As, str] = field(default_factory=dict)
    users: dict[As, int] = field(default_factory=dict)

    @property
    def texts(self) -> Texts:
        """In Chinese, which is what people get who ask for no language."""
        return all_texts("zh")

    async def get(self, path: str, *, as_: As = Role.OWNER, **headers: str) -> Answer:
        """A page below /console. `headers`: with _ for -, e.g. `hx_request="true"`."""
        return await self.send("GET", path, as_=as_, headers=headers)

    async def post(
        self, path: str, form: Mapping[str, str | Sequence[str]] | None = None, *, as_: As = Role.OWNER, **headers: str
    ) -> Answer:
        """Send a form, with the right token unless it names a `csrf_token` itself."""
        fields = {"csrf_token": await self.csrf_token(as_), **(form or {})}
        pairs = [
            (name, value) for name, given in fields.items() for value in ([given] if isinstance(given, str) else given)
        ]
        return await self.send("POST", path, as_=as_, headers=headers, data=aiohttp.FormData(pairs))

    async def send(
        self,
        method: str,
        path: str,
        *,
        as_: As = None,
        headers: Mapping[str, str] | None = None,
        reads: bool = True,
        **more: Any,
    ) -> Answer:
        """Any request; nothing is added but the cookies. `reads=False`: not its body, for streams without an end."""
        jar = {self.cookies.guest_name: GUEST}
        if as_ is not None:
            jar[self.cookies.session_name] = await self.token_of(as_)
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())}
        sent |= {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        async with self.world.http.request(
            method, f"{self.world.base_url}/console{path}", headers=sent, allow_redirects=False, **more
        ) as reply:
            set_cookies = {name: morsel.value for name, morsel in reply.cookies.items()}
            return Answer(reply.status, await reply.text() if reads else "", reply.headers, set_cookies)

    async def csrf_token(self, as_: As) -> str:
        """What a form of theirs has to bring along."""
        owner = f"session:{sessions.token_hash(await self.token_of(as_))}" if as_ is not None else f"guest:{GUEST}"
        return self.cookies.csrf_token(owner)

    async def token_of(self, as_: As) -> str:
        """The session of somebody with these rights, who is made when there is nobody yet."""
        if as_ not in self.tokens:
            await self.user_of(as_)
            deployment = self.world.deployment
            session = sessions.new_session(
                self.users[as_],
                source_ip="127.0.0.1",
                user_agent="kit",
                settings=deployment.settings,
                now_ms=self.world.clock.now_ms(),
            )
            await deployment.database.write([session.step])
            self.tokens[as_] = session.token
        return self.tokens[as_]

    async def user_of(self, as_: As, *, login: str = "") -> int:
        """The user_id of somebody with these rights; the login is the role's name, or `user-<number>`."""
        if as_ not in self.users:
            assert as_ is not None
            database, now_ms = self.world.database, self.world.clock.now_ms()
            user_id = await rows.next_user_id(database)
            login = login or (as_.value if isinstance(as_, Role) else f"user-{user_id}")
            insert = rows.insert_user(
                user_id, login, login.title(), password_hash=await _hash(), initial_until_ms=0, now_ms=now_ms
            )
            grants = grants_of(as_) if isinstance(as_, Role) else as_
            await database.write([insert, *rows.replace_grants(user_id, grants)])
            self.users[as_] = user_id
        return self.users[as_]


GUEST = "g" * 43
"""The mark of the browser, before it is signed in."""


@asynccontextmanager
async def console(engine: str = "sqlite", **more: Any) -> AsyncIterator[Console]:
    """A world with a console and a second merchant; arguments as for `world`."""
    async with world(engine, **more) as w:
        merchant_id, _ = await w.administration.add_merchant("另一家商户")
        assert merchant_id == OTHER_MERCHANT_ID
        yield Console(w, Cookies(w.deployment))


async def _hash() -> str:
    """Once per run: making it takes as long as a small test."""
    if not _HASHES:
        _HASHES.append(await passwords.hash_password(PASSWORD))
    return _HASHES[0]
