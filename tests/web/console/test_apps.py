"""Apps in the console: made, changed, rotated, tried, and kept from whom they are none of the business."""

import base64
import re

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from opentill.domain.parties import AppRules
from opentill.domain.people import Role
from opentill.services.samples import LOCAL_ORDER_PREFIX
from opentill.web.console.app_rules import GROUPS
from opentill.web.pages import LANGUAGES, all_texts
from tests.clients import TEST_APP, Till, is_signed
from tests.databases import on_both_engines
from tests.shops import open_shop
from tests.web.console.kit import OTHER_MERCHANT_ID, Console, at, console
from tests.world import MERCHANT_ID

APP = f"/apps/{TEST_APP}"
DEVELOPER = at(Role.DEVELOPER, MERCHANT_ID)


def secret_of(page: str) -> str:
    found = re.search(r'id="new-key">([^<]+)<', page)
    assert found is not None
    return found[1]


def till_of(c: Console, app: str, key: str) -> Till:
    return Till(c.world.http, c.world.base_url, c.world.clock.now_ms, app=app, key=key)


async def audited(c: Console) -> list[tuple[str, str, str]]:
    """Who did what to whom, newest last."""
    rows = await c.world.rows("SELECT actor, action, subject FROM audit_events ORDER BY link_no")
    return [(row["actor"], row["action"], row["subject"]) for row in rows]


@on_both_engines
async def test_a_new_app_shows_its_key_once_and_can_call_at_once(engine: str) -> None:
    async with console(engine) as c:
        made = await c.post("/apps", {"name": "前台", "merchant": "1", "sign_method": "MD5"}, as_=DEVELOPER)

        key = secret_of(made.text)
        app = re.search(r"<code>(A\d{14})</code>", made.text)
        assert app is not None
        assert (await till_of(c, app[1], key).scan()).is_success
        for path in ("/apps", f"/apps/{app[1]}"):
            assert key not in (await c.get(path, as_=DEVELOPER)).text
        assert ("user-1", "app.add", app[1]) in await audited(c)
        details = await c.world.rows("SELECT detail FROM audit_events")
        assert not any(key in row["detail"] for row in details)


@pytest.mark.parametrize(
    "form",
    [
        {"name": "", "merchant": "1", "sign_method": "MD5"},
        {"name": "x" * 65, "merchant": "1", "sign_method": "MD5"},
        {"name": "x\n\u202e", "merchant": "1", "sign_method": "MD5"},
        {"name": "x", "sign_method": "MD5"},
        {"name": "x", "merchant": str(OTHER_MERCHANT_ID), "sign_method": "MD5"},
        {"name": "x", "merchant": "1", "sign_method": "ROT13"},
    ],
)
async def test_an_app_that_cannot_be_is_not_made(form: dict[str, str]) -> None:
    async with console() as c:
        before = await c.world.number("SELECT count(*) FROM apps")

        answer = await c.post("/apps", form, as_=DEVELOPER)

        assert answer.status == 422
        assert await c.world.number("SELECT count(*) FROM apps") == before


async def test_a_rotation_keeps_the_old_key_for_the_chosen_time_and_says_who_uses_it() -> None:
    async with console() as c:
        till = c.world.till
        rotated = await c.post(f"{APP}/key", {"overlap": "1"})
        new = till_of(c, TEST_APP, secret_of(rotated.text))

        assert (await new.scan()).is_success
        assert "还没有人用过旧密钥" in (await c.get(APP)).text
        assert (await till.scan()).is_success
        assert "测试收银员 · 127.0.0.1" in (await c.get(APP)).text
        c.world.clock.advance(3_600_000)
        assert (await till.scan()).code == "22"
        assert (await new.scan()).is_success


