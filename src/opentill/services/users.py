"""People of the console: adding and changing them by who may, and what everybody may change of oneself."""

import base64
import secrets
from collections.abc import Sequence

import msgspec

from opentill.base.sealing import Sealer
from opentill.domain.people import EVERY_MERCHANT, Grant, Role, Visitor
from opentill.services import audit, passwords, totp
from opentill.services.sessions import NewSession
from opentill.services.signin import new_login, normal_login
from opentill.storage import people as rows
from opentill.storage.database import Database, Step, StepFailed
from opentill.storage.people import UserRow

INITIAL_LIFE_MS = 7 * 86_400_000
"""A password that somebody else knows is good for so long; until then its owner chooses another."""
MAX_ID_DRAWS = 50
"""So many others may draw the same number at the same time and be faster."""
MAX_NAME = 64
SHELL = Visitor(0, "shell", "shell", (Grant(EVERY_MERCHANT, Role.OWNER),))
"""Who works on the machine itself may do everything."""


class UserProblem(Exception):
    """What was asked for can't be done. `name` is a word: login, taken, self, last_owner, missing, roles, name."""

    def __init__(self, name: str) -> None:
        super().__init__(_REASONS[name])
        self.name = name


_REASONS = {
    "login": "a login has 1 to 64 visible characters and is not shell, sandbox or seed",
    "name": "a name has 1 to 64 visible characters",
    "taken": "there is somebody with this login already",
    "self": "nobody changes the own roles or disables oneself",
    "last_owner": "somebody has to remain who owns everything and can sign in",
    "missing": "there is no such user",
    "roles": "roles can be given only at merchants whose people one manages",
}


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with the roles that were given."""

    row: UserRow
    grants: tuple[Grant, ...]


class Users:
    """Changes by a visitor, who acts from `source_ip`; for the visitor only manageable people exist."""

    def __init__(self, database: Database, sealer: Sealer, *, by: Visitor, source_ip: str, now_ms: int) -> None:
        self._database = database
        self._sealer = sealer
        self._by = by
        self._source_ip = source_ip
        self._now_ms = now_ms

    async def all(self) -> list[User]:
        """By login."""
        grants = await rows.all_grants(self._database)
        users = [User(row=row, grants=grants.get(row.user_id, ())) for row in await rows.users(self._database)]
        return [user for user in users if self._by.may_manage(user.grants)]

    async def get(self, user_id: int) -> User:
        """Raises UserProblem (missing)."""
        row = await rows.user(self._database, user_id)
        return await self._manageable(row)

    async def by_login(self, login: str) -> User:
        """Raises UserProblem (missing)."""
        row = await rows.user_by_login(self._database, normal_login(login))
        return await self._manageable(row)

    async def add(self, login: str, name: str, grants: Sequence[Grant]) -> tuple[int, str]:
        """A new person; returns the number and the initial password, which is shown once. Raises UserProblem."""
        login, name = new_login(login), name.strip()
        _check(login, "login")
        _check(name, "name")
        self._check_grants(grants)
        password = _initial_password()
        password_hash = await passwords.hash_password(password)
        for _ in range(MAX_ID_DRAWS):
            user_id = await rows.next_user_id(self._database)
            insert = rows.insert_user(
                user_id,
                login,
                name,
                password_hash=password_hash,
                initial_until_ms=self._now_ms + INITIAL_LIFE_MS,
                now_ms=self._now_ms,
            )
            steps = [insert, *rows.replace_grants(user_id, grants)]
            try:
                await self._change(steps, "user.add", login, after={"name": name, "roles": told(grants)})
            except StepFailed as failed:
                if await rows.user_by_login(self._database, login) is not None:
                    raise UserProblem("taken") from failed
                continue
            return user_id, password
        raise UserProblem("taken")

    async def rename(self, user_id: int, name: str) -> None:
        """Raises UserProblem."""
        user, name = await self.get(user_id), name.strip()
        _check(name, "name")
        step = rows.replace_name(user_id, name)
        await self._change([step], "user.rename", user.row.login, {"name": user.row.name}, {"name": name})

    async def set_grants(self, user_id: int, grants: Sequence[Grant]) -> None:
        """All roles of somebody else. Raises UserProblem."""
        user = await self.get(user_id)
        self._check_not_self(user_id)
        self._check_grants(grants)
        steps = [*rows.replace_grants(user_id, grants), rows.some_owner_is_left()]
        before, after = {"roles": told(user.grants)}, {"roles": told(grants)}
        await self._keeping_an_owner(steps, "user.roles", user.row.login, before, after)

    async def set_disabled(self, user_id: int, *, is_disabled: bool) -> None:
        """Somebody else may not come in any more, at once; or may again. Raises UserProblem."""
        user = await self.get(user_id)
        self._check_not_self(user_id)
        steps = [rows.set_user_disabled(user_id, is_disabled=is_disabled)]
        if is_disabled:
            steps += [rows.end_sessions(user_id), rows.some_owner_is_left()]
        before, after = {"state": _state(user.row.is_disabled)}, {"state": _state(is_disabled)}
        action = "user.disable" if is_disabled else "user.enable"
        await self._keeping_an_owner(steps, action, user.row.login, before, after)

    async def reset(self, user_id: int) -> str:
        """A new initial password, shown once, for who lost password or phone; sessions end. Raises UserProblem."""
        user = await self.get(user_id)
        self._check_not_self(user_id)
        password = _initial_password()
        steps = [
            rows.replace_password(
                user_id,
                password_hash=await passwords.hash_password(password),
                initial_until_ms=self._now_ms + INITIAL_LIFE_MS,
            ),
            rows.replace_totp(user_id, sealed="", last_step=0),
            rows.end_sessions(user_id),
        ]
        before = {"second factor": _yes(user.row.totp_sealed)}
        await self._change(steps, "user.reset", user.row.login, before, {"password": "initial", "second factor": "no"})
        return password

    async def change_own_password(self, password: str, *, session: NewSession) -> None:
        """Checked before; every session of the visitor ends, and this one begins."""
        steps = [
            rows.replace_password(self._by.user_id, password_hash=await passwords.hash_password(password)),
            rows.end_sessions(self._by.user_id),
            session.step,
        ]
        await self._change(steps, "user.password", self._by.login, {}, {"password": "changed"})

    async def set_own_totp(self, secret: str, *, step: int, session: NewSession) -> None:
        """`step`: of the code that proved the app to know the secret; it is used up. Sessions as with a password."""
        sealed = self._sealer.seal(secret, place=totp.place(self._by.user_id))
        change = rows.replace_totp(self._by.user_id, sealed=sealed, last_step=step)
        steps = [change, rows.end_sessions(self._by.user_id), session.step]
        await self._change(steps, "user.totp_on", self._by.login, {}, {"second factor": "yes"})

    async def remove_own_totp(self) -> None:
        step = rows.replace_totp(self._by.user_id, sealed="", last_step=0)
        await self._change([step], "user.totp_off", self._by.login, {"second factor": "yes"}, {"second factor": "no"})

    async def end_own_session(self, handle: str) -> None:
        """One of the visitor's sessions, by the beginning of its hash. Nothing when there is none."""
        for session in await rows.sessions_of(self._database, self._by.user_id):
            if session.token_hash.startswith(handle) and handle:
                ended = {"source": session.source_ip}
                await self._change([rows.end_session(session.token_hash)], "session.revoke", self._by.login, ended, {})

    async def _manageable(self, row: UserRow | None) -> User:
        grants = await rows.grants_of(self._database, row.user_id) if row else ()
        if row is None or not self._by.may_manage(grants):
            raise UserProblem("missing")
        return User(row=row, grants=grants)

    def _check_not_self(self, user_id: int) -> None:
        if user_id == self._by.user_id:
            raise UserProblem("self")

    def _check_grants(self, grants: Sequence[Grant]) -> None:
        places = [grant.merchant_id for grant in grants]
        if len(set(places)) != len(places) or not self._by.may_manage(tuple(grants)):
            raise UserProblem("roles")

    async def _keeping_an_owner(
        self, steps: Sequence[Step], action: str, subject: str, before: dict[str, str], after: dict[str, str]
    ) -> None:
        try:
            await self._change(steps, action, subject, before, after)
        except StepFailed as failed:
            raise UserProblem("last_owner") from failed

    async def _change(
        self,
        steps: Sequence[Step],
        action: str,
        subject: str,
        before: dict[str, str] | None = None,
        after: dict[str, str] | None = None,
    ) -> None:
        await audit.change(
            self._database,
            steps,
            actor=self._by.login,
            source_ip=self._source_ip,
            action=action,
            subject=subject,
            before=before or {},
            after=after or {},
            now_ms=self._now_ms,
        )


def told(grants: Sequence[Grant]) -> str:
    """Roles for the audit log: `owner@*, manager@2`."""
    places = [(grant.role.value, "*" if grant.merchant_id == EVERY_MERCHANT else grant.merchant_id) for grant in grants]
    return ", ".join(f"{role}@{place}" for role, place in places)


def _initial_password() -> str:
    """80 random bits that can be read over the phone, e.g. `k7q2-m4td-5xha-pln3`."""
    text = base64.b32encode(secrets.token_bytes(10)).decode("ascii").lower()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _check(text: str, name: str) -> None:
    if not 0 < len(text) <= MAX_NAME or not text.isprintable():
        raise UserProblem(name)


def _state(is_disabled: int) -> str:
    return "disabled" if is_disabled else "active"


def _yes(text: str) -> str:
    return "yes" if text else "no"
