"""The first owner: whoever holds today's code, for as long as there is nobody at all. No default password, ever.

The code is computed from the master key and the day, so that nothing is stored and every process knows the same one.
"""

import base64
import hmac

from opentill.base.sealing import Sealer
from opentill.domain.people import EVERY_MERCHANT, Grant, Role
from opentill.services import audit, passwords
from opentill.services.deployment import Deployment
from opentill.services.signin import Came, Wrong, count_stranger
from opentill.storage import people as rows
from opentill.storage.database import Database, StepFailed

CODE_LIFE_MS = 24 * 3_600_000
"""A code is good until the end of its day (UTC) and for one more."""
FIRST_USER_ID = 1

_PLACE = "first_owner"
_CODE_BYTES = 10
_GROUP = 4


class AlreadyOwned(Exception):
    """There are users already: the code opens nothing any more."""


async def code_if_needed(database: Database, sealer: Sealer, *, now_ms: int) -> str | None:
    """The code to show to whoever starts us; None when there are users."""
    return None if await rows.has_users(database) else code(sealer, now_ms=now_ms)


def code(sealer: Sealer, *, now_ms: int) -> str:
    """Secret, e.g. `7KQ2-M4TD-5XHA-PLN3`: 80 bits."""
    raw = sealer.mac(str(now_ms // CODE_LIFE_MS), place=_PLACE)[:_CODE_BYTES]
    text = base64.b32encode(raw).decode("ascii")
    return "-".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))


async def make_first_owner(
    deployment: Deployment, given_code: str, *, login: str, name: str, password: str, came: Came
) -> rows.UserRow:
    """An owner of everything, by the code. Login and password were checked.

    Raises: Wrong (the code), AlreadyOwned, MustWait, TooManyPasswords.
    """
    await count_stranger(deployment, came)
    if await rows.has_users(deployment.database):
        raise AlreadyOwned
    if not _is_good(deployment, given_code, came):
        raise Wrong
    password_hash = await passwords.hash_password(password)
    insert = rows.insert_user(
        FIRST_USER_ID, login, name, password_hash=password_hash, initial_until_ms=0, now_ms=came.now_ms
    )
    grants = rows.replace_grants(FIRST_USER_ID, [Grant(EVERY_MERCHANT, Role.OWNER)])
    try:
        await audit.change(
            deployment.database,
            [rows.only_first_user(), insert, *grants],
            actor=login,
            source_ip=came.source_ip,
            action="user.first_owner",
            subject=login,
            before={},
            after={"name": name, "roles": f"{Role.OWNER}@*"},
            now_ms=came.now_ms,
        )
    except StepFailed as failed:
        raise AlreadyOwned from failed
    row = await rows.user(deployment.database, FIRST_USER_ID)
    assert row is not None
    return row


def _is_good(deployment: Deployment, given: str, came: Came) -> bool:
    """Today's code or yesterday's; in a sandbox whose clock was moved, the real day's as well."""
    plain = given.replace("-", "").replace(" ", "").upper().encode()
    good = False
    real_ms = came.now_ms - (deployment.clock.shift_ms if deployment.is_sandbox else 0)
    for now_ms in {came.now_ms, real_ms}:
        for day_ms in (now_ms, now_ms - CODE_LIFE_MS):
            wanted = code(deployment.sealer, now_ms=day_ms).replace("-", "").encode()
            good = hmac.compare_digest(wanted, plain) or good
    return good
