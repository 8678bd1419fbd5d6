"""The till in a real browser: a cashier's day, with reloads and cuts in the middle of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Locator, Page, Request, ViewportSize, expect

from opentill.web.pages import read_texts
from tests.browser.sandbox import DESKTOP, PHONE, Sandbox, Visit, launched, visiting
from tests.browser.test_phone import camera_film

PATIENCE_MS = 20_000
in_both_languages = pytest.mark.parametrize(("language", "viewport"), [("zh", PHONE), ("en", DESKTOP)])


COUNT_TONES = """() => {
  const start = OscillatorNode.prototype.start;
  window.tones = 0;
  OscillatorNode.prototype.start = function (...args) {
    window.tones += 1;
    return start.apply(this, args);
  };
}"""


def texts(language: str = "zh") -> Mapping[str, str]:
    return read_texts(f"till.{language}")["till"]


@contextmanager
def at_the_till(
    browser: Browser, sandbox: Sandbox, *, language: str = "zh", tapped: int = 8, **options: Any
) -> Iterator[Visit]:
    """A browser that was just made a till, with the test cashier signed in."""
    with visiting(browser, sandbox, **options) as visit:
        visit.open(f"/cashier/?lang={language}")
        visit.page.get_by_role("button", name=texts(language)["pair_sandbox"]).click()
        sign_in(visit, sandbox, tapped=tapped)
        yield visit


def sign_in(visit: Visit, sandbox: Sandbox, *, tapped: int = 8, to: str = "#desk") -> None:
    """The first `tapped` digits by the keys on the screen, the others on the keyboard, wherever the focus is."""
    pin = (sandbox.data / "till-pin.txt").read_text().strip()
    expect(visit.page.locator("#pin-form")).to_be_visible(timeout=PATIENCE_MS)
    for digit in pin[:tapped]:
        visit.page.locator(f"#pin-form [data-key='{digit}']").click()
    if 0 < tapped < len(pin):
        visit.page.locator("#pin-title").click()  # a tap beside the keys takes the focus from the field
    visit.page.keyboard.type(pin[tapped:])
    expect(visit.page.locator("#pin")).to_have_value(pin)
    visit.page.keyboard.press("Enter") if tapped < len(pin) else visit.page.locator("#enter").click()
    expect(visit.page.locator(to)).to_be_visible(timeout=PATIENCE_MS)


def type_amount(visit: Visit, keys: str) -> None:
    for key in keys:
        visit.page.locator(f"#desk [data-key='{key}']").click()


def sell(visit: Visit, keys: str = "12.5", *, channel: int = 1) -> str:
    """Type an amount and choose the wallet; what the QR code says."""
    type_amount(visit, keys)
    visit.page.locator(f"[data-channel='{channel}']").click()
    expect(visit.page.locator(".sale-qr svg")).to_be_visible(timeout=PATIENCE_MS)
    return qr_text(visit)


def qr_text(visit: Visit) -> str:
    url = visit.page.locator("#phone").get_attribute("href") or ""
    return parse_qs(urlsplit(url).query).get("qr", [url])[0]


def shown(visit: Visit, status: str) -> Locator:
    body = visit.page.locator(f".sale-body.{status}")
    expect(body).to_be_visible(timeout=PATIENCE_MS)
    return body


def live(visit: Visit) -> str:
    """The sale's state as the gateway knows it."""
    number = visit.page.locator("#sale").get_attribute("data-number")
    return str(visit.page.context.request.get(f"{visit.base_url}/cashier/sale/{number}/live").json()["status"])


def one_second_passes(page: Page) -> None:
    """Of the page's own time. What it asks for meanwhile is answered, however long that takes."""
    asked: set[Request] = set()
    page.on("request", lambda request: asked.add(request))
    page.on("requestfinished", lambda request: asked.discard(request))
    page.on("requestfailed", lambda request: asked.discard(request))
    for _ in range(10):
        page.clock.run_for(100)
        page.wait_for_timeout(20)
        while asked:
            page.wait_for_timeout(20)


@in_both_languages
def test_a_sale_is_paid_with_the_phone_and_shown_within_a_second(
    browser: Browser, sandbox: Sandbox, language: str, viewport: ViewportSize
) -> None:
    t = texts(language)
    with at_the_till(browser, sandbox, language=language, viewport=viewport) as visit:
        visit.page.clock.install()
        sell(visit, "1288.5")
        expect(visit.page.locator(".sale-sum")).to_have_text("¥1,288.50")
        with visit.page.context.expect_page() as opened:
            visit.page.locator("#phone").click()
        expect(opened.value.locator("#pay")).to_be_visible(timeout=PATIENCE_MS)
        visit.page.clock.pause_at(visit.page.evaluate("Date.now() / 1000") + PATIENCE_MS / 1000)

        opened.value.locator("#pay").click()

        while live(visit) != "paid":
            pass
        one_second_passes(visit.page)
        expect(visit.page.locator("#state")).to_have_text(t["status_paid"], timeout=PATIENCE_MS)
        visit.page.clock.resume()
        assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        visit.page.get_by_role("button", name=t["next"]).click()
        expect(visit.page.locator("#amount")).to_have_text("0")


