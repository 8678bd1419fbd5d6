"""A payment link in a real browser that says it is WeChat's, Alipay's or just a browser, against the real sandbox."""

import json
import time
import urllib.request
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Route, expect

from opentill.web.pages import read_texts
from tests.browser.sandbox import DESKTOP, PHONE, Sandbox, Visit, visiting
from tests.browser.test_scripts import CONTRAST, NAMELESS
from tests.clients import TEST_APP, TEST_KEY, TEST_OPERATOR, UNSIGNED, md5
from tests.phones import AGENTS

PATIENCE_MS = 20_000
TEXTS = read_texts("link.zh")["link"]
WALLETS = pytest.mark.parametrize("wallet", ["wechat", "alipay"])
LIES = """
  window.WeixinJSBridge = { invoke: (name, values, then) => then({ err_msg: "get_brand_wcpay_request:ok" }) };
  window.AlipayJSBridge = { call: (name, values, then) => then({ resultCode: "9000" }) };
"""


def call(sandbox: Sandbox, command: str, **params: object) -> dict[str, str]:
    """A signed call of the test integrator."""
    common = {"app": TEST_APP, "operator_id": TEST_OPERATOR, "timestamp": time.time_ns() // 1_000_000}
    form = {name: str(value) for name, value in {"command": command, **common, **params}.items()}
    form["sign"] = md5({name: value for name, value in form.items() if name not in UNSIGNED}, TEST_KEY)
    with urllib.request.urlopen(f"{sandbox.base_url}/gatewayOpen.htm", urlencode(form).encode()) as reply:
        answer = json.load(reply)
    assert answer["result"]["success"], answer
    data: dict[str, str] = answer["data"]
    return data


def link(sandbox: Sandbox, **params: object) -> str:
    """The path of a new link."""
    return call(sandbox, "open.pay.h5", **({"amount": 1234, "subject": "一杯咖啡"} | params))["url"].removeprefix(
        sandbox.base_url
    )


def shown(visit: Visit, view: str) -> None:
    expect(visit.page.locator(f"[data-view={view}]")).to_be_visible(timeout=PATIENCE_MS)
    expect(visit.page.locator(".link-view:visible")).to_have_count(1)


@WALLETS
def test_the_wallet_opens_by_itself_and_the_page_returns_to_the_merchant(
    browser: Browser, sandbox: Sandbox, wallet: str
) -> None:
    path = link(sandbox, redirect_url=f"{sandbox.base_url}/public-key")
    with visiting(browser, sandbox, user_agent=AGENTS[wallet], viewport=PHONE) as visit:
        visit.open(path)
        expect(visit.page.locator("#twin-cashier")).to_contain_text("12.34", timeout=PATIENCE_MS)

        visit.page.locator("#twin-pay").click()

        shown(visit, "paid")
        expect(visit.page.locator("#go-back")).to_have_attribute("href", f"{sandbox.base_url}/public-key")
        visit.page.wait_for_url("**/public-key", timeout=PATIENCE_MS)


@WALLETS
def test_who_changed_their_mind_can_pay_again(browser: Browser, sandbox: Sandbox, wallet: str) -> None:
    with visiting(browser, sandbox, user_agent=AGENTS[wallet], viewport=PHONE) as visit:
        visit.open(link(sandbox))
        visit.page.locator("#twin-cancel").click(timeout=PATIENCE_MS)
        expect(visit.page.locator("#hint")).to_have_text(TEXTS["cancelled_hint"])

        visit.page.get_by_role("button", name=TEXTS[f"pay_{wallet}"]).click()
        visit.page.locator("#twin-pay").click(timeout=PATIENCE_MS)

        shown(visit, "paid")
        expect(visit.page.locator("#go-back")).to_be_hidden()


@WALLETS
def test_what_the_bridge_says_is_not_believed(browser: Browser, sandbox: Sandbox, wallet: str) -> None:
    def lie(route: Route) -> None:
        route.fulfill(body=LIES, content_type="text/javascript")

    path = link(sandbox)
    with visiting(browser, sandbox, user_agent=AGENTS[wallet], viewport=PHONE) as visit:
        visit.page.route("**/twin/bridge.js", lie)
        with visit.page.expect_response("**/status?ask=1", timeout=PATIENCE_MS) as asked:
            visit.open(path)

        assert asked.value.json()["status"] == "waiting"
        expect(visit.page.locator("#hint")).to_have_text(TEXTS["checking"])
        shown(visit, "pay")
        expect(visit.page.locator("#pay")).to_be_disabled()


@WALLETS
def test_what_can_be_reloaded_or_shared_is_the_link_itself(browser: Browser, sandbox: Sandbox, wallet: str) -> None:
    path = link(sandbox)
    with visiting(browser, sandbox, user_agent=AGENTS[wallet], viewport=PHONE) as visit:
        visit.open(path)
        expect(visit.page.locator("#twin-cashier")).to_be_visible(timeout=PATIENCE_MS)

        assert visit.page.url == sandbox.base_url + path

        visit.page.reload()
        expect(visit.page.locator("#twin-cashier")).to_be_visible(timeout=PATIENCE_MS)


def test_another_browser_shows_a_code_and_turns_to_paid(browser: Browser, sandbox: Sandbox) -> None:
    path = link(sandbox)
    with (
        visiting(browser, sandbox, viewport=DESKTOP) as desk,
        visiting(browser, sandbox, user_agent=AGENTS["wechat"], viewport=PHONE) as phone,
    ):
        desk.open(path)
        expect(desk.page.locator(".link-qr svg")).to_be_visible()

        phone.open(path)
        phone.page.locator("#twin-pay").click(timeout=PATIENCE_MS)

        shown(desk, "paid")
        expect(desk.page.locator(".link-qr")).to_be_hidden()


def test_a_page_left_open_tells_when_the_merchant_cancels(browser: Browser, sandbox: Sandbox) -> None:
    order = call(sandbox, "open.pay.h5", amount=1)
    with visiting(browser, sandbox, user_agent=AGENTS["alipay"], viewport=PHONE) as visit:
        visit.open(order["url"].removeprefix(sandbox.base_url))
        visit.page.locator("#twin-cancel").click(timeout=PATIENCE_MS)

        call(sandbox, "open.pay.reverse", order_no=order["cbOrderNo"])

        shown(visit, "cancelled")


@WALLETS
def test_in_the_sandbox_the_code_can_be_opened_without_a_phone(browser: Browser, sandbox: Sandbox, wallet: str) -> None:
    with visiting(browser, sandbox) as visit:
        visit.open(link(sandbox) + "?lang=en")

        visit.page.get_by_role("link", name=read_texts("link.en")["link"][f"play_{wallet}"]).click()
        visit.page.locator("#twin-pay").click(timeout=PATIENCE_MS)

        shown(visit, "paid")
        assert visit.text("[data-view=paid] h2") == "Paid"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["pay", "scan", "paid", "cancelled", "problem"])
def test_every_view_can_be_read_by_everybody(browser: Browser, sandbox: Sandbox, view: str, scheme: str) -> None:
    order = call(sandbox, "open.pay.h5", amount=10_000_000_000, subject="一份名字很长很长很长的商品订单")
    path = order["url"].removeprefix(sandbox.base_url)
    agent = AGENTS["wechat"] if view in ("pay", "paid") else None
    viewport = {"width": 320, "height": 640}
    with visiting(browser, sandbox, user_agent=agent, color_scheme=scheme, viewport=viewport) as visit:
        if view == "cancelled":
            call(sandbox, "open.pay.reverse", order_no=order["cbOrderNo"])
        if view == "problem":
            path = path[:-1] + "x"
        visit.open(path)
        if view in ("pay", "paid"):
            visit.page.locator("#twin-cancel" if view == "pay" else "#twin-pay").click(timeout=PATIENCE_MS)
        shown(visit, view)

        assert visit.page.evaluate(CONTRAST) == []
        assert visit.page.evaluate(NAMELESS) == []
        assert visit.page.evaluate("document.querySelectorAll('h1').length") == 1
        assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        visit.problems = [problem for problem in visit.problems if "404" not in problem]
