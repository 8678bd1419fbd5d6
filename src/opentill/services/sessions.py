"""Sessions of people: a random token in the browser, of which only the hash is stored."""

import hashlib
import secrets

import msgspec

from opentill.base.config import Settings
from opentill.domain.people import Visitor
from opentill.storage import people as rows
from opentill.storage.database import Database, Step
from opentill.storage.people import SessionRow

TOKEN_BYTES = 32
SEEN_EVERY_MS = 60_000
"""So often at most a session's last use is written down: a page seen is no reason to write."""
MAX_USER_AGENT = 200
MINUTE_MS = 60_000
HOUR_MS = 3_600_000


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A visitor in a session. `has_initial_password`: it must be changed before anything else."""

    visitor: Visitor
    session: SessionRow
    has_initial_password: bool


class NewSession(msgspec.Struct, frozen=True):
    """A session to be stored by `step`. `token` is secret and goes to the browser alone."""

    token: str
    step: Step


def new_session(user_id: int, *, source_ip: str, user_agent: str, settings: Settings, now_ms: int) -> NewSession:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = SessionRow(
        token_hash=token_hash(token),
        user_id=user_id,
        created_at_ms=now_ms,
        seen_at_ms=now_ms,
        expires_at_ms=now_ms + settings.console_session_hours * HOUR_MS,
        source_ip=source_ip,
        user_agent=user_agent[:MAX_USER_AGENT],
    )
    return NewSession(token, rows.insert_session(row))


def renewed(session: SessionRow) -> NewSession:
    """The same session with the same life under another token, to be stored once the old one has ended."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return NewSession(token, rows.insert_session(msgspec.structs.replace(session, token_hash=token_hash(token))))


async def signed_in(database: Database, token: str, *, settings: Settings, now_ms: int) -> SignedIn | None:
    """Whose session this is; None when it ended, was ended, or never was. Notes that it was used."""
    session = await rows.session(database, token_hash(token)) if token else None
    if session is None or not is_alive(session, settings=settings, now_ms=now_ms):
        return None
    user = await rows.user(database, session.user_id)
    if user is None or user.is_disabled:
        return None
    if now_ms - session.seen_at_ms >= SEEN_EVERY_MS:
        await database.write([rows.see_session(session.token_hash, now_ms=now_ms)])
    return SignedIn(
        visitor=Visitor(user.user_id, user.login, user.name, await rows.grants_of(database, user.user_id)),
        session=session,
        has_initial_password=user.initial_until_ms > 0,
    )


def is_alive(session: SessionRow, *, settings: Settings, now_ms: int) -> bool:
    return now_ms < session.expires_at_ms and now_ms < session.seen_at_ms + settings.console_idle_minutes * MINUTE_MS


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
