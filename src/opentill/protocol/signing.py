"""Request signatures (MD5, protocol 2) and our own RSA2 signatures (protocol 3)."""

import base64
import hashlib
import hmac
from collections.abc import Collection, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

# protocol 2: the fallback set is everything received but these.
NEVER_SIGNED = frozenset({"sign", "command", "version", "notify_url", "redirect_url", "key", "signString"})


def string_to_sign(values: Mapping[str, str]) -> str:
    """Drop empty values (only spaces counts as empty), sort by name in byte order, join `name=value` with `&`."""
    # Python sorts by code point, and UTF-8 keeps that order.
    return "&".join([f"{name}={values[name]}" for name in sorted(values) if values[name].strip(" ")])


def md5_sign(values: Mapping[str, str], key: str) -> str:
    """32 lower-case hex digits over `string_to_sign(values)` and the app's key (protocol 2)."""
    text = f"{string_to_sign(values)}&key={key}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def matches_md5(form: Mapping[str, str], *, signed: Collection[str], key: str, sign: str) -> bool:
    """Whether `sign` is the MD5 signature of the documented set, or of all parameters (protocol 2, DECISION).

    Nothing else is tried. The comparison takes constant time; upper-case hex is accepted.
    """
    given = sign.lower().encode()
    documented = {name: value for name, value in form.items() if name in signed}
    if hmac.compare_digest(md5_sign(documented, key).encode(), given):
        return True
    received = {name: value for name, value in form.items() if name not in NEVER_SIGNED}
    return hmac.compare_digest(md5_sign(received, key).encode(), given)


def hmac_sign(values: Mapping[str, str], key: str) -> str:
    """HMAC-SHA256 in lower-case hex over `string_to_sign(values)`: the strict method (protocol 2, 8)."""
    return hmac.new(key.encode(), string_to_sign(values).encode(), hashlib.sha256).hexdigest()


def matches_hmac(values: Mapping[str, str], *, key: str, sign: str) -> bool:
    """Whether `sign` is the HMAC of all parameters but `sign`."""
    return hmac.compare_digest(hmac_sign(values, key).encode(), sign.lower().encode())


def rsa2_sign(values: Mapping[str, str], key: rsa.RSAPrivateKey) -> str:
    """SHA256withRSA (PKCS#1 v1.5) in base64 over `string_to_sign(values)` (protocol 3)."""
    signature = key.sign(string_to_sign(values).encode(), padding.PKCS1v15(), hashes.SHA256())
    return base64.b64encode(signature).decode("ascii")


def matches_rsa2(values: Mapping[str, str], key: rsa.RSAPublicKey, sign: str) -> bool:
    """Whether `sign` is the RSA2 signature of `values` by the owner of `key`."""
    try:
        signature = base64.b64decode(sign, validate=True)
        key.verify(signature, string_to_sign(values).encode(), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def read_public_key(pem: str) -> rsa.RSAPublicKey:
    """An RSA public key from its PEM text. Raises ValueError."""
    key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")
    return key


def public_key_text(key: rsa.RSAPublicKey) -> str:
    """X.509 SubjectPublicKeyInfo as base64 DER: the form merchants paste (protocol 3)."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode("ascii")
