"""Examples in the protocol's page: computed where they can be, verified where they cannot."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from opentill.commands.registry import Command
from opentill.protocol.signing import matches_rsa2, md5_sign
from opentill.services.access import TEST_APP, TEST_KEY, TEST_OPERATOR

# protocol 2: the golden vector
VECTOR_KEY = "thisistestkey"
VECTOR = {
    "barcode": "123123123123",
    "local_order_no": "localorderno123123123123",
    "app": "zyptestapp",
    "operator_id": "axgdfdafd34124",
    "amount": "100",
    "un_discount_amount": "",
    "timestamp": "1460512556270",
    "subject": "这是一笔支付订单",
    "goods_list": "",
}

RSA2_VECTOR_FILE = "rsa2.json"

_HOST = "pay.example.com"
_PATH = "/gatewayOpen.htm"
_BOUNDARY = "----opentill"


@dataclass(frozen=True)
class Rsa2Vector:
    """A reply and a notification that are signed by a key pair whose private half was thrown away."""

    public_key: str
    reply: Mapping[str, str]
    notification: Mapping[str, str]
    signed_of_reply: Mapping[str, str]


def rsa2_vector(file: Path, scan: Command) -> Rsa2Vector:
    """The vector, verified by the rules of today's tables. Raises ValueError when it does not hold any more."""
    stored = json.loads(file.read_text("utf-8"))
    key = load_der_public_key(base64.b64decode(stored["public_key"]))
    signed_names = {field.name for field in scan.all_reply_fields if field.is_signed}
    signed_of_reply = {name: value for name, value in stored["reply"].items() if name in signed_names}
    signed_of_notification = {name: value for name, value in stored["notification"].items() if name != "sign"}
    assert isinstance(key, RSAPublicKey)
    for fields, message in ((signed_of_reply, stored["reply"]), (signed_of_notification, stored["notification"])):
        if not matches_rsa2(fields, key, message["sign"]):
            raise ValueError(f"{file.name}: a signature does not hold")
    return Rsa2Vector(stored["public_key"], stored["reply"], stored["notification"], signed_of_reply)


def example_form(command: Command) -> dict[str, str]:
    """A signed request of the sandbox's integrator with every parameter that has an example or is required."""
    common = {
        "command": command.name,
        "app": TEST_APP,
        "operator_id": TEST_OPERATOR,
        "version": "1.1",
        "timestamp": VECTOR["timestamp"],
    }
    own = {param.name: param.example or param.name for param in command.params if param.example or param.is_required}
    form = {**common, **own}
    signed = {name: value for name, value in form.items() if name in command.signed}
    return {**form, "sign": md5_sign(signed, TEST_KEY)}


def encodings(form: Mapping[str, str]) -> list[str]:
    """One request in the four encodings, as it goes over the wire (CRLF shown as line ends)."""
    encoded = urlencode(form)
    parts = [f'--{_BOUNDARY}\nContent-Disposition: form-data; name="{name}"\n\n{form[name]}\n' for name in form]
    multipart = "".join(parts) + f"--{_BOUNDARY}--\n"
    return [
        _post("application/x-www-form-urlencoded", encoded),
        _post(f"multipart/form-data; boundary={_BOUNDARY}", multipart),
        _post("application/json", json.dumps(dict(form), ensure_ascii=False, indent=2)),
        f"GET {_PATH}?{encoded} HTTP/1.1\nHost: {_HOST}\n",
    ]


def _post(content_type: str, body: str) -> str:
    return f"POST {_PATH} HTTP/1.1\nHost: {_HOST}\nContent-Type: {content_type}\n\n{body}"
