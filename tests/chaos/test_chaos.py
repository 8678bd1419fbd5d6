"""A short run of `make chaos`, so that it is part of every test run."""

from tests.chaos.__main__ import figures
from tests.chaos.run import HOUR_MS, Plan, run

SHORT = Plan(accidents_s=6, kills=1, paid=60, calm_s=0, steps_ms=(HOUR_MS,))


async def test_nothing_is_lost_or_doubled_when_processes_disks_and_wallets_fail() -> None:
    said: list[str] = []

    report = await run("sqlite", SHORT, seed=3, tell=said.append)

    print("\n".join(said))
    assert report.verdict.broken == []
    assert report.accidents["gateway killed"] >= 2
    assert report.verdict.paid > 50
    assert report.verdict.notified > 50
    assert figures([report]).endswith("lost 0, doubled 0")
