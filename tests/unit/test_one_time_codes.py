"""One-time codes: RFC 6238's own table, and what is no code."""

import pytest

from opentill.services.totp import new_secret, step_of, uri

# RFC 6238, appendix B: the secret "12345678901234567890"; the last six of its eight digits.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_TABLE = [
    (59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"), (1_234_567_890, "005924"),
    (2_000_000_000, "279037"), (20_000_000_000, "353130"),
]  # fmt: skip


@pytest.mark.parametrize(("at_s", "code"), RFC_TABLE)
def test_codes_are_those_of_the_rfc(at_s: int, code: str) -> None:
    assert step_of(RFC_SECRET, code, now_ms=at_s * 1000) == at_s // 30


@pytest.mark.parametrize("code", ["", "28708", "2870820", "28708a", "２８７０８２", "-287082", "287083"])
def test_what_is_no_code_is_none(code: str) -> None:
    assert step_of(RFC_SECRET, code, now_ms=59_000) is None


def test_who_has_no_secret_has_no_code() -> None:
    assert step_of("", "287082", now_ms=59_000) is None


def test_spaces_are_how_apps_show_codes() -> None:
    assert step_of(RFC_SECRET, " 287 082 ", now_ms=59_000) == 1


def test_secrets_have_160_bits_and_differ() -> None:
    secrets = {new_secret() for _ in range(50)}

    assert len(secrets) == 50
    assert {len(secret) for secret in secrets} == {32}


def test_the_qr_code_names_us_and_the_login() -> None:
    assert uri(RFC_SECRET, "李 owner") == (
        f"otpauth://totp/OpenTill:%E6%9D%8E%20owner?secret={RFC_SECRET}&issuer=OpenTill"
    )
