"""One-time codes of an authenticator app (RFC 6238: SHA-1, 6 digits, 30 s), each good once."""

import hmac
import re

import pyotp

from opentill.base.sealing import Sealer
from opentill.storage.people import UserRow

STEP_S = 30
STEPS_AROUND = (-1, 0, 1)
"""Clocks of phones are off by half a minute, and people type slowly."""
ISSUER = "OpenTill"

_CODE = re.compile(r"\d{6}", re.ASCII)


def new_secret() -> str:
    """160 random bits in base32."""
    return pyotp.random_base32()


def step_of(secret: str, code: str, *, now_ms: int) -> int | None:
    """The time step that the code belongs to; None: it is not a code of now."""
    code = "".join(code.split())
    if not secret or not _CODE.fullmatch(code):
        return None
    generator, now_step = pyotp.TOTP(secret), now_ms // 1000 // STEP_S
    for step in (now_step + around for around in STEPS_AROUND):
        if hmac.compare_digest(generator.generate_otp(step), code):
            return step
    return None


def uri(secret: str, login: str) -> str:
    """What the QR code says to the app."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


def place(user_id: int) -> str:
    """What a user's sealed secret is bound to."""
    return f"users.totp_sealed:{user_id}"


def open_secret(sealer: Sealer, row: UserRow) -> str:
    """The user's secret; "" without a second factor."""
    return sealer.open(row.totp_sealed, place=place(row.user_id)) if row.totp_sealed else ""
