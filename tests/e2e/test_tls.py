"""`--tls`: people come by https, and what programs tell each other does not need the certificate to be trusted."""

import asyncio
import json
import re
import signal
import ssl
import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from yarl import URL

from opentill.cli.tls import Certificate, certificate_for
from tests.e2e.processes import Process, bash, sandbox, twin
from tests.e2e.test_sandbox import printed_curl
from tests.phones import ALIPAY, WECHAT

ADDRESSES = ("localhost", "127.0.0.1", "::1", "192.168.1.20", "till.lan")
DAY_MS = 86_400_000
NOON_MS = 1_795_406_400_000


def named(certificate: Certificate) -> set[str]:
    """The addresses that the certificate is good for."""
    loaded = x509.load_pem_x509_certificate(certificate.pem.read_bytes())
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def fits(certificate: Certificate) -> bool:
    """Whether key and certificate belong together."""
    loaded = x509.load_pem_x509_certificate(certificate.pem.read_bytes())
    key = load_pem_private_key(certificate.key.read_bytes(), password=None)
    return loaded.public_key() == key.public_key()


def program_url(process: Process) -> str:
    """The plain address, which the greeting tells for programs."""
    found = re.search(r"http://[\d.]+:\d+", process.greeting)
    assert found, process.greeting
    return found[0]


async def demo_config(process: Process) -> dict[str, Any]:
    """What the demo page of open.pay.scan tells its script."""
    _, html = await process.get("/test/api/qrcode.htm")
    found = re.search(r'<script type="application/json" id="config">(.*?)</script>', html, re.DOTALL)
    assert found, html
    config: dict[str, Any] = json.loads(found[1])
    return config


async def received(process: Process, order_no: str) -> dict[str, Any]:
    """What the demo page shows of an order, once its receiver was told."""
    async with asyncio.timeout(60):
        while True:
            _, text = await process.get(f"/test/api/status?app={process.till.app}&order_no={order_no}")
            shown: dict[str, Any] = json.loads(text)
            if shown["received"]:
                return shown
            await asyncio.sleep(0.05)


def test_the_certificate_names_every_address_and_only_its_owner_can_read_the_files(tmp_path: Path) -> None:
    made = certificate_for(ADDRESSES, tmp_path, now_ms=NOON_MS)

    assert (made.pem, made.key) == (tmp_path / "tls.pem", tmp_path / "tls.key")
    assert named(made) == set(ADDRESSES)
    assert fits(made)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize(
    ("addresses", "later_ms", "is_kept"),
    [
        (ADDRESSES, 0, True),
        (ADDRESSES[::-1], 363 * DAY_MS, True),
        (ADDRESSES, 364 * DAY_MS, False),  # it would end while it serves
        (ADDRESSES, 400 * DAY_MS, False),
        (("localhost", "127.0.0.1", "::1", "192.168.1.21", "till.lan"), 0, False),
        (ADDRESSES[:-1], 0, False),
    ],
)
def test_the_certificate_is_kept_until_it_ends_or_the_addresses_change(
    addresses: tuple[str, ...], later_ms: int, is_kept: bool, tmp_path: Path
) -> None:
    first = certificate_for(ADDRESSES, tmp_path, now_ms=NOON_MS).pem.read_bytes()

    again = certificate_for(addresses, tmp_path, now_ms=NOON_MS + later_ms)

    assert (again.pem.read_bytes() == first) is is_kept
    assert named(again) == set(addresses)
    assert fits(again)


@pytest.mark.parametrize("harm", ["key of another", "no key", "no certificate", "half a certificate"])
def test_files_that_do_not_belong_together_are_made_anew(harm: str, tmp_path: Path) -> None:
    good = certificate_for(ADDRESSES, tmp_path, now_ms=NOON_MS)
    (tmp_path / "other").mkdir()
    other = certificate_for(ADDRESSES, tmp_path / "other", now_ms=NOON_MS)
    if harm == "key of another":
        good.key.write_bytes(other.key.read_bytes())
    elif harm == "no key":
        good.key.unlink()
    elif harm == "no certificate":
        good.pem.unlink()
    else:
        good.pem.write_bytes(good.pem.read_bytes()[:200])

    again = certificate_for(ADDRESSES, tmp_path, now_ms=NOON_MS)

    assert fits(again)
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(again.pem, again.key)