async def test_the_old_key_can_be_ended_before_its_time() -> None:
    async with console() as c:
        rotated = await c.post(f"{APP}/key", {"overlap": "720"})
        before = await c.world.scan()

        ended = await c.post(f"{APP}/old-key/end")

        assert (before.code, ended.status, (await c.world.scan()).code) == ("0", 303, "22")
        assert (await till_of(c, TEST_APP, secret_of(rotated.text)).scan()).is_success
        assert (await c.post(f"{APP}/old-key/end")).status == 303  # twice does no harm
        assert (await audited(c))[-1][1] == "app.end_old_key"


@pytest.mark.parametrize("hours", ["", "2", "-1", "99999999"])
async def test_only_a_listed_overlap_is_taken(hours: str) -> None:
    async with console() as c:
        assert (await c.post(f"{APP}/key", {"overlap": hours})).status == 422
        assert (await c.world.scan()).is_success


async def test_changed_rules_are_felt_at_once_and_audited_with_before_and_after() -> None:
    async with console() as c:
        form = {"commands": ["open.pay.scan", "open.pay.nothing"], "refund_ceiling_fen": "5,000",
                "refund_sources": "203.0.113.7/24\n2001:db8::/32"}  # fmt: skip

        saved = await c.post(f"{APP}/rules/limits", form)

        app = await c.world.deployment.parties.app(TEST_APP)
        assert app is not None
        assert saved.status == 303
        assert app.rules == AppRules(
            commands=("open.pay.scan",), refund_ceiling_fen=5000, refund_sources=("203.0.113.0/24", "2001:db8::/32")
        )
        assert (await c.world.till.call("open.pay.query", order_no="1" * 30)).code == "28"
        [row] = await c.world.rows("SELECT detail FROM audit_events WHERE action = 'app.rules'")
        assert "refund_ceiling_fen" in row["detail"]


@pytest.mark.parametrize(
    ("group", "form", "rule"),
    [
        ("limits", {"refund_ceiling_fen": "-1"}, "refund_ceiling_fen"),
        ("limits", {"refund_ceiling_fen": "1.5"}, "refund_ceiling_fen"),
        ("limits", {"refund_ceiling_fen": "0", "refund_sources": "here"}, "refund_sources"),
        ("notify", {"default_notify_url": "shop.example"}, "default_notify_url"),
        ("notify", {"notify_hosts": "https://shop.example/n"}, "notify_hosts"),
        ("signature", {"sign_method": "MD4", "tolerance_ms": "0"}, "sign_method"),
        ("signature", {"sign_method": "MD5", "tolerance_ms": "86400001"}, "tolerance_ms"),
        ("signature", {"sign_method": "RSA2", "tolerance_ms": "0"}, "public_key_pem"),
        ("signature", {"sign_method": "MD5", "tolerance_ms": "0", "public_key_pem": "nonsense"}, "public_key_pem"),
        ("orders", {"order_life_ms": "59999", "goods_price_unit": "yuan", "late_payment": "accept",
                    "surplus_payment": "hold"}, "order_life_ms"),
    ],
)  # fmt: skip
async def test_a_rule_that_cannot_be_is_told_at_its_field(group: str, form: dict[str, str], rule: str) -> None:
    async with console() as c:
        answer = await c.post(f"{APP}/rules/{group}", form)

        assert answer.status == 422
        field = answer.text.split(f'data-rule="{rule}"')[1].split("data-rule=")[0]
        assert 'class="field-text bad"' in field
        app = await c.world.deployment.parties.app(TEST_APP)
        assert app is not None
        assert app.rules == AppRules()


async def test_a_public_key_is_taken_in_any_form() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    der = base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    async with console() as c:
        form = {"sign_method": "RSA2", "tolerance_ms": "600000", "public_key_pem": der}

        saved = await c.post(f"{APP}/rules/signature", form)

        app = await c.world.deployment.parties.app(TEST_APP)
        assert app is not None
        assert saved.status == 303
        assert app.rules.public_key_pem == key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


