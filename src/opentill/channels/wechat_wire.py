"""WeChat Pay v3's dialect: signed requests, which answers and callbacks may be believed, and how they are decrypted."""

import base64
import re
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidTag

from opentill.base.logs import logger
from opentill.base.outbound import NotSent, ReplyLost, Response
from opentill.channels.base import (
    BAD_SIGNATURE,
    NOT_SENT,
    PROBE,
    REPLY_LOST,
    UNREADABLE,
    AccountProblem,
    CallbackRefused,
    Wire,
    is_fresh,
)
from opentill.channels.keys import certificate_key, is_signed_by, sign
from opentill.channels.values import Json, code_text, message_text, node_of, nodes_of, read_object, text_of
from opentill.channels.wechat_account import (
    PLATFORM_CERTIFICATES,
    PUBLIC_KEY_PREFIX,
    WechatAccount,
    certificate_serial,
    serial_name,
)

SCHEME = "WECHATPAY2-SHA256-RSA2048"
OK = "OK"
ACCEPTED = "202"
TOO_OFTEN = "429"
USER_PAYING = "USERPAYING"
NOT_SIGNED = "not signed"

TOLERANCE_MS = 5 * 60_000  # channels B.3
_REFRESH_MS = 12 * 3_600_000
_RETRY_MS = 10 * 60_000
_FIRST_RETRY_MS = 5_000
"""With no key at all nothing works, so it is tried again soon; still, strangers must not make us call for each try."""
_PROBE = "WECHATPAY/SIGNTEST/"
_NONCE_BYTES = 12
_MAX_SIGNATURE_HEADER = 2048
_UNIX_SECONDS = re.compile(r"\d{1,11}", re.ASCII)
_CERTIFICATE_SERIAL = re.compile(r"[0-9A-Fa-f]{40}", re.ASCII)
_CERTIFICATES_PATH = "/v3/certificates"
_RATE_LIMITS = ("FREQUENCYLIMITED", "RATELIMITEXCEEDED")

_log = logger("wechat")


class Reply(msgspec.Struct, frozen=True):
    """What came back. `word` decides: OK (verified 200 or 204), ACCEPTED, the error's code without underscores
    (its spelling drifts, channels B.11), or a code of our own.
    """

    word: str
    code: str
    message: str = ""
    node: Json = {}


class NotVerified(Exception):
    """A message's signature can't be believed; the text says why. `is_probe`: WeChat tests whether we notice."""

    def __init__(self, reason: str, *, is_probe: bool = False) -> None:
        super().__init__(reason)
        self.is_probe = is_probe


async def call(
    wire: Wire,
    account: WechatAccount,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    *,
    timeout_s: float | None = None,
) -> Reply:
    """One call of `path` (with its query, percent-encoded). Whatever goes wrong is a Reply, never an exception."""
    await refresh_certificates(wire, account)
    if not account.wallet_keys:
        # Sending would be possible, believing the answer would not.
        return Reply(NOT_SENT, NOT_SENT, "no platform certificate could be fetched")
    try:
        response = await _send(wire, account, method, path, body, timeout_s=timeout_s)
    except NotSent as error:
        return Reply(NOT_SENT, NOT_SENT, message_text(str(error)))
    except ReplyLost as error:
        return Reply(REPLY_LOST, REPLY_LOST, message_text(str(error)))
    return read_response(wire, account, response)


