"""The sandbox's till: the test cashier gets a random PIN at the first start, the test store a device to pair."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from opentill.domain.till import is_guessable_pin
from opentill.services import devices, shifts
from opentill.services.access import TEST_OPERATOR
from opentill.services.deployment import Deployment
from opentill.services.devices import Actor
from opentill.storage import tills as rows

PIN_FILE = "till-pin.txt"
DEVICE = "测试收银台"
_PIN_DIGITS = 4
_ACTOR = Actor("sandbox")


@dataclass(frozen=True)
class TillHint:
    """How to get to the till. `pin` is empty when it was changed in the console since."""

    pairing_code: str
    pin: str


async def ensure_test_till(deployment: Deployment, data: Path) -> TillHint:
    """A till of the test store with a fresh pairing code. A device that is paired keeps working until it is used."""
    cashier = await rows.cashier(deployment.database, TEST_OPERATOR)
    assert cashier is not None, "the test cashier is seeded before"
    path = data / PIN_FILE
    if not cashier.pin_hash:
        await shifts.set_pin(deployment, TEST_OPERATOR, _written(path), actor=_ACTOR)
        await shifts.set_may_refund(deployment, TEST_OPERATOR, may_refund=True, actor=_ACTOR)
        cashier = await rows.cashier(deployment.database, TEST_OPERATOR) or cashier
    pin = path.read_text("ascii").strip() if path.exists() else ""
    found = [each for each in await rows.devices(deployment.database) if each.store_id == cashier.store_id]
    usable = next((each.device_id for each in found if each.is_usable), None)
    device_id = usable or await devices.add(
        deployment, merchant_id=cashier.merchant_id, store_id=cashier.store_id, name=DEVICE, actor=_ACTOR
    )
    offered = await devices.offer_code(deployment, device_id, actor=_ACTOR)
    return TillHint(offered.spoken, pin if await shifts.is_pin_of(cashier, pin) else "")


def _written(path: Path) -> str:
    """The PIN in the file, drawn when there is none yet. Only this machine's user can read it."""
    if path.exists():
        return path.read_text("ascii").strip()
    pin = ""
    while not pin or is_guessable_pin(pin):
        pin = f"{secrets.randbelow(10**_PIN_DIGITS):0{_PIN_DIGITS}d}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(pin + "\n")
    return pin
