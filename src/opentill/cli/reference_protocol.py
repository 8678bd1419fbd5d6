"""The protocol's page, in English and in Chinese: prose from `docs/parts`, everything else from the code's tables."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, StrictUndefined

from opentill.base.config import Settings
from opentill.base.errors import CATALOGUE, GatewayError
from opentill.cli.reference_examples import (
    RSA2_VECTOR_FILE,
    VECTOR,
    VECTOR_KEY,
    encodings,
    example_form,
    rsa2_vector,
)
from opentill.cli.reference_markdown import CHINESE, anchor, code, duration, fence, notice, table
from opentill.cli.reference_tables import errors_table
from opentill.cli.reference_words import channel_table, refund_table, status_table, way_table
from opentill.commands.registry import Command, load_commands
from opentill.domain.notification import TOTAL_TIMEOUT_S, WAITS_MS
from opentill.domain.parties import DEFAULT_TOLERANCE_MS
from opentill.protocol import notification, reply
from opentill.protocol.forms import MAX_PARAMETERS
from opentill.protocol.goods import MAX_BYTES, MAX_LINES
from opentill.protocol.params import COMMON, Param, ReplyField
from opentill.protocol.signing import NEVER_SIGNED, md5_sign, string_to_sign
from opentill.services.access import TEST_APP, TEST_KEY, TEST_OPERATOR

_RECEIVERS = (
    ("PHP", "php", "receiver.php"),
    ("Java", "java", "Receiver.java"),
    ("Python", "python", "receiver.py"),
    ("Node.js", "js", "receiver.mjs"),
    ("Go", "go", "receiver.go"),
)
_UNKNOWN_OUTCOMES = ("SYSTEM_ERROR", "STORAGE_UNAVAILABLE", "CHANNEL_TIMEOUT")
_SCAN, _REFUND = "open.pay.scan", "open.pay.refund"
_GOODS = (
    '[{"goods_id": "c-01", "goods_num": "6901234567892", "goods_name": "一杯咖啡", '
    '"sell_amount": "1", "goods_price": "0.01"}]'
)


@dataclass(frozen=True)
class _Words:
    """The words of one edition's tables."""

    param_heads: tuple[str, ...]
    reply_heads: tuple[str, ...]
    yes: str
    no: str
    file: str
    parameters: str
    signed_are: str
    example: str
    data: str
    separator: str


_ENGLISH = _Words(
    param_heads=("Name", "Type", "Meaning", "Required", "Signed"),
    reply_heads=("Name", "Type", "Meaning", "Signed", "Since version"),
    yes="yes",
    no="no",
    file="protocol.md",
    parameters="Parameters, beside those every interface has:",
    signed_are="Signed, in this order:",
    example="An example, and the text its `sign` is made of (with the sandbox's key):",
    data="Reply, in `data`:",
    separator=", ",
)
_CHINESE = _Words(
    param_heads=("参数名", "类型", "介绍", "是否必填", "是否参与签名"),
    reply_heads=("字段名", "类型", "介绍", "是否参与签名", "从哪个版本开始"),
    yes="是",
    no="否",
    file="protocol.zh-CN.md",
    parameters="公共参数之外的参数：",
    signed_are="参与签名的参数，按顺序：",
    example="样例，以及计算 `sign` 的字符串（使用沙箱的密钥）：",
    data="应答的 `data`：",
    separator="、",
)


def protocol_page(parts: Path, language: str) -> str:
    """The page in one language. Raises jinja2.UndefinedError when the prose asks for something that is not here."""
    words = _CHINESE if language == CHINESE else _ENGLISH
    prose = (parts / words.file).read_text("utf-8")
    template = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True).from_string(prose)  # noqa: S701
    return template.render(_values(parts, language, words)) + "\n"


