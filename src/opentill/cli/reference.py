"""`python -m opentill.cli.reference docs`: writes the documents that are drawn from the code's own tables."""

import sys
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from opentill.cli.reference_channels import alipay_table, wechat_table
from opentill.cli.reference_limits import limits_table
from opentill.cli.reference_markdown import CHINESE, ENGLISH, notice
from opentill.cli.reference_protocol import protocol_page
from opentill.cli.reference_tables import commands_page, errors_page, metrics_page, settings_page


def documents(docs: Path) -> dict[str, str]:
    """File name and content of every generated document. `docs/parts` holds the prose and the programs in them."""
    parts = docs / "parts"
    return {
        "protocol.md": protocol_page(parts, ENGLISH),
        "protocol.zh-CN.md": protocol_page(parts, CHINESE),
        "errors.md": errors_page(ENGLISH),
        "errors.zh-CN.md": errors_page(CHINESE),
        "settings.md": settings_page(ENGLISH),
        "settings.zh-CN.md": settings_page(CHINESE),
        "commands.md": commands_page(),
        "metrics.md": metrics_page(),
        "operations.md": _filled(parts / "operations.md", limits=limits_table()),
        "channels.md": _filled(parts / "channels.md", alipay=alipay_table(), wechat=wechat_table()),
    }


def _filled(prose: Path, **tables: str) -> str:
    """Prose with tables in it."""
    template = Environment(undefined=StrictUndefined, autoescape=False).from_string(prose.read_text("utf-8"))  # noqa: S701
    return template.render(notice=notice("`docs/parts/` and the tables in `src/opentill/`"), **tables) + "\n"


def main(arguments: list[str]) -> int:
    """Write them into the folder that is named, `docs` by default. Returns the exit code."""
    docs = Path(arguments[0] if arguments else "docs")
    for name, text in documents(docs).items():
        (docs / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{docs / name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
