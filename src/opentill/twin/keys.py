"""RSA keys and certificates. Parsing a key is slow (40 ms checked), so each is loaded once, on first use, unchecked."""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cached_property

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from opentill.twin import times

KEY_BITS = 2048
_CERTIFICATE_YEARS = 5  # channels B.3: platform certificates live five years
_PADDING = padding.PKCS1v15()
_SHA256 = hashes.SHA256()


class KeyPair(msgspec.Struct, frozen=True, dict=True):
    """A private key as PKCS#8 PEM, and what is derived from it."""

    private_pem: str

    @cached_property
    def private(self) -> rsa.RSAPrivateKey:
        # The twin made this key itself (or took it from its own books).
        key = serialization.load_pem_private_key(
            self.private_pem.encode(), password=None, unsafe_skip_rsa_key_validation=True
        )
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("not an RSA key")
        return key

    @cached_property
    def public_pem(self) -> str:
        return _public_pem(self.private.public_key())

    def sign(self, message: bytes) -> str:
        """SHA256withRSA, PKCS#1 v1.5, in base64: both wallets' signature."""
        return base64.b64encode(self.private.sign(message, _PADDING, _SHA256)).decode("ascii")


class PublicKey(msgspec.Struct, frozen=True, dict=True):
    """A merchant's public key, which verifies its requests."""

    pem: str

    @cached_property
    def _key(self) -> rsa.RSAPublicKey:
        return _read_public(self.pem)

    def verifies(self, message: bytes, signature: str) -> bool:
        try:
            self._key.verify(base64.b64decode(signature, validate=True), message, _PADDING, _SHA256)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


def new_key_pairs(count: int) -> Sequence[KeyPair]:
    """`count` fresh keys, made in parallel threads: OpenSSL releases the interpreter's lock."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: _new_key_pair(), range(count)))


def public_pem(text: str) -> str:
    """A public key, bare base64 or PEM, or a certificate, as PEM of the key. Raises ValueError."""
    return _public_pem(_read_public(text))


def new_certificate(
    subject: str, public_pem: str, *, issuer: str, issuer_key: KeyPair, serial: int, now_ms: int
) -> str:
    """A PEM certificate for a public key, valid from a day before `now_ms` on."""
    certificate = _builder(subject, _read_public(public_pem), issuer=issuer, serial=serial, now_ms=now_ms)
    return certificate.sign(issuer_key.private, _SHA256).public_bytes(serialization.Encoding.PEM).decode("ascii")


def new_curve_certificate(subject: str, *, now_ms: int) -> str:
    """A PEM certificate that an elliptic-curve key of its own has signed, as some in Alipay's root bundle are."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _builder(subject, key.public_key(), issuer=subject, serial=new_serial(), now_ms=now_ms)
    return certificate.sign(key, _SHA256).public_bytes(serialization.Encoding.PEM).decode("ascii")


def root_sn(bundle: str) -> str:
    """Alipay's name of a root bundle: the names of the RSA-signed certificates in it (channels A.5)."""
    certificates = x509.load_pem_x509_certificates(bundle.encode())
    signed_by_rsa = [one for one in certificates if isinstance(one.signature_algorithm_parameters, padding.PKCS1v15)]
    return "_".join(certificate_sn(one.public_bytes(serialization.Encoding.PEM).decode()) for one in signed_by_rsa)


def common_name(pem: str) -> str:
    """Whose certificate it is."""
    (name,) = x509.load_pem_x509_certificate(pem.encode()).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)


def new_serial() -> int:
    """A serial number that is 40 hexadecimal digits long."""
    return secrets.randbits(158) | 1 << 158


def serial_hex(serial: int) -> str:
    """A serial as WeChat Pay names certificates: 40 upper case hexadecimal digits."""
    return f"{serial:040X}"


def certificate_sn(pem: str) -> str:
    """Alipay's name of a certificate: MD5 of the issuer's name, last part first, and the serial (channels A.5)."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    parts = [f"{part.rfc4514_attribute_name}={part.value!s}" for part in certificate.issuer]
    issuer = ",".join(reversed(parts))
    named = f"{issuer}{certificate.serial_number}".encode()
    return hashlib.md5(named, usedforsecurity=False).hexdigest()


def _builder(
    subject: str,
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    *,
    issuer: str,
    serial: int,
    now_ms: int,
) -> x509.CertificateBuilder:
    start = times.china(now_ms) - timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365 * _CERTIFICATE_YEARS))
        .add_extension(x509.BasicConstraints(ca=subject == issuer, path_length=None), critical=True)
    )


def _new_key_pair() -> KeyPair:
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyPair(private_pem=pem.decode("ascii"))


def _read_public(text: str) -> rsa.RSAPublicKey:
    raw = text.strip()
    key: object
    if "-----BEGIN CERTIFICATE" in raw:
        key = x509.load_pem_x509_certificate(raw.encode()).public_key()
    elif raw.startswith("-----BEGIN"):
        key = serialization.load_pem_public_key(raw.encode())
    else:
        key = serialization.load_der_public_key(base64.b64decode("".join(raw.split())))
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")
    return key


def _public_pem(key: rsa.RSAPublicKey) -> str:
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode("ascii")


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "OpenTill twin"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Certification Authority"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
