"""Tills as devices: added in the console, paired by a code that works once, known by a token they keep."""

import hashlib
import secrets

import msgspec

from opentill.base.logs import logger
from opentill.domain.till import (
    FIRST_WAIT_MS,
    LONGEST_WAIT_MS,
    PAIRING_ALPHABET,
    PAIRING_FREE_TRIES,
    PAIRING_LENGTH,
    PAIRING_LIFE_MS,
    clean_pairing_code,
)
from opentill.services import audit
from opentill.services.deployment import Deployment
from opentill.storage import people
from opentill.storage import tills as rows
from opentill.storage.database import Step, StepFailed
from opentill.storage.tills import DeviceRow

MAX_NAME = 40
MAX_DRAWS = 50
"""So many others may draw the same number at the same time and be faster."""
SEEN_EVERY_MS = 60_000
"""A device's time of last use is written no more often."""

_log = logger("tills")


class TillProblem(Exception):
    """Why a till can't do what was asked; `name` leads to a text for the cashier, `values` fill it."""

    def __init__(self, name: str, **values: object) -> None:
        super().__init__(name)
        self.name = name
        self.values = values


class PairingCode(msgspec.Struct, frozen=True):
    """What is typed into the device, once, until `until_ms`."""

    device_id: int
    code: str
    until_ms: int

    @property
    def spoken(self) -> str:
        """In two groups, as people read it out."""
        half = PAIRING_LENGTH // 2
        return f"{self.code[:half]}-{self.code[half:]}"


class Actor(msgspec.Struct, frozen=True):
    """Who changes something, for the audit log."""

    name: str
    source_ip: str = ""


def hash_of(token: str) -> str:
    """Tokens and codes are random: a plain hash keeps them from being read out of the database."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token() -> str:
    return secrets.token_urlsafe(32)


def clean_name(text: str) -> str:
    """Raises TillProblem(name)."""
    name = " ".join(text.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise TillProblem("name", longest=MAX_NAME)
    return name


async def add(deployment: Deployment, *, merchant_id: int, store_id: int, name: str, actor: Actor) -> int:
    """A new till for a store; returns its id. Raises TillProblem(name, store)."""
    name, now_ms = clean_name(name), deployment.clock.now_ms()
    step = rows.insert_device(merchant_id=merchant_id, store_id=store_id, name=name, now_ms=now_ms)
    after = {"name": name, "merchant": str(merchant_id), "store": str(store_id)}
    for _ in range(MAX_DRAWS):
        try:
            returned = await _change(deployment, [step], actor, "device.add", name, after=after)
        except StepFailed:
            continue
        return int(returned)
    raise TillProblem("store")


async def offer_code(deployment: Deployment, device_id: int, *, actor: Actor) -> PairingCode:
    """A new code for the device; one that was offered before ends. Raises TillProblem(device)."""
    code = "".join(secrets.choice(PAIRING_ALPHABET) for _ in range(PAIRING_LENGTH))
    until_ms = deployment.clock.now_ms() + PAIRING_LIFE_MS
    step = rows.offer_pairing(device_id, code_hash=hash_of(code), until_ms=until_ms)
    await _change_device(deployment, step, actor, "device.pairing", device_id, after={"until_ms": str(until_ms)})
    return PairingCode(device_id, code, until_ms)


async def rename(deployment: Deployment, device_id: int, name: str, *, actor: Actor) -> None:
    """Raises TillProblem(name, device)."""
    name = clean_name(name)
    found = await rows.device(deployment.database, device_id)
    before = {"name": found.name} if found else {}
    step = rows.rename_device(device_id, name=name)
    await _change_device(deployment, step, actor, "device.rename", device_id, before=before, after={"name": name})


async def set_disabled(deployment: Deployment, device_id: int, *, is_disabled: bool, actor: Actor) -> None:
    """Felt at the device's next request. Raises TillProblem(device)."""
    action = "device.disable" if is_disabled else "device.enable"
    step = rows.set_device_disabled(device_id, is_disabled=is_disabled)
    await _change_device(deployment, step, actor, action, device_id)


async def pair(deployment: Deployment, code: str, *, source_ip: str) -> str:
    """Use a code up; returns the token that the device keeps. Raises TillProblem(pairing, wait)."""
    now_ms, subject, token = deployment.clock.now_ms(), f"pairing {source_ip}", new_token()
    await count_try(deployment, subject, free=PAIRING_FREE_TRIES)
    step = rows.pair(hash_of(clean_pairing_code(code)), token_hash=hash_of(token), now_ms=now_ms)
    try:
        returned = await deployment.database.write([step, people.forget_failures(subject)])
    except StepFailed as failed:
        raise TillProblem("pairing") from failed
    _log.info("paired", device_id=returned[0][0]["device_id"], source_ip=source_ip)
    return token


async def device_of(deployment: Deployment, token: str) -> DeviceRow | None:
    """The device that holds this token; None: none, or one that was disabled."""
    found = await rows.device_by_token(deployment.database, hash_of(token)) if token else None
    if found is None or not found.is_usable:
        return None
    now_ms = deployment.clock.now_ms()
    if now_ms - found.seen_at_ms >= SEEN_EVERY_MS:
        await deployment.database.write([rows.see_device(found.device_id, now_ms=now_ms)])
    return found


async def count_try(deployment: Deployment, subject: str, *, free: int) -> None:
    """Count a try as failed before it is looked at. Raises TillProblem(wait)."""
    now_ms, database = deployment.clock.now_ms(), deployment.database
    step = people.count_attempt(
        subject, free=free, wait_ms=FIRST_WAIT_MS, longest_wait_ms=LONGEST_WAIT_MS, now_ms=now_ms
    )
    try:
        await database.write([step])
    except StepFailed as failed:
        left_ms = await people.blocked_until_ms(database, [subject]) - now_ms
        raise TillProblem("wait", seconds=max(1, -(-left_ms // 1000))) from failed


async def _change_device(
    deployment: Deployment,
    step: Step,
    actor: Actor,
    action: str,
    device_id: int,
    *,
    before: dict[str, str] | None = None,
    after: dict[str, str] | None = None,
) -> None:
    try:
        await _change(deployment, [step], actor, action, str(device_id), before=before, after=after)
    except StepFailed as failed:
        raise TillProblem("device") from failed


async def _change(
    deployment: Deployment,
    steps: list[Step],
    actor: Actor,
    action: str,
    subject: str,
    *,
    before: dict[str, str] | None = None,
    after: dict[str, str] | None = None,
) -> int:
    """Audited; returns row_id of the first step, 0 when it draws none."""
    returned = await audit.change(
        deployment.database,
        steps,
        actor=actor.name,
        source_ip=actor.source_ip,
        action=action,
        subject=subject,
        before=before or {},
        after=after or {},
        now_ms=deployment.clock.now_ms(),
    )
    return int(returned[0][0]["row_id"]) if returned[0] else 0