def read_response(wire: Wire, account: WechatAccount, response: Response) -> Reply:
    """channels 0.1, B.3, B.11: a 2xx counts only with a good signature, an error with none or a good one."""
    status = f"HTTP_{response.status}"
    if response.is_truncated:
        return Reply(UNREADABLE, UNREADABLE)
    is_success = response.status in (200, 202, 204)
    is_refusal = 400 <= response.status < 500
    if is_success or (is_refusal and "wechatpay-signature" in response.headers):
        try:
            verify(wire, account, response.headers, response.body)
        except NotVerified as problem:
            if problem.is_probe:
                return Reply(PROBE, PROBE)
            _log.error("the answer's signature is wrong", reason=str(problem), mchid=account.mchid)
            return Reply(BAD_SIGNATURE, BAD_SIGNATURE, str(problem))
    node = read_object(response.body) if response.body else {}
    if node is None:
        return Reply(status if not is_success else UNREADABLE, UNREADABLE)
    word, message = text_of(node, "code").replace("_", ""), message_text(text_of(node, "message"))
    code = code_text(text_of(node, "code"))
    if response.status in (200, 204):
        return Reply(OK, code or OK, message, node)
    if response.status == 202:
        return Reply(USER_PAYING if word == USER_PAYING else ACCEPTED, code or ACCEPTED, message, node)
    if response.status == 429 or (is_refusal and word in _RATE_LIMITS):
        return Reply(TOO_OFTEN, code or status, message, node)
    # 5xx is unknown whatever its code says, so its word is in no table.
    return Reply(word if is_refusal and word else status, code or status, message, node)


def verify(wire: Wire, account: WechatAccount, headers: Mapping[str, str], body: bytes) -> None:
    """channels B.3, over the raw body; header names lower case. Raises NotVerified."""
    signature, serial = headers.get("wechatpay-signature", ""), headers.get("wechatpay-serial", "")
    if not signature or len(signature) > _MAX_SIGNATURE_HEADER:
        raise NotVerified(NOT_SIGNED)
    if signature.startswith(_PROBE):
        raise NotVerified("a probe of the signature check", is_probe=True)
    if headers.get("wechatpay-signature-type", SCHEME) != SCHEME:
        raise NotVerified("signed in an unknown way")
    key = account.wallet_keys.get(serial_name(serial))
    if key is None:
        # Never fetched here (pains 71): the next call does.
        if _CERTIFICATE_SERIAL.fullmatch(serial):
            account.is_certificate_missing = True
        kind = "public key" if serial.startswith(PUBLIC_KEY_PREFIX) else "platform certificate"
        raise NotVerified(f"signed with a {kind} that this account does not hold")
    timestamp = headers.get("wechatpay-timestamp", "")
    head = f"{timestamp}\n{headers.get('wechatpay-nonce', '')}\n"
    # An HTTP client hands on bytes outside ASCII as surrogates; they were part of what was signed, if anything was.
    message = head.encode("utf-8", "surrogateescape") + body + b"\n"
    if not is_signed_by(key, signature, message):
        raise NotVerified("the signature is wrong")
    if not _UNIX_SECONDS.fullmatch(timestamp) or not is_fresh(
        wire.clock, int(timestamp) * 1000, tolerance_ms=TOLERANCE_MS
    ):
        raise NotVerified("the message is too old or from the future")


def read_notice(wire: Wire, account: WechatAccount, headers: Mapping[str, str], body: bytes) -> tuple[Json, Json]:
    """A callback, verified: its outer object and the decrypted inner one (channels B.8). Raises CallbackRefused."""
    try:
        verify(wire, account, headers, body)
    except NotVerified as problem:
        raise CallbackRefused(str(problem), is_probe=problem.is_probe) from problem
    notice = read_object(body)
    if notice is None:
        raise CallbackRefused("the body is not a JSON object")
    resource = decrypted(account, node_of(notice, "resource"))
    node = read_object(resource) if resource is not None else None
    if node is None:
        raise CallbackRefused("the APIv3 key does not open the message")
    return notice, node


def decrypted(account: WechatAccount, sealed: Json) -> bytes | None:
    """What an AEAD_AES_256_GCM object holds; None when the account's key does not open it (channels B.3)."""
    if text_of(sealed, "algorithm") != "AEAD_AES_256_GCM":
        return None
    nonce = text_of(sealed, "nonce").encode()
    if len(nonce) != _NONCE_BYTES:
        return None
    try:
        ciphertext = base64.b64decode(text_of(sealed, "ciphertext"), validate=True)
        return account.aead.decrypt(nonce, ciphertext, text_of(sealed, "associated_data").encode())
    except (InvalidTag, ValueError):
        return None


