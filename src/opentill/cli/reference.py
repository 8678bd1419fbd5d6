"""`python -m opentill.cli.reference docs`: writes the documents that are drawn from the code's own tables."""

import sys
from pathlib import Path

from opentill.cli.reference_markdown import CHINESE, ENGLISH
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
    }


def main(arguments: list[str]) -> int:
    """Write them into the folder that is named, `docs` by default. Returns the exit code."""
    docs = Path(arguments[0] if arguments else "docs")
    for name, text in documents(docs).items():
        (docs / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{docs / name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
