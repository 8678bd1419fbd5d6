"""The README's call works as it is pasted, against a sandbox started as the README says."""

import json
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import IO

import pytest

from tests.docs.pages import ROOT, code_blocks

START_S = 60.0
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


def test_the_call_of_the_readme_is_the_one_the_sandbox_prints_and_works_again_and_again(tmp_path: Path) -> None:
    readmes = [call_of(page) for page in ("README.md", "README.zh-CN.md")]

    with sandbox(tmp_path) as (url, printed):
        call = ADDRESS.sub(url, readmes[0])
        replies = [run(call.replace("curl$now", f"curl{number}$now")) for number in range(2)]

    assert readmes[0] == readmes[1]
    assert without_layout(call) in without_layout(printed)
    for reply in replies:
        assert reply["result"] == {"success": True, "errorCode": "0", "errorMsg": ""}
        assert reply["data"]["qrCode"].startswith("https://qr.alipay.com/")


def call_of(page: str) -> str:
    blocks = code_blocks((ROOT / page).read_text("utf-8"))
    return next(block for language, block in blocks if language == "sh" and "curl" in block)


def run(script: str) -> dict[str, dict[str, str]]:
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=30, check=True)
    answer: dict[str, dict[str, str]] = json.loads(done.stdout)
    return answer


def without_layout(text: str) -> str:
    return " ".join(textwrap.dedent(text).replace("\\\n", " ").split())


@contextmanager
def sandbox(folder: Path) -> Iterator[tuple[str, str]]:
    """A running sandbox: its address, and what it printed at its start."""
    command = [sys.executable, "-m", "opentill.cli.main", "sandbox", "--port", "0", "--data", str(folder / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        assert child.stdout is not None
        lines: Queue[str] = Queue()
        reading = Thread(target=collect, args=(child.stdout, lines), daemon=True)
        reading.start()
        printed = ""
        try:
            while "Ctrl-C" not in printed:
                printed += lines.get(timeout=START_S)
            address = ADDRESS.search(printed)
            if address is None:
                pytest.fail(f"no address in {printed!r}")
            yield address[0], printed
        finally:
            child.send_signal(signal.SIGINT)
            child.wait(START_S)
            reading.join()


def collect(stream: IO[str], lines: Queue[str]) -> None:
    for line in stream:
        lines.put(line)
