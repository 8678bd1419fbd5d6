"""A shop's owner finds an order, refunds it and looks after money and notifications, in both languages."""

import json
import re
import secrets
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from opentill.web.pages import all_texts
from tests.browser.pages import check
from tests.browser.people import sign_in
from tests.browser.sandbox import Sandbox, running_sandbox, visiting
from tests.clients import TEST_APP, TEST_KEY, TEST_OPERATOR, md5

LANGUAGES = pytest.mark.parametrize("language", ["zh", "en"])
GOODS = '[{"goods_name":"拿铁","sell_amount":"2","goods_price":"12"}]'


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox in which something was sold, and in which money waits for a person."""
    with running_sandbox(tmp_path_factory.mktemp("orders")) as sandbox:
        for number in range(4):
            code = sandbox.scan(channel=1 + number % 2, amount=1000 + number, goods=GOODS)
            if number:
                sandbox.pay(code)
        yield sandbox


def held_order(sandbox: Sandbox) -> None:
    """A charge whose wallet once speaks of another amount."""
    fault = {"wallet": "wechat", "operation": "pay", "fault": "wrong_amount"}
    _post(f"{sandbox.base_url}/twin/api/faults", json.dumps(fault).encode(), "application/json")
    form = {
        "app": TEST_APP, "operator_id": TEST_OPERATOR, "timestamp": str(time.time_ns() // 1_000_000),
        "local_order_no": secrets.token_hex(8), "barcode": "130123456789011234", "amount": "1000",
    }  # fmt: skip
    form |= {"sign": md5(form, TEST_KEY), "command": "open.pay.barcode"}
    _post(f"{sandbox.base_url}/gatewayOpen.htm", urlencode(form).encode(), "application/x-www-form-urlencoded")


def _post(url: str, body: bytes, content_type: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": content_type})):
        pass


@LANGUAGES
def test_an_order_is_found_looked_at_and_partly_refunded(browser: Browser, shop: Sandbox, language: str) -> None:
    t = all_texts(language)
    with visiting(browser, shop) as visit:
        page = visit.page
        sign_in(visit, shop, language=language, path="/console/orders")
        check(visit)

        page.select_option("#state", "paid")
        expect(page.locator("#found .badge.good").first).to_have_text(t["order_status"]["paid"])
        expect(page).to_have_url(re.compile("state=paid"))
        page.locator("tbody th a").first.click()
        expect(page.locator(".timeline li.good").first).to_contain_text(t["event"]["PAID"])
        page.locator(".entry-more summary").first.click()
        expect(page.locator(".entry-more[open]").first).to_contain_text("amount")
        check(visit)
        page.get_by_role("link", name=t["order"]["refund"], exact=True).click()
        page.fill("#amount", "1.00")
        page.get_by_role("button", name=t["order"]["next"]).click()
        check(visit)
        page.get_by_role("button", name=t["order"]["refund_now"]).click()

        expect(page.locator(".timeline")).to_contain_text("¥1.00")
        expect(page.locator(".messages")).to_contain_text(t["order"]["refunded"])


@LANGUAGES
def test_money_that_waits_for_a_person_is_placed(browser: Browser, shop: Sandbox, language: str) -> None:
    t = all_texts(language)
    held_order(shop)
    with visiting(browser, shop) as visit:
        page = visit.page
        sign_in(visit, shop, language=language, path="/console/dashboard")
        check(visit)

        page.get_by_role("link", name=t["attention"]["WRONG_AMOUNT"]).click()
        page.locator("tbody th a").first.click()
        check(visit)
        page.locator("input[name=note]").fill("asked the customer")
        page.get_by_role("button", name=t["order"]["choice_accept"]).click()

        expect(page.locator(".messages")).to_contain_text(t["order"]["decided_accept"])
        expect(page.locator(".order-title .badge")).to_have_text(t["order_status"]["paid"])
        expect(page.locator(".timeline")).to_contain_text("asked the customer")


@LANGUAGES
def test_orders_are_downloaded_with_a_look_at_how_far_it_is(
    browser: Browser, shop: Sandbox, language: str, tmp_path: Path
) -> None:
    t = all_texts(language)
    with visiting(browser, shop) as visit:
        sign_in(visit, shop, language=language, path="/console/orders/export?state=received")
        check(visit)

        with visit.page.expect_download() as download:
            visit.page.get_by_role("button", name=t["exports"]["start"]).click()
        download.value.save_as(tmp_path / "orders.csv")

        expect(visit.page.locator("#progress .good")).to_be_visible()
        assert t["exports"]["column_amount"] in (tmp_path / "orders.csv").read_text("utf-8-sig").splitlines()[0]


@LANGUAGES
def test_the_first_page_draws_its_chart_and_notifications_have_their_page(
    browser: Browser, shop: Sandbox, language: str
) -> None:
    t = all_texts(language)
    with visiting(browser, shop) as visit:
        sign_in(visit, shop, language=language, path="/console/dashboard")
        expect(visit.page.locator(".chart canvas")).to_be_visible()
        for period in ("7d", "30d"):
            visit.page.get_by_role("link", name=t["orders"][f"period_{period}"], exact=True).click()
            expect(visit.page.locator(".chart canvas")).to_be_visible()

        check(visit, "/console/notifications")
        check(visit, "/console/orders?period=all&least=1&from=2026-01-01T00:00")