def test_a_reload_in_the_middle_loses_nothing(browser: Browser, sandbox: Sandbox) -> None:
    with at_the_till(browser, sandbox) as visit:
        code = sell(visit)

        visit.page.reload()
        shown(visit, "waiting")
        assert qr_text(visit) == code
        reload_without_a_network(visit)
        shown(visit, "waiting")
        assert qr_text(visit) == code
        cut_off_a_style(visit)
        sandbox.pay(code)
        visit.open("/cashier/")

        shown(visit, "paid")
        visit.page.reload()
        shown(visit, "paid")
        visit.forgive(503)
        forgive_cuts(visit)


def reload_without_a_network(visit: Visit) -> None:
    """The browser has a page of ours instead of its own, and goes back by itself."""
    visit.page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    visit.page.context.set_offline(True)
    visit.page.reload()
    expect(visit.page.locator("h1")).to_have_text(read_texts("till.zh")["till_offline"]["title"])
    judge(visit, "no network")
    visit.page.locator("#retry").click()
    expect(visit.page.locator("#said")).to_have_text(read_texts("till.zh")["till_offline"]["waiting"])
    assert visit.page.evaluate("caches.keys()") == [], "nothing is kept that could grow old"
    visit.page.context.set_offline(False)


def cut_off_a_style(visit: Visit) -> None:
    """The network goes between a page and its parts: they come when it is back."""
    visit.page.context.set_offline(True)
    visit.page.evaluate(
        """async () => {
            const style = document.createElement("link");
            style.rel = "stylesheet";
            style.href = "/static/till/till.css?cut";
            style.onload = () => (document.documentElement.dataset.part = "came");
            style.onerror = () => (document.documentElement.dataset.part = "cut off");
            document.head.append(style);
            await fetch("/cashier/pulse").catch(() => {});
        }"""
    )
    visit.page.context.set_offline(False)

    expect(visit.page.locator("html")).to_have_attribute("data-part", "came")


def test_what_was_typed_survives_a_reload(browser: Browser, sandbox: Sandbox) -> None:
    with at_the_till(browser, sandbox, tapped=1) as visit:
        type_amount(visit, "88")

        visit.page.reload()

        expect(visit.page.locator("#amount")).to_have_text("88")


def test_a_cut_in_the_middle_is_told_and_made_up_for(browser: Browser, sandbox: Sandbox) -> None:
    words = read_texts("till.zh")["till_script"]
    with at_the_till(browser, sandbox) as visit:
        code = sell(visit)
        banner = visit.page.locator("#connection")

        visit.page.context.set_offline(True)
        expect(banner).to_have_text(words["offline"], timeout=PATIENCE_MS)
        sandbox.pay(code)
        visit.page.context.set_offline(False)

        shown(visit, "paid")
        expect(banner).to_have_text(words["online"])
        forgive_cuts(visit)


def test_a_sale_sent_into_a_cut_becomes_one_order_when_it_is_over(browser: Browser, sandbox: Sandbox) -> None:
    with at_the_till(browser, sandbox) as visit:
        type_amount(visit, "66.66")
        visit.page.context.set_offline(True)
        visit.page.locator("[data-channel='2']").click()
        expect(visit.page.locator("#connection")).to_be_visible(timeout=PATIENCE_MS)

        visit.page.context.set_offline(False)

        shown(visit, "waiting")
        visit.open("/cashier/orders?q=66.66")
        expect(visit.page.locator(".order-list li")).to_have_count(1)
        forgive_cuts(visit)


def forgive_cuts(visit: Visit) -> None:
    visit.problems = [problem for problem in visit.problems if "ERR_INTERNET_DISCONNECTED" not in problem]


def test_a_sale_is_cancelled_and_the_next_begins_at_nothing(browser: Browser, sandbox: Sandbox) -> None:
    with at_the_till(browser, sandbox) as visit:
        sell(visit, channel=0)

        visit.page.locator("#cancel").click()

        shown(visit, "cancelled")
        visit.page.locator("[data-next]").click()
        expect(visit.page.locator("#amount")).to_have_text("0")


def test_a_scanner_gun_charges_what_was_typed_on_the_keyboard(browser: Browser, sandbox: Sandbox) -> None:
    with at_the_till(browser, sandbox, tapped=0, viewport=DESKTOP) as visit:
        visit.page.keyboard.type("9.9", delay=80)
        expect(visit.page.locator("#amount")).to_have_text("9.9")

        visit.page.keyboard.type("280000000000001234")
        visit.page.keyboard.press("Enter")

        expect(shown(visit, "paid").locator(".sale-sum")).to_have_text("¥9.90")


