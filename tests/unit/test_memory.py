"""A process that serves gives back what it no longer needs."""

import subprocess
import sys

PASSWORD_KIB = 19_456
SIGN_INS = """
import asyncio
from opentill.cli import memory
from opentill.services import passwords
from tests.unit.test_memory import rss_kib

async def main():
    before = rss_kib()
    for _ in range(3):
        await passwords.hash_password("correct horse battery")
    print(rss_kib() - before)

memory.settle()
asyncio.run(main())
"""


def rss_kib() -> int:
    """Resident memory of this process."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def test_what_a_password_takes_is_given_back_after_each() -> None:
    said = subprocess.run([sys.executable, "-c", SIGN_INS], capture_output=True, text=True, check=True)

    assert int(said.stdout) < PASSWORD_KIB // 4
