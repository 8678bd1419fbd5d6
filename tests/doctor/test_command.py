"""`opentill doctor` as a person types it."""

import asyncio
import json
import os
import sys
from pathlib import Path

import msgspec
import pytest

from opentill.cli.doctor import Report
from opentill.services import doctor
from opentill.services.findings import Finding, Level
from opentill.storage.database import Step, open_database
from tests.databases import on_both_engines
from tests.doctor.patients import patient_of
from tests.world import MASTER_KEY, Ground, ground, world

GOOD = {"OPENTILL_MASTER_KEY": MASTER_KEY, "OPENTILL_PUBLIC_BASE_URL": "https://pay.example.com"}


async def typed(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, output and complaints of `opentill doctor`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OPENTILL_")}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "opentill.cli.main", "doctor", *arguments, env=inherited | environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await child.communicate()
    return child.returncode or 0, out.decode(), err.decode()


def make_private(on: Ground) -> None:
    """The SQLite file as `serve` would have made it."""
    Path(on.database_url.removeprefix("sqlite:///")).chmod(0o600)


async def reported(on: Ground, **environment: str) -> tuple[int, Report]:
    code, out, _ = await typed("--json", **GOOD | {"OPENTILL_DATABASE_URL": on.database_url} | environment)
    return code, msgspec.json.decode(out, type=Report)


async def test_a_healthy_deployment_is_told_so_and_succeeds() -> None:
    async with ground() as g:
        make_private(g)

        code, out, _ = await typed(**GOOD, OPENTILL_DATABASE_URL=g.database_url)

        assert code == 0, out
        assert " 0 fail" in out
        assert "all " in out


@on_both_engines
async def test_what_fails_decides_the_exit_code_and_comes_as_json(engine: str) -> None:
    async with ground(engine) as g:
        code, report = await reported(g, OPENTILL_PUBLIC_BASE_URL="http://pay.example.com")

        failed = [finding for finding in report.findings if finding.level is Level.FAIL]
        assert (code, report.level) == (1, Level.FAIL)
        assert "settings" in {finding.check for finding in failed}
        assert all(finding.remedy for finding in failed)
        assert {finding.check for finding in report.findings} >= {"jobs", "layout", "statistics", "master key"}


async def test_warnings_alone_succeed() -> None:
    async with ground() as g:
        code, report = await reported(g, OPENTILL_PUBLIC_BASE_URL="https://localhost")

        assert (code, report.level) == (0, Level.WARN)


async def test_a_database_that_is_not_there_is_a_finding() -> None:
    code, out, _ = await typed("--json", **GOOD, OPENTILL_DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")

    (finding,) = json.loads(out)["findings"]
    assert code == 1
    assert (finding["check"], finding["level"]) == ("database", "fail")


async def test_a_database_of_another_schema_is_not_looked_at_further(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'empty.sqlite3'}"

    code, out, _ = await typed("--json", **GOOD, OPENTILL_DATABASE_URL=url)

    assert code == 1
    assert [finding["check"] for finding in json.loads(out)["findings"]] == ["settings", "schema"]


async def test_a_setting_that_cannot_be_read_is_told_without_a_report() -> None:
    code, out, err = await typed(**GOOD, OPENTILL_DATABASE_URL="mysql://nothing")

    assert (code, out) == (1, "")
    assert "OPENTILL_DATABASE_URL" in err


async def test_a_database_that_goes_away_meanwhile_is_a_finding() -> None:
    async with world(works=False) as w:
        gone = await open_database(w.ground.database_url)
        patient = patient_of(w, database=gone)
        found: list[Finding] = []

        async for finding in doctor.examine(patient):
            found.append(finding)
            await gone.close()

        assert found[-1].level is Level.FAIL
        assert "could not be made" in found[-1].text


@pytest.mark.parametrize("statement", ["UPDATE apps SET key_sealed = 's1:AAAA'"])
async def test_no_secret_is_ever_printed(statement: str) -> None:
    async with ground() as g:
        database = await open_database(g.database_url)
        try:
            await database.write([Step(statement)])
        finally:
            await database.close()

        _, out, err = await typed(**GOOD, OPENTILL_DATABASE_URL=g.database_url)

        assert MASTER_KEY not in out + err
        assert "s1:" not in out + err
