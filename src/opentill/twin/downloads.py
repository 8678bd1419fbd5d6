"""Files that can be fetched for a short time by a token. They live in memory, as shortly as their links."""

import secrets
from collections import OrderedDict

import msgspec

MAX_FILES = 200


class File(msgspec.Struct, frozen=True):
    """A file somebody may fetch until `expires_ms`. `owner` is the merchant it was made for."""

    name: str
    content: bytes
    owner: str
    expires_ms: int


class Downloads:
    """The files by token; the oldest give way."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, File] = OrderedDict()

    def offer(self, file: File) -> str:
        """The token that fetches the file."""
        token = secrets.token_hex(20)
        self._files[token] = file
        while len(self._files) > MAX_FILES:
            self._files.popitem(last=False)
        return token

    def fetch(self, token: str, *, now_ms: int) -> File | None:
        """The file, unless the token is unknown or too old."""
        file = self._files.get(token)
        return file if file is not None and now_ms < file.expires_ms else None
