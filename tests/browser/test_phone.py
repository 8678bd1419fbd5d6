"""The pretend phone: every way to get at a code, every way a payment ends."""

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
import segno
from playwright.sync_api import Browser, ViewportSize, expect

from tests.browser.sandbox import DESKTOP, PHONE, Sandbox, launched, visiting

STATIC = Path(__file__).parents[2] / "src/opentill/twin/static"
DEMO = "/test/api/qrcode.htm"
PATIENCE_MS = 20_000
ALIPAY_CODE = re.compile(r"(2[5-9]|30)\d{16}")
WECHAT_CODE = re.compile(r"1[0-5]\d{16}")


def texts(language: str = "zh") -> dict[str, str]:
    return {str(key): str(text) for key, text in json.loads((STATIC / f"texts.{language}.json").read_text()).items()}


T = texts()


def phone(qr_code: str) -> str:
    return f"/twin/phone?qr={quote(qr_code, safe='')}"


def test_both_languages_have_the_same_texts() -> None:
    chinese, english = texts("zh"), texts("en")

    assert chinese.keys() == english.keys()
    for key, text in chinese.items():
        assert text.strip()
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[key])), key


@pytest.mark.parametrize(("channel", "language", "viewport"), [(1, "zh", PHONE), (2, "en", DESKTOP)])
def test_a_code_is_shown_with_what_it_asks_for_and_paid(
    browser: Browser, sandbox: Sandbox, channel: int, language: str, viewport: ViewportSize
) -> None:
    t = texts(language)
    wallet = t["wallet_alipay" if channel == 1 else "wallet_wechat"]
    qr_code = sandbox.scan(channel=channel, amount=123_456)
    with visiting(browser, sandbox, viewport=viewport) as visit:
        visit.open(f"{phone(qr_code)}&lang={language}")
        expect(visit.page.locator("h1")).to_have_text(wallet)
        expect(visit.page.locator("#screen")).to_contain_text("一杯拿铁")
        pay = visit.page.locator("#pay")
        expect(pay).to_have_text(t["pay"].format(amount="¥1,234.56"))

        pay.click()

        expect(visit.page.locator(".outcome h2")).to_have_text(t["paid"])
        visit.page.locator("#done").click()
        expect(visit.page.locator(".bills li").first).to_contain_text("¥1,234.56")
        expect(visit.page.locator(".bills li").first).to_contain_text(t["state_paid"])
        assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_an_order_is_paid_on_the_phone_beside_it(browser: Browser, sandbox: Sandbox) -> None:
    with visiting(browser, sandbox, viewport=DESKTOP) as visit:
        visit.open(DEMO)
        visit.page.locator("#send").click()
        visit.page.locator("#open-phone").click()

        visit.page.frame_locator(".phone-panel iframe").locator("#pay").click()

        expect(visit.page.locator(".money-sign.paid")).to_be_visible(timeout=PATIENCE_MS)
        visit.page.locator(".phone-panel button").click()
        expect(visit.page.locator(".phone-panel")).to_have_count(0)


def test_on_a_small_screen_the_phone_opens_as_a_page_of_its_own(browser: Browser, sandbox: Sandbox) -> None:
    with visiting(browser, sandbox, viewport=PHONE) as visit:
        visit.open(DEMO)
        visit.page.locator("#send").click()
        with visit.page.context.expect_page() as opened:
            visit.page.locator("#open-phone").click()

        opened.value.locator("#pay").click()

        expect(visit.page.locator(".money-sign.paid")).to_be_visible(timeout=PATIENCE_MS)


@pytest.mark.parametrize("reason", ["wrong_password", "no_money"])
def test_a_payment_that_fails_moves_no_money_and_may_be_tried_again(
    browser: Browser, sandbox: Sandbox, reason: str
) -> None:
    qr_code = sandbox.scan()
    with visiting(browser, sandbox) as visit:
        visit.open(phone(qr_code))

        visit.page.get_by_role("button", name=T[reason]).click()

        expect(visit.page.get_by_role("alert")).to_contain_text(T[f"failed_{reason}"])
        visit.page.locator("#pay").click()
        expect(visit.page.locator(".outcome h2")).to_have_text(T["paid"])


def test_leaving_pays_nothing(browser: Browser, sandbox: Sandbox) -> None:
    qr_code = sandbox.scan()
    with visiting(browser, sandbox) as visit:
        visit.open(phone(qr_code))

        visit.page.get_by_role("link", name=T["cancel"]).click()

        expect(visit.page.locator(".hero")).to_be_visible()
        expect(visit.page.locator(".bills li").first).to_contain_text(T["state_waiting"])


