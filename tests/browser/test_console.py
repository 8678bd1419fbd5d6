"""The console from its first start: the owner, one-time codes, people, the audit log; every page on every screen."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, expect

from opentill.web.pages import all_texts
from tests.browser.pages import check, is_too_wide
from tests.browser.people import PASSWORD, sign_in, start_path
from tests.browser.sandbox import DESKTOP, PHONE, Sandbox, Visit, running_sandbox, visiting

LANGUAGES = ("zh", "en")


@pytest.fixture
def fresh_sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """One that nobody has started before."""
    with running_sandbox(tmp_path) as started:
        yield started


def press(visit: Visit, name: str) -> None:
    visit.page.get_by_role("button", name=name, exact=True).click()


def code_of(secret: str) -> str:
    return pyotp.TOTP(secret).at(int(time.time()))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_owner_comes_in_turns_on_codes_and_adds_somebody(
    browser: Browser, fresh_sandbox: Sandbox, language: str
) -> None:
    t = all_texts(language)
    with visiting(browser, fresh_sandbox, viewport=DESKTOP) as visit:
        # The first start.
        visit.open("/console/?lang=" + language)
        expect(visit.page.locator("h1")).to_have_text(t["signin"]["start_title"])
        check(visit)
        visit.open(start_path(fresh_sandbox))
        for field, text in {"name": "王小明", "login": "owner", "password": PASSWORD, "again": PASSWORD}.items():
            visit.page.fill(f"#{field}", text)
        press(visit, t["signin"]["start_submit"])
        expect(visit.page.locator(".nav-person")).to_have_text("王小明")

        # One-time codes.
        visit.page.locator(".nav-person").click()
        visit.page.get_by_role("link", name=t["profile"]["totp_set"]).click()
        visit.page.locator("summary").click()
        secret = visit.text(".secret").replace(" ", "")
        visit.page.fill("#code", code_of(secret))
        visit.page.fill("#current", PASSWORD)
        press(visit, t["profile"]["totp_confirm"])
        expect(visit.page.locator("#messages")).to_contain_text(t["profile"]["totp_is_on"])

        # Out, and in again with the next code.
        press(visit, t["console"]["sign_out"])
        expect(visit.page.locator("h1")).to_have_text(t["signin"]["title"])
        visit.page.fill("#login", "owner")
        visit.page.fill("#password", PASSWORD)
        press(visit, t["signin"]["submit"])
        expect(visit.page.locator("h1")).to_have_text(t["signin"]["code_title"])
        visit.page.fill("#code", pyotp.TOTP(secret).at(int(time.time()) + 30))
        press(visit, t["signin"]["submit_code"])
        expect(visit.page.locator(".nav-person")).to_be_visible()

        # Somebody else.
        visit.page.get_by_role("link", name=t["users"]["nav"], exact=True).click()
        visit.page.get_by_role("link", name=t["users"]["add"]).click()
        visit.page.fill("#name", "李店长")
        visit.page.fill("#login", "li")
        visit.page.locator("select[name=grant_role]").select_option("manager")
        visit.page.locator("select[name=grant_merchant]").select_option("1")
        press(visit, t["users"]["add_submit"])
        expect(visit.page.locator(".secret")).to_have_text(re.compile(r"^([a-z2-7]{4}-){3}[a-z2-7]{4}$"))
        initial = visit.text(".secret")
        check(visit)
    with visiting(browser, fresh_sandbox, viewport=PHONE) as visit:
        visit.open("/console/?lang=" + language)
        visit.page.fill("#login", "li")
        visit.page.fill("#password", initial)
        press(visit, t["signin"]["submit"])
        expect(visit.page.locator("h1")).to_have_text(t["profile"]["choose_password"])
        check(visit)
        visit.page.fill("#current", initial)
        for field in ("password", "again"):
            visit.page.fill(f"#{field}", "another good password")
        press(visit, t["profile"]["save_password"])
        expect(visit.page.locator("#messages")).to_contain_text(t["profile"]["password_changed"])
        visit.open("/console/users")
        expect(visit.page.locator("h1")).to_have_text(t["problem"]["title_403"])
        visit.forgive(403)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_about_people_reads_well_everywhere(browser: Browser, sandbox: Sandbox, language: str) -> None:
    with visiting(browser, sandbox) as visit:
        sign_in(visit, sandbox, language=language)

        for path in ("profile", "profile/password", "profile/totp", "users", "users/new", "users/1", "audit"):
            check(visit, f"/console/{path}")
        check(visit, "/console/nowhere")

        visit.forgive(404)


def test_signed_out_pages_read_well_everywhere(browser: Browser, sandbox: Sandbox) -> None:
    with visiting(browser, sandbox) as visit:
        sign_in(visit, sandbox)
        press(visit, all_texts("zh")["console"]["sign_out"])

        visit.page.fill("#login", "owner")
        visit.page.fill("#password", "wrong")
        press(visit, all_texts("zh")["signin"]["submit"])

        expect(visit.page.get_by_role("alert")).to_be_visible()
        check(visit)
        visit.forgive(401)


def test_on_a_phone_the_navigation_is_a_drawer_that_keys_open_and_close(browser: Browser, sandbox: Sandbox) -> None:
    t = all_texts("zh")
    with visiting(browser, sandbox, viewport=PHONE) as visit:
        sign_in(visit, sandbox, path="/console/users")
        nav = visit.page.get_by_role("navigation", name=t["site"]["nav"])
        expect(nav).to_be_hidden()

        visit.page.get_by_role("button", name=t["console"]["menu"]).focus()
        visit.page.keyboard.press("Enter")
        expect(nav).to_be_visible()
        visit.page.keyboard.press("Escape")
        expect(nav).to_be_hidden()
        visit.page.get_by_role("button", name=t["console"]["menu"]).click()
        nav.get_by_role("link", name=t["audit"]["nav"]).click()

        expect(visit.page.locator("h1")).to_have_text(t["audit"]["title"])
        assert not is_too_wide(visit.page)


def test_the_first_key_leads_past_the_navigation(browser: Browser, sandbox: Sandbox) -> None:
    with visiting(browser, sandbox) as visit:
        sign_in(visit, sandbox, path="/console/users")

        visit.page.keyboard.press("Tab")
        expect(visit.page.locator(".skip-link")).to_be_focused()
        visit.page.keyboard.press("Enter")

        assert visit.page.evaluate("document.activeElement.id") == "main"


def test_the_chain_is_followed_without_leaving_the_page_and_nothing_stays_in_the_browser(
    browser: Browser, sandbox: Sandbox
) -> None:
    t = all_texts("zh")
    with visiting(browser, sandbox) as visit:
        sign_in(visit, sandbox, path="/console/audit")

        press(visit, t["audit"]["check"])

        expect(visit.page.locator("#chain .badge.good")).to_be_visible()
        assert visit.page.url.endswith("/console/audit")
        stored = visit.page.evaluate("Object.keys(localStorage).concat(Object.keys(sessionStorage))")
        assert set(stored) <= {"htmx-current-path-for-history"}, "the address, but no page"
        assert visit.page.evaluate("document.cookie.includes('session')") is False
