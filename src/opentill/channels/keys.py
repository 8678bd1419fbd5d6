"""Keys and certificates as people paste them: any form in, a parsed key or a plain explanation out.

Accepted: PEM (PKCS#1, PKCS#8, SubjectPublicKeyInfo, X.509) and the same as bare base64, with lost, doubled, Windows or
escaped line breaks. Explanations name the field and what was expected, never the value (pains F 75, 78).
"""

import base64
import hashlib
import re

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from opentill.channels.base import AccountProblem

MIN_KEY_BITS = 2048
MAX_KEY_BITS = 4096

_PADDING = PKCS1v15()
_SHA256 = hashes.SHA256()
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_NOT_BASE64 = re.compile(r"\\[rn]|\s")


def sign(key: RSAPrivateKey, message: bytes) -> str:
    """SHA256withRSA (PKCS#1 v1.5), base64: both wallets sign like this."""
    return base64.b64encode(key.sign(message, _PADDING, _SHA256)).decode("ascii")


def is_signed_by(key: RSAPublicKey, signature: str, message: bytes) -> bool:
    """Whether `signature` (base64) over `message` was made by the owner of `key`."""
    try:
        key.verify(base64.b64decode(signature, validate=True), message, _PADDING, _SHA256)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_private_key(field: str, text: str) -> RSAPrivateKey:
    """The RSA private key in `text`. Raises AccountProblem."""
    label, der = _single_block(field, text)
    if "ENCRYPTED" in label or "ENCRYPTED" in text:
        raise AccountProblem(
            field,
            "这把私钥加了密码，请先去掉密码再粘贴",
            "the private key is protected by a password; remove the password first",
        )
    if "PUBLIC" in label or "CERTIFICATE" in label:
        raise _not_private(field)
    try:
        key = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if _is_public_key(der) or _is_certificate(der):
            raise _not_private(field) from None
        raise _not_usable(field) from error
    if not isinstance(key, RSAPrivateKey):
        raise _not_rsa(field)
    _check_size(field, key.key_size)
    if not _signs(key):
        raise _not_usable(field)
    return key


def read_public_key(field: str, text: str) -> RSAPublicKey:
    """The RSA public key in `text`. Raises AccountProblem."""
    label, der = _single_block(field, text)
    if "PRIVATE" in label:
        raise _not_public(field)
    if "CERTIFICATE" in label or _is_certificate(der):
        raise AccountProblem(
            field,
            "这里应填公钥，粘贴的却是证书，请填到证书对应的栏目",
            "expected a public key, but a certificate was pasted; it belongs in the certificate's own field",
        )
    try:
        key = load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if _is_private_key(der):
            raise _not_public(field) from None
        raise AccountProblem(
            field,
            "不是可用的公钥：应为 RSA 公钥（PEM 或纯 base64），请检查是否粘贴完整",
            "not a usable public key: expected an RSA public key (PEM or bare base64), complete",
        ) from error
    if not isinstance(key, RSAPublicKey):
        raise _not_rsa(field)
    _check_size(field, key.key_size)
    return key


def read_certificates(field: str, text: str) -> list[x509.Certificate]:
    """Every certificate in `text`, at least one, as pasted. Raises AccountProblem."""
    blocks = [(label, body) for label, body in _BLOCK.findall(_cleaned(text)) if label != "X509 CRL"]
    if any("PRIVATE" in label for label, _ in blocks):
        raise _not_public(field)
    bodies = [body for label, body in blocks if "CERTIFICATE" in label] or ([text] if not blocks else [])
    try:
        found = [x509.load_der_x509_certificate(_decoded(body)) for body in bodies]
    except ValueError as error:
        raise _not_certificate(field) from error
    if not found:
        raise _not_certificate(field)
    return found


