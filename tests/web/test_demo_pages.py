"""The demo pages as HTML and texts: languages, headers, and everything drawn from the interfaces' tables."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from opentill.base.errors import CATALOGUE
from opentill.commands.registry import load_commands
from opentill.web.demo import page_url
from opentill.web.pages import LANGUAGES, read_texts
from tests.world import World, world

STATIC = Path(__file__).parents[2] / "src/opentill/web/static"
COMMANDS = [command for command in load_commands().values() if command.demo_page]
PAGES = ["/", *(page_url(command) for command in COMMANDS)]

# The error catalogue itself advises in English.
CHINESE_ONLY = {"advice"}


def keys(language: str) -> set[str]:
    texts = read_texts(language)
    return {f"{section}.{key}" for section in texts.keys() - CHINESE_ONLY for key in texts[section]}


def test_every_language_has_the_same_texts() -> None:
    chinese = keys("zh")

    assert all(keys(language) == chinese for language in LANGUAGES)


def test_no_text_is_empty() -> None:
    texts = [text for language in LANGUAGES for section in read_texts(language).values() for text in section.values()]

    assert all(text.strip() for text in texts)


def test_every_error_has_its_advice_in_chinese_too() -> None:
    assert read_texts("zh")["advice"].keys() == CATALOGUE.keys()


def test_places_to_fill_are_the_same_in_every_language() -> None:
    chinese, english = read_texts("zh"), read_texts("en")

    for section in english:
        for key, text in english[section].items():
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", chinese[section][key])), key


async def page(w: World, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, Mapping[str, str], str]:
    async with w.http.get(w.base_url + path, headers=headers) as reply:
        return reply.status, reply.headers, await reply.text()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_drawn_in_every_language(path: str, language: str) -> None:
    async with world(works=False) as w:
        status, headers, html = await page(w, f"{path}?lang={language}")

        assert status == 200
        assert f'<html lang="{read_texts(language)["site"]["language"]}">' in html
        assert headers["Content-Language"] == read_texts(language)["site"]["language"]


async def test_a_language_once_chosen_is_remembered_and_the_default_is_chinese() -> None:
    async with world(works=False) as w:
        _, _, first = await page(w, "/")
        _, chosen, _ = await page(w, "/?lang=en")
        _, _, later = await page(w, "/", {"Cookie": chosen["Set-Cookie"].split(";")[0]})
        _, unknown, fallback = await page(w, "/?lang=xx")

        assert 'lang="zh-CN"' in first
        assert '<html lang="en">' in later
        assert '<html lang="zh-CN">' in fallback
        assert "Set-Cookie" not in unknown


@pytest.mark.parametrize("path", PAGES)
async def test_pages_allow_nothing_inline_and_nothing_from_elsewhere(path: str) -> None:
    async with world(works=False) as w:
        _, headers, html = await page(w, path)

        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<style|\sstyle=|\son\w+=", html)
        scripts = re.findall(r"<script[^>]*>", html)
        assert all('src="/static/' in tag or 'type="application/json"' in tag for tag in scripts)


async def test_a_field_for_every_parameter_shows_what_the_table_says() -> None:
    async with world(works=False) as w:
        for command in COMMANDS:
            _, _, html = await page(w, page_url(command))

            for param in command.all_params:
                assert f'name="{param.name}"' in html
                assert param.text_zh in html


async def test_the_page_tells_its_script_which_fields_are_signed() -> None:
    async with world(works=False) as w:
        command = load_commands()["open.pay.scan"]

        _, _, html = await page(w, page_url(command))

        found = re.search(r'<script type="application/json" id="config">(.*)</script>', html)
        assert found
        config = json.loads(found[1])
        assert config["signed"] == sorted(command.signed)
        assert config["reply_signed"] == [field.name for field in command.all_reply_fields if field.is_signed]
        assert config["advice"].keys() == {str(entry.number) for entry in CATALOGUE.values()}


async def test_a_parameter_in_the_address_cannot_become_markup() -> None:
    async with world(works=False) as w:
        _, _, html = await page(w, "/test/api/qrcode.htm?local_order_no=%22%3E%3Cscript%3E&x=%3Cscript%3E")

        assert "<script>" not in html


async def test_the_start_page_has_an_order_that_runs_in_a_shell_as_it_is() -> None:
    async with world(works=False) as w:
        _, _, html = await page(w, "/")

        lines = re.findall(r"-d ([a-z_]+)=([\w.]+)", html)
        async with w.http.post(f"{w.base_url}/gatewayOpen.htm", data=dict(lines)) as reply:
            answer = await reply.json()
        assert answer["result"] == {"success": True, "errorCode": "0", "errorMsg": ""}


async def test_a_deployment_with_real_money_has_no_demo_pages_unless_told() -> None:
    async with world(works=False, is_sandbox=False) as w:
        assert [(await page(w, path))[0] for path in PAGES] == [404] * len(PAGES)


async def test_with_real_money_the_demo_pages_hold_no_key_and_show_no_orders() -> None:
    async with world(works=False, is_sandbox=False, demo_pages=True) as w:
        _, _, html = await page(w, "/test/api/qrcode.htm")
        _, _, start = await page(w, "/")
        statuses = [(await page(w, path))[0] for path in ("/test/api/status?app=x", "/test/api/events?app=x")]
        async with w.http.post(f"{w.base_url}/test/api/notify") as receiver:
            statuses.append(receiver.status)

        assert "3d54fa25f393f2690817a1fab9314b92" not in html + start
        assert "/twin/" not in html + start
        assert statuses == [404, 404, 404]


@pytest.mark.parametrize("name", ["opentill.css", "demo.css", "opentill-sign.js", "demo/main.js", "favicon.svg"])
async def test_static_files_are_asked_for_anew_each_time(name: str) -> None:
    async with world(works=False) as w:
        status, headers, _ = await page(w, f"/static/{name}")

        assert status == 200
        assert headers["Cache-Control"] == "no-cache"
        assert headers["X-Content-Type-Options"] == "nosniff"


async def test_an_unchanged_static_file_is_not_sent_again() -> None:
    async with world(works=False) as w:
        _, headers, _ = await page(w, "/static/opentill.css")

        status, _, body = await page(w, "/static/opentill.css", {"If-None-Match": headers["ETag"]})

        assert (status, body) == (304, "")


async def test_browsers_find_an_icon_where_they_look_for_it() -> None:
    async with world(works=False) as w:
        status, headers, body = await page(w, "/favicon.ico")

        assert (status, headers["Content-Type"]) == (200, "image/svg+xml")
        assert body == (STATIC / "favicon.svg").read_text()


def test_every_vendored_library_comes_with_its_licence_and_is_listed() -> None:
    listed = (STATIC / "vendor/README.md").read_text()

    folders = [folder for folder in (STATIC / "vendor").iterdir() if folder.is_dir()]
    assert folders
    for folder in folders:
        assert (folder / "LICENSE").stat().st_size > 500
        assert f"`{folder.name}/`" in listed


def test_every_text_is_used() -> None:
    web = STATIC.parent
    files = [*(web / "templates").glob("*.html"), *STATIC.glob("demo/*.js"), web / "pages.py"]
    code = "".join(file.read_text() for file in files)
    texts = read_texts("zh")

    unused = [
        key for section in ("site", "index", "demo") for key in texts[section] if not re.search(rf"\b{key}\b", code)
    ]

    # Composed in the script from the wallet's number.
    assert unused == ["wallet_1", "wallet_2"]
