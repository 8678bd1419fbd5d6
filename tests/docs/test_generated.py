"""What is written by `make docs` is what the code would write now, and nothing of the code is missing in it."""

import hashlib
import re
from pathlib import Path

import pytest

from opentill.base.config import Settings
from opentill.base.errors import CATALOGUE
from opentill.cli.reference import documents, main
from opentill.cli.reference_examples import encodings, example_form
from opentill.cli.reference_markdown import anchor, duration, table
from opentill.cli.reference_tables import metric_families, shell_commands, shown_options, variable
from opentill.cli.reference_zh import SETTINGS_ZH
from opentill.commands.registry import Command, load_commands
from opentill.protocol.forms import read_form
from opentill.protocol.signing import matches_md5
from opentill.services.access import TEST_KEY
from tests.docs.pages import DOCS, code_blocks

EDITIONS = ("protocol.md", "protocol.zh-CN.md")
COMMANDS = load_commands()


@pytest.mark.parametrize("name", sorted(documents(DOCS)))
def test_a_generated_document_is_what_the_code_would_write_now(name: str) -> None:
    stored = (DOCS / name).read_text("utf-8")

    written = documents(DOCS)[name]

    assert written == stored, "run `make docs`"


def test_the_command_writes_every_document(tmp_path: Path) -> None:
    (tmp_path / "parts").symlink_to(DOCS / "parts")

    code = main([str(tmp_path)])

    assert code == 0
    assert {path.name for path in tmp_path.glob("*.md")} == set(documents(DOCS))


@pytest.mark.parametrize("edition", EDITIONS)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_an_interface_shows_every_parameter_and_reply_field(command: Command, edition: str) -> None:
    text = (DOCS / edition).read_text("utf-8")

    rows = [(cells[0], cells[1], *cells[-2:]) for cells in table_rows(section_of(text, command.name))]

    for param in command.params:
        assert (f"`{param.name}`", param.type, said(param.is_required, edition), said(param.is_signed, edition)) in rows
    for field in command.all_reply_fields:
        assert (f"`{field.name}`", field.type, said(field.is_signed, edition), field.since) in rows


@pytest.mark.parametrize(
    ("edition", "heads"),
    [
        ("protocol.md", "| Name | Type | Meaning | Required | Signed |"),
        ("protocol.zh-CN.md", "| 参数名 | 类型 | 介绍 | 是否必填 | 是否参与签名 |"),
    ],
)
def test_every_interface_has_the_five_columns_of_the_published_pages(edition: str, heads: str) -> None:
    text = (DOCS / edition).read_text("utf-8")

    counted = text.count(heads)

    assert counted == len(COMMANDS) + 1  # and the parameters that every interface has


@pytest.mark.parametrize("edition", EDITIONS)
def test_the_printed_golden_vector_gives_the_printed_signature(edition: str) -> None:
    text = (DOCS / edition).read_text("utf-8")
    string = next(block for _, block in code_blocks(text) if block.startswith("amount=100&app=zyptestapp"))

    digest = hashlib.md5(string.strip().encode(), usedforsecurity=False).hexdigest()

    assert digest == "37fd31004368f9e616f277c6436985eb"
    assert f"`{digest}`" in text


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_the_four_encodings_of_an_example_are_one_and_the_same_signed_request(command: Command) -> None:
    form = example_form(command)

    read = [read_message(message) for message in encodings(form)]

    assert read == [form] * 4
    assert matches_md5(form, signed=command.signed, key=TEST_KEY, sign=form["sign"])


@pytest.mark.parametrize("edition", ["errors.md", "errors.zh-CN.md", *EDITIONS])
def test_every_error_number_is_documented_once(edition: str) -> None:
    text = (DOCS / edition).read_text("utf-8")

    for entry in CATALOGUE.values():
        assert len(re.findall(rf"^\| {entry.number} \| `{entry.name}` \| \S", text, re.MULTILINE)) == 1, entry.name


@pytest.mark.parametrize("edition", ["settings.md", "settings.zh-CN.md"])
def test_every_setting_is_documented(edition: str) -> None:
    text = (DOCS / edition).read_text("utf-8")

    for name, field in Settings.model_fields.items():
        assert f"| `{variable(name)}` |" in text
        assert field.description, name


def test_every_setting_and_no_other_has_a_chinese_text() -> None:
    assert set(SETTINGS_ZH) == set(Settings.model_fields)


def test_every_command_is_documented_with_its_options() -> None:
    text = (DOCS / "commands.md").read_text("utf-8")

    for words, command in shell_commands():
        section = section_of(text, words)
        assert command.help, words
        for option in shown_options(command):
            assert f"`{', '.join(option.opts)}`" in section, (words, option.name)


def test_every_option_says_what_it_means() -> None:
    for words, command in shell_commands():
        for option in shown_options(command):
            assert option.help, (words, option.name)


def test_every_metric_is_documented_with_its_labels() -> None:
    text = (DOCS / "metrics.md").read_text("utf-8")

    for family, labels in metric_families():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{family.name}` |"))
        assert all(f"`{label}`" in row for label in labels), family.name


def test_a_bar_or_a_line_end_in_a_cell_does_not_break_a_table() -> None:
    drawn = table(("a", "b"), [("x|y", "one\ntwo")])

    assert drawn == "| a | b |\n|---|---|\n| x\\|y | one two |"


@pytest.mark.parametrize(
    ("ms", "english", "chinese"),
    [(5_000, "5 s", "5秒"), (90_000, "1 min 30 s", "1分30秒"), (3_600_000, "1 h", "1小时")],
)
def test_a_duration_names_only_the_units_it_has(ms: int, english: str, chinese: str) -> None:
    assert (duration(ms, "en"), duration(ms, "zh")) == (english, chinese)


@pytest.mark.parametrize(
    ("heading", "target"),
    [
        ("open.pay.scan", "openpayscan"),
        ("Verifying the gateway's signature", "verifying-the-gateways-signature"),
        ("商品列表 goods_list", "商品列表-goods_list"),
    ],
)
def test_a_heading_leads_to_the_anchor_that_browsers_get(heading: str, target: str) -> None:
    assert anchor(heading) == target


def section_of(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}$\n(.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


def said(is_so: bool, edition: str) -> str:
    return {True: "是", False: "否"}[is_so] if "zh" in edition else {True: "yes", False: "no"}[is_so]


def table_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def read_message(message: str) -> dict[str, str]:
    """A printed HTTP message, read as the gateway reads it."""
    head, _, body = message.replace("\n", "\r\n").partition("\r\n\r\n")
    method, target, _ = head.split("\r\n", 1)[0].split(" ")
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    query = target.partition("?")[2].encode()
    return read_form(method, query, headers.get("Content-Type", "").encode(), body.encode())
