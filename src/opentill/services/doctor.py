"""Examines a deployment: every check in turn, each with a sentence and, where something is wrong, a remedy."""

from collections.abc import AsyncIterator

from opentill.services.doctor_books import (
    check_audit_log,
    check_books,
    check_held_money,
    check_jobs,
    check_notifications,
    check_pauses,
)
from opentill.services.doctor_engine import (
    DATABASE,
    check_disk,
    check_engine,
    check_layout,
    check_schema_version,
)
from opentill.services.doctor_settings import check_accounts, check_sealed_values, check_settings
from opentill.services.findings import Check, Finding, Level, Patient, fail
from opentill.storage.database import DatabaseOverloaded, DatabaseUnavailable

FIRST: tuple[Check, ...] = (check_settings, check_schema_version)
"""These need no table. What they find wrong about the schema keeps the others from looking."""

CHECKS: tuple[Check, ...] = (
    check_engine,
    check_layout,
    check_disk,
    check_sealed_values,
    check_accounts,
    check_jobs,
    check_notifications,
    check_pauses,
    check_held_money,
    check_books,
    check_audit_log,
)
"""A new check is a function and a line here."""


async def examine(patient: Patient) -> AsyncIterator[Finding]:
    """Findings as they come. A check that the database does not answer is the last one."""
    for check in (*FIRST, *CHECKS):
        try:
            found = await check(patient)
        except (DatabaseUnavailable, DatabaseOverloaded) as error:
            yield fail(DATABASE, f"a check could not be made: {error}", "is the database up and not overloaded?")
            return
        for finding in found:
            yield finding
        if check is check_schema_version and any(finding.level is Level.FAIL for finding in found):
            return