def _values(parts: Path, language: str, words: _Words) -> dict[str, Any]:
    found = load_commands()
    # What most integrators begin with comes first.
    commands = {_SCAN: found[_SCAN], **found}
    scan = commands[_SCAN]
    vector = rsa2_vector(parts / RSA2_VECTOR_FILE, scan)
    # A GatewayError of the catalogue serves as the example: the one failure the published pages show.
    failure = json.loads(reply.failure(GatewayError("COMMAND_MISSING")))
    wait_total_ms = sum(WAITS_MS)
    return {
        "notice": notice("`docs/parts/` and the tables in `src/opentill/`"),
        "test_app": TEST_APP,
        "test_key": TEST_KEY,
        "test_operator": TEST_OPERATOR,
        "number": {name: entry.number for name, entry in CATALOGUE.items()},
        "unknown_numbers": words.separator.join(str(CATALOGUE[name].number) for name in _UNKNOWN_OUTCOMES),
        "interface_links": words.separator.join(f"[`{name}`](#{anchor(name)})" for name in commands),
        "encodings": _encodings(scan),
        "max_parameters": MAX_PARAMETERS,
        "max_body_bytes": Settings.model_fields["max_body_bytes"].default,
        "vector_key": VECTOR_KEY,
        "vector_table": table((words.param_heads[0], ""), [(code(n), code(v)) for n, v in VECTOR.items()]),
        "vector_string": f"{string_to_sign(VECTOR)}&key={VECTOR_KEY}",
        "vector_sign": md5_sign(VECTOR, VECTOR_KEY),
        "never_signed": words.separator.join(code(name) for name in sorted(NEVER_SIGNED)),
        "tolerance_min": DEFAULT_TOLERANCE_MS // 60_000,
        "failure_example": json.dumps(failure, ensure_ascii=False),
        "rsa_public_key": vector.public_key,
        "rsa_reply": json.dumps(vector.reply, ensure_ascii=False, indent=2),
        "rsa_reply_string": string_to_sign(vector.signed_of_reply),
        "common_table": _params_table(COMMON, words, language),
        "interfaces": "\n\n".join(_interface(command, words, language) for command in commands.values()),
        "max_lines": MAX_LINES,
        "max_goods_kib": MAX_BYTES // 1024,
        "goods_example": _GOODS,
        "notification_type": notification.CONTENT_TYPE,
        "notification_table": _notification_table(words, language),
        "notification_body": urlencode(vector.notification),
        "notify_total_s": f"{TOTAL_TIMEOUT_S:g}",
        "wait_table": _wait_table(language),
        "attempts": len(WAITS_MS) + 1,
        "wait_total": duration(wait_total_ms, language),
        "receivers": _receivers(parts),
        "status_table": status_table(language, has_refunds=_REFUND in commands),
        "channel_table": channel_table(language),
        "way_table": way_table(language),
        "refund_table": refund_table(language) if _REFUND in commands else "",
        "error_table": errors_table(language),
    }


def _interface(command: Command, words: _Words, language: str) -> str:
    is_chinese = language == CHINESE
    title = command.title_zh if is_chinese else command.title_en
    text = command.text_zh if is_chinese else command.text_en
    form = example_form(command)
    signed = {name: value for name, value in form.items() if name in command.signed}
    return "\n\n".join(
        [
            f"### {command.name}",
            f"**{title}**{'：' if is_chinese else ': '}{text}",
            words.parameters,
            _params_table(command.params, words, language),
            f"{words.signed_are} {' · '.join(code(name) for name in sorted(command.signed))}",
            words.example,
            fence("text", f"{urlencode(form)}\n\n{string_to_sign(signed)}&key={TEST_KEY}"),
            words.data,
            _reply_table(command.all_reply_fields, words, language),
        ]
    )


def _params_table(params: tuple[Param, ...], words: _Words, language: str) -> str:
    return table(
        words.param_heads,
        [
            (
                code(param.name),
                param.type,
                param.text_zh if language == CHINESE else param.text_en,
                _yes(words, param.is_required),
                _yes(words, param.is_signed),
            )
            for param in params
        ],
    )


def _reply_table(fields: tuple[ReplyField, ...], words: _Words, language: str) -> str:
    return table(
        words.reply_heads,
        [
            (
                code(field.name),
                field.type,
                field.text_zh if language == CHINESE else field.text_en,
                _yes(words, field.is_signed),
                field.since,
            )
            for field in fields
        ],
    )


def _notification_table(words: _Words, language: str) -> str:
    heads = (words.reply_heads[0], words.reply_heads[2], words.reply_heads[3])
    return table(
        heads,
        [
            (code(name), text_zh if language == CHINESE else text_en, _yes(words, name != "sign"))
            for name, text_zh, text_en in notification.FIELDS
        ],
    )


def _yes(words: _Words, is_so: bool) -> str:
    return words.yes if is_so else words.no


def _encodings(scan: Command) -> str:
    return "\n\n".join(fence("http", text) for text in encodings(example_form(scan)))


def _receivers(parts: Path) -> str:
    sections = []
    for title, language, name in _RECEIVERS:
        program = (parts / name).read_text("utf-8")
        sections.append(f"### {title}\n\n{fence(language, program)}")
    return "\n\n".join(sections)


def _wait_table(language: str) -> str:
    is_chinese = language == CHINESE
    heads = ("第几次", "距上一次", "距第一次") if is_chinese else ("Attempt", "After the one before", "Since the first")
    rows, since_ms = [("1", "", "")], 0
    for number, wait_ms in enumerate(WAITS_MS, 2):
        since_ms += wait_ms
        rows.append((str(number), duration(wait_ms, language), duration(since_ms, language)))
    return table(heads, rows)
