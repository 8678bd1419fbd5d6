"""Fixtures that every test may use."""

import asyncio
import inspect
from collections.abc import Iterator

import hypothesis
import pytest

from tests import databases
from tests.loops import Loop

# The same source has the same result on every machine, however busy it is. `--hypothesis-profile default` looks on.
hypothesis.settings.register_profile("suite", derandomize=True, deadline=None)
hypothesis.settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def _database_servers() -> Iterator[None]:
    """What tests start through `tests/databases.py` ends with the last of them."""
    yield
    databases.stop_servers()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test written `async def` in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