def test_a_refused_code_is_told_with_the_reason_and_tried_again_with_the_same_amount(
    browser: Browser, sandbox: Sandbox
) -> None:
    with at_the_till(browser, sandbox) as visit:
        type_amount(visit, "5")
        visit.page.locator("#open-barcode").click()
        visit.page.locator("#barcode").fill("130000000000000002")
        visit.page.keyboard.press("Enter")
        expect(shown(visit, "failed")).to_contain_text("余额不足")

        visit.page.locator("[data-next='again']").click()

        expect(visit.page.locator("#amount")).to_have_text("5")
        visit.page.locator("#open-barcode").click()
        visit.page.locator("#barcode").fill("not a code")
        visit.page.keyboard.press("Enter")
        expect(visit.page.locator("#barcode-problem")).to_have_text(
            read_texts("till.zh")["till_script"]["barcode_wrong"]
        )
        visit.page.locator("#barcode").fill("2800 0000 0000 0012 34")
        visit.page.keyboard.press("Enter")
        shown(visit, "paid")


def test_a_customer_who_types_a_password_is_waited_for(browser: Browser, sandbox: Sandbox) -> None:
    with at_the_till(browser, sandbox) as visit:
        type_amount(visit, "7")
        visit.page.keyboard.type("280000000000000001")
        visit.page.keyboard.press("Enter")
        shown(visit, "confirming")
        phone = visit.page.context.new_page()
        phone.goto(f"{sandbox.base_url}/twin/phone")

        phone.locator(".banner").first.click(timeout=PATIENCE_MS)
        phone.locator("#confirm-password").click()

        shown(visit, "paid")


def test_the_camera_reads_a_customers_code(browser: Browser, sandbox: Sandbox, tmp_path: Any) -> None:
    film = camera_film("280000000000001234", tmp_path / "film.y4m")
    arguments = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}")
    with (
        launched(browser.browser_type, *arguments) as with_camera,
        at_the_till(with_camera, sandbox, permissions=["camera"]) as visit,
    ):
        type_amount(visit, "3")
        visit.page.locator("#open-barcode").click()

        visit.page.locator("#use-camera").click()

        shown(visit, "paid")


def test_items_make_up_the_amount_and_are_printed(browser: Browser, sandbox: Sandbox) -> None:
    with at_the_till(browser, sandbox) as visit:
        visit.page.locator("#more summary").click()
        visit.page.locator("#goods-name").fill("拿铁")
        visit.page.locator("#goods-price").fill("18.5")
        visit.page.locator("#goods-quantity").fill("2")
        visit.page.locator("#goods-form button").click()
        expect(visit.page.locator("#amount")).to_have_text("37.00")

        visit.page.locator("[data-channel='1']").click()

        shown(visit, "waiting")
        sandbox.pay(qr_text(visit))
        expect(shown(visit, "paid").locator(".receipt-goods")).to_contain_text("拿铁")
        visit.page.locator("[data-paper='58']").click()
        visit.page.emulate_media(media="print")
        expect(visit.page.locator(".till-head")).to_be_hidden()
        expect(visit.page.locator(".sale-state")).to_be_hidden()
        box = visit.page.locator(".receipt").bounding_box()
        assert box
        assert round(box["width"]) == round(48 / 25.4 * 96)


@in_both_languages
def test_a_paid_sale_is_refunded_in_part_and_the_shift_handed_over(
    browser: Browser, sandbox: Sandbox, language: str, viewport: ViewportSize
) -> None:
    t = texts(language)
    with at_the_till(browser, sandbox, language=language, viewport=viewport) as visit:
        sandbox.pay(sell(visit, "100", channel=2))
        shown(visit, "paid")
        visit.page.locator("#refund-card summary").click()
        visit.page.locator("#refund-amount").fill("30.01")
        visit.page.locator("[data-reason]").first.click()
        refund = visit.page.locator("#refund [type=submit]")

        refund.dblclick()
        expect(refund).to_have_text(t["refund_confirm"].format(amount="¥30.01"))  # a double click is one press
        refund.click()

        expect(shown(visit, "part_refunded").locator(".receipt-refunds")).to_contain_text("-¥30.01")
        visit.page.get_by_role("link", name=t["tab_sale"]).click()
        visit.page.locator("[data-next]").click()
        expect(visit.page.locator("#desk")).to_be_visible(timeout=PATIENCE_MS)
        type_amount(visit, "77")
        visit.page.get_by_role("link", name=t["tab_shift"]).click()
        expect(visit.page.locator(".shift-paper")).to_contain_text("¥69.99")
        visit.page.locator("#hand-over").click()
        visit.page.locator("#hand-over").click()
        expect(visit.page.locator("h1")).to_have_text(t["shift_done"], timeout=PATIENCE_MS)
        visit.page.locator("#sign-in-again").click()
        sign_in(visit, sandbox)
        expect(visit.page.locator("#amount")).to_have_text("0")  # what was typed belongs to the shift before


