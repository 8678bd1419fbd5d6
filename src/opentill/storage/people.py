"""SQL of people: users, their roles, their sessions, and how often somebody failed to sign in."""

from collections.abc import Sequence

import msgspec

from opentill.domain.people import EVERY_MERCHANT, Grant, Role
from opentill.storage.database import Database, Step

DAY_MS = 86_400_000
MAX_DOUBLINGS = 16


class UserRow(msgspec.Struct, frozen=True, kw_only=True):
    """A user as stored. `initial_until_ms`: until then the password is one that somebody else knows; 0: it is not."""

    user_id: int
    login: str
    name: str
    password_hash: str
    initial_until_ms: int
    totp_sealed: str
    totp_last_step: int
    is_disabled: int
    created_at_ms: int


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    token_hash: str
    user_id: int
    created_at_ms: int
    seen_at_ms: int
    expires_at_ms: int
    source_ip: str
    user_agent: str


_USER = ", ".join(UserRow.__struct_fields__)
_SESSION = ", ".join(SessionRow.__struct_fields__)


async def user(database: Database, user_id: int) -> UserRow | None:
    row = await database.read_one(f"SELECT {_USER} FROM users WHERE user_id = $1", user_id)
    return UserRow(**dict(row)) if row else None


async def user_by_login(database: Database, login: str) -> UserRow | None:
    row = await database.read_one(f"SELECT {_USER} FROM users WHERE login = $1", login)
    return UserRow(**dict(row)) if row else None


async def users(database: Database) -> list[UserRow]:
    return [UserRow(**dict(row)) for row in await database.read(f"SELECT {_USER} FROM users ORDER BY login")]


async def has_users(database: Database) -> bool:
    return await database.read_one("SELECT 1 AS found FROM users LIMIT 1") is not None


async def grants_of(database: Database, user_id: int) -> tuple[Grant, ...]:
    rows = await database.read("SELECT merchant_id, role FROM user_roles WHERE user_id = $1 ORDER BY 1", user_id)
    return tuple(Grant(row["merchant_id"], Role(row["role"])) for row in rows)


async def all_grants(database: Database) -> dict[int, tuple[Grant, ...]]:
    """By user."""
    found: dict[int, tuple[Grant, ...]] = {}
    for row in await database.read("SELECT user_id, merchant_id, role FROM user_roles ORDER BY 1, 2"):
        grant = Grant(row["merchant_id"], Role(row["role"]))
        found[row["user_id"]] = (*found.get(row["user_id"], ()), grant)
    return found


def insert_user(user_id: int, login: str, name: str, *, password_hash: str, initial_until_ms: int, now_ms: int) -> Step:
    """No row: the number or the login is taken."""
    return Step(
        "INSERT INTO users (user_id, login, name, password_hash, initial_until_ms, created_at_ms) "
        "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        (user_id, login, name, password_hash, initial_until_ms, now_ms),
        rows=1,
    )


def only_first_user() -> Step:
    """No row: there is a user already."""
    return Step("SELECT 1 AS free WHERE NOT EXISTS (SELECT 1 FROM users)", (), rows=1)


def some_owner_is_left() -> Step:
    """After a change: somebody owns everything and may sign in. No row: nobody."""
    return Step(
        "SELECT 1 AS found WHERE EXISTS (SELECT 1 FROM users u JOIN user_roles r ON r.user_id = u.user_id "
        "WHERE u.is_disabled = 0 AND r.merchant_id = $1 AND r.role = $2)",
        (EVERY_MERCHANT, Role.OWNER.value),
        rows=1,
    )


async def next_user_id(database: Database) -> int:
    row = await database.read_one("SELECT coalesce(max(user_id), 0) + 1 AS user_id FROM users")
    return int(row["user_id"]) if row else 1


def replace_grants(user_id: int, grants: Sequence[Grant]) -> list[Step]:
    insert = "INSERT INTO user_roles (user_id, merchant_id, role) VALUES ($1, $2, $3)"
    return [
        # The user's row keeps others waiting: two changes at once must not leave the roles of both.
        Step("UPDATE users SET name = name WHERE user_id = $1", (user_id,)),
        Step("DELETE FROM user_roles WHERE user_id = $1", (user_id,)),
        *(Step(insert, (user_id, grant.merchant_id, grant.role.value), rows=1) for grant in grants),
    ]


def replace_name(user_id: int, name: str) -> Step:
    return Step("UPDATE users SET name = $2 WHERE user_id = $1", (user_id, name), rows=1)


def replace_password(user_id: int, *, password_hash: str, initial_until_ms: int = 0) -> Step:
    return Step(
        "UPDATE users SET password_hash = $2, initial_until_ms = $3 WHERE user_id = $1",
        (user_id, password_hash, initial_until_ms),
        rows=1,
    )


def rehash_password(user_id: int, *, old_hash: str, new_hash: str) -> Step:
    """The same password under today's parameters; nothing if it was changed meanwhile."""
    return Step(
        "UPDATE users SET password_hash = $3 WHERE user_id = $1 AND password_hash = $2", (user_id, old_hash, new_hash)
    )


