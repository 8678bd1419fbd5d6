"""Wallet accounts in the console: kept secrets, and a self-test that says what is wrong; the twin is the wallet."""

import base64
import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from opentill.channels.base import CheckStep
from opentill.domain.parties import ALIPAY, WECHAT
from opentill.domain.people import Role
from opentill.services.account_check import check_account
from opentill.web.pages import LANGUAGES, all_texts
from tests.wallets import Accident, faulty_road
from tests.web.console.kit import OTHER_MERCHANT_ID, at, console
from tests.world import MERCHANT_ID, World, world

Settings = dict[str, str]


def pem_of(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem_of(key: rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture(scope="module")
def strangers_key() -> rsa.RSAPrivateKey:
    """A key pair that no wallet knows."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


async def settings_of(w: World, channel: int) -> Settings:
    """The test merchant's own at the twin."""
    account_id = await w.number("SELECT account_id FROM channel_accounts WHERE channel = $1", channel)
    return await w.administration.account_settings(account_id)


async def verdicts(w: World, channel: int, **changes: str) -> dict[str, tuple[str, str]]:
    """State and reason by step, with some settings replaced."""
    settings = {**await settings_of(w, channel), **changes}
    steps = await check_account(w.deployment, channel=channel, settings=settings, account_id=channel)
    return {step.name: (step.state, step.reason) for step in steps}


def bad(found: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {name: reason for name, (state, reason) in found.items() if state == "bad"}


# --- the self-test, mistake by mistake


@pytest.mark.parametrize("channel", [ALIPAY, WECHAT])
async def test_a_good_account_passes_every_step(channel: int) -> None:
    async with world() as w:
        found = await verdicts(w, channel)

        tried = {"settings", "reached", "ours_accepted", "allowed", "theirs_verified", "callbacks"}
        assert found == dict.fromkeys(tried | ({"opened"} if channel == WECHAT else set()), ("good", ""))
        assert await w.number("SELECT count(*) FROM orders") == 0


async def test_an_apiv3_key_that_opens_nothing_is_told() -> None:
    async with world() as w:
        assert bad(await verdicts(w, WECHAT, api_v3_key="k" * 32)) == {"opened": "sealed"}


@pytest.mark.parametrize(("channel", "field"), [(ALIPAY, "app_private_key"), (WECHAT, "merchant_private_key")])
async def test_a_private_key_the_wallet_does_not_know_is_told(
    channel: int, field: str, strangers_key: rsa.RSAPrivateKey
) -> None:
    async with world() as w:
        found = await verdicts(w, channel, **{field: pem_of(strangers_key)})

        assert bad(found) == {"ours_accepted": "signature"}
        assert found["theirs_verified"] == ("open", "not_tried")


@pytest.mark.parametrize(("channel", "field"), [(ALIPAY, "alipay_public_key"), (WECHAT, "public_key")])
async def test_another_apps_wallet_key_is_told(channel: int, field: str, strangers_key: rsa.RSAPrivateKey) -> None:
    async with world() as w:
        found = await verdicts(w, channel, **{field: public_pem_of(strangers_key)})

        assert bad(found) == {"theirs_verified": "wallet_key"}


async def test_a_number_the_wallet_does_not_know_is_told() -> None:
    async with world() as w:
        assert bad(await verdicts(w, ALIPAY, app_id="2021000000009999")) == {"ours_accepted": "number"}


@pytest.mark.parametrize("change", [{"merchant_serial": "A" * 40}, {"mchid": "1999999999"}])
async def test_a_wechat_number_that_does_not_belong_to_the_key_is_told(change: Settings) -> None:
    async with world() as w:
        assert bad(await verdicts(w, WECHAT, **change)) == {"ours_accepted": "signature"}


@pytest.mark.parametrize(
    ("channel", "own", "theirs"),
    [(ALIPAY, "app_private_key", "alipay_public_key"), (WECHAT, "merchant_private_key", "public_key")],
)
async def test_the_own_public_key_in_the_wallets_place_is_recognised(channel: int, own: str, theirs: str) -> None:
    async with world() as w:
        settings = await settings_of(w, channel)
        own_public = _public_half(settings[own])

        steps = await check_account(
            w.deployment, channel=channel, settings={**settings, theirs: own_public}, account_id=channel
        )

        [step] = steps
        assert (step.state, step.field) == ("bad", theirs)
        assert "您自己的公钥" in step.text_zh
        assert "your own public key" in step.text_en


def _public_half(pem: str) -> str:
    """What belongs to a private key, as people paste it."""
    der = (
        load_pem_private_key(pem.encode(), None)
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    return base64.b64encode(der).decode()


@pytest.mark.parametrize(
    ("channel", "field", "value"),
    [
        (ALIPAY, "app_private_key", "nonsense"),
        (ALIPAY, "app_private_key", ""),
        (ALIPAY, "app_id", "wx123"),
        (ALIPAY, "alipay_public_key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"),
        (WECHAT, "api_v3_key", "too short"),
        (WECHAT, "merchant_serial", "123"),
        (WECHAT, "public_key_id", ""),
    ],
)
async def test_what_cannot_be_a_setting_is_told_before_the_wallet_is_asked(
    channel: int, field: str, value: str
) -> None:
    async with world() as w:
        settings = {**await settings_of(w, channel), field: value}

        steps = await check_account(w.deployment, channel=channel, settings=settings, account_id=channel)

        assert [(step.name, step.state, step.field) for step in steps] == [("settings", "bad", field)]


@pytest.mark.parametrize(
    ("channel", "accident", "reason"),
    [
        (ALIPAY, Accident.REPLY_LOST, "lost"),
        (ALIPAY, Accident.ERROR_502_UNHEARD, "not_wallet"),
        (ALIPAY, Accident.HTML, "not_wallet"),
        (WECHAT, Accident.REPLY_LOST, "lost"),
        (WECHAT, Accident.ERROR_502_UNHEARD, "not_wallet"),
    ],
)
async def test_a_wallet_that_cannot_be_reached_is_told(channel: int, accident: Accident, reason: str) -> None:
    async with faulty_road() as road, world(**road.settings) as w:
        road.leads_to(w)
        road.accidents = [accident] * 6

        found = await verdicts(w, channel)

        assert bad(found) == {"reached": reason}


async def test_a_forged_answer_is_no_proof() -> None:
    async with faulty_road() as road, world(**road.settings) as w:
        road.leads_to(w)
        road.accidents = [Accident.FORGED] * 6

        assert bad(await verdicts(w, ALIPAY)) == {"theirs_verified": "wallet_key"}


# --- certificates


def certificate(key: rsa.RSAPrivateKey, *, ends: datetime) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(ends - timedelta(days=3650))
        .not_valid_after(ends)
    )
    return built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("days", "expected"),
    [(31, ("good", "valid")), (29, ("warn", "expires_soon")), (0, ("bad", "expired")), (-1, ("bad", "expired"))],
)
async def test_a_certificate_that_ends_is_told_in_time(
    days: int, expected: tuple[str, str], strangers_key: rsa.RSAPrivateKey
) -> None:
    async with world() as w:
        now = datetime.fromtimestamp(w.clock.now_ms() / 1000, UTC)
        pem = certificate(strangers_key, ends=now + timedelta(days=days, hours=1 if days > 0 else 0))

        found = await verdicts(w, WECHAT, platform_certificates=pem)

        assert found["certificate"] == expected


# --- callbacks


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://pay.example.com", "no_https"),
        ("https://127.0.0.1", "private"),
        ("https://10.0.0.8", "private"),
        ("https://localhost", "private"),
        ("https://gateway", "private"),
    ],
)
async def test_an_address_no_wallet_can_reach_is_told(url: str, reason: str) -> None:
    async with world(is_sandbox=False, public_base_url=url) as w:
        found = await verdicts(w, ALIPAY)

        assert found["callbacks"] == ("bad", reason)


