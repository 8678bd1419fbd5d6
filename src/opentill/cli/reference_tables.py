"""The generated documents that are one table each: errors, settings, commands of the shell, metrics."""

from collections.abc import Iterator
from string import Formatter
from typing import Any

import typer
from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from opentill.base.config import Settings
from opentill.base.errors import CATALOGUE, CatalogueEntry
from opentill.base.metrics import Metrics
from opentill.cli.main import app
from opentill.cli.reference_markdown import CHINESE, code, fence, notice, table
from opentill.cli.reference_rules import rules_table
from opentill.cli.reference_zh import SETTINGS_ZH
from opentill.web.pages import read_texts

PROGRAM = "opentill"


def errors_page(language: str) -> str:
    """Every number of the catalogue."""
    is_chinese = language == CHINESE
    title = "错误码" if is_chinese else "Errors"
    text = (
        "接口应答中的 `errorCode` 和 `errorMsg`。编号的含义永不改变；`{…}` 处填入具体内容。0 表示成功。"
        if is_chinese
        else "`errorCode` and `errorMsg` of a reply. A number never changes its meaning; `{…}` stands for what is "
        "filled in. 0 is success. The names are used in the log."
    )
    return _page(title, "`src/opentill/base/errors.py`", f"{text}\n\n{errors_table(language)}")


def errors_table(language: str) -> str:
    """Number, name, message, advice."""
    is_chinese = language == CHINESE
    heads = ("编号", "名称", "errorMsg", "建议") if is_chinese else ("Number", "Name", "errorMsg", "Advice")
    # The demo pages explain every error in Chinese already; what they do not know yet is explained in English.
    advice = read_texts(CHINESE)["advice"] if is_chinese else {}
    entries = sorted(CATALOGUE.values(), key=lambda entry: entry.number)
    return table(
        heads,
        [
            (str(entry.number), code(entry.name), _message(entry), advice.get(entry.name, entry.advice))
            for entry in entries
        ],
    )


def settings_page(language: str) -> str:
    """Every setting of a process."""
    is_chinese = language == CHINESE
    if is_chinese:
        title, heads = "设置", ("环境变量", "默认值", "取值", "说明")
        text = (
            "每个设置都是一个环境变量，启动时读取。商户、收银员和钱包账户的设置不在这里，而在数据库中，"
            "见 [commands.md](commands.md)（英文）。"
        )
    else:
        title, heads = "Settings", ("Variable", "Default", "Values", "Meaning")
        text = (
            "Every setting is an environment variable, read at start. What belongs to a merchant, a cashier or a "
            "wallet account is not here but in the database: see [commands.md](commands.md)."
        )
    rows = [
        (
            code(variable(name)),
            code(_default(field)),
            _values(field, is_chinese=is_chinese),
            SETTINGS_ZH.get(name, field.description or "") if is_chinese else field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]
    rules_title = "## 接入商的规则" if is_chinese else "## Rules of an integrator"
    rules_text = (
        "用 `opentill admin app set APP 规则=值` 修改，两秒内生效。值按 JSON 书写，或直接写文本。"
        if is_chinese
        else "Changed with `opentill admin app set APP RULE=VALUE`, felt within two seconds. A value is JSON or "
        "plain text."
    )
    body = "\n\n".join([text, table(heads, rows), rules_title, rules_text, rules_table(language)])
    return _page(title, "`src/opentill/base/config.py` and `src/opentill/domain/parties.py`", body)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"{Settings.model_config.get('env_prefix', '')}{name}".upper()


def commands_page() -> str:
    """Every command of the shell."""
    text = (
        "Settings come from the environment ([settings.md](settings.md)). `--help` after any command says the same as "
        "this page."
    )
    sections = [_command_section(words, command) for words, command in shell_commands()]
    return _page("Commands", "`src/opentill/cli/`", "\n\n".join([text, *sections]))


def shell_commands() -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its words: `opentill admin app add`."""
    yield from _leaves(PROGRAM, typer.main.get_command(app))


def shown_options(command: Any) -> list[Any]:
    """The options that are for people."""
    return [param for param in command.params if param.param_type_name == "option" and not param.hidden]


def metrics_page() -> str:
    """Every metric."""
    text = (
        "`GET /metrics` answers in Prometheus form to the networks of `OPENTILL_METRICS_NETWORKS`. A counter is "
        "exposed with `_total` at the end of its name, a histogram with `_bucket`, `_sum` and `_count`."
    )
    rows = [
        (code(family.name), family.type, ", ".join(code(label) for label in labels), family.documentation)
        for family, labels in metric_families()
    ]
    body = f"{text}\n\n{table(('Metric', 'Kind', 'Labels', 'Meaning'), rows)}"
    return _page("Metrics", "`src/opentill/base/metrics.py`", body)


def metric_families() -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Each metric's family (name, type, documentation) and the names of its labels."""
    for metric in vars(Metrics()).values():
        if hasattr(metric, "describe"):
            for family in metric.describe():
                yield family, tuple(metric._labelnames)


def _page(title: str, sources: str, body: str) -> str:
    return f"# {title}\n\n{notice(sources)}\n\n{body}\n"


def _message(entry: CatalogueEntry) -> str:
    """The template as a reader sees it: names of values in code marks."""
    parts = []
    for text, name, _, _ in Formatter().parse(entry.message):
        parts.append(text)
        if name is not None:
            parts.append(code("{" + name + "}"))
    return "".join(parts)


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _values(field: FieldInfo, *, is_chinese: bool) -> str:
    """What may be given, as far as the field says."""
    limits = [_limit(rule, is_chinese=is_chinese) for rule in field.metadata]
    if field.annotation is bool:
        limits.append("true / false")
    if field.annotation == SecretStr | None:
        limits.append("秘密" if is_chinese else "secret")
    return ("，" if is_chinese else ", ").join(limit for limit in limits if limit)


def _limit(rule: Any, *, is_chinese: bool) -> str:
    match rule:
        case Ge(ge=least):
            return f"≥ {least}"
        case Gt(gt=below):
            return f"> {below}"
        case Le(le=most):
            return f"≤ {most}"
        case MinLen(min_length=least):
            return f"{'长度' if is_chinese else 'length'} ≥ {least}"
        case MaxLen(max_length=most):
            return f"{'长度' if is_chinese else 'length'} ≤ {most}"
    pattern = getattr(rule, "pattern", None)
    return code(pattern) if pattern else ""


def _leaves(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield words, command
        return
    for name, child in below.items():
        yield from _leaves(f"{words} {name}", child)


def _command_section(words: str, command: Any) -> str:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = shown_options(command)
    usage = " ".join([words, *(_metavar(argument) for argument in arguments), *(["[OPTIONS]"] if options else [])])
    section = [f"## {words}", (command.help or "").strip(), fence("text", usage)]
    rows = [(code(_metavar(argument)), argument.help or "", _needed(argument)) for argument in arguments]
    rows += [(code(", ".join(option.opts)), option.help or "", _needed(option)) for option in options]
    if rows:
        section.append(table(("", "Meaning", "Default"), rows))
    return "\n\n".join(part for part in section if part)


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return f"{name}…" if argument.nargs == -1 or argument.multiple else name


def _needed(param: Any) -> str:
    if param.required:
        return "required"
    if param.is_flag if param.param_type_name == "option" else False:
        return "off"
    return code(str(param.default)) if param.default not in (None, "", ()) else ""