def replace_totp(user_id: int, *, sealed: str, last_step: int) -> Step:
    """`sealed` "": no second factor any more."""
    return Step(
        "UPDATE users SET totp_sealed = $2, totp_last_step = $3 WHERE user_id = $1",
        (user_id, sealed, last_step),
        rows=1,
    )


def use_totp_step(user_id: int, step: int) -> Step:
    """No row: a code of this step, or of a later one, was used before."""
    return Step(
        "UPDATE users SET totp_last_step = $2 WHERE user_id = $1 AND totp_last_step < $2", (user_id, step), rows=1
    )


def set_user_disabled(user_id: int, *, is_disabled: bool) -> Step:
    return Step("UPDATE users SET is_disabled = $2 WHERE user_id = $1", (user_id, int(is_disabled)), rows=1)


# --- sessions


def insert_session(session: SessionRow) -> Step:
    return Step(
        f"INSERT INTO user_sessions ({_SESSION}) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        msgspec.structs.astuple(session),
        rows=1,
    )


async def session(database: Database, token_hash: str) -> SessionRow | None:
    row = await database.read_one(f"SELECT {_SESSION} FROM user_sessions WHERE token_hash = $1", token_hash)
    return SessionRow(**dict(row)) if row else None


async def sessions_of(database: Database, user_id: int) -> list[SessionRow]:
    """Newest first."""
    rows = await database.read(
        f"SELECT {_SESSION} FROM user_sessions WHERE user_id = $1 ORDER BY created_at_ms DESC, token_hash", user_id
    )
    return [SessionRow(**dict(row)) for row in rows]


def see_session(token_hash: str, *, now_ms: int) -> Step:
    return Step("UPDATE user_sessions SET seen_at_ms = $2 WHERE token_hash = $1", (token_hash, now_ms))


def end_session(token_hash: str) -> Step:
    return Step("DELETE FROM user_sessions WHERE token_hash = $1", (token_hash,))


def end_sessions(user_id: int) -> Step:
    """All of a user's."""
    return Step("DELETE FROM user_sessions WHERE user_id = $1", (user_id,))


# --- failures to sign in


def count_attempt(subject: str, *, free: int, wait_ms: int, longest_wait_ms: int, now_ms: int) -> Step:
    """Count an attempt as failed before it is looked at, so that many at once are not looked at for free.

    The first `free` failures of a day cost nothing, each further one twice the wait of the one before. No row: the
    subject has to wait.
    """
    wait = "(CAST($4 AS BIGINT) << CAST(f.failures - CAST($3 AS BIGINT) AS INTEGER))"
    return Step(
        "INSERT INTO sign_in_failures AS f (subject, failures, first_at_ms, blocked_until_ms) "
        "VALUES ($1, 1, $2, 0) ON CONFLICT (subject) DO UPDATE SET "
        f"failures = CASE WHEN f.first_at_ms <= $2 - {DAY_MS} THEN 1 ELSE f.failures + 1 END, "
        f"first_at_ms = CASE WHEN f.first_at_ms <= $2 - {DAY_MS} THEN $2 ELSE f.first_at_ms END, "
        f"blocked_until_ms = CASE WHEN f.first_at_ms <= $2 - {DAY_MS} OR f.failures < CAST($3 AS BIGINT) THEN 0 "
        f"WHEN f.failures >= CAST($3 AS BIGINT) + {MAX_DOUBLINGS} OR {wait} > CAST($5 AS BIGINT) "
        f"THEN $2 + CAST($5 AS BIGINT) ELSE $2 + {wait} END "
        "WHERE f.blocked_until_ms <= $2",
        (subject, now_ms, free, wait_ms, longest_wait_ms),
        rows=1,
    )


def forget_failures(subject: str) -> Step:
    return Step("DELETE FROM sign_in_failures WHERE subject = $1", (subject,))


def take_back_attempt(subject: str) -> Step:
    """It was none: the address of many people keeps only their failures."""
    return Step(
        "UPDATE sign_in_failures SET failures = failures - 1, blocked_until_ms = 0 WHERE subject = $1 AND failures > 0",
        (subject,),
    )


async def blocked_until_ms(database: Database, subjects: Sequence[str]) -> int:
    """The latest time of all; 0: nobody has to wait."""
    latest = 0
    for subject in subjects:
        row = await database.read_one("SELECT blocked_until_ms FROM sign_in_failures WHERE subject = $1", subject)
        latest = max(latest, row["blocked_until_ms"] if row else 0)
    return latest


def forget_old(*, now_ms: int) -> list[Step]:
    """What has no meaning any more: sessions that ended by themselves, failures of yesterday."""
    return [
        Step("DELETE FROM user_sessions WHERE expires_at_ms <= $1", (now_ms,)),
        Step(
            "DELETE FROM sign_in_failures WHERE first_at_ms <= $1 AND blocked_until_ms <= $2",
            (now_ms - DAY_MS, now_ms),
        ),
    ]
