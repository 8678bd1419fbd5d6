"""The receivers printed in the protocol's documents are started as they are and told about a payment."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest

PARTS = Path(__file__).parents[2] / "docs" / "parts"
VECTOR = json.loads((PARTS / "rsa2.json").read_text("utf-8"))
START_S = 60.0  # a Go or Java program is compiled first

COMMANDS = {
    "receiver.py": [sys.executable, "receiver.py"],
    "receiver.php": ["php", "-S", "127.0.0.1:{port}", "receiver.php"],
    "receiver.mjs": ["node", "receiver.mjs"],
    "receiver.go": ["go", "run", "receiver.go"],
    "Receiver.java": ["java", "Receiver.java"],
}


def runnable() -> list[str]:
    """Python always; another language only where this machine speaks it."""
    return [name for name, command in COMMANDS.items() if shutil.which(command[0])]


@pytest.mark.parametrize("name", runnable())
def test_a_receiver_answers_success_to_the_platform_alone(name: str, tmp_path: Path) -> None:
    fields = VECTOR["notification"]
    changed = {**fields, "totalAmount": "100"}
    unsigned = {key: value for key, value in fields.items() if key != "sign"}
    with_empty_fields = {**fields, "discountAmountOfTomorrow": "", "blank": " "}

    with running(name, tmp_path) as url:
        answers = [answer_to(url, form) for form in (fields, with_empty_fields, changed, unsigned)]

    assert answers == ["success", "success", "fail", "fail"]


@contextmanager
def running(name: str, folder: Path) -> Iterator[str]:
    """The receiver in a process of its own, with the public key beside it."""
    shutil.copy(PARTS / name, folder)
    (folder / "public-key.txt").write_text(VECTOR["public_key"], "ascii")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PORT": str(port), "GOTOOLCHAIN": "local"}
    command = [part.format(port=port) for part in COMMANDS[name]]
    log = (folder / "log").open("wb")
    # `go run` starts a child of its own: the whole session is ended.
    started = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    with log, started as child:
        try:
            url = f"http://127.0.0.1:{port}/"
            wait_for(url, child, folder / "log")
            yield url
        finally:
            os.killpg(child.pid, signal.SIGKILL)


def wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError):
            answer_to(url, {"sign": "x"})
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    pytest.fail(f"the receiver did not start: {log.read_text('utf-8', 'replace')}")


def answer_to(url: str, form: dict[str, str]) -> str:
    request = urllib.request.Request(url, data=urlencode(form).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=5) as reply:
        return str(reply.read().decode())
