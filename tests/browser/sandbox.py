"""The real sandbox as its own process, and a browser that reports everything that goes wrong in it."""

import contextlib
import json
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser, BrowserContext, BrowserType, Page

from tests.clients import TEST_APP, TEST_KEY, TEST_OPERATOR, md5

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1440, "height": 900}
STOP_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Sandbox:
    """A running `opentill sandbox`."""

    base_url: str
    process: "subprocess.Popen[str]"
    data: Path

    def pay(self, qr_code: str, **more: object) -> dict[str, Any]:
        """Scan and pay with the twin's API."""
        body = json.dumps({"qr_code": qr_code, **more}).encode()
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.base_url}/twin/api/pay", body, headers)) as reply:
            answer: dict[str, Any] = json.load(reply)
        return answer

    def scan(self, *, channel: int = 1, amount: int = 1234, goods: str = "") -> str:
        """The QR code of a new order."""
        form = {
            "app": TEST_APP, "operator_id": TEST_OPERATOR, "timestamp": str(time.time_ns() // 1_000_000),
            "local_order_no": secrets.token_hex(12), "channel": str(channel), "amount": str(amount),
            "subject": "一杯拿铁", "goods_list": goods,
        }  # fmt: skip
        form |= {"sign": md5(form, TEST_KEY), "command": "open.pay.scan"}
        with urllib.request.urlopen(f"{self.base_url}/gatewayOpen.htm", urlencode(form).encode()) as reply:
            return str(json.load(reply)["data"]["qrCode"])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        finally:
            self.process.kill()


@contextlib.contextmanager
def running_sandbox(data: Path) -> Iterator[Sandbox]:
    command = [str(Path(sys.executable).parent / "opentill"), "sandbox", "--port", "0", "--data", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    try:
        yield Sandbox(_address(process), process, data)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=STOP_TIMEOUT_S)
        finally:
            process.kill()


def _address(process: "subprocess.Popen[str]") -> str:
    """From the greeting: once it is printed, the sandbox answers."""
    said = []
    assert process.stdout
    for line in process.stdout:
        said.append(line)
        if found := re.search(r"http://[\d.:]+", line):
            return found[0]
    raise AssertionError("the sandbox did not start:\n" + "".join(said))


@dataclass
class Visit:
    """One page and what went wrong on it."""

    page: Page
    base_url: str
    problems: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.base_url + path)

    def forgive(self, status: int) -> None:
        """The page asked for something and was refused, as the test meant it: the browser logs that."""
        self.problems = [problem for problem in self.problems if f"status of {status}" not in problem]

    def text(self, selector: str) -> str:
        return self.page.locator(selector).first.inner_text()


@contextlib.contextmanager
def launched(kind: BrowserType, *more_args: str) -> Iterator[Browser]:
    browser = kind.launch(executable_path=CHROMIUM, args=[*CHROMIUM_ARGS, *more_args])
    try:
        yield browser
    finally:
        browser.close()


@contextlib.contextmanager
def visiting(browser: Browser, sandbox: Sandbox, **options: Any) -> Iterator[Visit]:
    """A fresh context: no cookies. At the end nothing may have gone wrong: no console error, no other host asked."""
    context = browser.new_context(**{"viewport": DESKTOP, **options})
    visit = Visit(context.new_page(), sandbox.base_url)
    _listen(context, visit)
    try:
        yield visit
        assert visit.problems == [], visit.problems
    finally:
        context.close()


def _listen(context: BrowserContext, visit: Visit) -> None:
    def is_ours(url: str) -> bool:
        return url.startswith((visit.base_url + "/", "data:", "blob:"))

    context.on("console", lambda message: visit.problems.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: visit.problems.append(str(error.error)))
    context.on("request", lambda request: None if is_ours(request.url) else visit.problems.append(request.url))