@pytest.mark.parametrize("channel", [1, 2])
async def test_by_https_an_order_is_paid_called_back_and_notified(channel: int, tmp_path: Path) -> None:
    async with sandbox(tmp_path, "--tls") as process:
        receiver = (await demo_config(process))["receiver_url"]
        order = await process.till.scan(channel=channel, notify_url=receiver)

        await process.post("/twin/api/pay", qr_code=order.qr_code)
        shown = await received(process, order.order_no)
        await process.post("/twin/api/clock", advance_s=1)  # answers when all is quiet
        _, books = await process.get("/twin/api/trades")
        code, said = await process.interrupt()

        (trade,) = json.loads(books)["trades"]
        assert process.base_url.startswith("https://127.0.0.1:")
        assert receiver == program_url(process) + "/test/api/notify"
        assert shown["order"]["status"] == "2"
        assert trade["notify_url"].startswith(f"{program_url(process)}/callbacks/{trade['wallet']}/")
        assert [(callback["state"], callback["sent"]) for callback in trade["callbacks"]] == [("DONE", 1)]
        assert (code, "Traceback" in said) == (0, False)
    assert "Traceback" not in (tmp_path / "opentill.log").read_text()


async def test_links_lead_people_to_https_and_the_wallets_send_them_back_there(tmp_path: Path) -> None:
    async with sandbox(tmp_path, "--tls") as process:
        reply = await process.till.call("open.pay.h5", amount=1)
        link = reply.data["url"]

        pages = []
        for agent in (WECHAT, ALIPAY):
            async with process.http.get(URL(link, encoded=True), headers={"User-Agent": agent}) as page:
                pages.append((page.status, str(page.url)[: len(process.base_url)], len(page.history)))

        assert link.startswith(process.base_url + "/")
        assert pages == [(200, process.base_url, 2)] * 2, "to the wallet and back"


async def test_the_pasted_lines_work_without_trusting_the_certificate(tmp_path: Path) -> None:
    async with sandbox(tmp_path, "--tls") as process:
        pasted = json.loads(await bash(printed_curl(process)))

        assert pasted["result"]["success"], pasted


async def test_a_client_that_does_not_know_the_certificate_refuses_it(tmp_path: Path) -> None:
    async with sandbox(tmp_path, "--tls") as process, aiohttp.ClientSession() as stranger:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await stranger.get(process.base_url + "/healthz")


async def test_opened_to_the_network_the_certificate_is_good_for_the_printed_address(tmp_path: Path) -> None:
    async with sandbox(tmp_path, "--tls", "--host", "0.0.0.0") as process:
        printed = await process.get("/healthz")
        async with process.http.get(f"https://localhost:{urlsplit(process.base_url).port}/healthz") as reply:
            local = await reply.text()

        assert (printed, local) == ((200, "ok"), "ok")
        assert str(urlsplit(process.base_url).hostname) in named(
            Certificate(tmp_path / "tls.pem", tmp_path / "tls.key")
        )


async def test_after_a_restart_the_same_certificate_serves(tmp_path: Path) -> None:
    async with sandbox(tmp_path, "--tls") as first:
        await first.interrupt()
    before = (tmp_path / "tls.pem").read_bytes()

    async with sandbox(tmp_path, "--tls") as second:
        assert (await second.get("/healthz")) == (200, "ok")
        assert (tmp_path / "tls.pem").read_bytes() == before
        assert (await second.interrupt(signal.SIGTERM))[0] == 0


async def test_the_twin_alone_shows_the_phone_by_https_and_answers_programs_without(tmp_path: Path) -> None:
    async with twin(tmp_path, "--tls") as process, aiohttp.ClientSession() as program:
        phone = await process.get("/twin/phone")

        async with program.get(program_url(process) + "/twin/api/merchants") as answer:
            merchants = await answer.json()

        assert phone[0] == 200
        assert set(merchants) == {"alipay", "wechat"}
        assert (await process.interrupt())[0] == 0
