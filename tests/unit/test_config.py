"""Settings are read from the environment, checked, and never show a secret."""

from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from opentill.base.config import Settings
from opentill.base.sealing import Sealer, SealingError, new_master_key
from opentill.cli.wiring import sealer_of


def test_every_setting_has_a_description_and_a_default_that_is_valid() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
    Settings.model_validate(Settings.model_construct().model_dump())


def test_a_setting_comes_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENTILL_PORT", "9000")
    monkeypatch.setenv("OPENTILL_NOTIFY_ALLOW_NETWORKS", "10.0.0.0/8, fc00::/7")
    monkeypatch.setenv("OPENTILL_PUBLIC_BASE_URL", " https://pay.example.com/ ")

    settings = Settings()

    assert settings.port == 9000
    assert settings.notify_allow_networks == (ip_network("10.0.0.0/8"), ip_network("fc00::/7"))
    assert settings.public_base_url == "https://pay.example.com"


def test_by_default_nothing_private_is_reached_and_nobody_from_outside_listens() -> None:
    settings = Settings.model_validate({})

    assert settings.notify_allow_networks == ()
    assert settings.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 65_536), ("port", -1), ("wallet_timeout_s", 0), ("wallet_timeout_s", 61), ("database_connections", 1),
        ("max_body_bytes", 1_023), ("max_open_requests", 0), ("default_subject", ""), ("default_subject", "x" * 41),
        ("log_level", "loud"), ("notify_allow_networks", "10.0.0.0/33"), ("metrics_networks", "localhost"),
    ],
)  # fmt: skip
def test_a_value_past_its_edge_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings.model_validate({name: value})


def test_the_master_key_is_never_shown() -> None:
    key = new_master_key()
    settings = Settings(master_key=SecretStr(key))

    assert key not in repr(settings)
    assert key not in settings.model_dump_json()


def test_the_key_of_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    file.write_text(new_master_key())
    key = SecretStr(new_master_key())
    sealed = sealer_of(Settings(master_key=key)).seal("x", place="p")

    both = sealer_of(Settings(master_key=key, master_key_file=file))

    assert both.open(sealed, place="p") == "x"
    with pytest.raises(SealingError):
        sealer_of(Settings(master_key=None, master_key_file=file)).open(sealed, place="p")


def test_without_a_key_nothing_is_sealed() -> None:
    with pytest.raises(SealingError, match="no master key"):
        sealer_of(Settings(master_key=None, master_key_file=None))


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_of_another_size_seals_nothing(size: int) -> None:
    with pytest.raises(SealingError):
        Sealer(bytes(size))
