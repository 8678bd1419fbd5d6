"""The tables of certain answers in the channels page, from the adapters' own tables."""

from collections import defaultdict
from collections.abc import Mapping
from enum import Enum
from types import ModuleType

from opentill.channels import alipay_codes, wechat_codes
from opentill.cli.reference_markdown import code, table

# Operation and the name of its table in both modules, where they differ the wallet's own.
_ALIPAY = (
    ("create (precreate, create)", "_CREATE"),
    ("charge (pay)", "_CHARGE"),
    ("query", "_QUERY"),
    ("close", "_CLOSE"),
    ("reverse (cancel)", "_CANCEL"),
    ("refund", "_REFUND"),
    ("refund query", "_REFUND_QUERY"),
)
_WECHAT = (
    ("create (native, jsapi)", "_CREATE"),
    ("charge (codepay)", "_CHARGE"),
    ("query", "_QUERY"),
    ("trade state", "_TRADE_STATES"),
    ("close", "_CLOSE"),
    ("reverse", "_REVERSE"),
    ("refund", "_REFUND"),
    ("refund query", "_REFUND_QUERY"),
    ("refund state", "_REFUND_STATES"),
)


def alipay_table() -> str:
    return _table(alipay_codes, _ALIPAY)


def wechat_table() -> str:
    return _table(wechat_codes, _WECHAT)


def _table(module: ModuleType, operations: tuple[tuple[str, str], ...]) -> str:
    rows: list[tuple[str, str, str]] = []
    known: dict[str, set[str]] = {}
    for operation, name in operations:
        words: Mapping[str, Enum] = vars(module)[name]
        by_outcome: dict[str, list[str]] = defaultdict(list)
        for word, outcome in words.items():
            by_outcome[str(outcome.value)].append(word)
        # charge has everything that create has: only what is added is shown.
        if name == "_CHARGE":
            by_outcome = {key: [word for word in found if word not in known[key]] for key, found in by_outcome.items()}
        known = {key: set(found) for key, found in by_outcome.items()}
        for outcome_name, found in by_outcome.items():
            label = f"{operation}, beside those of create" if name == "_CHARGE" else operation
            rows.append((label, outcome_name, " ".join(code(word) for word in found)))
    return table(("Operation", "Outcome", "Words"), rows)
