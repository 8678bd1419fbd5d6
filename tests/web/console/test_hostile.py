"""What no browser sends by itself: no page fails at it, and none repeats it as markup."""

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest

from opentill.web.console import app
from opentill.web.console.filters import FIELDS
from tests.web.console.kit import console
from tests.web.console.routes import ROWS

MARKUP = "\"'><xss a=1>" * 20
NUMBER = str(10**30)
NAMED = re.compile(r'(?:form|query|query_params)(?:\.get|_list)?[(\[]"(\w+)"')
SOURCES = [file.read_text() for file in Path(app.__file__).parent.glob("*.py")]
NAMES = sorted({*FIELDS, *(name for source in SOURCES for name in NAMED.findall(source))})
"""Every field that a page of the console reads."""
LONGEST_IN_ADDRESS = 100
"""So that an address with all of them is still a request."""


# What is a number for one engine is a text for the other: half the time, and each field was both.
@pytest.mark.parametrize(("engine", "texts"), [("sqlite", (MARKUP, NUMBER)), ("postgresql", (NUMBER, MARKUP))])
async def test_no_page_fails_at_what_stands_in_its_fields(engine: str, texts: tuple[str, str]) -> None:
    async with console(engine) as c:
        for row in ROWS:
            c.tokens.clear()  # one of them signs out
            path = await row.theirs(c) if row.theirs else row.path
            real = await row.their_form(c) if row.their_form else {}
            fields = {name: texts[number % 2] for number, name in enumerate(NAMES)} | real

            if row.method == "POST":
                answer = await c.post(path, fields)
            else:
                answer = await c.get(
                    f"{path}?{urlencode({name: text[:LONGEST_IN_ADDRESS] for name, text in fields.items()})}"
                )

            assert answer.status not in (413, 500, 503), row
            assert "<xss" not in answer.text, row


def test_every_field_that_a_page_reads_is_among_them() -> None:
    assert {"amount", "confirmed", "receiver", "grant_role", "ticket", "before", "merchant"} <= set(NAMES)
