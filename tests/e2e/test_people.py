"""The first owner and lost passwords, from the shell: what is printed works, and only as long as it should."""

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from opentill.base.sealing import new_master_key
from tests.databases import fresh_url
from tests.e2e.processes import Process, run, sandbox, serving

PASSWORD = "correct horse battery"
START = re.compile(r"(http\S+)/console/start\?code=([A-Z2-7-]{19})")


@asynccontextmanager
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield http


async def send(http: aiohttp.ClientSession, url: str, form: dict[str, str]) -> str:
    """Fill in the form of a page and follow where it leads; the path there."""
    async with http.get(url) as page:
        token = (await page.text()).partition('name="csrf_token" value="')[2].partition('"')[0]
    async with http.post(url, data={**form, "csrf_token": token}) as reply:
        return reply.url.path


async def make_owner(base_url: str, code: str) -> str:
    async with browser() as http:
        form = {"code": code, "login": "owner", "name": "O", "password": PASSWORD, "again": PASSWORD}
        return await send(http, f"{base_url}/console/start", form)


async def sign_in(base_url: str, password: str) -> str:
    async with browser() as http:
        return await send(http, f"{base_url}/console/sign-in", {"login": "owner", "password": password})


async def read_line(process: Process) -> str:
    assert process.child.stdout
    return (await process.child.stdout.readline()).decode()


async def test_the_greeting_of_the_sandbox_leads_to_the_first_owner_and_then_to_the_console(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as first:
        found = START.search(first.greeting)
        assert found

        assert (await make_owner(first.base_url, found[2])).startswith("/console/")

    async with sandbox(tmp_path) as second:
        assert "start?code" not in second.greeting
        assert f"{second.base_url}/console/\n" in second.greeting
        assert await sign_in(second.base_url, PASSWORD) != "/console/sign-in"


async def test_the_shell_prints_the_code_and_gives_a_new_password_to_who_lost_it() -> None:
    async with fresh_url("sqlite") as url:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        environment = {
            "OPENTILL_DATABASE_URL": url,
            "OPENTILL_MASTER_KEY": new_master_key(),
            "OPENTILL_PORT": str(port),
            "OPENTILL_PUBLIC_BASE_URL": "http://127.0.0.1",
        }
        async with serving(base_url=f"http://127.0.0.1:{port}", environment=environment) as process:
            greeting = START.search(await read_line(process))
            assert greeting
            code, printed = await run("admin", "first-owner", environment=environment)
            assert (code, printed) == (0, greeting[2] + "\n")
            assert (await make_owner(process.base_url, printed.strip())).startswith("/console/")

            code, refused = await run("admin", "first-owner", environment=environment)
            assert (code, "users already" in refused) == (1, True)
            _, listed = await run("admin", "users", environment=environment)
            assert listed == "owner\tO\towner@*\tactive\n"
            code, said = await run("admin", "reset-user", "OWNER", environment=environment)
            initial = re.search(r"initial password ([a-z2-7-]{19})", said)
            assert initial
            assert await sign_in(process.base_url, PASSWORD) == "/console/sign-in"
            assert await sign_in(process.base_url, initial[1]) == "/console/profile/password"
            code, missing = await run("admin", "reset-user", "nobody", environment=environment)
            assert (code, "no such user" in missing) == (1, True)