async def refresh_certificates(wire: Wire, account: WechatAccount) -> None:
    """Fetch platform certificates when it is time: none held, an unknown one seen, or fetched 12 hours ago.

    Failing is no reason to stop: a merchant with a public key only has none to fetch (channels B.3).
    """
    if not _is_due(wire, account):
        return
    async with account.fetching:
        if not _is_due(wire, account):
            return
        account.tried_at_ms, account.is_certificate_missing = wire.clock.now_ms(), False
        try:
            response = await _send(wire, account, "GET", _CERTIFICATES_PATH, None)
        except (NotSent, ReplyLost) as error:
            _log.warning("platform certificates could not be fetched", reason=str(error), mchid=account.mchid)
            return
        if not _keep_certificates(wire, account, response):
            _log.warning("platform certificates were refused", status=response.status, mchid=account.mchid)


def signature_of_page(account: WechatAccount, appid: str, timestamp: str, nonce: str, package: str) -> str:
    """paySign (channels B.9)."""
    return sign(account.private_key, f"{appid}\n{timestamp}\n{nonce}\n{package}\n".encode())


def new_nonce() -> str:
    return secrets.token_hex(16)


def _is_due(wire: Wire, account: WechatAccount) -> bool:
    now_ms = wire.clock.now_ms()
    if not account.wallet_keys:
        return now_ms - account.tried_at_ms >= _FIRST_RETRY_MS
    is_old = account.fetched_at_ms > 0 and now_ms - account.fetched_at_ms >= _REFRESH_MS
    is_wanted = is_old or account.is_certificate_missing
    return is_wanted and now_ms - account.tried_at_ms >= _RETRY_MS


def _keep_certificates(wire: Wire, account: WechatAccount, response: Response) -> bool:
    """channels B.3: decrypt, then verify the same answer with what was just obtained; keep only if that holds."""
    node = read_object(response.body) if response.status == 200 and not response.is_truncated else None
    found = {}
    for each in nodes_of(node or {}, "data"):
        pem = decrypted(account, node_of(each, "encrypt_certificate"))
        if pem is None:
            continue
        try:
            certificate = x509.load_pem_x509_certificate(pem)
            key = certificate_key(PLATFORM_CERTIFICATES.name, certificate)
        except (ValueError, AccountProblem):
            continue  # an SM2 certificate: not what we verify with
        found[certificate_serial(certificate.serial_number)] = key
    held = account.wallet_keys
    account.wallet_keys = {**held, **found}
    try:
        verify(wire, account, response.headers, response.body)
    except NotVerified:
        account.wallet_keys = held
        return False
    account.fetched_at_ms = wire.clock.now_ms()
    return bool(found)


async def _send(
    wire: Wire,
    account: WechatAccount,
    method: str,
    path: str,
    body: Mapping[str, Any] | None,
    *,
    timeout_s: float | None = None,
) -> Response:
    """Raises NotSent, ReplyLost."""
    content = b"" if body is None else msgspec.json.encode(body)
    headers = {
        "Accept": "application/json",
        "User-Agent": "OpenTill",
        "Authorization": _authorization(account, method, path, content, now_ms=wire.clock.now_ms()),
    }
    if content:
        headers["Content-Type"] = "application/json"
    if account.public_key_id:
        headers["Wechatpay-Serial"] = account.public_key_id
    return await wire.outbound.send(
        method,
        wire.base_url + path,
        headers=headers,
        body=content or None,
        timeout_s=wire.timeout_s if timeout_s is None else timeout_s,
    )


def _authorization(account: WechatAccount, method: str, path: str, content: bytes, *, now_ms: int) -> str:
    """channels B.2. The path is the one after the base URL."""
    timestamp, nonce = now_ms // 1000, new_nonce()
    message = f"{method}\n{path}\n{timestamp}\n{nonce}\n".encode() + content + b"\n"
    return (
        f'{SCHEME} mchid="{account.mchid}",nonce_str="{nonce}",signature="{sign(account.private_key, message)}",'
        f'timestamp="{timestamp}",serial_no="{account.merchant_serial}"'
    )