async def test_an_app_is_renamed_linked_and_disabled() -> None:
    async with console() as c:
        await c.post(f"{APP}/name", {"name": "新名称"})
        await c.post(f"{APP}/merchants", {"merchant": ["1", str(OTHER_MERCHANT_ID)]})
        await c.post(f"{APP}/state", {"state": "disabled"})

        page = await c.get("/apps")

        assert "新名称" in page.text
        assert "另一家商户" in page.text
        assert (await c.world.scan()).code == "21"
        assert await c.world.number("SELECT count(*) FROM app_merchants WHERE app_id = 1") == 2
        await c.post(f"{APP}/state", {"state": "active"})
        await c.post(f"{APP}/merchants", {"merchant": "1"})
        assert (await c.world.scan()).is_success
        assert [action for _, action, _ in await audited(c)][-5:] == [
            "app.rename", "app.merchants", "app.disable", "app.enable", "app.merchants",
        ]  # fmt: skip


async def test_nobody_links_an_app_to_a_merchant_that_is_not_his() -> None:
    async with console() as c:
        form = {"merchant": ["1", str(OTHER_MERCHANT_ID)]}

        await c.post(f"{APP}/merchants", form, as_=DEVELOPER)

        assert await c.world.number("SELECT count(*) FROM app_merchants WHERE app_id = 1") == 1


async def test_who_may_only_read_sees_no_form_that_changes() -> None:
    async with console() as c:
        page = await c.get(APP, as_=Role.READER)

        assert page.status == 200
        for group in GROUPS:
            part = page.text.split(f'action="/console{APP}/rules/{group}"')[1].split("</form>")[0]
            assert "submit" not in part
        assert f'action="/console{APP}/key"' not in page.text
        assert "/console/apps/new" not in page.text


# --- test notification


async def test_a_sample_is_really_signed_and_pays_for_nothing() -> None:
    async with console() as c, open_shop(c.world.clock.now_ms) as shop:
        page = await c.post(f"{APP}/sample", {"url": shop.url}, as_=DEVELOPER)

        [heard] = shop.heard
        fields = dict(heard.fields)
        sign = fields.pop("sign")
        assert 'data-sample="accepted"' in page.text
        assert is_signed(fields, sign, c.world.public_key)
        assert fields["orderStatus"] == "PAY_SUC"
        assert fields["appOrderNo"].startswith(LOCAL_ORDER_PREFIX)
        assert await c.world.number("SELECT count(*) FROM orders") == 0
        assert await c.world.number("SELECT count(*) FROM notifications") == 0
        assert (await audited(c))[-1][1] == "app.sample"


async def test_a_sample_goes_only_where_notifications_may_go() -> None:
    async with console() as c:
        await c.post(f"{APP}/rules/notify", {"notify_hosts": "shop.example"})

        other_host = await c.post(f"{APP}/sample", {"url": "https://other.example/n"})
        metadata = await c.post(f"{APP}/sample", {"url": "http://shop.example:1/n"})
        no_url = await c.post(f"{APP}/sample", {"url": "ftp://shop.example"})

        assert (other_host.status, no_url.status) == (422, 422)
        assert 'data-sample="not_sent"' in metadata.text


async def test_a_sample_does_not_reach_an_address_of_the_cloud() -> None:
    async with console() as c:
        page = await c.post(f"{APP}/sample", {"url": "http://169.254.169.254/latest"})

        assert 'data-sample="address"' in page.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_rule_and_verdict_has_words(language: str) -> None:
    texts = all_texts(language)

    assert {name for name in AppRules.__struct_fields__ if name not in texts["rule"]} == set()
    assert {name for names in GROUPS.values() for name in names} == set(AppRules.__struct_fields__)
    for verdict in ("accepted", "other_answer", "redirect", "status", "address", "not_sent", "lost"):
        assert texts["sample"][verdict]
        assert texts["sample"][f"{verdict}_text"]
