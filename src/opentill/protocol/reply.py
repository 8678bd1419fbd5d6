"""Replies: `{"result": {...}, "data": {...}}`, every value a text, the signed fields under RSA2 (protocol 1, 3)."""

from collections.abc import Mapping

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

from opentill.base.errors import GatewayError
from opentill.protocol.params import ReplyField
from opentill.protocol.signing import rsa2_sign

CONTENT_TYPE = "application/json;charset=UTF-8"

_SUCCESS = {"success": True, "errorCode": "0", "errorMsg": ""}


def success(
    values: Mapping[str, str], fields: tuple[ReplyField, ...], *, version: str, key: rsa.RSAPrivateKey
) -> bytes:
    """The bytes of a successful reply: the documented fields of `version`, in their order, and `sign`."""
    shown = [field for field in fields if field.since <= version and field.name != "sign"]
    data = {field.name: values[field.name] for field in shown}
    signed = {field.name: data[field.name] for field in shown if field.is_signed}
    data["sign"] = rsa2_sign(signed, key)
    return msgspec.json.encode({"result": _SUCCESS, "data": data})


def failure(error: GatewayError) -> bytes:
    """The bytes of a refusal. `data` is empty (protocol 1)."""
    result = {"success": False, "errorCode": str(error.number), "errorMsg": error.message}
    return msgspec.json.encode({"result": result, "data": {}})
