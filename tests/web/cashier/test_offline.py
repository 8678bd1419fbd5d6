"""What a browser keeps for the time when the gateway cannot be reached: one page, and nothing about anybody's money."""

import base64
import hashlib
import re

import msgspec
import pytest

from opentill.web.pages import read_texts
from tests.web.cashier.kit import Answer, store


def kept_page(worker: Answer) -> tuple[str, dict[str, str]]:
    """The page and its headers, as the worker carries them."""
    answer = msgspec.json.decode(worker.text.splitlines()[0].removeprefix("const ANSWER = ").removesuffix(";"))
    return answer["html"], answer["headers"]


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_the_worker_carries_one_page_in_the_tills_language(language: str) -> None:
    async with store() as s:
        answer = await s.browser().get(f"/worker.js?lang={language}")

        assert answer.headers["Content-Type"].startswith("text/javascript")
        assert answer.headers["Cache-Control"] == "no-cache"
        html, headers = kept_page(answer)
        assert read_texts(f"till.{language}")["till_offline"]["title"] in html
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert "caches" not in answer.text, "what is not cached cannot grow old"


async def test_the_kept_page_needs_nothing_else_and_may_run_only_its_own_text() -> None:
    async with store() as s:
        html, headers = kept_page(await s.browser().get("/worker.js"))

        policy = headers["Content-Security-Policy"]
        assert not re.search(r'(?:src|href)="(?!data:)', html)
        for tag, directive in (("style", "style-src"), ("script", "script-src")):
            inline = html.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
            source = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
            assert f"{directive} 'sha256-{source}';" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


async def test_the_worker_is_the_same_for_everybody() -> None:
    async with store() as s:
        till = await s.signed_in()

        answer = await till.get("/worker.js")

        assert answer.text == (await s.browser().get("/worker.js")).text
        assert "Set-Cookie" not in answer.headers
