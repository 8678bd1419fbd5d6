"""Every HTTP call we make: where it may go, how long it may take, and what its failure means."""

import asyncio
import socket
from urllib.parse import urlsplit

import pytest

from opentill.base.outbound import AddressGuard, AddressRefused, NotSent, Outbound, ReplyLost
from tests.shops import Answer, open_shop


def at_host(url: str, host: str) -> str:
    """The same URL with the host written otherwise."""
    return url.replace("127.0.0.1", host)


# All of these lead to 127.0.0.1 for somebody: the resolver, the C library, or the socket.
LOOPBACK_WORDS = [
    "127.0.0.1", "localhost", "LOCALHOST.", "127.1", "127.0.1", "2130706433", "017700000001", "0177.0.0.1",
    "0x7f.0.0.1", "0x7f000001", "127.0.0.1.", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::1]", "0", "0.0.0.0", "[::]",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK_WORDS)
async def test_the_guard_refuses_loopback_however_it_is_written(host: str) -> None:
    async with open_shop(lambda: 0) as shop, Outbound(guard=AddressGuard()) as outbound:
        with pytest.raises(NotSent):
            await outbound.send("POST", at_host(shop.url, host), body=b"x", timeout_s=5)

        assert shop.heard == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "127.1", "2130706433"])
async def test_a_refused_address_is_told_apart_from_a_dead_one(host: str) -> None:
    async with open_shop(lambda: 0) as shop, Outbound(guard=AddressGuard()) as outbound:
        with pytest.raises(AddressRefused):
            await outbound.send("POST", at_host(shop.url, host), body=b"x", timeout_s=5)


@pytest.mark.parametrize(
    "url",
    [
        "http://a..b/", "http://.example.com/", "http://" + "x" * 64 + ".com/", "http://-/", "http://[::1/", "http://",
        "ftp://example.com/", "/relative", "", "http://exa mple/", "http://\u200b/", "http://127.0.0.1:99999/",
    ],
)  # fmt: skip
async def test_a_url_that_leads_nowhere_was_not_sent(url: str) -> None:
    async with Outbound(guard=AddressGuard()) as outbound:
        with pytest.raises(NotSent):
            await outbound.send("POST", url, body=b"x", timeout_s=5)


async def test_a_refused_connection_was_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    async with Outbound() as outbound:
        with pytest.raises(NotSent):
            await outbound.send("POST", f"http://127.0.0.1:{port}/", body=b"x", timeout_s=5)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsuc", b"nonsense\r\n\r\n"])
async def test_a_connection_that_ends_early_lost_the_reply(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, Outbound() as outbound:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(ReplyLost):
            await outbound.send("POST", url, body=b"x", timeout_s=5)


async def test_silence_after_sending_lost_the_reply() -> None:
    async with open_shop(lambda: 0) as shop, Outbound() as outbound:
        shop.answers = [Answer(until=asyncio.Event()), Answer(drip=asyncio.Event())]

        for _ in range(2):
            with pytest.raises(ReplyLost):
                await outbound.send("POST", shop.url, body=b"x", timeout_s=0.2)

        assert len(shop.heard) == 2


async def test_a_redirect_is_not_followed() -> None:
    async with open_shop(lambda: 0) as shop, Outbound() as outbound:
        shop.answers = [Answer(302, b"", {"Location": shop.url + "/elsewhere"})]

        reply = await outbound.send("POST", shop.url, body=b"x", timeout_s=5)

        assert reply.status == 302
        assert [urlsplit(heard.path).path for heard in shop.heard] == ["/notify"]


@pytest.mark.parametrize(("size", "is_truncated"), [(100, False), (101, True), (5_000_000, True)])
async def test_a_body_over_the_limit_is_cut(size: int, is_truncated: bool) -> None:
    async with open_shop(lambda: 0) as shop, Outbound() as outbound:
        shop.usually = Answer(body=b"x" * size)

        reply = await outbound.send("POST", shop.url, body=b"x", timeout_s=5, max_body_bytes=100)

        assert (len(reply.body), reply.is_truncated) == (100, is_truncated)


async def test_no_cookie_and_no_credential_is_kept_between_calls() -> None:
    async with open_shop(lambda: 0) as shop, Outbound() as outbound:
        shop.answers = [Answer(headers={"Set-Cookie": "session=1; Path=/"})]

        for _ in range(2):
            await outbound.send("POST", shop.url, body=b"x", timeout_s=5)

        assert "cookie" not in shop.heard[1].headers


@pytest.mark.parametrize(
    ("target", "path"),
    [("/n?a=%E8%AE%A2&b=1%2B1", "/n"), ("/%E8%AE%A2", "/订"), ("/n#part", "/n"), ("/a/../b", "/a/../b")],
)
async def test_a_path_is_sent_as_given(target: str, path: str) -> None:
    async with open_shop(lambda: 0) as shop, Outbound() as outbound:
        await outbound.send("POST", shop.url.removesuffix("/notify") + target, body=b"x", timeout_s=5)

        assert shop.heard[0].path == path


async def test_a_path_that_is_not_encoded_is_encoded() -> None:
    async with open_shop(lambda: 0) as shop, Outbound() as outbound:
        await outbound.send("POST", shop.url + "/订单?名=值", body=b"x", timeout_s=5)

        assert shop.heard[0].path == "/notify/订单"


async def test_an_answer_that_came_twice_is_not_taken_for_the_next_one() -> None:
    said_again = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path)
        writer.write(reply)
        if path == b"/first":
            await heard.wait()
            writer.write(reply)
            said_again.set()
        await reader.read()
        writer.close()

    heard = asyncio.Event()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, Outbound() as outbound:
        first = await outbound.send("GET", f"{url}/first", timeout_s=5)
        heard.set()
        await said_again.wait()
        for _ in range(10):  # let the client's loop read what is there
            await asyncio.sleep(0)

        second = await outbound.send("GET", f"{url}/second", timeout_s=5)

        assert (first.body, second.body) == (b"/first", b"/second")


async def test_after_the_end_nothing_is_sent() -> None:
    async with open_shop(lambda: 0) as shop:
        async with Outbound() as outbound:
            pass

        with pytest.raises(NotSent):
            await outbound.send("POST", shop.url, body=b"x", timeout_s=5)

        assert shop.heard == []
