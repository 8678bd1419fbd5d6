"""An account at Alipay: its settings, and what becomes of them once they are parsed and checked."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from opentill.channels.base import AccountField, AccountProblem
from opentill.channels.keys import (
    certificate_key,
    read_certificates,
    read_private_key,
    read_public_key,
    refuse_own_key,
)
from opentill.channels.values import setting

APP_ID = AccountField(
    name="app_id",
    label_zh="应用 APPID",
    label_en="App id",
    help_zh="支付宝开放平台中应用的 APPID，纯数字",
    help_en="The app's APPID on Alipay's open platform, digits only",
)
APP_PRIVATE_KEY = AccountField(
    name="app_private_key",
    label_zh="应用私钥",
    label_en="App private key",
    help_zh="RSA2 密钥对中的私钥，PKCS#1 或 PKCS#8，PEM 或纯 base64 均可",
    help_en="The private half of the app's RSA2 key pair: PKCS#1 or PKCS#8, PEM or bare base64",
    is_secret=True,
    is_multiline=True,
)
ALIPAY_PUBLIC_KEY = AccountField(
    name="alipay_public_key",
    label_zh="支付宝公钥",
    label_en="Alipay's public key",
    help_zh="公钥模式必填。是“支付宝公钥”，不是“应用公钥”",
    help_en="Needed in public-key mode. Alipay's key, not the app's own public key",
    is_required=False,
    is_multiline=True,
)
SELLER_ID = AccountField(
    name="seller_id",
    label_zh="收款支付宝账号 PID",
    label_en="Seller id (PID)",
    help_zh="选填。以 2088 开头的 16 位数字；填写后随请求发送，并核对回调中的收款方",
    help_en="Optional. 16 digits starting 2088; when given, it is sent along and callbacks must name it",
    is_required=False,
)
APP_CERT = AccountField(
    name="app_cert",
    label_zh="应用公钥证书",
    label_en="App certificate",
    help_zh="证书模式必填，appCertPublicKey 开头的文件内容",
    help_en="Needed in certificate mode: the content of the file appCertPublicKey_*.crt",
    is_required=False,
    is_multiline=True,
)
ALIPAY_ROOT_CERT = AccountField(
    name="alipay_root_cert",
    label_zh="支付宝根证书",
    label_en="Alipay's root certificates",
    help_zh="证书模式必填，alipayRootCert.crt 的全部内容",
    help_en="Needed in certificate mode: the whole content of alipayRootCert.crt",
    is_required=False,
    is_multiline=True,
)
ALIPAY_CERT = AccountField(
    name="alipay_cert",
    label_zh="支付宝公钥证书",
    label_en="Alipay's certificate",
    help_zh="证书模式必填，alipayCertPublicKey_RSA2.crt 的内容；换证期间可依次粘贴新旧两张",
    help_en="Needed in certificate mode: alipayCertPublicKey_RSA2.crt; paste old and new while they change",
    is_required=False,
    is_multiline=True,
)
APP_AUTH_TOKEN = AccountField(
    name="app_auth_token",
    label_zh="应用授权令牌",
    label_en="App authorisation token",
    help_zh="选填。服务商代商户调用时由商户授权得到的 app_auth_token",
    help_en="Optional. The merchant's app_auth_token, when a service provider calls on its behalf",
    is_required=False,
    is_secret=True,
)
SERVICE_PROVIDER_ID = AccountField(
    name="service_provider_id",
    label_zh="服务商 PID",
    label_en="Service provider id",
    help_zh="选填。返佣用的系统商 PID",
    help_en="Optional. The service provider's PID, for its commission",
    is_required=False,
)

FIELDS = (
    APP_ID,
    APP_PRIVATE_KEY,
    ALIPAY_PUBLIC_KEY,
    SELLER_ID,
    APP_CERT,
    ALIPAY_ROOT_CERT,
    ALIPAY_CERT,
    APP_AUTH_TOKEN,
    SERVICE_PROVIDER_ID,
)

_MAX_APP_ID = 32
_MAX_SELLER_ID = 28
_RSA_SIGNATURES = "1.2.840.113549.1.1."


@dataclass(frozen=True, repr=False, eq=False)
class AlipayAccount:
    """An opened account. `wallet_keys` maps a certificate's SN to its key; in public-key mode "" leads to the one key.

    The two serial numbers are "" in public-key mode. No repr: it holds keys and a token.
    """

    app_id: str
    private_key: RSAPrivateKey
    wallet_keys: Mapping[str, RSAPublicKey]
    seller_id: str
    app_auth_token: str
    service_provider_id: str
    app_cert_sn: str = ""
    root_cert_sn: str = ""


def open_account(settings: Mapping[str, str]) -> AlipayAccount:
    """Parse and check the settings. Raises AccountProblem."""
    values = {field.name: setting(settings, field) for field in FIELDS}
    _check_digits(APP_ID, values[APP_ID.name], _MAX_APP_ID)
    for field in (SELLER_ID, SERVICE_PROVIDER_ID):
        if values[field.name]:
            _check_digits(field, values[field.name], _MAX_SELLER_ID)
    private_key = read_private_key(APP_PRIVATE_KEY.name, values[APP_PRIVATE_KEY.name])
    is_certificate_mode = any(values[field.name] for field in (APP_CERT, ALIPAY_ROOT_CERT, ALIPAY_CERT))
    app_cert_sn = root_cert_sn = ""
    if is_certificate_mode:
        app_cert_sn, root_cert_sn, wallet_keys = _certificates(values, private_key)
    else:
        wallet_keys = {"": _public_key(values, private_key)}
    return AlipayAccount(
        app_id=values[APP_ID.name],
        private_key=private_key,
        wallet_keys=wallet_keys,
        seller_id=values[SELLER_ID.name],
        app_auth_token=values[APP_AUTH_TOKEN.name],
        service_provider_id=values[SERVICE_PROVIDER_ID.name],
        app_cert_sn=app_cert_sn,
        root_cert_sn=root_cert_sn,
    )


def certificate_sn(certificate: x509.Certificate) -> str:
    """channels A.5: MD5 of the issuer (last name first, no blanks) and the decimal serial number."""
    issuer = ",".join(f"{name.rfc4514_attribute_name}={name.value!s}" for name in reversed(list(certificate.issuer)))
    return hashlib.md5(f"{issuer}{certificate.serial_number}".encode(), usedforsecurity=False).hexdigest()


def root_certificates_sn(certificates: list[x509.Certificate]) -> str:
    """channels A.5: the SNs of the RSA-signed ones, joined; the bundle holds SM2 ones too."""
    return "_".join(
        certificate_sn(certificate)
        for certificate in certificates
        if certificate.signature_algorithm_oid.dotted_string.startswith(_RSA_SIGNATURES)
    )


def _public_key(values: Mapping[str, str], private_key: RSAPrivateKey) -> RSAPublicKey:
    name = ALIPAY_PUBLIC_KEY.name
    if not values[name]:
        raise AccountProblem(
            name,
            "请填写支付宝公钥；证书模式则请填写应用公钥证书、支付宝根证书和支付宝公钥证书",
            "paste Alipay's public key, or, in certificate mode, the three certificates",
        )
    key = read_public_key(name, values[name])
    refuse_own_key(name, key, private_key, wallet_zh="支付宝", wallet_en="Alipay")
    return key


def _certificates(values: Mapping[str, str], private_key: RSAPrivateKey) -> tuple[str, str, dict[str, RSAPublicKey]]:
    """The two serial numbers to send, and Alipay's keys by theirs."""
    for field in (APP_CERT, ALIPAY_ROOT_CERT, ALIPAY_CERT):
        if not values[field.name]:
            raise AccountProblem(
                field.name,
                f"证书模式需要三张证书，还缺{field.label_zh}",
                f"certificate mode needs all three certificates; {field.label_en} is missing",
            )
    app_cert = read_certificates(APP_CERT.name, values[APP_CERT.name])[0]
    if certificate_key(APP_CERT.name, app_cert).public_numbers() != private_key.public_key().public_numbers():
        raise AccountProblem(
            APP_CERT.name,
            "应用公钥证书与应用私钥不是一对",
            "the app certificate does not belong to the app private key",
        )
    root_cert_sn = root_certificates_sn(read_certificates(ALIPAY_ROOT_CERT.name, values[ALIPAY_ROOT_CERT.name]))
    if not root_cert_sn:
        raise AccountProblem(
            ALIPAY_ROOT_CERT.name,
            "其中没有 RSA 签名的根证书，请粘贴 alipayRootCert.crt 的全部内容",
            "holds no RSA-signed root certificate; paste the whole content of alipayRootCert.crt",
        )
    wallet_keys = {}
    for certificate in read_certificates(ALIPAY_CERT.name, values[ALIPAY_CERT.name]):
        key = certificate_key(ALIPAY_CERT.name, certificate)
        refuse_own_key(ALIPAY_CERT.name, key, private_key, wallet_zh="支付宝", wallet_en="Alipay")
        wallet_keys[certificate_sn(certificate)] = key
    return certificate_sn(app_cert), root_cert_sn, wallet_keys


def _check_digits(field: AccountField, value: str, limit: int) -> None:
    if not (value.isascii() and value.isdigit() and len(value) <= limit):
        raise AccountProblem(
            field.name,
            f"{field.label_zh}应为不超过 {limit} 位的数字",
            f"{field.label_en} must be digits, at most {limit}",
        )
