"""`opentill sandbox` as a newcomer meets it: real processes, a real clock, one folder of data."""

import asyncio
import json
import signal
import stat
from pathlib import Path
from urllib.parse import urlsplit

from opentill.base.clock import real_now_ms
from tests.clients import is_signed
from tests.e2e.processes import Process, bash, run, sandbox
from tests.shops import Answer, open_shop

MINUTE_MS = 60_000


def printed_curl(process: Process) -> str:
    """The lines of the greeting that are meant to be pasted into a shell."""
    lines = process.greeting.splitlines()
    start = next(number for number, line in enumerate(lines) if line.strip().startswith("app=A00305710000067"))
    end = next(number for number in range(start, len(lines)) if not lines[number].strip())
    return "\n".join(lines[start:end])


async def status_of(process: Process, order_no: str) -> str:
    reply = await process.till.call("open.pay.query", order_no=order_no)
    assert reply.is_success, reply.message
    return reply.data["orderStatus"]


async def paid_within(process: Process, order_no: str, *, seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while await status_of(process, order_no) != "2":  # noqa: ASYNC110 - another process sets no event here
            await asyncio.sleep(0.05)


async def test_a_newcomer_pays_a_first_order_with_the_pasted_lines_and_everything_is_kept(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with open_shop(real_now_ms) as shop, sandbox(data) as first:
        health = await first.get("/healthz")
        pasted = json.loads(await bash(printed_curl(first)))
        await asyncio.sleep(1)  # the lines make a number from the second
        pasted_again = json.loads(await bash(printed_curl(first)))
        assert pasted["result"]["success"], pasted
        assert pasted_again["result"]["success"], pasted_again
        assert (await first.post("/twin/api/pay", qr_code=pasted["data"]["qrCode"]))[0] == 200
        await paid_within(first, pasted["data"]["cbOrderNo"])
        told = await first.till.scan(channel=2, notify_url=shop.url)
        await first.post("/twin/api/pay", qr_code=told.qr_code)
        (heard,) = await shop.arrived(1)
        _, public_key = await first.get("/public-key")
        code, said = await first.interrupt()

        assert health == (200, "ok")
        fields = heard.fields
        assert is_signed(fields, fields.pop("sign"), public_key)
        assert (code, "Traceback" in said) == (0, False)

    async with sandbox(data) as second:
        assert (await second.get("/public-key"))[1] == public_key
        assert await status_of(second, pasted["data"]["cbOrderNo"]) == "2"
        assert (await second.till.scan(local_order_no=told.data["localOrderNo"])).code == "60"
        again = await second.till.scan()
        assert (await second.post("/twin/api/pay", qr_code=again.qr_code))[0] == 200
        await paid_within(second, again.order_no)
        assert await second.interrupt(signal.SIGTERM) == (0, "\nStopped. All data is kept.\n")

    assert stat.S_IMODE((data / "master.key").stat().st_mode) == 0o600
    assert "Traceback" not in (data / "opentill.log").read_text()


async def test_what_was_owed_at_kill_9_is_told_after_the_restart(tmp_path: Path) -> None:
    async with open_shop(real_now_ms) as shop:
        shop.answers = [Answer(until=asyncio.Event())]
        async with sandbox(tmp_path) as first:
            order = await first.till.scan(notify_url=shop.url)
            await first.post("/twin/api/pay", qr_code=order.qr_code)
            await shop.arrived(1)
            await first.kill()

        async with sandbox(tmp_path) as second:
            assert await status_of(second, order.order_no) == "2"
            # The dead process' lease has to run out; a sandbox's clock can be moved.
            await second.post("/twin/api/clock", advance_s=61)
            heard = await shop.arrived(2)

        assert [each.fields["cbOrderNo"] for each in heard] == [order.order_no] * 2
        assert heard[0].body == heard[1].body, "the same bytes: fields and signature were fixed before"


async def test_an_order_that_was_paid_while_the_gateway_was_dead_is_found_after_the_restart(tmp_path: Path) -> None:
    async with open_shop(real_now_ms) as shop:
        async with sandbox(tmp_path) as first:
            order = await first.till.scan(notify_url=shop.url)
            never = {"wallet": "alipay", "operation": "callback", "fault": "callback_never"}
            assert (await first.post("/twin/api/faults", **never))[0] == 200
            await first.post("/twin/api/pay", qr_code=order.qr_code)
            await first.kill()

        async with sandbox(tmp_path) as second:
            await paid_within(second, order.order_no)
            (heard,) = await shop.arrived(1)

    assert heard.fields["cbOrderNo"] == order.order_no


async def test_a_change_by_the_command_line_is_felt_within_two_seconds(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as process:
        environment = {
            "OPENTILL_DATABASE_URL": f"sqlite:///{tmp_path / 'opentill.sqlite3'}",
            "OPENTILL_MASTER_KEY_FILE": str(tmp_path / "master.key"),
        }
        before = await process.till.scan()

        code, said = await run("admin", "app", "disable", process.till.app, environment=environment)
        assert code == 0, said
        await asyncio.sleep(2)

        assert (before.code, (await process.till.scan()).code) == ("0", "21")


async def test_a_port_that_is_taken_is_a_plain_message(tmp_path: Path) -> None:
    async with sandbox(tmp_path / "one") as first:
        port = urlsplit(first.base_url).port

        code, said = await run("sandbox", "--port", str(port), "--data", str(tmp_path / "two"))

        assert code == 1
        assert "Cannot start" in said
        assert "Traceback" not in said


async def test_a_folder_with_another_master_key_is_refused_and_not_harmed(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as process:
        await process.interrupt()
    good = (tmp_path / "master.key").read_text()
    (tmp_path / "master.key").write_text("A" * 43 + "=\n")

    code, said = await run("sandbox", "--port", "0", "--data", str(tmp_path))

    assert code == 1
    assert "Cannot start" in said
    assert "Traceback" not in said
    (tmp_path / "master.key").write_text(good)
    async with sandbox(tmp_path) as process:
        assert (await process.till.scan()).is_success


async def test_a_broken_master_key_is_a_plain_message_that_does_not_show_it(tmp_path: Path) -> None:
    key = "nonsense"
    (tmp_path / "master.key").write_text(key)

    code, said = await run("sandbox", "--port", "0", "--data", str(tmp_path))

    assert code == 1
    assert "Traceback" not in said
    assert key not in said
