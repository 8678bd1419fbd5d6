"""The table of an integrator's rules (`opentill admin app set APP RULE=VALUE`)."""

import json

import msgspec

from opentill.cli.reference_markdown import CHINESE, code, table
from opentill.domain.parties import AppRules
from opentill.domain.rules import RULES


def rules_table(language: str) -> str:
    """Every rule with its default."""
    is_chinese = language == CHINESE
    heads = ("规则", "默认值", "说明") if is_chinese else ("Rule", "Default", "Meaning")
    defaults = msgspec.structs.asdict(AppRules())
    nothing = ("", "")
    return table(
        heads,
        [
            (code(name), code(_shown(value)), RULES.get(name, nothing)[1 if is_chinese else 0])
            for name, value in defaults.items()
        ],
    )


def _shown(value: object) -> str:
    """As it would be typed."""
    if isinstance(value, str):
        return value
    return json.dumps(value)
