"""What WeChat Pay tells about itself: its certificates, and whether a merchant signs and decrypts well."""

import base64
import binascii
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from opentill.twin import times
from opentill.twin.context import Context
from opentill.twin.wechat import notify, wire
from opentill.twin.wechat import terms as reading
from opentill.twin.wechat.wire import Call, Failure

_SEALED_FOR = "certificate"


def certificates(_: Context, call: Call) -> dict[str, Any]:
    """The platform certificates, sealed. A merchant who has the public key alone gets 404 (channels B.3)."""
    account = call.account
    kind = call.query.get("algorithm_type", "RSA")
    if kind not in ("RSA", "SM2", "ALL"):
        raise Failure(400, "PARAM_ERROR", "algorithm_type 错误")
    if account.is_public_key_only or kind == "SM2":
        raise Failure(404, "RESOURCE_NOT_EXISTS", "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥")
    return {"data": [_sealed(pem, account.merchant.api_v3_key) for pem in account.platform_certificates]}


def echo(twin: Context, call: Call) -> dict[str, Any]:
    """`/v3/security/echo`: a self-test of signing, of encrypting for the wallet and of callbacks."""
    reading.check_text(call.body)
    message = call.body.get("echo_message")
    if not isinstance(message, str) or not message:
        raise reading.invalid("echo_message", "必填")
    encrypted = call.body.get("encrypted_echo_message")
    if encrypted is not None:
        _check_decrypts(call, encrypted)
    answer = {"echo_message": message}
    notify.echoed(twin, call, url=str(call.body.get("notify_url", "")), resource=answer)
    return answer


def _check_decrypts(call: Call, encrypted: object) -> None:
    """Sensitive fields are sealed with RSA-OAEP, SHA-1 (channels B.3). Raises Failure."""
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303
    try:
        call.account.signers[call.signed_by].private.decrypt(base64.b64decode(str(encrypted), validate=True), oaep)
    except (binascii.Error, ValueError):
        raise reading.invalid("encrypted_echo_message", "解密失败") from None


def _sealed(pem: str, api_v3_key: str) -> dict[str, Any]:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    nonce = wire.new_nonce(12)
    return {
        "serial_no": f"{certificate.serial_number:040X}",
        "effective_time": _text(certificate.not_valid_before_utc),
        "expire_time": _text(certificate.not_valid_after_utc),
        "encrypt_certificate": {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": nonce,
            "associated_data": _SEALED_FOR,
            "ciphertext": wire.sealed(api_v3_key, pem.encode(), associated_data=_SEALED_FOR, nonce=nonce),
        },
    }


def _text(moment: datetime) -> str:
    return times.rfc3339(round(moment.timestamp() * 1000))
