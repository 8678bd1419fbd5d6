"""Signing in: password, second factor, growing waits, and a session at the end. No answer tells who exists."""

import hashlib
from ipaddress import IPv6Address, ip_address, ip_network

import msgspec

from opentill.base.logs import logger
from opentill.base.sealing import SealingError
from opentill.services import audit, passwords, totp
from opentill.services.deployment import Deployment
from opentill.services.sessions import new_session, token_hash
from opentill.storage import people as rows
from opentill.storage.database import Step, StepFailed
from opentill.storage.people import UserRow

FREE_BY_LOGIN = 5
FREE_BY_ADDRESS = 30
"""Many people may share one address."""
FIRST_WAIT_MS = 15_000
LONGEST_WAIT_MS = 15 * 60_000
TICKET_LIFE_MS = 5 * 60_000
MAX_LOGIN = 64
NOBODYS_LOGINS = frozenset({"shell", "sandbox", "seed"})
"""Who the audit log says made changes that nobody made in the console."""

_log = logger("signin")


class Wrong(Exception):
    """Login, password or code are not right. Which of them is not said."""


class MustWait(Exception):
    """Too many failures, of this login or from this address. `until_ms`: try again then."""

    def __init__(self, until_ms: int) -> None:
        super().__init__("too many failures")
        self.until_ms = until_ms


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody who signs in comes from. `guest` marks the browser."""

    source_ip: str
    user_agent: str
    guest: str
    now_ms: int
    old_token: str = ""
    """The session this browser has until now; it ends."""


class Ticket(msgspec.Struct, frozen=True):
    """Sealed, in the form that asks for the code: the password was right."""

    user_id: int
    at_ms: int
    password_hash: str


async def check_password(deployment: Deployment, login: str, password: str, came: Came) -> UserRow:
    """Whose login and password these are. Raises: Wrong, MustWait, TooManyPasswords."""
    login = normal_login(login)
    await _count(deployment, login, came)
    row = await rows.user_by_login(deployment.database, login) if login else None
    usable = row is not None and not row.is_disabled and not 0 < row.initial_until_ms <= came.now_ms
    is_right = await passwords.matches(row.password_hash if row and usable else "", password[: passwords.MAX_LENGTH])
    if row is None or not is_right:
        _log.warning("refused", source=came.source_ip)
        raise Wrong
    if passwords.is_outdated(row.password_hash):
        new_hash = await passwords.hash_password(password)
        step = rows.rehash_password(row.user_id, old_hash=row.password_hash, new_hash=new_hash)
        await deployment.database.write([step])
        row = msgspec.structs.replace(row, password_hash=new_hash)
    return row


async def confirm_password(deployment: Deployment, login: str, password: str, came: Came) -> UserRow:
    """The same for somebody who is signed in and about to change something weighty. Raises like `check_password`."""
    row = await check_password(deployment, login, password, came)
    forget = [rows.forget_failures(_login_subject(row.login)), rows.take_back_attempt(_address_subject(came.source_ip))]
    await deployment.database.write(forget)
    return row


def issue_ticket(deployment: Deployment, row: UserRow, came: Came) -> str:
    """Proof for the second step that the first was taken, in this browser, now."""
    ticket = Ticket(row.user_id, came.now_ms, row.password_hash)
    return deployment.sealer.seal(msgspec.json.encode(ticket).decode(), place=_ticket_place(came))


async def check_code(deployment: Deployment, sealed_ticket: str, code: str, came: Came) -> UserRow:
    """Who gave the right code after the right password. Raises: Wrong, MustWait; TicketGone: start again."""
    row = await _ticket_holder(deployment, sealed_ticket, came)
    await _count(deployment, row.login, came)
    step = totp.step_of(totp.open_secret(deployment.sealer, row), code, now_ms=phone_ms(deployment, came.now_ms))
    if step is None:
        _log.warning("code refused", source=came.source_ip)
        raise Wrong
    try:
        await deployment.database.write([rows.use_totp_step(row.user_id, step)])
    except StepFailed as failed:
        raise Wrong from failed
    return row


class TicketGone(Exception):
    """The second step came too late, from elsewhere, or after the password was changed."""


async def open_session(deployment: Deployment, row: UserRow, came: Came, *, steps: tuple[Step, ...] = ()) -> str:
    """A session for who has proven to be this user; returns its token, which is secret."""
    session = new_session(
        row.user_id,
        source_ip=came.source_ip,
        user_agent=came.user_agent,
        settings=deployment.settings,
        now_ms=came.now_ms,
    )
    await audit.change(
        deployment.database,
        [
            *steps,
            rows.end_session(token_hash(came.old_token)),
            session.step,
            rows.forget_failures(_login_subject(row.login)),
            rows.take_back_attempt(_address_subject(came.source_ip)),
        ],
        actor=row.login,
        source_ip=came.source_ip,
        action="session.open",
        subject=row.login,
        before={},
        after={"second factor": "yes" if row.totp_sealed else "no"},
        now_ms=came.now_ms,
    )
    return session.token


async def count_stranger(deployment: Deployment, came: Came) -> None:
    """An attempt that names no login, such as a code for the first owner. Raises MustWait."""
    await _attempt(deployment, [_by_address(came)], came)


def phone_ms(deployment: Deployment, now_ms: int) -> int:
    """The time that phones know: the real one, wherever a sandbox's clock was moved to."""
    return now_ms - deployment.clock.shift_ms


