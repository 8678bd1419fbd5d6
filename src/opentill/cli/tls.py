"""A self-signed certificate for trying things out: browsers give a camera to https and to localhost only."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = timedelta(days=365)
"""Apple's devices refuse certificates that live longer than 825 days, even when somebody trusts them."""
LEAST_LEFT = timedelta(days=1)
"""A certificate that would end sooner is made anew, so that none ends while it serves."""
_SKEW = timedelta(days=1)
"""A phone's clock may be slow."""


@dataclass(frozen=True)
class Certificate:
    """Where the certificate and its private key are, both PEM."""

    pem: Path
    key: Path


def certificate_for(addresses: Iterable[str], data: Path, *, now_ms: int) -> Certificate:
    """The certificate in the folder, made when there is none, when it ends soon or when it names other addresses.

    Raises OSError.
    """
    found = Certificate(data / "tls.pem", data / "tls.key")
    names = _names(addresses)
    now = datetime.fromtimestamp(now_ms // 1000, UTC)
    if not _is_good(found, names, now):
        _make(found, names, now)
    return found


def _is_good(kept: Certificate, names: set[x509.GeneralName], now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(kept.pem.read_bytes())
        key = load_pem_private_key(kept.key.read_bytes(), password=None)
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (FileNotFoundError, ValueError, x509.ExtensionNotFound):
        return False
    is_lasting = now + LEAST_LEFT < certificate.not_valid_after_utc
    # A stop between the two files leaves a key of another certificate.
    return is_lasting and set(named) == names and certificate.public_key() == key.public_key()


def _make(wanted: Certificate, names: set[x509.GeneralName], now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "OpenTill sandbox")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName(sorted(names, key=repr)), critical=False)
        # It vouches for nobody else: whoever trusts it trusts this server only.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(wanted.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    _write(wanted.pem, certificate.public_bytes(Encoding.PEM))


def _write(path: Path, content: bytes) -> None:
    """Replace the file by one that nobody else may read, never half of it."""
    draft = path.with_suffix(path.suffix + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)


def _names(addresses: Iterable[str]) -> set[x509.GeneralName]:
    return {_name(address) for address in addresses}


def _name(address: str) -> x509.GeneralName:
    try:
        found: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return x509.DNSName(address)
    return x509.IPAddress(found)
