"""The keys of a run: the merchant's at the wallets, and the wallets' own."""

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

ALIPAY_APP_ID = "2021000000000000"
WECHAT_APPID = "wx0000000000000000"
WECHAT_MCHID = "1900000000"
API_V3_KEY = "0" * 32
PUBLIC_KEY_ID = "PUB_KEY_ID_0000000000000000000000000001"


def write_keys(path: Path) -> None:
    """Two fresh pairs as PEM texts in a JSON file."""
    merchant, wallet = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    texts = {
        "merchant_private": _private(merchant),
        "wallet_private": _private(wallet),
        "wallet_public": wallet.public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        .decode("ascii"),
    }
    path.write_text(json.dumps(texts))


def _private(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
