"""The self-test of a wallet account: what is wrong with its settings, step by step, in plain words (pains F)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from opentill.base import numbers
from opentill.base.outbound import AddressRefused, NotSent, ReplyLost
from opentill.channels.base import AccountProblem
from opentill.channels.keys import read_certificates
from opentill.services.deployment import Deployment

GOOD, BAD, WARN, OPEN = "good", "bad", "warn", "open"
EXPIRES_SOON_DAYS = 30
HEALTH_TIMEOUT_S = 5.0
_NOBODYS_APP = 0
"""No app has this id, so that no order has a number with it."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report. `state`: good, bad, warn (works, but soon or somewhere it may not), open (not tried).

    `reason` leads to a text with the values of `about`; `text_zh` and `text_en` are given where the channel words it.
    `detail`: the wallet's own code and message.
    """

    name: str
    state: str
    reason: str = ""
    about: Mapping[str, str] = {}
    field: str = ""
    text_zh: str = ""
    text_en: str = ""
    detail: str = ""


async def check_account(
    deployment: Deployment, *, channel: int, settings: Mapping[str, str], account_id: int
) -> list[Step]:
    """Try everything that can be tried without moving money. `account_id` 0: the account is not stored yet."""
    wallet = deployment.channels[channel]
    try:
        opened = wallet.open_account(settings)
    except AccountProblem as problem:
        return [
            Step(
                name="settings",
                state=BAD,
                field=problem.field,
                text_zh=problem.text_zh,
                text_en=problem.text_en,
            )
        ]
    now_ms = deployment.clock.now_ms()
    trade_no = numbers.new_order_no(numbers.PAYMENT, app_id=_NOBODYS_APP, now_ms=now_ms)
    steps = [Step(name="settings", state=GOOD), *_certificates(settings, now_ms=now_ms)]
    for checked in await wallet.examine(opened, trade_no):
        state = OPEN if checked.is_good is None else (GOOD if checked.is_good else BAD)
        detail = " ".join(text for text in (checked.code, checked.message) if text)
        steps.append(Step(name=checked.step.value, state=state, reason=checked.reason, detail=detail))
    return [*steps, await _callbacks(deployment, deployment.callback_url(channel, account_id))]


def _certificates(settings: Mapping[str, str], *, now_ms: int) -> list[Step]:
    """When pasted certificates expire. Old ones may stand beside new ones while they change: the last one counts."""
    steps = []
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    for field, text in settings.items():
        # Root bundles hold what expired long ago, and nobody renews them by hand.
        if "root" in field or not field.endswith(("_cert", "_certificates")) or not text.strip():
            continue
        try:
            found = read_certificates(field, text)
        except AccountProblem:
            continue
        ends = max(certificate.not_valid_after_utc for certificate in found)
        days = (ends - now).days
        about = {"day": ends.strftime("%Y-%m-%d"), "days": str(days)}
        state, reason = (GOOD, "valid") if days >= EXPIRES_SOON_DAYS else (WARN, "expires_soon")
        if ends <= now:
            state, reason = BAD, "expired"
        steps.append(Step(name="certificate", state=state, reason=reason, about=about, field=field))
    return steps


async def _callbacks(deployment: Deployment, url: str) -> Step:
    """Whether the wallet could tell us about a payment. From here only our own road to that address can be seen."""
    about = {"url": url}
    parts = urlsplit(url)
    if not deployment.is_sandbox:
        if parts.scheme != "https":
            return Step(name="callbacks", state=BAD, reason="no_https", about=about)
        if _is_private(parts.hostname or ""):
            return Step(name="callbacks", state=BAD, reason="private", about=about)
    try:
        reply = await deployment.outbound.send(
            "GET",
            f"{deployment.callback_base_url}/healthz",
            headers={},
            body=None,
            connect_timeout_s=HEALTH_TIMEOUT_S,
            timeout_s=HEALTH_TIMEOUT_S,
            max_body_bytes=256,
        )
    except (AddressRefused, NotSent, ReplyLost) as error:
        return Step(name="callbacks", state=WARN, reason="not_from_here", about=about, detail=str(error))
    if reply.status != 200 or reply.body != b"ok":
        return Step(name="callbacks", state=BAD, reason="somebody_else", about=about, detail=f"HTTP {reply.status}")
    return Step(name="callbacks", state=GOOD, reason="", about=about)


def _is_private(host: str) -> bool:
    """Whether no wallet on the internet could come here."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or "." not in host
    return not address.is_global