def test_a_code_that_no_wallet_issued_is_refused(browser: Browser, sandbox: Sandbox) -> None:
    with visiting(browser, sandbox) as visit:
        visit.open(phone("https://qr.alipay.com/never-issued"))

        expect(visit.page.get_by_role("alert")).to_contain_text(T["unknown_code"])
        visit.forgive(404)


def test_a_merchants_link_is_no_refusal_and_can_be_opened(browser: Browser, sandbox: Sandbox) -> None:
    with visiting(browser, sandbox) as visit:
        visit.open(phone(f"{sandbox.base_url}/pay/117954067362520000000165586526"))

        expect(visit.page.get_by_role("alert")).to_contain_text(T["link"])
        expect(visit.page.locator(".outcome-mark.bad")).to_have_count(0)
        expect(visit.page.locator("#open-link")).to_have_attribute("target", "_blank")
        visit.forgive(404)


@pytest.mark.parametrize("channel", [1, 2])
def test_a_paid_code_cannot_be_paid_again(browser: Browser, sandbox: Sandbox, channel: int) -> None:
    qr_code = sandbox.scan(channel=channel)
    sandbox.pay(qr_code)
    with visiting(browser, sandbox) as visit:
        visit.open(phone(qr_code))

        expect(visit.page.get_by_role("alert")).to_contain_text(T["already_paid"])
        visit.forgive(409)


def test_a_code_that_somebody_has_opened_is_theirs_to_pay(browser: Browser, sandbox: Sandbox) -> None:
    qr_code = sandbox.scan()
    with visiting(browser, sandbox) as visit:
        visit.open(phone(qr_code))
        expect(visit.page.locator("#pay")).to_be_visible()

        visit.open("/twin/phone#me")
        visit.page.get_by_label("alice").check()
        visit.open("/twin/phone")
        expect(visit.page.locator("h1")).to_contain_text("alice")
        visit.open(phone(qr_code))
        visit.page.locator("#pay").click()

        expect(visit.page.get_by_role("alert")).to_contain_text(T["other_payer"])
        visit.forgive(409)


def test_a_reload_does_not_open_the_code_of_the_address_again(browser: Browser, sandbox: Sandbox) -> None:
    qr_code = sandbox.scan()
    with visiting(browser, sandbox) as visit:
        visit.open(phone(qr_code))
        visit.page.locator("#pay").click()
        visit.page.locator("#done").click()

        visit.page.reload()

        expect(visit.page.locator(".hero")).to_be_visible()


def test_what_a_code_says_can_be_pasted(browser: Browser, sandbox: Sandbox) -> None:
    qr_code = sandbox.scan()
    with visiting(browser, sandbox) as visit:
        visit.open("/twin/phone")

        visit.page.get_by_label(T["paste_label"]).fill(f"  {qr_code}\n")
        visit.page.locator("#open-code").click()

        expect(visit.page.locator("#pay")).to_be_visible()


def test_a_code_is_read_from_a_photo(browser: Browser, sandbox: Sandbox, tmp_path: Path) -> None:
    segno.make(sandbox.scan(), error="m").save(str(tmp_path / "code.png"), scale=8, border=4)
    with visiting(browser, sandbox) as visit:
        visit.open("/twin/phone#scan")

        visit.page.locator("#photo").set_input_files(tmp_path / "code.png")

        expect(visit.page.locator("#pay")).to_be_visible()


def test_a_photo_without_a_code_says_so(browser: Browser, sandbox: Sandbox, tmp_path: Path) -> None:
    segno.make_micro("1").save(str(tmp_path / "other.png"), scale=8)
    with visiting(browser, sandbox) as visit:
        visit.open("/twin/phone#scan")

        visit.page.locator("#photo").set_input_files(tmp_path / "other.png")

        expect(visit.page.get_by_role("status")).to_have_text(T["photo_unread"])


