"""People who use the console in a browser."""

import time
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

from opentill.base.sealing import Sealer, read_master_key
from opentill.services import first_owner
from tests.browser.sandbox import Sandbox, Visit

OWNER, PASSWORD = "owner", "correct horse battery"
_OWNED: set[str] = set()


def sealer_of(sandbox: Sandbox) -> Sealer:
    return Sealer(read_master_key((sandbox.data / "master.key").read_text("ascii")))


def start_path(sandbox: Sandbox) -> str:
    """What the greeting says of the first start."""
    code = first_owner.code(sealer_of(sandbox), now_ms=time.time_ns() // 1_000_000)
    return f"/console/start?code={code}"


def sign_in(visit: Visit, sandbox: Sandbox, *, language: str = "zh", path: str = "/console/") -> None:
    """The owner (made when there is nobody yet) signs in and is at `path`, in this language."""
    if sandbox.base_url not in _OWNED:
        _make_owner(sandbox)
        _OWNED.add(sandbox.base_url)
    visit.open(f"/console/sign-in?lang={language}&next={urllib.parse.quote(path, safe='')}")
    visit.page.fill("#login", OWNER)
    visit.page.fill("#password", PASSWORD)
    visit.page.click("main button[type=submit]")
    visit.page.wait_for_selector("body.console")


def _make_owner(sandbox: Sandbox) -> None:
    """By the form of the first start, without the browser."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with opener.open(sandbox.base_url + start_path(sandbox)) as reply:
        page = reply.read().decode()
    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
    code = page.partition('name="code" type="text" value="')[2].partition('"')[0]
    form = {
        "csrf_token": token,
        "code": code,
        "login": OWNER,
        "name": "王小明",
        "password": PASSWORD,
        "again": PASSWORD,
    }
    with opener.open(f"{sandbox.base_url}/console/start", urllib.parse.urlencode(form).encode()) as reply:
        assert "console-nav" in reply.read().decode()
