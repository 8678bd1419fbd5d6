"""The scripts that integrators read and copy: they sign exactly as the protocol says."""

from typing import Any

import pytest
from playwright.sync_api import Browser

from opentill.protocol.signing import md5_sign, string_to_sign
from tests.browser.sandbox import PHONE, Sandbox, visiting

# protocol 2: the published vector.
GOLDEN_FORM = {
    "barcode": "123123123123", "local_order_no": "localorderno123123123123", "app": "zyptestapp",
    "operator_id": "axgdfdafd34124", "amount": "100", "un_discount_amount": "", "timestamp": "1460512556270",
    "subject": "这是一笔支付订单", "goods_list": "", "command": "open.pay.barcode",
}  # fmt: skip
GOLDEN_SIGNED = sorted(GOLDEN_FORM.keys() - {"command"})
GOLDEN_SIGN = "37fd31004368f9e616f277c6436985eb"

SIGN = """async ([form, signed, key]) => {
    const { signRequest } = await import("/static/opentill-sign.js");
    return signRequest(form, signed, key, md5);
}"""


def evaluate(browser: Browser, sandbox: Sandbox, script: str, argument: object) -> Any:
    with visiting(browser, sandbox) as visit:
        visit.open("/test/api/qrcode.htm")
        return visit.page.evaluate(script, argument)


def test_the_script_gives_the_published_signature(browser: Browser, sandbox: Sandbox) -> None:
    assert evaluate(browser, sandbox, SIGN, [GOLDEN_FORM, GOLDEN_SIGNED, "thisistestkey"]) == GOLDEN_SIGN


@pytest.mark.parametrize(
    "form",
    [
        {"b": "2", "a": "1", "a_b": "3", "aB": "4"},
        {"a": "", "b": "   ", "c": " x "},
        {"a": "拿铁☕😀", "b": "a=b&c", "c": "%20+"},
        {"a": "1\n2\t3", "b": '{"x": "\\u4e00"}'},
    ],
    ids=["order", "spaces", "beyond ASCII", "control characters"],
)
def test_the_script_signs_like_the_gateway(browser: Browser, sandbox: Sandbox, form: dict[str, str]) -> None:
    signed = sorted(form)

    assert evaluate(browser, sandbox, SIGN, [form, signed, "key 钥"]) == md5_sign(form, "key 钥")


def test_the_script_builds_the_string_like_the_gateway(browser: Browser, sandbox: Sandbox) -> None:
    script = """async (form) => {
        const { fieldsToSign, stringToSign } = await import("/static/opentill-sign.js");
        return stringToSign(fieldsToSign(form, Object.keys(form)));
    }"""

    assert evaluate(browser, sandbox, script, GOLDEN_FORM) == string_to_sign(GOLDEN_FORM)


@pytest.mark.parametrize("fen", [0, 1, 10, 100, 123456, 10_000_000_000, 9_999_999_999_999_999_999])
def test_amounts_are_shown_in_yuan_without_rounding(browser: Browser, sandbox: Sandbox, fen: int) -> None:
    script = """async (fen) => (await import("/static/demo/dom.js")).yuan(BigInt(fen))"""

    assert evaluate(browser, sandbox, script, str(fen)) == f"¥{fen // 100:,}.{fen % 100:02}"


# Every visible text against the nearest background behind it: WCAG 2.2 AA, 4.5 to 1, or 3 to 1 for large text.
CONTRAST = """() => {
    const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
        .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, index) => sum + c * [0.2126, 0.7152, 0.0722][index], 0);
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const [r, g, b, a = 1] = numbers(getComputedStyle(at).backgroundColor);
            if (a === 1) return [r, g, b];
        }
        return [255, 255, 255];
    };
    const weak = [];
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || !element.checkVisibility() || element.closest("script, noscript, svg, .visually-hidden")) continue;
        const style = getComputedStyle(element);
        const [one, other] = [light(numbers(style.color)), light(behind(element))].sort((a, b) => b - a);
        const size = parseFloat(style.fontSize);
        const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        const ratio = (one + 0.05) / (other + 0.05);
        if (ratio < (isLarge ? 3 : 4.5)) weak.push(`${element.className || element.tagName}: ${ratio.toFixed(2)}`);
    }
    return [...new Set(weak)];
}"""

NAMELESS = """() => [...document.querySelectorAll("input, textarea, select, button, a, svg[role=img]")]
    .filter((element) => element.checkVisibility())
    .filter((element) => !(element.labels?.length || element.textContent.trim() || element.ariaLabel))
    .map((element) => element.outerHTML)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path",
    ["/", "/test/api/qrcode.htm", "/twin/phone", "/twin/phone#code", "/twin/phone#bills", "/twin/phone#me"],
)
def test_pages_can_be_read_and_operated_by_everybody(
    browser: Browser, sandbox: Sandbox, path: str, scheme: str
) -> None:
    with visiting(browser, sandbox, color_scheme=scheme, viewport=PHONE) as visit:
        visit.open(path)
        if path == "/test/api/qrcode.htm":
            visit.page.locator("#send").click()
            visit.page.locator(".qr svg").wait_for()
        visit.page.locator("h1").wait_for()

        assert visit.page.evaluate(CONTRAST) == []
        assert visit.page.evaluate(NAMELESS) == []
        assert visit.page.evaluate("document.querySelectorAll('h1').length") == 1
        assert visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
