"""`/test/api/sign.htm`: the signature debugger as everybody may use it."""

import re
from urllib.parse import urlencode

import pytest

from opentill.protocol.pasted import Trouble
from opentill.protocol.recipes import Cause
from opentill.web.pages import all_texts
from tests.clients import TEST_KEY
from tests.world import World, world

PATH = "/test/api/sign.htm"


async def asked(w: World, text: str, theirs: str = "", *, language: str = "zh") -> str:
    """The page after asking."""
    form = {"text": text, "theirs": theirs}
    async with w.http.post(f"{w.base_url}{PATH}?lang={language}", data=form) as reply:
        assert reply.status == 200
        return await reply.text()


def verdict(page: str) -> str:
    found = re.search(r'data-verdict="(\w+)"', page)
    return found[1] if found else ""


async def test_a_request_of_the_test_app_is_judged() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params(subject="茶"))

        right = await asked(w, urlencode(form))
        wrong = await asked(w, urlencode({**form, "amount": "1.0"}))

        words = all_texts("zh")["cause"]
        assert (verdict(right), verdict(wrong)) == ("matches", "differs")
        assert words["float_amount_title"].format(value="1", what="amount") in wrong
        assert "0x2e" in wrong  # the point


async def test_another_apps_request_is_compared_but_not_judged() -> None:
    async with world() as w:
        till = await w.add_till()
        form = till.form("open.pay.scan", **till.scan_params())

        page = await asked(w, urlencode(form))

        assert verdict(page) == "undecided"
        assert till.key not in page
        assert 'id="own-key"' in page


async def test_no_form_can_send_the_key_that_is_typed() -> None:
    async with world() as w:
        page = await asked(w, urlencode({**w.till.form("open.pay.query", order_no="1" * 30), "app": "another"}))

        field = re.search(r'<input [^>]*id="own-key-value"[^>]*>', page)
        assert field is not None
        assert "name=" not in field[0]


async def test_what_is_pasted_is_not_logged_and_its_key_is_masked() -> None:
    async with world() as w:
        form = w.till.form("open.pay.query", order_no="1" * 30)
        secret = "somebodys-secret-key"

        page = await asked(w, urlencode({**form, "sign": "0" * 32}), f"amount=1&key={secret}")

        shown = page.split('id="their-text"')[1].split("</pre>")[0]
        assert secret not in shown
        assert "key=***" in shown
        assert secret not in w.ground.log.getvalue()


async def test_the_expected_signature_is_never_shown() -> None:
    async with world() as w:
        form = w.till.form("open.pay.scan", **w.till.scan_params())

        page = await asked(w, urlencode({**form, "sign": "0" * 32}))

        assert form["sign"] not in page
        assert TEST_KEY not in page


@pytest.mark.parametrize(("language", "word"), [("zh", "请校准服务器的时钟"), ("en", "set your server")])
async def test_a_stale_timestamp_is_told_with_its_distance(language: str, word: str) -> None:
    async with world() as w:
        form = w.till.form("open.pay.query", order_no="1" * 30, timestamp=w.clock.now_ms() - 7_200_000)

        page = await asked(w, urlencode(form), language=language)

        assert word in page
        assert ("2 小时" if language == "zh" else "2 hours") in page


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("command=open.pay.nothing&app=A00305710000067&sign=1", 11),
        ("app=A00305710000067&sign=1", 10),
        ("command=open.pay.scan&version=3.0&sign=1", 13),
        ("command=open.pay.scan&amount=0.01&sign=1", 42),
        ("command=open.pay.scan&channel=9&sign=1", 41),
        ("command=open.pay.scan&timestamp=1795406400&sign=1", 23),
        ("command=open.pay.scan&sign=1", 17),
        ("command=open.pay.scan&subject=%B2%E8&sign=1", 14),
        ("command=open.pay.scan&amount=1&amount=2&sign=1", 16),
    ],
)
async def test_what_else_would_be_refused_is_said_with_its_number(text: str, number: int) -> None:
    async with world() as w:
        page = await asked(w, text)

        assert f"错误码 {number}<" in page


@pytest.mark.parametrize("text", ["", "hello", "{", "<script>alert(1)</script>", "a" * 70_000])
async def test_nonsense_is_answered_calmly(text: str) -> None:
    async with world() as w:
        page = await asked(w, text)

        assert "<script>alert" not in page


async def test_the_example_has_the_commonest_mistake() -> None:
    async with world() as w:
        _, page = await w.get(PATH + "?example=1")
        text = re.search(r'<textarea id="text"[^>]*>([^<]*)', page)
        assert text is not None

        answer = await asked(w, text[1].replace("&amp;", "&"))

        assert "空值参与了签名：goods_list" in answer


async def test_outside_the_sandbox_the_page_is_there_only_with_the_demo_pages() -> None:
    async with world(is_sandbox=False) as w:
        assert (await w.get(PATH))[0] == 404
    async with world(is_sandbox=False, demo_pages=True) as w:
        assert (await w.get(PATH))[0] == 200


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_cause_and_trouble_has_words(language: str) -> None:
    texts = all_texts(language)

    for cause in Cause:
        assert texts["cause"][f"{cause}_title"].format(what="x", value="y")
        assert texts["cause"][f"{cause}_text"]
    for trouble in Trouble:
        assert texts["trouble"][f"{trouble}_title"].format(name="x")
        assert texts["trouble"][f"{trouble}_text"]


async def test_too_much_is_refused() -> None:
    async with world() as w, w.http.post(w.base_url + PATH, data=b"text=" + b"a" * 300_000) as reply:
        assert reply.status == 413