def normal_login(text: str) -> str:
    """Logins are compared in lower case; "" for what can be none."""
    login = text.strip().casefold()
    return login if 0 < len(login) <= MAX_LOGIN else ""


def new_login(text: str) -> str:
    """What somebody new may be called; "" for what looks like another in the audit log, or like no person at all."""
    login = normal_login(text)
    return login if login.isprintable() and login not in NOBODYS_LOGINS else ""


async def _count(deployment: Deployment, login: str, came: Came) -> None:
    subject = _login_subject(login)
    by_login = rows.count_attempt(
        subject, free=FREE_BY_LOGIN, wait_ms=FIRST_WAIT_MS, longest_wait_ms=LONGEST_WAIT_MS, now_ms=came.now_ms
    )
    await _attempt(deployment, [by_login, _by_address(came)], came, subject)


async def _attempt(deployment: Deployment, steps: list[Step], came: Came, *subjects: str) -> None:
    try:
        await deployment.database.write(steps)
    except StepFailed as failed:
        blocked = (*subjects, _address_subject(came.source_ip))
        until_ms = await rows.blocked_until_ms(deployment.database, blocked)
        _log.warning("has to wait", source=came.source_ip, wait_ms=until_ms - came.now_ms)
        raise MustWait(until_ms) from failed


def _by_address(came: Came) -> Step:
    return rows.count_attempt(
        _address_subject(came.source_ip),
        free=FREE_BY_ADDRESS,
        wait_ms=FIRST_WAIT_MS,
        longest_wait_ms=LONGEST_WAIT_MS,
        now_ms=came.now_ms,
    )


def _login_subject(login: str) -> str:
    # Hashed: people type their password into the wrong field.
    return "login:" + hashlib.sha256(login.encode()).hexdigest()[:32]


def _address_subject(source_ip: str) -> str:
    try:
        address = ip_address(source_ip)
    except ValueError:
        return "address:"
    if isinstance(address, IPv6Address):
        # One household has 2^64 of them.
        return f"address:{ip_network((address, 64), strict=False).network_address}"
    return f"address:{address}"


async def _ticket_holder(deployment: Deployment, sealed: str, came: Came) -> UserRow:
    try:
        ticket = msgspec.json.decode(deployment.sealer.open(sealed, place=_ticket_place(came)), type=Ticket)
    except SealingError as error:
        raise TicketGone from error
    row = await rows.user(deployment.database, ticket.user_id)
    is_fresh = came.now_ms - ticket.at_ms < TICKET_LIFE_MS
    if row is None or row.is_disabled or row.password_hash != ticket.password_hash or not is_fresh:
        raise TicketGone
    return row


def _ticket_place(came: Came) -> str:
    return f"sign_in.ticket:{came.guest}"
