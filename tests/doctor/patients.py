"""Deployments to be examined: a real world's database with the settings of one that takes real money."""

from dataclasses import replace
from typing import Any

from opentill.base.config import Settings
from opentill.base.sealing import Sealer, read_master_key
from opentill.channels.registry import load_channels
from opentill.services.findings import Check, Finding, Level, Patient
from tests.world import MASTER_KEY, World

ROOM = 100 << 30


def patient_of(w: World, *, settings: dict[str, Any] | None = None, **more: Any) -> Patient:
    """The world's database as a deployment for real money. `more`: fields of `Patient` to replace."""
    given = Settings(
        **{"database_url": w.ground.database_url, "public_base_url": "https://pay.example.com", **(settings or {})}
    )
    patient = Patient(
        settings=given,
        database=w.database,
        sealer=Sealer(read_master_key(MASTER_KEY)),
        channels=load_channels(given, w.deployment.outbound, w.clock),
        clock=w.clock,
        free_bytes=lambda _: ROOM,
    )
    return replace(patient, **more)


async def levels(check: Check, patient: Patient) -> list[Level]:
    return [finding.level for finding in await check(patient)]


async def only(check: Check, patient: Patient) -> Finding:
    """What a check says that says one thing."""
    (finding,) = await check(patient)
    assert bool(finding.remedy) is (finding.level is not Level.OK), finding
    return finding
