"""Secrets at rest: AES-256-GCM under the deployment's master key, bound to where they belong."""

import base64
import binascii
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12
_FORMAT = "s1:"


class SealingError(Exception):
    """The master key is missing, malformed, or does not open what was sealed."""


class Sealer:
    """Seals and opens texts. `place` (table, column, row) is authenticated, so a value can't be moved elsewhere."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != KEY_BYTES:
            raise SealingError(f"the master key must be {KEY_BYTES} bytes in base64")
        self._aead = AESGCM(master_key)
        # A key of its own: what is sealed and what is only marked never meet.
        self._mac_key = hmac.digest(master_key, b"opentill mac", "sha256")

    def seal(self, text: str, *, place: str) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._aead.encrypt(nonce, text.encode(), place.encode())
        return _FORMAT + base64.b64encode(nonce + sealed).decode("ascii")

    def open(self, sealed: str, *, place: str) -> str:
        """Raises SealingError when `sealed` was not made by this master key for this place."""
        try:
            raw = base64.b64decode(sealed.removeprefix(_FORMAT), validate=True)
            return self._aead.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise SealingError(f"this master key does not open {place}") from error

    def mac(self, text: str, *, place: str) -> bytes:
        """32 bytes that only who has the master key can compute; another place gives others."""
        return hmac.digest(self._mac_key, f"{len(place)}:{place}{text}".encode(), "sha256")


def read_master_key(text: str) -> bytes:
    """The key from its base64 text. Raises SealingError."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SealingError("the master key is not base64") from error
    if len(key) != KEY_BYTES:
        raise SealingError(f"the master key must be {KEY_BYTES} bytes in base64")
    return key


def new_master_key() -> str:
    """A fresh master key as base64 text."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")


def master_key_file(path: Path) -> bytes:
    """The key in `path`, made (0600) when the file does not exist yet. Raises SealingError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_master_key(path.read_text("ascii"))
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(new_master_key() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return read_master_key(path.read_text("ascii"))
