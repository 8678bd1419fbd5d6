"""What the doctor says of the environment, the master key and the wallet accounts."""

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from opentill.base.sealing import Sealer, new_master_key, read_master_key
from opentill.services.doctor_settings import check_accounts, check_sealed_values, check_settings
from opentill.services.findings import Level
from opentill.storage import health
from tests.databases import fresh_database, on_both_engines
from tests.doctor.patients import only, patient_of
from tests.world import MASTER_KEY, World, world

EVERYWHERE = (ip_network("0.0.0.0/0"),)


async def test_settings_for_real_money_are_fine() -> None:
    async with world(works=False) as w:
        finding = await only(check_settings, patient_of(w))

        assert finding.level is Level.OK
        assert "https://pay.example.com" in finding.text


@pytest.mark.parametrize(
    ("changed", "level", "said"),
    [
        ({"public_base_url": ""}, Level.FAIL, "no public address"),
        ({"public_base_url": "http://pay.example.com"}, Level.FAIL, "not https"),
        ({"public_base_url": "https://192.168.1.9"}, Level.WARN, "no wallet reaches it"),
        ({"public_base_url": "https://localhost:8443"}, Level.WARN, "no wallet reaches it"),
        ({"alipay_base_url": "http://127.0.0.1/twin"}, Level.WARN, "OPENTILL_ALIPAY_BASE_URL"),
        ({"wechat_oauth_base_url": "https://w.example.com"}, Level.WARN, "OPENTILL_WECHAT_OAUTH_BASE_URL"),
        ({"trusted_proxies": EVERYWHERE}, Level.FAIL, "trusted proxy"),
        ({"metrics_networks": EVERYWHERE}, Level.WARN, "/metrics"),
        ({"notify_allow_networks": (ip_network("127.0.0.0/8"),)}, Level.WARN, "this machine"),
        ({"console_token": SecretStr("short")}, Level.WARN, "can be guessed"),
    ],
)
async def test_a_setting_that_makes_no_sense_is_named(changed: dict[str, Any], level: Level, said: str) -> None:
    async with world(works=False) as w:
        finding = await only(check_settings, patient_of(w, settings=changed))

        assert finding.level is level
        assert said in finding.text


@pytest.mark.parametrize(("mode", "level"), [(0o600, Level.OK), (0o640, Level.FAIL)])
async def test_a_master_key_that_others_can_read_is_named(tmp_path: Path, mode: int, level: Level) -> None:
    path = tmp_path / "master.key"
    path.write_text(new_master_key())
    path.chmod(mode)
    async with world(works=False) as w:
        finding = await only(check_settings, patient_of(w, settings={"master_key_file": path}))

        assert finding.level is level


@on_both_engines
async def test_the_right_master_key_opens_everything(engine: str) -> None:
    async with world(engine, works=False) as w:
        sealed = await health.sealed_values(w.database)

        finding = await only(check_sealed_values, patient_of(w))

        assert finding.level is Level.OK
        assert f"all {len(sealed)}" in finding.text
        assert {value.place.partition(":")[0] for value in sealed} >= {
            "apps.key_sealed",
            "channel_accounts.settings_sealed",
            "platform_keys.private_sealed",
        }


@on_both_engines
async def test_another_master_key_opens_nothing(engine: str) -> None:
    async with world(engine, works=False) as w:
        other = Sealer(read_master_key(new_master_key()))

        finding = await only(check_sealed_values, patient_of(w, sealer=other))

        assert finding.level is Level.FAIL
        assert "opens 0 of" in finding.text
        assert "the key that this database was made with" in finding.remedy


@on_both_engines
async def test_a_value_copied_to_another_row_does_not_open(engine: str) -> None:
    async with world(engine, works=False) as w:
        till = await w.add_till()
        await w.change(
            "UPDATE apps SET key_sealed = (SELECT key_sealed FROM apps WHERE app_id = 1) WHERE app = $1", till.app
        )

        finding = await only(check_sealed_values, patient_of(w))

        assert finding.level is Level.FAIL
        assert f"apps.key_sealed:{till.app}" in finding.text


async def test_an_old_key_is_opened_too() -> None:
    async with world(works=False) as w:
        till = await w.add_till()
        await w.administration.rotate_app_key(till.app, overlap_ms=3_600_000)

        finding = await only(check_sealed_values, patient_of(w))

        assert finding.level is Level.OK
        assert f"all {len(await health.sealed_values(w.database))}" in finding.text


async def test_without_a_master_key_nothing_opens() -> None:
    async with world(works=False) as w:
        finding = await only(check_sealed_values, patient_of(w, sealer=None))

        assert finding.level is Level.FAIL


