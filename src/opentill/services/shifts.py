"""Cashiers at tills: PINs, signing in, the shift that opens with it, and handing it over."""

from collections.abc import Awaitable
from typing import TypeVar

import msgspec

from opentill.base.logs import logger
from opentill.domain.till import (
    DEVICE_FREE_TRIES,
    PIN_FREE_TRIES,
    ShiftTotals,
    is_guessable_pin,
    is_pin,
)
from opentill.services import audit, passwords
from opentill.services.deployment import Deployment
from opentill.services.devices import SEEN_EVERY_MS, Actor, TillProblem, count_try, hash_of, new_token
from opentill.services.till_app import till_app_id
from opentill.storage import people, till_sales
from opentill.storage import tills as rows
from opentill.storage.database import Step, StepFailed
from opentill.storage.tills import CashierRow, DeviceRow, ShiftRow

IDLE_MS = 12 * 3_600_000
"""A till that nobody touched for so long asks for the PIN again; the shift stays open."""
MAX_DRAWS = 50
"""So many others may draw the same number at the same time and be faster."""
REPORT_LIFE_MS = 24 * 3_600_000
"""How long a device shows what was handed over at it."""

_log = logger("tills")

T = TypeVar("T")


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A cashier at a device, in an open shift."""

    device: DeviceRow
    shift: ShiftRow
    cashier: CashierRow


async def set_pin(deployment: Deployment, operator_id: str, pin: str, *, actor: Actor) -> None:
    """A cashier's PIN; "" takes it away. Ends the cashier's sessions.

    Raises: TillProblem(pin_form, pin_weak, cashier, busy).
    """
    if pin and not is_pin(pin):
        raise TillProblem("pin_form")
    if pin and is_guessable_pin(pin):
        raise TillProblem("pin_weak")
    pin_hash = await _in_turn(passwords.hash_password(pin)) if pin else ""
    steps = [
        rows.set_pin(operator_id, pin_hash=pin_hash),
        rows.lock_shifts_of(operator_id),
        people.forget_failures(_subject(operator_id)),
    ]
    action = "operator.pin" if pin else "operator.pin_removed"
    await _change_cashier(deployment, steps, actor, action, operator_id, before={}, after={})


async def set_may_refund(deployment: Deployment, operator_id: str, *, may_refund: bool, actor: Actor) -> None:
    """Felt at once. Raises TillProblem(cashier)."""
    steps = [rows.set_may_refund(operator_id, may_refund=may_refund)]
    before, after = {"may_refund": str(not may_refund)}, {"may_refund": str(may_refund)}
    await _change_cashier(deployment, steps, actor, "operator.refunds", operator_id, before=before, after=after)


async def is_pin_of(cashier: CashierRow, pin: str) -> bool:
    """Raises TillProblem(busy)."""
    return await _in_turn(passwords.matches(cashier.pin_hash, pin))


async def sign_in(deployment: Deployment, device: DeviceRow, operator_id: str, pin: str) -> str:
    """Open the cashier's shift at this device, or go on with the one left open; returns the session's token.

    Raises: TillProblem(pin_wrong, wait, busy).
    """
    now_ms, database = deployment.clock.now_ms(), deployment.database
    await count_try(deployment, f"device {device.device_id}", free=DEVICE_FREE_TRIES)
    await count_try(deployment, _subject(operator_id), free=PIN_FREE_TRIES)
    cashier = await rows.cashier(database, operator_id)
    is_known = cashier is not None and cashier.store_id == device.store_id and not cashier.is_disabled
    if cashier is None or not is_known or not await is_pin_of(cashier, pin):
        _log.warning("wrong pin", device_id=device.device_id, operator_id=operator_id[:64])
        raise TillProblem("pin_wrong")
    await database.write(
        [people.forget_failures(_subject(operator_id)), people.take_back_attempt(f"device {device.device_id}")]
    )
    token = new_token()
    for _ in range(MAX_DRAWS):
        for step in (
            rows.resume_shift(device.device_id, operator_id, token_hash=hash_of(token), now_ms=now_ms),
            rows.open_shift(device, operator_id, token_hash=hash_of(token), now_ms=now_ms),
        ):
            try:
                await database.write([step])
            except StepFailed:
                continue
            return token
    raise TillProblem("busy")


async def signed_in(deployment: Deployment, device: DeviceRow, token: str) -> SignedIn | None:
    """Who holds this token at this device; None: nobody (any more)."""
    shift = await rows.shift_by_token(deployment.database, hash_of(token)) if token else None
    now_ms = deployment.clock.now_ms()
    if shift is None or shift.device_id != device.device_id or now_ms - shift.seen_at_ms >= IDLE_MS:
        return None
    cashier = await rows.cashier(deployment.database, shift.operator_id)
    if cashier is None or cashier.is_disabled or cashier.store_id != device.store_id or not cashier.pin_hash:
        return None
    if now_ms - shift.seen_at_ms >= SEEN_EVERY_MS:
        await deployment.database.write([rows.see_shift(shift.shift_id, now_ms=now_ms)])
    return SignedIn(device=device, shift=shift, cashier=cashier)


async def lock(deployment: Deployment, who: SignedIn) -> None:
    """Sign out; the shift stays open."""
    await deployment.database.write([rows.lock_shift(who.shift.shift_id)])


async def totals(deployment: Deployment, shift: ShiftRow) -> ShiftTotals:
    """What the shift adds up to: as it is now, or, once handed over, as it was then."""
    if shift.totals:
        return msgspec.json.decode(shift.totals, type=ShiftTotals)
    app_id = await till_app_id(deployment, shift.merchant_id)
    database = deployment.database
    return ShiftTotals(
        wallets=tuple(await till_sales.wallet_totals(database, app_id, shift.shift_id)),
        unsettled=await till_sales.unsettled(database, app_id, shift.shift_id),
        refunds_pending=await till_sales.refunds_pending(database, app_id, shift.shift_id),
    )


async def hand_over(deployment: Deployment, who: SignedIn, *, seen: str) -> int:
    """Close the shift with the totals its cashier has `seen` (`seal_of`); returns its number.

    Raises: TillProblem(totals_changed, shift_closed).
    """
    found = await totals(deployment, who.shift)
    if seal_of(found) != seen:
        raise TillProblem("totals_changed")
    step = rows.close_shift(
        who.shift.shift_id, totals=msgspec.json.encode(found).decode(), now_ms=deployment.clock.now_ms()
    )
    try:
        await deployment.database.write([step])
    except StepFailed as failed:
        raise TillProblem("shift_closed") from failed
    _log.info("handed over", shift_id=who.shift.shift_id, operator_id=who.cashier.operator_id)
    return who.shift.shift_id


async def report(deployment: Deployment, device: DeviceRow, shift_id: int) -> ShiftRow | None:
    """A shift that was handed over at this device within a day; None: there is none."""
    shift = await rows.shift(deployment.database, shift_id)
    if shift is None or shift.device_id != device.device_id or not shift.closed_at_ms:
        return None
    return shift if deployment.clock.now_ms() - shift.closed_at_ms < REPORT_LIFE_MS else None


def seal_of(found: ShiftTotals) -> str:
    """Tells whether totals are those that somebody has seen."""
    return hash_of(msgspec.json.encode(found).decode())[:16]


def _subject(operator_id: str) -> str:
    return f"pin {operator_id[:64]}"


async def _in_turn(work: Awaitable[T]) -> T:
    try:
        return await work
    except passwords.TooManyPasswords as error:
        raise TillProblem("busy") from error


async def _change_cashier(
    deployment: Deployment,
    steps: list[Step],
    actor: Actor,
    action: str,
    operator_id: str,
    *,
    before: dict[str, str],
    after: dict[str, str],
) -> None:
    try:
        await audit.change(
            deployment.database,
            steps,
            actor=actor.name,
            source_ip=actor.source_ip,
            action=action,
            subject=operator_id,
            before=before,
            after=after,
            now_ms=deployment.clock.now_ms(),
        )
    except StepFailed as failed:
        raise TillProblem("cashier") from failed
