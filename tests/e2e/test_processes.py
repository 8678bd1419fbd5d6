"""Several processes and one database: what each of them does when another one dies, hangs or is replaced."""

import asyncio
import os
import signal
from pathlib import Path

from tests.e2e.towns import town


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def gone(pids: list[int]) -> None:
    """Return when none of these processes is there any more."""
    async with asyncio.timeout(20):
        while any(map(is_there, pids)):  # noqa: ASYNC110 - not our children: no event
            await asyncio.sleep(0.02)


async def test_a_parent_killed_leaves_the_port_to_the_next_although_its_worker_still_hangs() -> None:
    async with town("postgresql", ["--workers", "2"]) as t:
        *serving, worker = t.gateways[0].children()
        os.kill(worker, signal.SIGSTOP)
        try:
            await t.gateways[0].kill()
            await gone(serving)

            await asyncio.wait_for(t.gateways[0].start(t.http), 20)

            assert (await t.tills[0].scan()).is_success
        finally:
            os.kill(worker, signal.SIGKILL)
