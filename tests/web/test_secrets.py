"""No secret is ever shown: planted keys are looked for in everything the gateway says, writes and logs."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from opentill.base.sealing import Sealer, read_master_key
from opentill.services.access import account_place
from tests.clients import Till
from tests.shops import Answer
from tests.wallets import CERTAINLY_UNKNOWN, faulty_road
from tests.world import MASTER_KEY, World, world


async def secrets_of(w: World, *tills: Till) -> dict[str, str]:
    """Every secret by its name: of the deployment, of the apps, of the wallet accounts."""
    found = {"master key": MASTER_KEY} | {f"key of {till.app}": till.key for till in tills}
    sealer = Sealer(read_master_key(MASTER_KEY))
    (row,) = await w.rows("SELECT private_sealed FROM platform_keys")
    pem = sealer.open(row["private_sealed"], place="platform_keys.private_sealed:platform")
    found |= {f"platform key line {number}": line for number, line in enumerate(pem.splitlines()[1:-1])}
    for account in await w.rows("SELECT account_id, settings_sealed FROM channel_accounts"):
        text = sealer.open(account["settings_sealed"], place=account_place(account["account_id"]))
        for name, value in msgspec.json.decode(text, type=dict[str, str]).items():
            if name in ("app_private_key", "merchant_private_key"):
                found |= {f"{name} line {number}": line for number, line in enumerate(value.splitlines()[1:-1])}
            elif name == "api_v3_key":
                found[name] = value
    return found


def leaks(secrets: dict[str, str], *texts: str) -> list[str]:
    return [name for name, secret in secrets.items() if any(secret in text for text in texts)]


async def test_no_secret_is_logged_or_answered_whatever_goes_wrong() -> None:
    async with faulty_road() as road, world(**road.settings) as w:
        road.leads_to(w)
        till = await w.add_till()
        secrets = await secrets_of(w, till)
        said: list[str] = []

        async def ask(form: dict[str, str]) -> None:
            said.append((await till.post(form)).body.decode())

        # Clients that send their key along, as the public ones do, with good and with bad signatures.
        form = till.form("open.pay.scan", **till.scan_params(key=till.key, notify_url=w.shop.url + "/" + till.key))
        unsigned = form | {"signString": f"a=1&key={till.key}", "remark": f"my key is {till.key}"}
        await ask(form)
        await ask(unsigned | {"sign": "0" * 32})
        await ask(unsigned | {"sign": till.key})
        for name in form:
            # A key in place of an app's or an interface's name can't be known for what it is.
            if name not in ("app", "command"):
                await ask(form | {name: till.key})
            await ask({other: value for other, value in form.items() if other != name})
        # Every accident on the way to both wallets.
        for accident in CERTAINLY_UNKNOWN[:4]:
            road.always = accident
            for channel in (1, 2):
                await ask(till.form("open.pay.scan", **till.scan_params(channel=channel)))
        road.always = CERTAINLY_UNKNOWN[0]
        await w.advance(10)
        # Callbacks with nonsense, and a broken account.
        for path in ("/callbacks/alipay/1", "/callbacks/wechat/2"):
            async with w.http.post(w.base_url + path, data=b"resource=" + till.key.encode()) as reply:
                said.append(await reply.text())
        await w.change("UPDATE channel_accounts SET settings_sealed = 's1:AAAA'")
        w.deployment.parties.forget()
        for channel in (1, 2):
            await ask(till.form("open.pay.scan", **till.scan_params(channel=channel)))
        said += [text for _, text in [await w.get("/metrics"), await w.get("/healthz"), await w.get("/nowhere")]]

        log = w.ground.log.getvalue()

        assert len(log) > 1_000
        assert leaks(secrets, log, *said) == []
        assert "Traceback" not in "".join(said)


async def test_no_secret_lies_open_in_the_database_file(tmp_path: Path) -> None:
    async with world() as w:
        till = await w.add_till()
        await w.pay((await till.scan(notify_url=w.shop.url)).qr_code)
        secrets = await secrets_of(w, till)

        files = Path(w.deployment.settings.database_url.removeprefix("sqlite:///")).parent.iterdir()

        content = b"".join(file.read_bytes() for file in files).decode("latin-1")
        assert till.app in content
        assert leaks(secrets, content) == []


async def test_neither_struct_nor_error_shows_a_key_when_printed() -> None:
    async with world() as w:
        secrets = await secrets_of(w, w.till)

        settings = repr(w.deployment.settings) + str(w.deployment.settings)

        assert leaks(secrets, settings) == []


@pytest.mark.parametrize("body", [b"key=%s", b"success%s", b"\xff\xfe%s"])
async def test_a_receivers_answer_is_kept_for_the_timeline_but_not_logged(body: bytes) -> None:
    async with world() as w:
        w.shop.answers = [Answer(500, body % b"planted-by-the-shop")]
        reply = await w.scan(notify_url=w.shop.url)

        await w.pay(reply.qr_code)

        (told,) = await w.told(reply.order_no)
        assert "planted-by-the-shop" in told.attempts[0].body
        assert "planted-by-the-shop" not in w.ground.log.getvalue()


def keys_of(lines: list[dict[str, Any]]) -> set[str]:
    return {key for line in lines for key in line}


async def test_a_log_line_has_no_body_and_no_signature() -> None:
    async with world() as w:
        reply = await w.scan(notify_url=w.shop.url, subject="一个秘密的描述")
        await w.pay(reply.qr_code)

        lines = w.log_lines()

        assert {line["area"] for line in lines} >= {"gateway", "orders", "notify"}
        assert keys_of(lines).isdisjoint({"sign", "key", "body", "qr_text", "fields"})
        assert "一个秘密的描述" not in w.ground.log.getvalue()
        assert reply.data["sign"] not in w.ground.log.getvalue()
