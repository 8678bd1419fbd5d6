"""The demo page in a real browser against the real sandbox: from the form to "paid" and the notification."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, ViewportSize, expect

from opentill.web.pages import read_texts
from tests.browser.sandbox import DESKTOP, PHONE, Sandbox, Visit, running_sandbox, visiting

DEMO = "/test/api/qrcode.htm"
# Callback, database and delivery lie between the payment and what the page shows.
PATIENCE_MS = 20_000


def send(visit: Visit) -> str:
    """Press the button; the text of the QR code that comes."""
    visit.page.locator("#send").click()
    expect(visit.page.locator(".qr svg")).to_be_visible(timeout=PATIENCE_MS)
    return visit.text(".qr-text")


def choose(visit: Visit, channel: int) -> None:
    visit.page.locator(f"input[name=channel][value='{channel}']").check()


@pytest.mark.parametrize(
    ("channel", "language", "viewport"),
    [(1, "zh", PHONE), (1, "en", DESKTOP), (2, "zh", DESKTOP), (2, "en", PHONE)],
)
def test_an_order_goes_from_the_form_to_paid_and_notified(
    browser: Browser, sandbox: Sandbox, channel: int, language: str, viewport: ViewportSize
) -> None:
    t = read_texts(language)["demo"]
    with visiting(browser, sandbox, viewport=viewport) as visit:
        visit.open(f"{DEMO}?lang={language}")
        choose(visit, channel)
        qr_code = send(visit)
        expect(visit.page.locator("#payment-column .badge").first).to_have_text(t["state_waiting"])

        sandbox.pay(qr_code)

        expect(visit.page.locator(".money-sign.paid strong")).to_have_text(t["paid"], timeout=PATIENCE_MS)
        expect(visit.page.locator(".money-sign.paid")).to_contain_text(t[f"wallet_{channel}"])
        notified = visit.page.locator("#reply-column .card", has_text=t["notification_title"])
        expect(notified).to_contain_text("PAY_SUC", timeout=PATIENCE_MS)
        expect(notified).to_contain_text(t["verify_valid"])
        expect(visit.page.locator("#reply-column .card", has_text=t["verify_title"])).to_contain_text(t["verify_valid"])
        assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_page_turns_to_paid_by_asking_where_pushing_does_not_work(browser: Browser, sandbox: Sandbox) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=503, body="{}")

    with visiting(browser, sandbox) as visit:
        visit.page.route("**/test/api/events*", refuse)
        visit.open(DEMO)
        qr_code = send(visit)

        sandbox.pay(qr_code)

        expect(visit.page.locator(".money-sign.paid")).to_be_visible(timeout=PATIENCE_MS)
        expect(visit.page.locator(".badge.live")).to_have_text(read_texts("zh")["demo"]["polling"])
        visit.forgive(503)


def test_a_receiver_that_answers_wrongly_shows_the_next_attempt(browser: Browser, sandbox: Sandbox) -> None:
    t = read_texts("en")["demo"]
    with visiting(browser, sandbox) as visit:
        visit.open(f"{DEMO}?lang=en")
        visit.page.get_by_role("button", name=t["answer_other"]).click()
        qr_code = send(visit)

        sandbox.pay(qr_code)

        expect(visit.page.locator(".delivery .badge")).to_have_text(t["delivery_due"], timeout=PATIENCE_MS)
        expect(visit.page.locator(".timeline")).to_contain_text("HTTP 200 · fail")


def test_a_number_used_twice_is_explained_and_a_fresh_one_is_a_click_away(browser: Browser, sandbox: Sandbox) -> None:
    texts = read_texts("zh")
    with visiting(browser, sandbox) as visit:
        visit.open(DEMO)
        send(visit)

        visit.page.locator("#send").click()

        refusal = visit.page.get_by_role("alert")
        expect(refusal).to_contain_text("60")
        expect(refusal).to_contain_text(texts["advice"]["DUPLICATE_ORDER"])
        refusal.get_by_role("button", name=texts["demo"]["renew"]).click()
        expect(visit.page.locator(".qr svg")).to_be_visible(timeout=PATIENCE_MS)
        expect(refusal).to_be_empty()


def test_a_signature_typed_by_hand_is_sent_as_typed_and_refused(browser: Browser, sandbox: Sandbox) -> None:
    texts = read_texts("zh")
    with visiting(browser, sandbox) as visit:
        visit.open(DEMO)
        computed = visit.text("#sign")

        visit.page.locator("#field-sign").fill("0" * 32)
        visit.page.locator("#send").click()

        expect(visit.page.get_by_role("alert")).to_contain_text(texts["advice"]["SIGN_INVALID"])
        assert "0" * 32 in visit.text("#request")
        visit.page.get_by_role("button", name=texts["demo"]["recompute"]).click()
        assert visit.page.locator("#field-sign").input_value() != "0" * 32
        assert len(computed) == 32


def test_the_explorer_follows_every_edit(browser: Browser, sandbox: Sandbox) -> None:
    with visiting(browser, sandbox) as visit:
        visit.open(DEMO)
        before = visit.text("#sign")

        visit.page.locator("#field-subject").fill("拿铁 & 可颂='1'")
        visit.page.locator("#field-goods_list").fill("")
        visit.page.locator("[data-request-form=curl]").click()

        assert "&subject=拿铁 & 可颂='1'&" in visit.text("#string-to-sign")
        assert "goods_list" not in visit.text("#string-to-sign")
        assert "goods_list" in visit.text("#left-out")
        assert visit.text("#sign") != before
        assert r"--data-urlencode 'subject=拿铁 & 可颂='\''1'\'''" in visit.text("#request")


def test_the_key_can_be_hidden_and_is_never_part_of_the_request(browser: Browser, sandbox: Sandbox) -> None:
    key = "3d54fa25f393f2690817a1fab9314b92"
    with visiting(browser, sandbox) as visit:
        visit.open(DEMO)
        shown = visit.text("#string-to-sign")

        visit.page.locator("#mask-key").click()

        assert key in shown
        assert key not in visit.text("#string-to-sign")
        assert key not in visit.text("#request")
        assert visit.page.locator("#field-key").get_attribute("type") == "password"


def test_the_form_is_sent_with_the_keyboard_alone(browser: Browser, sandbox: Sandbox) -> None:
    with visiting(browser, sandbox) as visit:
        visit.open(DEMO)

        visit.page.keyboard.press("Tab")
        skip_link = visit.page.evaluate("document.activeElement.className")
        visit.page.locator("#field-amount").focus()
        visit.page.keyboard.press("Enter")

        assert skip_link == "skip-link"
        expect(visit.page.locator(".qr svg")).to_be_visible(timeout=PATIENCE_MS)
        assert visit.page.evaluate("document.activeElement.id") == "result"


def test_a_language_is_switched_by_the_link_and_remembered(browser: Browser, sandbox: Sandbox) -> None:
    with visiting(browser, sandbox) as visit:
        visit.open(DEMO)
        assert visit.text("#send").strip() == read_texts("zh")["demo"]["send"]

        visit.page.locator(".language-switch").click()
        visit.open("/")
        visit.open(DEMO)

        assert visit.text("#send").strip() == read_texts("en")["demo"]["send"]


def test_an_open_page_does_not_keep_the_sandbox_from_stopping(browser: Browser, tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as own, visiting(browser, own) as visit:
        visit.open(DEMO)
        send(visit)

        code = own.stop()

        assert code == 0
        visit.problems = []  # the page may complain: its gateway is gone


def test_an_order_is_queried_refunded_and_then_too_late_to_reverse(browser: Browser, sandbox: Sandbox) -> None:
    """The other interfaces' pages find the order of this tab by themselves."""
    t = read_texts("zh")
    with visiting(browser, sandbox) as visit:
        visit.open(DEMO)
        visit.page.locator("#field-amount").fill("500")
        sandbox.pay(send(visit))
        expect(visit.page.locator(".money-sign.paid")).to_contain_text("¥5.00", timeout=PATIENCE_MS)

        visit.open("/test/api/query.htm")
        visit.page.locator("#send").click()
        expect(visit.page.locator(".money-sign.paid")).to_contain_text("¥5.00", timeout=PATIENCE_MS)

        visit.open("/test/api/refund.htm")
        visit.page.locator("#field-refund_amount").fill("200")
        visit.page.locator("#send").click()
        expect(visit.page.locator(".money-sign.refunded")).to_contain_text("¥2.00", timeout=PATIENCE_MS)

        visit.open("/test/api/reverse.htm")
        visit.page.locator("#send").click()
        expect(visit.page.get_by_role("alert")).to_contain_text(t["advice"]["REVERSE_PAID"])


