"""What the shell says when a person can put it right: one line, the name of the setting, never its value."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from opentill.cli.main import app

MASTER_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENTILL_DATABASE_URL", f"sqlite:///{tmp_path / 'till.sqlite3'}")
    monkeypatch.setenv("OPENTILL_MASTER_KEY", MASTER_KEY)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("OPENTILL_DATABASE_URL", "mysql://till:hunter2@db/till"),
        ("OPENTILL_PORT", "99999"),
        ("OPENTILL_LOG_LEVEL", "hunter2"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not_shown(
    setting: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(setting, value)

    result = invoke("data migrate")

    assert result.exit_code == 1
    assert result.output.startswith(f"Not migrated: {setting}: ")
    assert "hunter2" not in result.output
    assert len(result.output.splitlines()) == 1


def test_without_a_master_key_the_message_says_where_one_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENTILL_MASTER_KEY")

    result = invoke("admin merchant list")

    assert (result.exit_code, result.output) == (
        1,
        "Not done: no master key: set OPENTILL_MASTER_KEY or OPENTILL_MASTER_KEY_FILE\n",
    )


def test_on_an_empty_database_the_message_says_what_to_run() -> None:
    result = invoke("admin merchant list")

    assert result.exit_code == 1
    assert result.output.endswith("run `opentill data migrate`\n")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("admin account rotate 1 --set app_id", "app_id: give it as app_id=VALUE or app_id=@FILE"),
        ("admin app set A1 tolerance_ms", "tolerance_ms: give it as tolerance_ms=VALUE"),
        ("admin account rotate 1 --set app_id=@nowhere.pem", "app_id: nowhere.pem cannot be read"),
        ("admin account fields paypal", "there is no wallet paypal"),
    ],
)
def test_a_wrong_argument_is_explained(command: str, said: str) -> None:
    result = invoke(command)

    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())


def test_a_list_that_goes_to_a_file_is_not_cut() -> None:
    invoke("data migrate")
    name = "一个名字很长很长的商户" * 12
    added = invoke(f"admin merchant add {name}")

    listed = invoke("admin merchant list")

    assert added.exit_code == 0
    assert name in listed.output


def invoke(command: str) -> Result:
    return CliRunner().invoke(app, command.split())