def camera_film(text: str, path: Path) -> Path:
    """One black and white frame, 640 by 480, as YUV4MPEG2: what a camera that looks at the code sees."""
    width, height, scale = 640, 480, 8
    matrix = [
        [bool(module) for module in row]
        for row in segno.make(text, error="m", micro=False).matrix_iter(scale=scale, border=4)
    ]
    left, top = (width - len(matrix[0])) // 2, (height - len(matrix)) // 2
    luma = bytearray(b"\xeb" * (width * height))
    for y, row in enumerate(matrix):
        for x, is_dark in enumerate(row):
            if is_dark:
                luma[(top + y) * width + left + x] = 0x10
    frame = bytes(luma) + b"\x80" * (width * height // 2)
    path.write_bytes(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n" + b"FRAME\n" + frame)
    return path


def test_the_camera_reads_a_code(browser: Browser, sandbox: Sandbox, tmp_path: Path) -> None:
    film = camera_film(sandbox.scan(), tmp_path / "film.y4m")
    arguments = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}")
    with (
        launched(browser.browser_type, *arguments) as with_camera,
        visiting(with_camera, sandbox, permissions=["camera"]) as visit,
    ):
        visit.open("/twin/phone")

        visit.page.locator("#go-scan").click()

        expect(visit.page.locator("#pay")).to_be_visible(timeout=PATIENCE_MS)


def test_without_a_camera_the_phone_says_what_else_works(browser: Browser, sandbox: Sandbox) -> None:
    with visiting(browser, sandbox) as visit:
        visit.open("/twin/phone#scan")

        expect(visit.page.get_by_role("status")).to_have_text(T["camera_refused"])


def test_the_qr_code_that_the_demo_page_draws_says_what_the_gateway_answered(
    browser: Browser, sandbox: Sandbox, tmp_path: Path
) -> None:
    with visiting(browser, sandbox) as visit:
        visit.open(DEMO)
        visit.page.locator("#send").click()
        qr = visit.page.locator(".qr svg")
        expect(qr).to_be_visible(timeout=PATIENCE_MS)
        qr.screenshot(path=tmp_path / "drawn.png")

        visit.open("/twin/phone#scan")
        visit.page.locator("#photo").set_input_files(tmp_path / "drawn.png")

        expect(visit.page.locator("#pay")).to_be_visible()


@pytest.mark.parametrize(("wallet", "pattern"), [("alipay", ALIPAY_CODE), ("wechat", WECHAT_CODE)])
def test_payment_codes_look_like_the_wallets_and_change_every_minute(
    browser: Browser, sandbox: Sandbox, wallet: str, pattern: re.Pattern[str]
) -> None:
    with visiting(browser, sandbox) as visit:
        visit.page.clock.install()
        visit.open("/twin/phone#code")
        visit.page.get_by_role("radio", name=T[f"wallet_{wallet}"]).check()
        first = visit.text("#payment-code").replace(" ", "")

        visit.page.clock.fast_forward(60_000)

        second = visit.text("#payment-code").replace(" ", "")
        assert pattern.fullmatch(first)
        assert pattern.fullmatch(second)
        assert first != second


@pytest.mark.parametrize("wallet", ["alipay", "wechat"])
def test_a_payment_code_that_asks_for_a_password_is_confirmed_on_the_phone(
    browser: Browser, sandbox: Sandbox, wallet: str
) -> None:
    with visiting(browser, sandbox) as visit:
        visit.open("/twin/phone#code")
        visit.page.get_by_role("radio", name=T[f"wallet_{wallet}"]).check()
        visit.page.get_by_label(T["behaves_password"]).check()
        code = visit.text("#payment-code").replace(" ", "")
        till = visit.page.context.new_page()
        till.goto(f"{sandbox.base_url}/test/api/barcode.htm?barcode={code}")
        till.locator("#send").click()

        visit.page.locator(".banner").first.click(timeout=PATIENCE_MS)
        visit.page.locator("#confirm-password").click()

        expect(visit.page.locator(".outcome h2")).to_have_text(T["paid"])
        expect(till.locator(".money-sign.paid")).to_be_visible(timeout=60_000)


def test_a_coupon_for_an_item_makes_it_cheaper(browser: Browser, sandbox: Sandbox) -> None:
    goods = json.dumps(
        [{"goods_num": "4006381333931", "goods_name": "铅笔", "sell_amount": "1", "goods_price": "5.00"}]
    )
    qr_code = sandbox.scan(amount=500, goods=goods)
    with visiting(browser, sandbox) as visit:
        visit.open("/twin/phone#me")
        visit.page.locator("#coupon-goods").fill("4006381333931")
        visit.page.locator("#coupon-amount").fill("1.5")
        visit.page.locator("#add-coupon").click()
        expect(visit.page.locator(".coupon").last).to_contain_text("¥1.50")

        visit.open(phone(qr_code))
        visit.page.locator("#pay").click()

        expect(visit.page.locator(".outcome .amount")).to_have_text("¥3.50")
        expect(visit.page.locator(".facts")).to_contain_text("-¥1.50")


def test_the_language_chosen_on_the_gateway_is_the_phones_too(browser: Browser, sandbox: Sandbox) -> None:
    with visiting(browser, sandbox) as visit:
        visit.open("/?lang=en")

        visit.open("/twin/phone")

        expect(visit.page.locator("#go-scan")).to_have_text(texts("en")["scan"])
        assert visit.page.evaluate("document.documentElement.lang") == "en"