async def test_an_address_that_is_somebody_elses_is_told() -> None:
    async with world() as other, world(public_base_url=f"{other.base_url}/twin") as w:
        assert (await verdicts(w, ALIPAY))["callbacks"] == ("bad", "somebody_else")


# --- the pages


async def test_an_account_is_added_tried_and_used(strangers_key: rsa.RSAPrivateKey) -> None:
    async with console() as c:
        settings = await settings_of(c.world, ALIPAY)
        bare = re.sub(r"-----[A-Z ]+-----|\s", "", settings["alipay_public_key"])  # as people paste it
        form = {**settings, "alipay_public_key": bare, "wallet": "alipay", "merchant": "1", "name": "茶馆"}

        made = await c.post("/accounts", form)
        test = await c.post(f"{made.location}/test")

        assert made.status == 303
        assert 'data-test="good"' in test.text
        listed = (await c.get("/accounts")).text
        assert "茶馆" in listed
        await c.post(f"{made.location}/state", {"state": "disabled"})
        await c.post(f"{made.location}/name", {"name": "新名"})
        page = (await c.get(made.location)).text
        assert "新名" in page
        assert "已停用" in page


async def test_secrets_are_never_shown_again_but_known_by_a_fingerprint() -> None:
    async with console() as c:
        for channel, names in ((ALIPAY, ["app_private_key"]), (WECHAT, ["merchant_private_key", "api_v3_key"])):
            settings = await settings_of(c.world, channel)
            page = (await c.get(f"/accounts/{channel}")).text

            for name in names:
                body = re.sub(r"-----[A-Z ]+-----|\s", "", settings[name])
                assert body[40:120] not in re.sub(r"\s", "", page) if len(body) > 120 else body not in page
                field = page.split(f'data-field="{name}"')[1].split("data-field=")[0]
                assert re.search(r"<code>[0-9a-f]{16}</code>", field), name