def test_a_till_that_was_locked_elsewhere_shows_it_by_itself(browser: Browser, sandbox: Sandbox) -> None:
    with at_the_till(browser, sandbox) as visit:
        token = visit.page.locator(".till-screen").get_attribute("data-csrf") or ""
        headers = {"X-Till-Token": token}

        visit.page.context.request.post(f"{visit.base_url}/cashier/lock", data={}, headers=headers)

        expect(visit.page.locator("#pin-form")).to_be_visible(timeout=PATIENCE_MS)
        visit.forgive(401)


def test_a_button_of_an_old_session_works_after_another_tab_signed_in_anew(browser: Browser, sandbox: Sandbox) -> None:
    with at_the_till(browser, sandbox) as visit:
        for path in ("pulse", "live*"):  # so that the page learns of it by the press alone
            visit.page.context.route(f"**/{path}", lambda route: route.fulfill(json={}))
        sandbox.pay(sell(visit))
        visit.page.reload()
        shown(visit, "paid")
        sign_in_in_another_tab(visit, sandbox)

        visit.page.locator("[data-next]").click()
        expect(visit.page.locator("[data-next]")).to_be_enabled(timeout=PATIENCE_MS)
        visit.page.locator("[data-next]").click()

        expect(visit.page.locator("#desk")).to_be_visible(timeout=PATIENCE_MS)
        visit.forgive(403)


def sign_in_in_another_tab(visit: Visit, sandbox: Sandbox) -> None:
    """The till is locked there and unlocked: the session is another one."""
    with visit.page.context.new_page() as tab:
        tab.goto(f"{visit.base_url}/cashier/orders")
        tab.locator("[data-post='/cashier/lock']").click()
        sign_in(Visit(tab, visit.base_url), sandbox, to="#sale")


def test_the_paid_sign_sounds(browser: Browser, sandbox: Sandbox) -> None:
    with at_the_till(browser, sandbox) as visit:
        visit.page.evaluate(COUNT_TONES)

        sandbox.pay(sell(visit))

        shown(visit, "paid")
        assert visit.page.evaluate("window.tones") == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP])
def test_every_screen_can_be_used_by_everybody(
    browser: Browser, sandbox: Sandbox, viewport: ViewportSize, scheme: str
) -> None:
    with visiting(browser, sandbox, viewport=viewport, color_scheme=scheme, reduced_motion="reduce") as visit:
        visit.open("/cashier/?lang=en")
        judge(visit, "pair")
        visit.page.locator("#try").click()
        expect(visit.page.locator("#pin-form")).to_be_visible(timeout=PATIENCE_MS)
        judge(visit, "PIN")
        sign_in(visit, sandbox)
        judge(visit, "amount")
        visit.page.locator("#more summary").click()
        judge(visit, "items")
        code = sell(visit)
        judge(visit, "waiting")
        sandbox.pay(code)
        shown(visit, "paid")
        visit.page.locator("#refund-card summary").click()
        judge(visit, "paid")
        visit.page.locator("[data-next]").click()
        type_amount(visit, "5")
        visit.page.locator("#open-barcode").click()
        judge(visit, "barcode")
        visit.page.locator("#barcode").fill("130000000000000002")
        visit.page.keyboard.press("Enter")
        shown(visit, "failed")
        judge(visit, "failed")
        visit.page.locator("a[href='/cashier/orders']").click()
        expect(visit.page.locator(".order-list")).to_be_visible(timeout=PATIENCE_MS)
        judge(visit, "orders")
        visit.page.locator("a[href='/cashier/shift']").click()
        expect(visit.page.locator("#hand-over")).to_be_visible(timeout=PATIENCE_MS)
        judge(visit, "shift")


def judge(visit: Visit, screen: str) -> None:
    """No accessibility rule broken, nothing wider than the screen, nothing too small for a finger."""
    found = Axe().run(visit.page)
    assert found.response["violations"] == [], (screen, found.generate_report())
    assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), screen
    small = visit.page.evaluate(
        "() => [...document.querySelectorAll('button, a[href], input:not([type=radio]), summary, .chip span')]"
        ".filter((each) => each.checkVisibility() && !each.matches('.skip-link'))"
        ".filter((each) => each.getBoundingClientRect().height < 47.5).map((each) => each.outerHTML.slice(0, 90))"
    )
    assert small == [], screen