def certificate_key(field: str, certificate: x509.Certificate) -> RSAPublicKey:
    """The RSA public key of a certificate. Raises AccountProblem."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _not_rsa(field) from error
    if not isinstance(key, RSAPublicKey):
        raise _not_rsa(field)
    _check_size(field, key.key_size)
    return key


def refuse_own_key(field: str, pasted: RSAPublicKey, own: RSAPrivateKey, *, wallet_zh: str, wallet_en: str) -> None:
    """The commonest cause of signatures that never verify (pains 75). Raises AccountProblem."""
    if pasted.public_numbers() == own.public_key().public_numbers():
        raise AccountProblem(
            field,
            f"这里粘贴的是您自己的公钥（与您的私钥是一对），应填{wallet_zh}的公钥",
            f"this is your own public key (it belongs to your private key); paste {wallet_en}'s public key here",
        )


def _single_block(field: str, text: str) -> tuple[str, bytes]:
    """The label ("" for bare base64) and the DER bytes of the first key in `text`."""
    cleaned = _cleaned(text)
    match = _BLOCK.search(cleaned)
    label, body = (match[1], match[2]) if match else ("", cleaned)
    if "ENCRYPTED" in body:  # the header lines of an encrypted PKCS#1 key
        return "ENCRYPTED", b""
    try:
        return label, _decoded(body)
    except ValueError as error:
        raise AccountProblem(
            field,
            "无法识别：应为 PEM 或纯 base64 文本，请检查是否粘贴完整、有无多余字符",
            "not readable: expected PEM or bare base64 text, complete and without other characters",
        ) from error


def _cleaned(text: str) -> str:
    return text.replace("\ufeff", "").strip().strip('"').strip()


def _decoded(body: str) -> bytes:
    raw = _NOT_BASE64.sub("", _cleaned(body)).rstrip("=")
    return base64.b64decode(raw + "=" * (-len(raw) % 4), validate=True)


def _signs(key: RSAPrivateKey) -> bool:
    """Whether the key's parts belong together: it signs, and its public half agrees.

    Loading would test the primes too, 40 ms in which nobody is answered, for each account after each start.
    """
    try:
        return is_signed_by(key.public_key(), sign(key, b""), b"")
    except ValueError:
        return False


def _is_public_key(der: bytes) -> bool:
    try:
        load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _is_private_key(der: bytes) -> bool:
    try:
        load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _is_certificate(der: bytes) -> bool:
    try:
        x509.load_der_x509_certificate(der)
    except ValueError:
        return False
    return True


def _check_size(field: str, bits: int) -> None:
    if not MIN_KEY_BITS <= bits <= MAX_KEY_BITS:
        raise AccountProblem(
            field,
            f"密钥长度为 {bits} 位，应为 {MIN_KEY_BITS} 至 {MAX_KEY_BITS} 位",
            f"the key has {bits} bits; {MIN_KEY_BITS} to {MAX_KEY_BITS} are expected",
        )


def _not_private(field: str) -> AccountProblem:
    return AccountProblem(
        field,
        "这里应填私钥，粘贴的却是公钥或证书",
        "expected a private key, but a public key or a certificate was pasted",
    )


def _not_usable(field: str) -> AccountProblem:
    return AccountProblem(
        field,
        "不是可用的私钥：应为 PKCS#1 或 PKCS#8 格式的 RSA 私钥（PEM 或纯 base64），请检查是否粘贴完整",
        "not a usable private key: expected an RSA key in PKCS#1 or PKCS#8 form (PEM or bare base64), complete",
    )


def _not_public(field: str) -> AccountProblem:
    return AccountProblem(
        field,
        "这里粘贴的是私钥：私钥只应填在私钥栏，请换成对方的公钥或证书",
        "a private key was pasted here; it belongs in the private key's field only",
    )


def _not_certificate(field: str) -> AccountProblem:
    return AccountProblem(
        field,
        "不是可用的证书：应为 X.509 证书（PEM 或纯 base64），请检查是否粘贴完整",
        "not a usable certificate: expected X.509 (PEM or bare base64), complete",
    )


def _not_rsa(field: str) -> AccountProblem:
    return AccountProblem(field, "应为 RSA 密钥", "an RSA key is expected")


def fingerprint(text: str) -> str:
    """What a stored secret or key is known by without being shown: SHA-256, the first 16 hex digits.

    Of a key pair both halves have the same one, and so has its certificate.
    """
    key: RSAPublicKey | None = None
    for read in (_public_half, _plain_public, _certified):
        try:
            key = read(text)
        except AccountProblem:
            continue
        break
    data = _spki(key) if key is not None else text.strip().encode()
    return hashlib.sha256(data).hexdigest()[:16]


def public_half(text: str) -> str:
    """The public key of a private one, bare base64, as wallets want it pasted; "" when there is no private key."""
    try:
        return base64.b64encode(_spki(_public_half(text))).decode("ascii")
    except AccountProblem:
        return ""


def _public_half(text: str) -> RSAPublicKey:
    return read_private_key("", text).public_key()


def _plain_public(text: str) -> RSAPublicKey:
    return read_public_key("", text)


def _certified(text: str) -> RSAPublicKey:
    return certificate_key("", read_certificates("", text)[0])


def _spki(key: RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
