"""The SDKs' processes end with the last test, and a judge that was absent is named."""

from collections.abc import Iterator

import pytest

from tests.oracles import oracle


@pytest.fixture(scope="session", autouse=True)
def _processes_of_sdks() -> Iterator[None]:
    yield
    oracle.stop_processes()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not oracle.OFFICIAL.exists():
        terminalreporter.write_line("The official Alipay SDK was not asked: `make oracles` installs it (450 MB).")
