"""The platform's key pair: made at first start, kept sealed, its public half published (protocol 3)."""

import asyncio

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from opentill.base.sealing import Sealer
from opentill.storage import parties as rows
from opentill.storage.database import Database

_NAME = "platform"
_PLACE = "platform_keys.private_sealed:platform"
KEY_BITS = 2048


async def platform_key(database: Database, sealer: Sealer, *, now_ms: int) -> rsa.RSAPrivateKey:
    """The key of this deployment. Of two processes that start at once one key wins, and both use it.

    Raises: SealingError when the master key is not the one it was sealed with.
    """
    stored = await rows.platform_key(database, _NAME)
    if stored is None:
        made = await asyncio.to_thread(_new_key_pem)
        sealed = sealer.seal(made, place=_PLACE)
        await database.write([rows.insert_platform_key(_NAME, private_sealed=sealed, now_ms=now_ms)])
        stored = await rows.platform_key(database, _NAME)
        assert stored is not None
    pem = sealer.open(stored, place=_PLACE)
    # We made it ourselves and the seal proves it is unchanged, so the 40 ms of checking it again are not needed.
    key = load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _new_key_pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
