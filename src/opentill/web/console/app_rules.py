"""The form of an app's rules, drawn from their struct; what is typed there read back with words about what is wrong."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from markupsafe import Markup, escape

from opentill.base.errors import GatewayError
from opentill.channels import keys
from opentill.channels.base import AccountProblem
from opentill.domain.parties import AppRules
from opentill.domain.rules import RULES
from opentill.protocol.params import read_url
from opentill.web.pages import CHINESE, Texts

# Which rules belong together; what is not named is drawn with the last group.
GROUPS = {
    "signature": ("sign_method", "public_key_pem", "tolerance_ms"),
    "orders": ("order_life_ms", "goods_price_unit", "idempotent_replay", "late_payment", "surplus_payment"),
    "notify": ("default_notify_url", "notify_hosts", "notify_refunds", "notify_cancels", "notify_failures"),
    "limits": ("commands", "refund_ceiling_fen", "refund_sources"),
}
MAX_LINES = 200
MAX_TEXT = 8_000

_TYPES: dict[str, Any] = {field.name: field.type for field in msgspec.inspect.type_info(AppRules).fields}  # type: ignore[attr-defined]


class RuleField(msgspec.Struct, frozen=True, kw_only=True):
    """One rule in the form. `kind`: choice, check, number, text, key, lines or checks. `value` as it is typed."""

    name: str
    label: str
    text: Markup
    kind: str
    value: Any
    choices: Sequence[str] = ()
    hint: str = ""
    problem: str = ""


def rule_fields(
    rules: AppRules, texts: Texts, language: str, commands: Sequence[str], *, problems: Mapping[str, str] | None = None
) -> dict[str, list[RuleField]]:
    """The fields of every group."""
    named = {name for names in GROUPS.values() for name in names}
    groups = {group: list(names) for group, names in GROUPS.items()}
    groups["limits"] += [name for name in AppRules.__struct_fields__ if name not in named]
    return {
        group: [_field(name, rules, texts, language, commands, (problems or {}).get(name, "")) for name in names]
        for group, names in groups.items()
    }


def read_rules(
    form: Mapping[str, str], lists: Mapping[str, Sequence[str]], group: str, texts: Texts, language: str
) -> tuple[dict[str, object], dict[str, str]]:
    """What a group's form says: values by rule, and problems by rule."""
    values: dict[str, object] = {}
    problems: dict[str, str] = {}
    for name in GROUPS[group]:
        try:
            values[name] = _read(name, form, lists)
        except AccountProblem as problem:
            problems[name] = problem.text_zh if language == CHINESE else problem.text_en
        except ValueError as error:
            problems[name] = texts["rule"][f"problem_{error}"].format(**_limits(name))
    if values.get("sign_method") == "RSA2" and not values.get("public_key_pem") and "public_key_pem" not in problems:
        problems["public_key_pem"] = texts["rule"]["problem_key_missing"]
    return values, problems


def _field(name: str, rules: AppRules, texts: Texts, language: str, commands: Sequence[str], problem: str) -> RuleField:
    value, words = getattr(rules, name), texts["rule"]
    kind, choices = _kind(name)
    hint = ""
    if kind == "number" and name.endswith("_ms"):
        hint = words["minutes"].format(count=f"{value / 60_000:g}")
    elif kind == "number" and name.endswith("_fen") and value:
        hint = words["yuan"].format(count=f"{value // 100:,}.{value % 100:02}")
    elif kind == "choice":
        hint = words.get(f"hint_{name}", "")
    return RuleField(
        name=name,
        label=words.get(name, name),
        text=_coded(RULES[name][1 if language == CHINESE else 0]),
        kind=kind,
        value="\n".join(value) if kind == "lines" else value,
        choices=commands if kind == "checks" else choices,
        hint=hint,
        problem=problem,
    )


def _kind(name: str) -> tuple[str, tuple[str, ...]]:
    kind = _TYPES[name]
    if isinstance(kind, msgspec.inspect.LiteralType):
        return "choice", _literal(name)
    if isinstance(kind, msgspec.inspect.BoolType):
        return "check", ()
    if isinstance(kind, msgspec.inspect.IntType):
        return "number", ()
    if isinstance(kind, msgspec.inspect.VarTupleType):
        return ("checks" if name == "commands" else "lines"), ()
    return ("key" if name == "public_key_pem" else "text"), ()


def _literal(name: str) -> tuple[str, ...]:
    """The values of a choice, the usual one first."""
    usual = getattr(AppRules(), name)
    return (usual, *(value for value in _TYPES[name].values if value != usual))


def _limits(name: str) -> dict[str, str]:
    kind = _TYPES[name]
    least = getattr(kind, "ge", None)
    most = getattr(kind, "le", None)
    return {"least": f"{least or 0:,}", "most": f"{most if most is not None else 10**15:,}"}


def _read(name: str, form: Mapping[str, str], lists: Mapping[str, Sequence[str]]) -> object:
    """Raises: AccountProblem, ValueError (its text names the words)."""
    text = form.get(name, "").strip()[:MAX_TEXT]
    kind, choices = _kind(name)
    if kind == "check":
        return text == "yes"
    if kind == "checks":
        return list(lists.get(name, ()))
    if kind == "choice":
        if text not in choices:
            raise ValueError("choice")
        return text
    if kind == "number":
        return _read_number(name, text)
    if kind == "lines":
        return _read_lines(name, text)
    if kind == "key":
        return _read_key(name, text)
    if text:
        try:
            read_url(text)
        except GatewayError as error:
            raise ValueError("url") from error
    return text


def _read_number(name: str, text: str) -> int:
    text = text.replace(",", "").replace(" ", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ValueError("number")
    least, most = getattr(_TYPES[name], "ge", None), getattr(_TYPES[name], "le", None)
    number = int(text)
    if (least is not None and number < least) or (most is not None and number > most):
        raise ValueError("number")
    return number


def _read_lines(name: str, text: str) -> list[str]:
    lines = [part for line in text.replace(",", "\n").splitlines() if (part := line.strip())]
    if len(lines) > MAX_LINES:
        raise ValueError("lines")
    if name == "refund_sources":
        try:
            return [str(ip_network(line, strict=False)) for line in lines]
        except ValueError:
            raise ValueError("network") from None
    hosts = [line.lower() for line in lines]
    if any("/" in host or ":" in host or " " in host or not host.isascii() for host in hosts):
        raise ValueError("host")
    return hosts


def _read_key(name: str, text: str) -> str:
    """Any form of a public key; kept as PEM."""
    if not text:
        return ""
    key = keys.read_public_key(name, text)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def _coded(text: str) -> Markup:
    """`code` in a text of the documents as an element."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    )
