"""The quickstart's commands are run as they stand there, in their order, on both engines."""

import asyncio
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from typer.testing import CliRunner

from opentill.cli.main import app
from tests.databases import fresh_url, on_both_engines
from tests.docs.pages import DOCS, code_blocks

PAGE = "quickstart.md"
APP, OPERATOR = "A00000000000000", "0" * 32


@on_both_engines
async def test_the_commands_of_the_quickstart_work_as_they_stand_there(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENTILL_PUBLIC_BASE_URL", "https://pay.example.com")
    write_keys(tmp_path)
    async with fresh_url(engine, is_migrated=False) as url:
        monkeypatch.setenv("OPENTILL_DATABASE_URL", url)
        monkeypatch.setenv("OPENTILL_MASTER_KEY", run("opentill admin master-key").strip())

        # A command opens an event loop of its own.
        printed = await asyncio.to_thread(run_all)

    assert printed["opentill data migrate"].startswith("The schema is ")
    lines = [line for text in printed.values() for line in text.splitlines()]
    assert "merchant 1, store 1" in lines
    assert [line for line in lines if line.startswith("account ")] == ["account 1", "account 2"]
    assert len([line for line in lines if line.startswith("app A")]) == 1
    assert len([line for line in lines if line.startswith("key ")]) == 3  # made once, rotated twice


def run_all() -> dict[str, str]:
    """Every command of the page with what it printed; the ids that are made replace those in the page."""
    printed: dict[str, str] = {}
    made = {APP: APP, OPERATOR: OPERATOR}
    for command in commands():
        line = command
        for placeholder, value in made.items():
            line = re.sub(rf"(?<!\w){placeholder}(?!\w)", value, line)
        printed[command] = text = run(line)
        if found := re.search(r"^app (A\d+)$", text, re.MULTILINE):
            made[APP] = found[1]
        if found := re.search(r"^operator_id (\w+)$", text, re.MULTILINE):
            made[OPERATOR] = found[1]
    return printed


def commands() -> Iterator[str]:
    """`opentill admin …` and `opentill data …` of the page, in its order."""
    text = (DOCS / PAGE).read_text("utf-8").replace("\\\n", "")
    blocks = [block for language, block in code_blocks(text) if language == "sh"]
    lines = [line for block in blocks for line in block.splitlines()]
    # Table cells come last on the page, and what they change is there by then.
    cells = re.findall(r"^\|.*`(opentill [^`…]+)`", text, re.MULTILINE)
    for line in [*lines, *cells]:
        if line.startswith(("opentill admin", "opentill data")):
            yield line


def run(command: str) -> str:
    result = CliRunner().invoke(app, shlex.split(command)[1:])
    assert result.exit_code == 0, (command, result.output)
    return result.output


def write_keys(folder: Path) -> None:
    """The files the page names: keys of the merchant, and of the wallets."""
    ours, alipay, wechat = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(3))
    for name in ("app_private_key.pem", "apiclient_key.pem", "new.pem"):
        (folder / name).write_bytes(ours.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for name, key in (("alipay_public_key.pem", alipay), ("pub_key.pem", wechat)):
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / name).write_bytes(public)
    (folder / "api_v3_key.txt").write_text("0123456789abcdef0123456789abcdef\n", "ascii")
    (folder / "app_secret.txt").write_text("0123456789abcdef0123456789abcdef\n", "ascii")