@on_both_engines
async def test_every_sealed_column_of_the_schema_is_looked_at(engine: str) -> None:
    async with fresh_database(engine) as (_, database):
        columns = {
            "sqlite": "SELECT t.name AS table_name, c.name AS column_name FROM sqlite_master AS t "
            "JOIN pragma_table_info(t.name) AS c WHERE t.type = 'table' AND c.name LIKE '%sealed'",
            "postgresql": "SELECT CAST(table_name AS TEXT) AS table_name, CAST(column_name AS TEXT) AS column_name "
            "FROM information_schema.columns WHERE table_schema = current_schema() AND column_name LIKE '%sealed'",
        }
        found = {(row["table_name"], row["column_name"]) for row in await database.read(columns[engine])}

        assert found == {(table, column) for table, column, *_ in health.SEALED_COLUMNS}


@on_both_engines
async def test_accounts_whose_keys_can_be_read_are_fine(engine: str) -> None:
    async with world(engine, works=False) as w:
        finding = await only(check_accounts, patient_of(w))

        assert finding.level is Level.OK


@on_both_engines
async def test_an_account_with_a_broken_key_is_named(engine: str) -> None:
    async with world(engine, works=False) as w:
        sealer = Sealer(read_master_key(MASTER_KEY))
        sealed = sealer.seal('{"app_id":"1","private_key":"no key"}', place="channel_accounts.settings_sealed:1")
        await w.change("UPDATE channel_accounts SET settings_sealed = $1 WHERE account_id = 1", sealed)

        finding = await only(check_accounts, patient_of(w))

        assert finding.level is Level.FAIL
        assert "account 1" in finding.text
        assert "no key" not in finding.text


async def test_an_account_that_is_disabled_need_not_open() -> None:
    async with world(works=False) as w:
        await w.change("UPDATE channel_accounts SET settings_sealed = 's1:', is_disabled = 1 WHERE account_id = 1")

        finding = await only(check_accounts, patient_of(w))

        assert finding.level is Level.OK


async def test_an_account_of_a_wallet_that_this_release_has_not_is_named() -> None:
    async with world(works=False) as w:
        await w.change("UPDATE channel_accounts SET channel = 99 WHERE account_id = 1")

        finding = await only(check_accounts, patient_of(w))

        assert finding.level is Level.FAIL
        assert "wallet 99" in finding.text


async def test_without_an_account_nobody_can_be_paid() -> None:
    async with world(works=False) as w:
        await w.change("UPDATE channel_accounts SET is_disabled = 1")

        finding = await only(check_accounts, patient_of(w))

        assert finding.level is Level.WARN


DAY = timedelta(days=1)


def certificate(starts: datetime, ends: datetime) -> str:
    """A wallet's certificate as a person pastes it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "wallet")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), starts, ends)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


async def paste(w: World, pasted: str) -> None:
    """Add platform certificates to the WeChat Pay account."""
    sealer, place = Sealer(read_master_key(MASTER_KEY)), "channel_accounts.settings_sealed:2"
    (row,) = await w.rows("SELECT settings_sealed FROM channel_accounts WHERE account_id = 2")
    values = json.loads(sealer.open(row["settings_sealed"], place=place)) | {"platform_certificates": pasted}
    sealed = sealer.seal(json.dumps(values), place=place)
    await w.change("UPDATE channel_accounts SET settings_sealed = $1 WHERE account_id = 2", sealed)


@pytest.mark.parametrize(
    ("left", "level"),
    [
        (31 * DAY, Level.OK),
        (30 * DAY, Level.OK),
        (30 * DAY - timedelta(seconds=1), Level.WARN),
        (timedelta(seconds=1), Level.WARN),
        (-DAY, Level.FAIL),
    ],
)
async def test_a_pasted_certificate_near_its_end_is_named(left: timedelta, level: Level) -> None:
    async with world(works=False) as w:
        now = datetime.fromtimestamp(w.clock.now_ms() / 1000, UTC)
        await paste(w, certificate(now - 365 * DAY, now + left))

        finding = await only(check_accounts, patient_of(w))

        assert finding.level is level
        assert level is Level.OK or "platform_certificates of account 2" in finding.text


async def test_of_an_old_and_a_new_certificate_the_newest_counts() -> None:
    async with world(works=False) as w:
        now = datetime.fromtimestamp(w.clock.now_ms() / 1000, UTC)
        old, new = certificate(now - 365 * DAY, now - DAY), certificate(now - DAY, now + 365 * DAY)
        await paste(w, old + new)

        finding = await only(check_accounts, patient_of(w))

        assert finding.level is Level.OK