async def test_an_empty_secret_stays_and_a_new_one_replaces_it(strangers_key: rsa.RSAPrivateKey) -> None:
    async with console() as c:
        before = {name: text.strip() for name, text in (await settings_of(c.world, WECHAT)).items()}
        shown = {name: value for name, value in before.items() if name not in SECRETS}

        kept = await c.post("/accounts/2", {**shown, "appid": "wxother"})
        after = {name: text.strip() for name, text in (await settings_of(c.world, WECHAT)).items()}
        await c.post("/accounts/2", {**shown, "api_v3_key": "k" * 32, "clear_app_secret": "yes"})
        changed = await settings_of(c.world, WECHAT)

        assert kept.status == 303
        assert after == {**before, "appid": "wxother"}
        assert (changed["api_v3_key"], "app_secret" in changed) == ("k" * 32, False)
        details = [row["detail"] for row in await c.world.rows("SELECT detail FROM audit_events")]
        assert not any("kkkk" in detail or before["api_v3_key"] in detail for detail in details)
        assert any('"changed":"api_v3_key, app_secret, appid"' in detail for detail in details)


async def test_a_wrong_setting_is_told_at_its_field_and_not_saved() -> None:
    async with console() as c:
        before = await settings_of(c.world, ALIPAY)
        own = _public_half(before["app_private_key"])

        answer = await c.post("/accounts/1", {**before, "app_private_key": "", "alipay_public_key": own})

        field = answer.text.split('data-field="alipay_public_key"')[1].split("data-field=")[0]
        assert answer.status == 422
        assert "您自己的公钥" in field
        assert await settings_of(c.world, ALIPAY) == before


async def test_a_typed_secret_is_not_sent_back_with_the_form() -> None:
    async with console() as c:
        answer = await c.post("/accounts", {"wallet": "wechat", "merchant": "1", "name": "x", "api_v3_key": "z" * 31})

        assert answer.status == 422
        assert "z" * 31 not in answer.text


@pytest.mark.parametrize("merchant", ["", "99", str(OTHER_MERCHANT_ID)])
async def test_an_account_is_added_only_to_a_merchant_of_the_visitors(merchant: str) -> None:
    async with console() as c:
        settings = await settings_of(c.world, ALIPAY)
        form = {**settings, "wallet": "alipay", "merchant": merchant, "name": "x"}

        answer = await c.post("/accounts", form, as_=at(Role.OWNER, MERCHANT_ID))

        assert answer.status == 422
        assert await c.world.number("SELECT count(*) FROM channel_accounts") == 2


async def test_who_may_only_read_sees_no_button() -> None:
    async with console() as c:
        page = (await c.get("/accounts/1", as_=Role.READER)).text.split("<main")[1]

        assert "submit" not in page
        assert "/test" not in page


SECRETS = {"merchant_private_key", "api_v3_key", "app_secret"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_step_and_reason_has_words(language: str) -> None:
    texts = all_texts(language)["selftest"]
    reasons = [
        "unreachable", "lost", "not_wallet", "no_certificate", "signature", "number", "serial", "clock", "token",
        "permission", "busy", "other", "wallet_key", "unsigned", "sealed", "nothing_sealed", "not_tried", "valid",
        "expires_soon", "expired", "no_https", "private", "not_from_here", "somebody_else",
    ]  # fmt: skip

    assert all(texts[step.value] for step in CheckStep)
    assert all(texts[f"reason_{reason}"] for reason in reasons)
