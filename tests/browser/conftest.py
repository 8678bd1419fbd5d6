"""One sandbox and one browser for all browser tests: starting them takes longer than most tests."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.sandbox import Sandbox, launched, running_sandbox

# Five seconds, Playwright's own patience, are short for a machine that runs two more browsers.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as started:
        yield started


# Not for the session: while it runs, no other test of this process could start an event loop.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, launched(playwright.chromium) as started:
        yield started
