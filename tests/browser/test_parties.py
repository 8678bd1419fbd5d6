"""An integration in a browser: an app is made, its first call fails, the log and the debugger say why; accounts."""

import hashlib
import json
import re
import urllib.request
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Route, expect

from opentill.web.pages import LANGUAGES, all_texts
from tests.browser.pages import check
from tests.browser.people import sign_in
from tests.browser.sandbox import Sandbox, Visit, visiting
from tests.clients import TEST_APP, TEST_KEY, TEST_OPERATOR, md5

PAGES = (
    "/console/apps", "/console/apps/new", f"/console/apps/{TEST_APP}", "/console/integration", "/console/debugger",
    "/console/merchants", "/console/merchants/1", "/console/accounts", "/console/accounts/1",
    "/console/accounts/new?wallet=wechat", "/test/api/sign.htm",
)  # fmt: skip


def refused(sandbox: Sandbox, *, app: str, key: str, timestamp: str) -> str:
    """A call whose client signs empty values: the error's number."""
    form = {
        "app": app, "operator_id": TEST_OPERATOR, "timestamp": timestamp, "local_order_no": f"b{timestamp}",
        "channel": "1", "amount": "120", "subject": "一杯拿铁",
    }  # fmt: skip
    text = "&".join(f"{name}={value}" for name, value in sorted({**form, "goods_list": ""}.items()))
    sign = hashlib.md5(f"{text}&key={key}".encode()).hexdigest()
    body = urlencode({**form, "goods_list": "", "command": "open.pay.scan", "sign": sign}).encode()
    with urllib.request.urlopen(f"{sandbox.base_url}/gatewayOpen.htm", body) as reply:
        return str(json.load(reply)["result"]["errorCode"])


def now_ms(visit: Visit) -> str:
    return str(visit.page.evaluate("Date.now()"))


CLICK_TWICE = """button => new Promise(done => {
  button.click();
  setTimeout(() => { button.click(); setTimeout(done, 50); }, 50);
})"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_developer_finds_out_why_the_first_call_fails(browser: Browser, sandbox: Sandbox, language: str) -> None:
    t = all_texts(language)
    with visiting(browser, sandbox) as visit:
        page = visit.page
        sign_in(visit, sandbox, language=language)

        visit.open("/console/apps/new")
        page.fill("#name", f"Shop {language}")
        sent: list[Route] = []
        page.route("**/console/apps", lambda route: sent.append(route))
        page.get_by_role("button", name=t["apps"]["create"]).evaluate(CLICK_TWICE)
        for request in sent:
            request.continue_()
        key = page.inner_text("#new-key")
        app = re.search(r"A\d{14}", page.inner_text(".facts"))
        assert app is not None
        page.get_by_role("link", name=t["apps"]["key_kept"]).click()
        expect(page.get_by_role("heading", name=f"Shop {language}")).to_be_visible()
        assert key not in page.content()
        assert len(sent) == 1, "two clicks make one"

        assert refused(sandbox, app=app[0], key=key, timestamp=now_ms(visit)) == "22"
        page.get_by_role("link", name=t["integration"]["nav"]).last.click()
        page.locator("tbody tr a").first.click()
        page.get_by_role("link", name=t["integration"]["open_debugger"]).click()

        verdict = page.locator(".verdict").first
        expect(verdict).to_contain_text(t["cause"]["empty_signed_title"].format(what="goods_list"))
        expect(page.locator("#their-text mark")).to_have_text("g")
        check(visit)


def test_a_filter_of_the_log_is_felt_at_once_and_kept_in_the_address(browser: Browser, sandbox: Sandbox) -> None:
    with visiting(browser, sandbox) as visit:
        page = visit.page
        refused(sandbox, app=TEST_APP, key=TEST_KEY, timestamp=now_ms(visit))
        sign_in(visit, sandbox)
        visit.open("/console/integration")

        page.select_option("#error", "AMOUNT_INVALID")
        expect(page.locator("#calls .empty")).to_be_visible()
        assert "error=AMOUNT_INVALID" in page.url
        page.select_option("#error", "SIGN_INVALID")

        expect(page.locator("#calls tbody tr").first).to_be_visible()


def test_a_key_is_checked_in_the_browser_and_never_sent(browser: Browser, sandbox: Sandbox) -> None:
    key = "somebodys-own-key-0123456789"
    t = all_texts("en")["debugger"]
    with visiting(browser, sandbox) as visit:
        page, sent = visit.page, []
        page.on("request", lambda request: sent.append(f"{request.url} {request.post_data or ''}"))
        form = {
            "app": "A00000000000001",
            "operator_id": "o",
            "timestamp": "1460512556270",
            "amount": "1",
            "channel": "1",
        }
        right, wrong = md5(form, key), md5({**form, "amount": "1.0"}, key)
        for sign, expected in ((right, t["key_matches"]), (wrong, t["key_found"]), ("0" * 32, t["key_none"])):
            visit.open("/test/api/sign.htm?lang=en")
            page.fill("#text", urlencode({**form, "command": "open.pay.scan", "sign": sign, "key": key}))
            page.locator("#debugger-form button[type=submit]").click()
            page.fill("#own-key-value", key)
            page.locator("#own-key button").click()

            expect(page.locator("#own-key-result")).to_contain_text(expected)

        assert not [each for each in sent if key in each]


def test_an_account_is_tried_and_its_wrong_key_is_named(browser: Browser, sandbox: Sandbox) -> None:
    t = all_texts("zh")
    with visiting(browser, sandbox) as visit:
        page = visit.page
        sign_in(visit, sandbox)
        visit.open("/console/accounts/1")

        page.get_by_role("button", name=t["accounts"]["test"], exact=True).click()
        expect(page.locator("#test")).to_have_attribute("data-test", "good")
        check(visit)
        page.locator("summary").first.click()
        own = page.locator("pre.plain").first.inner_text()
        page.fill("#alipay_public_key", own)
        page.get_by_role("button", name=t["accounts"]["save"]).click()

        expect(page.locator("#alipay_public_key-help")).to_contain_text("您自己的公钥")
        visit.forgive(422)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_can_be_read_by_everybody(browser: Browser, sandbox: Sandbox, language: str) -> None:
    with visiting(browser, sandbox) as visit:
        sign_in(visit, sandbox, language=language)
        for path in PAGES:
            check(visit, path)
