"""Clients of the merchants' API as they exist in the wild, written from the protocol alone.

Nothing here uses the gateway's own signing or reading, so that one mistake cannot cancel out another.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlencode

import aiohttp
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from yarl import URL

# protocol 7: the published test integrator.
TEST_APP = "A00305710000067"
TEST_KEY = "3d54fa25f393f2690817a1fab9314b92"
TEST_OPERATOR = "ccaaad2ba1f2a6baccb986d0a748dbb9"

# protocol 4: what no interface's table marks as signed.
UNSIGNED = frozenset({"command", "version", "sign", "notify_url", "redirect_url", "refund_amount"})

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def string_to_sign(values: Mapping[str, str]) -> str:
    """protocol 2: empty ones dropped, sorted by name, `name=value` joined with `&`."""
    return "&".join(f"{name}={value}" for name, value in sorted(values.items()) if value)


def md5(values: Mapping[str, str], key: str) -> str:
    """The published signature over exactly these values."""
    return hashlib.md5(f"{string_to_sign(values)}&key={key}".encode()).hexdigest()


def hmac_sha256(values: Mapping[str, str], key: str) -> str:
    """The strict signature: over every parameter but `sign`."""
    return hmac.new(key.encode(), string_to_sign(values).encode(), hashlib.sha256).hexdigest()


def is_signed(values: Mapping[str, str], sign: str, public_key: str) -> bool:
    """Whether `sign` is RSA2 over exactly these values; `public_key` is what `/public-key` answers (protocol 3)."""
    key = serialization.load_der_public_key(base64.b64decode(public_key, validate=True))
    assert isinstance(key, rsa.RSAPublicKey)
    try:
        key.verify(base64.b64decode(sign), string_to_sign(values).encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True)
class Reply:
    """An answer of the gateway. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    document: dict[str, Any] = field(repr=False)

    @property
    def code(self) -> str:
        """errorCode: "0" is success."""
        return str(self.document["result"]["errorCode"])

    @property
    def message(self) -> str:
        return str(self.document["result"]["errorMsg"])

    @property
    def is_success(self) -> bool:
        return self.document["result"]["success"] is True

    @property
    def data(self) -> dict[str, str]:
        """Empty on failure."""
        return dict(self.document["data"])

    @property
    def order_no(self) -> str:
        """The gateway's number of a successful call."""
        return self.data["cbOrderNo"]

    @property
    def qr_code(self) -> str:
        """The text of the QR code of a successful scan."""
        return self.data["qrCode"]


class Till:
    """An integrator's system: fills in what every call has, signs like the public PHP client, sends a form.

    Parameters are given and sent as texts; numbers are written out. `None` leaves a parameter out.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        base_url: str,
        now_ms: Callable[[], int],
        *,
        app: str = TEST_APP,
        key: str = TEST_KEY,
        operator_id: str = TEST_OPERATOR,
    ) -> None:
        self._http = http
        self.url = base_url + "/gatewayOpen.htm"
        self._now_ms = now_ms
        self.app = app
        self.key = key
        self.operator_id = operator_id

    async def scan(self, **params: object) -> Reply:
        """`open.pay.scan`: one fen by Alipay under a new number, unless told otherwise."""
        return await self.call("open.pay.scan", **self.scan_params(**params))

    def scan_params(self, **params: object) -> dict[str, object]:
        """What `scan` sends beside the common parameters."""
        return {"local_order_no": f"L{secrets.token_hex(8)}", "channel": 1, "amount": 1} | params

    async def call(self, command: str, **params: object) -> Reply:
        """Any interface. Common parameters may be given to replace what would be filled in."""
        return await self.post(self.form(command, **params))

    def form(self, command: str, **params: object) -> dict[str, str]:
        """The signed form, ready to send. A given `sign` is kept."""
        common = {
            "command": command,
            "app": self.app,
            "operator_id": self.operator_id,
            "timestamp": self._now_ms(),
        }
        form = {name: str(value) for name, value in {**common, **params}.items() if value is not None}
        return form if "sign" in params else {**form, "sign": self.sign(form)}

    def sign(self, form: Mapping[str, str]) -> str:
        """MD5 over the documented signed set of `form`."""
        return md5({name: value for name, value in form.items() if name not in UNSIGNED}, self.key)

    async def post(self, form: Mapping[str, str]) -> Reply:
        """A urlencoded form, as is."""
        return await self.send("POST", body=urlencode(form).encode(), content_type=FORM)

    async def post_multipart(self, form: Mapping[str, str]) -> Reply:
        """As PHP's curl sends an array."""
        boundary = "------------------------" + secrets.token_hex(8)
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in form.items()
        ]
        body = "".join([*parts, f"--{boundary}--\r\n"]).encode()
        return await self.send("POST", body=body, content_type=f"multipart/form-data; boundary={boundary}")

    async def post_json(self, document: object) -> Reply:
        """As Java's RestTemplate sends a map; a text is sent as it is."""
        body = document.encode() if isinstance(document, str) else json.dumps(document, ensure_ascii=False).encode()
        return await self.send("POST", body=body, content_type=JSON)

    async def get(self, form: Mapping[str, str]) -> Reply:
        """A query string."""
        return await self.send("GET", query="&".join(f"{name}={quote_plus(value)}" for name, value in form.items()))

    async def send(
        self, method: str, *, query: str = "", body: bytes | None = None, content_type: str | None = None
    ) -> Reply:
        """Exactly these bytes. `content_type` None: the header is left out."""
        headers = {"Content-Type": content_type} if content_type is not None else {}
        target = URL(self.url + (f"?{query}" if query else ""), encoded=True)
        async with self._http.request(
            method, target, data=body, headers=headers, skip_auto_headers=["Content-Type"]
        ) as reply:
            content = await reply.read()
            lower = {name.lower(): value for name, value in reply.headers.items()}
            return Reply(reply.status, lower, content, json.loads(content))
