"""A connection to PostgreSQL that can be cut at a chosen moment, like a network that fails."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SOCKET = ".s.PGSQL.5432"
CHUNK = 65_536


class Cable:
    """Passes bytes on between clients and the server.

    `cut_after`: once a client has sent this, it is still passed on, but nothing comes back any more and all is cut.
    `cut_before`: once a client sends this, it is not passed on, and all is cut.
    """

    def __init__(self, server_socket: str) -> None:
        self.cut_after: bytes | None = None
        self.cut_before: bytes | None = None
        self.cuts = 0
        self._server_socket = server_socket
        self._writers: set[asyncio.StreamWriter] = set()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it or the server leaves, or the cable is cut."""
        server_reader, server_writer = await asyncio.open_unix_connection(self._server_socket)
        ends = {writer, server_writer}
        self._writers |= ends
        back = asyncio.create_task(self._back(server_reader, writer))
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                if self.cut_before is not None and self.cut_before in data:
                    self.cut_before = None
                    self.cut()
                    break
                is_last = self.cut_after is not None and self.cut_after in data
                if is_last:
                    self.cut_after = None
                    await _end(back)
                server_writer.write(data)
                await server_writer.drain()
                if is_last:
                    await server_reader.read(1)  # the server has answered: it has done it
                    self.cut()
                    break
        await _end(back)
        for end in ends:
            end.close()
        self._writers -= ends

    def cut(self) -> None:
        """Everybody who is connected is cut off."""
        self.cuts += 1
        for writer in self._writers:
            writer.transport.abort()

    async def _back(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await server.read(CHUNK):
                client.write(data)
                await client.drain()
        client.close()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


@contextlib.asynccontextmanager
async def cable_to(url: str) -> AsyncIterator[tuple[str, Cable]]:
    """A URL that leads to the database at `url` over a cable, and the cable."""
    parts = urlsplit(url)
    folder = parse_qs(parts.query)["host"][0]
    cable = Cable(f"{folder}/{SOCKET}")
    with tempfile.TemporaryDirectory(prefix="opentill-cable-", dir="/tmp") as own:
        server = await asyncio.start_unix_server(cable.connect, Path(own) / SOCKET)
        try:
            yield f"{parts.scheme}://{parts.netloc}{parts.path}?host={own}", cable
        finally:
            server.close()
            cable.cut()
            await asyncio.sleep(0)