def test_an_unpaid_order_is_reversed(browser: Browser, sandbox: Sandbox) -> None:
    with visiting(browser, sandbox) as visit:
        visit.open(DEMO)
        send(visit)

        visit.open("/test/api/reverse.htm")
        visit.page.locator("#send").click()

        badge = visit.page.locator("#payment-column .badge").first
        expect(badge).to_have_text(read_texts("zh")["demo"]["state_reversed"], timeout=PATIENCE_MS)


def test_a_payment_code_is_charged_at_once(browser: Browser, sandbox: Sandbox) -> None:
    with visiting(browser, sandbox) as visit:
        visit.open("/test/api/barcode.htm?barcode=280000000000001234")

        visit.page.locator("#send").click()

        expect(visit.page.locator(".money-sign.paid")).to_be_visible(timeout=PATIENCE_MS)


def test_a_payment_link_opens_as_a_page_of_its_own(browser: Browser, sandbox: Sandbox) -> None:
    with visiting(browser, sandbox) as visit:
        visit.open("/test/api/h5Pay.htm")
        visit.page.locator("#field-amount").fill("1880")
        visit.page.locator("#send").click()
        expect(visit.page.locator(".qr svg")).to_be_visible(timeout=PATIENCE_MS)

        with visit.page.context.expect_page() as opened:
            visit.page.locator("#open-phone").click()

        assert opened.value.url == visit.text(".qr-text")
        expect(opened.value.locator("body")).to_contain_text("18.80")
