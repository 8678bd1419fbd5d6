"""Settings of an account as people paste them: what is understood, and what is explained (pains F 75, 78)."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from opentill.base.outbound import Outbound
from opentill.channels.alipay import Alipay
from opentill.channels.base import AccountProblem
from opentill.channels.wechat import Wechat
from tests.channels.played import (
    API_V3_KEY,
    PUBLIC_KEY_ID,
    alipay_certificate_settings,
    alipay_settings,
    certificate,
    certificate_pem,
    key,
    private_pem,
    public_pem,
    wechat_settings,
    wire,
)

WIRE = wire(Outbound(), "http://127.0.0.1:1")
ALIPAY, WECHAT = Alipay(WIRE), Wechat(WIRE)


def bare(pem: str) -> str:
    return "".join(pem.splitlines()[1:-1])


FORMS: dict[str, Callable[[str], str]] = {
    "PEM": lambda pem: pem,
    "Windows line ends": lambda pem: pem.replace("\n", "\r\n"),
    "lost line breaks": lambda pem: pem.replace("\n", ""),
    "line breaks become blanks": lambda pem: pem.replace("\n", " "),
    "escaped line breaks": lambda pem: pem.replace("\n", "\\n"),
    "doubled line breaks": lambda pem: pem.replace("\n", "\n\n"),
    "bare base64": bare,
    "bare base64 without padding": lambda pem: bare(pem).rstrip("="),
    "in quotes with a byte order mark": lambda pem: f'\ufeff"{pem}"',
    "text around it": lambda pem: f"Bag Attributes\n  friendlyName: x\n{pem}\ntrailing",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("container", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_private_key_is_understood_in_any_form(form: Callable[[str], str], container: PrivateFormat) -> None:
    account = ALIPAY.open_account(alipay_settings(app_private_key=form(private_pem("own", container))))

    assert account.private_key.private_numbers() == key("own").private_numbers()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("container", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
def test_a_public_key_is_understood_in_any_form(form: Callable[[str], str], container: PublicFormat) -> None:
    pem = key("wallet").public_key().public_bytes(Encoding.PEM, container).decode()

    account = WECHAT.open_account(wechat_settings(public_key=form(pem)))

    assert account.wallet_keys[PUBLIC_KEY_ID].public_numbers() == key("wallet").public_key().public_numbers()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_certificate_is_understood_in_any_form(form: Callable[[str], str]) -> None:
    settings = wechat_settings(public_key="", public_key_id="", platform_certificates=form(certificate_pem("wallet")))

    account = WECHAT.open_account(settings)

    assert list(account.wallet_keys) == ["5A1E77E5"]


def encrypted(name: str) -> str:
    locked = BestAvailableEncryption(b"password")
    return key(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked).decode()


def encrypted_pkcs1(name: str) -> str:
    locked = BestAvailableEncryption(b"password")
    return key(name).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, locked).decode()


def curve_private() -> str:
    made = ec.generate_private_key(ec.SECP256R1())
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def curve_public() -> str:
    made = ec.generate_private_key(ec.SECP256R1()).public_key()
    return made.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def small_private() -> str:
    return key("small", 1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def small_public() -> str:
    return key("small", 1024).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def torn_private() -> str:
    """A key whose modulus is not the product of its primes."""
    der = key("own").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    modulus = key("own").public_key().public_numbers().n
    torn = der.replace(modulus.to_bytes(256, "big"), (modulus + 2).to_bytes(256, "big"))
    assert torn != der
    return base64.b64encode(torn).decode()


PRIVATE_PROBLEMS: dict[str, tuple[Callable[[], str], str]] = {
    "missing": (lambda: "  ", "required"),
    "nonsense": (lambda: "this is not a key", "complete"),
    "other characters": (lambda: "密钥", "not readable"),
    "cut": (lambda: private_pem("own")[:300], "not readable"),
    "cut inside": (lambda: bare(private_pem("own"))[:400], "not a usable private key"),
    "a public key": (lambda: public_pem("own"), "but a public key"),
    "a bare public key": (lambda: bare(public_pem("own")), "but a public key"),
    "a certificate": (lambda: certificate_pem("own"), "but a public key or a certificate"),
    "a bare certificate": (lambda: bare(certificate_pem("own")), "but a public key or a certificate"),
    "locked": (lambda: encrypted("own"), "password"),
    "locked PKCS#1": (lambda: encrypted_pkcs1("own"), "password"),
    "a curve": (curve_private, "RSA"),
    "too small": (small_private, "1024 bits"),
    "torn": (torn_private, "not a usable private key"),
}


@pytest.mark.parametrize(("text", "words"), PRIVATE_PROBLEMS.values(), ids=PRIVATE_PROBLEMS)
def test_an_unusable_private_key_is_explained(text: Callable[[], str], words: str) -> None:
    pasted = text()

    for open_account, field in (
        (lambda: ALIPAY.open_account(alipay_settings(app_private_key=pasted)), "app_private_key"),
        (lambda: WECHAT.open_account(wechat_settings(merchant_private_key=pasted)), "merchant_private_key"),
    ):
        check_problem(open_account, field, words, pasted)


PUBLIC_PROBLEMS: dict[str, tuple[Callable[[], str], str]] = {
    "nonsense": (lambda: "this is not a key", "complete"),
    "cut inside": (lambda: bare(public_pem("wallet"))[:200], "not a usable public key"),
    "our own": (lambda: public_pem("own"), "your own public key"),
    "our own, bare": (lambda: bare(public_pem("own")), "your own public key"),
    "a private key": (lambda: private_pem("wallet"), "a private key was pasted"),
    "a bare private key": (lambda: bare(private_pem("wallet")), "a private key was pasted"),
    "a certificate": (lambda: certificate_pem("wallet"), "a certificate was pasted"),
    "a curve": (curve_public, "RSA"),
    "too small": (small_public, "1024 bits"),
}


@pytest.mark.parametrize(("text", "words"), PUBLIC_PROBLEMS.values(), ids=PUBLIC_PROBLEMS)
def test_an_unusable_public_key_is_explained(text: Callable[[], str], words: str) -> None:
    pasted = text()

    for open_account, field in (
        (lambda: ALIPAY.open_account(alipay_settings(alipay_public_key=pasted)), "alipay_public_key"),
        (lambda: WECHAT.open_account(wechat_settings(public_key=pasted)), "public_key"),
    ):
        check_problem(open_account, field, words, pasted)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"app_id": ""}, "app_id", "required"),
        ({"app_id": "wx0001"}, "app_id", "digits"),
        ({"app_id": "1" * 33}, "app_id", "digits"),
        ({"app_id": "２０２１"}, "app_id", "digits"),
        ({"seller_id": "someone@example.com"}, "seller_id", "digits"),
        ({"service_provider_id": "x"}, "service_provider_id", "digits"),
        ({"alipay_public_key": ""}, "alipay_public_key", "three certificates"),
        ({"app_cert": certificate_pem("own")}, "alipay_root_cert", "missing"),
    ],
)
def test_other_settings_of_an_alipay_account_are_explained(changes: dict[str, str], field: str, words: str) -> None:
    check_problem(lambda: ALIPAY.open_account(alipay_settings(**changes)), field, words, next(iter(changes.values())))


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"app_cert": ""}, "app_cert", "missing"),
        ({"alipay_root_cert": ""}, "alipay_root_cert", "missing"),
        ({"alipay_cert": ""}, "alipay_cert", "missing"),
        ({"app_cert": certificate_pem("stranger")}, "app_cert", "does not belong"),
        ({"app_cert": private_pem("own")}, "app_cert", "a private key was pasted"),
        ({"app_cert": public_pem("own")}, "app_cert", "not a usable certificate"),
        ({"alipay_cert": certificate_pem("own")}, "alipay_cert", "your own public key"),
        ({"alipay_cert": "nonsense"}, "alipay_cert", "not a usable certificate"),
        ({"alipay_root_cert": "nonsense"}, "alipay_root_cert", "not a usable certificate"),
    ],
)
def test_certificates_of_an_alipay_account_are_explained(changes: dict[str, str], field: str, words: str) -> None:
    settings = alipay_certificate_settings(**changes)

    check_problem(lambda: ALIPAY.open_account(settings), field, words, next(iter(changes.values())))


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"appid": ""}, "appid", "required"),
        ({"appid": "wx 0001"}, "appid", "letters"),
        ({"appid": "w" * 33}, "appid", "letters"),
        ({"mchid": "19000x"}, "mchid", "digits"),
        ({"mchid": "1" * 33}, "mchid", "digits"),
        ({"merchant_serial": "ABC"}, "merchant_serial", "40 hex"),
        ({"merchant_serial": "G" * 40}, "merchant_serial", "40 hex"),
        ({"merchant_serial": "A" * 41}, "merchant_serial", "40 hex"),
        ({"api_v3_key": API_V3_KEY[:-1]}, "api_v3_key", "32 bytes, this one has 31"),
        ({"api_v3_key": API_V3_KEY + "x"}, "api_v3_key", "32 bytes, this one has 33"),
        ({"public_key_id": ""}, "public_key_id", "go together"),
        ({"public_key": ""}, "public_key", "go together"),
        ({"public_key_id": "A" * 40}, "public_key_id", "PUB_KEY_ID_"),
        ({"sub_mchid": "x"}, "sub_mchid", "digits"),
        ({"sub_appid": "a b"}, "sub_appid", "letters"),
        ({"platform_certificates": "nonsense"}, "platform_certificates", "not a usable certificate"),
        ({"platform_certificates": certificate_pem("own")}, "platform_certificates", "your own public key"),
        ({"platform_certificates": private_pem("wallet")}, "platform_certificates", "a private key was pasted"),
    ],
)
def test_other_settings_of_a_wechat_account_are_explained(changes: dict[str, str], field: str, words: str) -> None:
    check_problem(lambda: WECHAT.open_account(wechat_settings(**changes)), field, words, next(iter(changes.values())))


def test_a_wechat_account_may_have_neither_public_key_nor_certificates() -> None:
    account = WECHAT.open_account(wechat_settings(public_key="", public_key_id=""))

    assert account.wallet_keys == {}


def test_a_serial_number_is_kept_in_capitals() -> None:
    account = WECHAT.open_account(wechat_settings(merchant_serial="a" * 40))

    assert account.merchant_serial == "A" * 40


def test_root_certificates_with_other_signatures_do_not_count() -> None:
    others = alipay_certificate_settings(alipay_root_cert=certificate_pem("root", 0xB1) + _curve_certificate_pem())

    assert "_" not in ALIPAY.open_account(others).root_cert_sn
    check_problem(
        lambda: ALIPAY.open_account(alipay_certificate_settings(alipay_root_cert=_curve_certificate_pem())),
        "alipay_root_cert",
        "no RSA-signed root",
        "",
    )


def test_an_opened_account_shows_no_secret() -> None:
    token = "202603BBcdba990bc95a4a9cb5bb6a8fbd8d5X16"

    shown = [
        repr(ALIPAY.open_account(alipay_settings(app_auth_token=token))),
        repr(WECHAT.open_account(wechat_settings())),
    ]

    for text in shown:
        assert all(secret not in text for secret in (token, API_V3_KEY, bare(private_pem("own"))[:40]))


def check_problem(open_account: Callable[[], Any], field: str, words: str, pasted: str) -> None:
    with pytest.raises(AccountProblem) as problem:
        open_account()

    assert problem.value.field == field
    assert words in problem.value.text_en
    assert problem.value.text_en.isascii()
    assert any("\u4e00" <= character <= "\u9fff" for character in problem.value.text_zh)
    if len(pasted) > 20:
        shown = f"{problem.value} {problem.value.text_zh} {problem.value.text_en}"
        assert pasted[10:30] not in shown


def _curve_certificate_pem() -> str:
    made = ec.generate_private_key(ec.SECP256R1())
    template = certificate("root", 0xB1)
    return (
        x509.CertificateBuilder()
        .subject_name(template.subject)
        .issuer_name(template.issuer)
        .public_key(made.public_key())
        .serial_number(0xEC)
        .not_valid_before(template.not_valid_before_utc)
        .not_valid_after(template.not_valid_after_utc)
        .sign(made, hashes.SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )
