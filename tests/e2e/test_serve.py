"""`opentill serve` refuses to start rather than to serve real money wrongly (design 7)."""

import os
import signal
import socket
from pathlib import Path

import pytest

from opentill.base.clock import real_now_ms
from opentill.base.sealing import new_master_key
from opentill.storage.database import ensure_schema, open_database
from opentill.storage.engine import Step
from tests.clients import Till
from tests.databases import fresh_url, on_both_engines
from tests.e2e.processes import run, serving

BASE = {"OPENTILL_PUBLIC_BASE_URL": "https://pay.example.com"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def environment(url: str, **more: str) -> dict[str, str]:
    return {"OPENTILL_DATABASE_URL": url, "OPENTILL_MASTER_KEY": new_master_key(), "OPENTILL_PORT": "0", **BASE, **more}


async def refused(environment: dict[str, str]) -> str:
    """What `opentill serve` says when it does not start."""
    code, said = await run("serve", environment=environment)
    assert code != 0, said
    assert "Traceback" not in said
    return said


async def test_without_a_master_key_it_does_not_start() -> None:
    async with fresh_url("sqlite") as url:
        said = await refused({**environment(url), "OPENTILL_MASTER_KEY": ""})

        assert "master key" in said


async def test_with_a_broken_master_key_it_does_not_start_and_does_not_show_it() -> None:
    key = "nonsense-key"
    async with fresh_url("sqlite") as url:
        said = await refused(environment(url, OPENTILL_MASTER_KEY=key))

        assert "master key" in said
        assert key not in said


async def test_with_a_key_file_that_is_not_there_it_does_not_start(tmp_path: Path) -> None:
    async with fresh_url("sqlite") as url:
        given = environment(url, OPENTILL_MASTER_KEY_FILE=str(tmp_path / "nowhere.key"))
        del given["OPENTILL_MASTER_KEY"]

        assert "master key file" in await refused(given)
        assert os.listdir(tmp_path) == [], "it makes no key of its own"


@on_both_engines
async def test_with_an_empty_database_it_does_not_start_and_makes_no_table(engine: str) -> None:
    async with fresh_url(engine, is_migrated=False) as url:
        said = await refused(environment(url))

        assert "opentill data migrate" in said


async def test_with_a_newer_schema_it_does_not_start() -> None:
    async with fresh_url("sqlite") as url:
        database = await open_database(url, connections=1)
        await database.write([Step("UPDATE alembic_version SET version_num = '9999'")])
        await database.close()

        assert "newer" in await refused(environment(url))


async def test_with_another_master_key_than_the_data_it_does_not_start() -> None:
    async with fresh_url("sqlite") as url:
        port = free_port()
        first = environment(url, OPENTILL_PORT=str(port))
        async with serving(base_url=f"http://127.0.0.1:{port}", environment=first) as process:
            await process.interrupt()

        said = await refused(environment(url, OPENTILL_PORT=str(port)))

        assert "master key" in said


@pytest.mark.parametrize("url", ["", "ftp://pay.example.com"])
async def test_without_the_address_that_wallets_call_it_does_not_start(url: str) -> None:
    async with fresh_url("sqlite") as database_url:
        said = await refused(environment(database_url, OPENTILL_PUBLIC_BASE_URL=url))

        assert "OPENTILL_PUBLIC_BASE_URL" in said


async def test_a_database_that_is_not_there_is_a_plain_message_without_its_password() -> None:
    said = await refused(environment("postgresql://till:planted-password@127.0.0.1:1/till"))

    assert "planted-password" not in said


@on_both_engines
async def test_the_public_test_identity_is_refused_outside_the_sandbox(engine: str) -> None:
    async with fresh_url(engine) as url:
        port = free_port()
        given = environment(url, OPENTILL_PORT=str(port))
        code, said = await run("admin", "merchant", "add", "Shop", environment=given)
        assert code == 0, said
        code, said = await run("admin", "app", "add", "Till", "--merchant", "1", environment=given)
        assert code == 0, said
        made = dict(line.split(" ", 1) for line in said.splitlines() if line.startswith(("app ", "key ")))
        async with serving(base_url=f"http://127.0.0.1:{port}", environment=given) as process:
            test = await process.till.scan()
            own = await Till(process.http, process.base_url, real_now_ms, app=made["app"], key=made["key"]).scan()
            pages = [
                (await process.get(path))[0] for path in ("/test/api/qrcode.htm", "/twin/phone", "/twin/api/trades")
            ]
            stopped = await process.interrupt(signal.SIGTERM)

        assert test.code == "20", "the app does not even exist"
        assert own.code == "25", "the key is good; the cashier is nobody's"
        assert pages == [404] * 3
        assert stopped[0] == 0


async def test_a_test_app_smuggled_into_a_real_database_is_refused() -> None:
    async with fresh_url("sqlite") as url:
        port = free_port()
        given = environment(url, OPENTILL_PORT=str(port))
        await ensure_schema(url)
        await run("admin", "merchant", "add", "Shop", environment=given)
        await run("admin", "app", "add", "Till", "--merchant", "1", environment=given)
        database = await open_database(url, connections=1)
        await database.write([Step("UPDATE apps SET app = 'A00305710000067'")])
        await database.close()

        async with serving(base_url=f"http://127.0.0.1:{port}", environment=given) as process:
            reply = await process.till.scan()

        assert not reply.is_success
        assert reply.code in ("1", "27")
