"""The holes of the published signature, closed without breaking clients (protocol 8)."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from opentill.base.clock import Clock
from opentill.base.errors import GatewayError
from opentill.protocol.params import read_timestamp_ms
from opentill.protocol.signing import md5_sign
from opentill.services.access import Caller, age_ms
from opentill.services.deployment import Deployment
from opentill.storage import signs

REFUND, REVERSE = "open.pay.refund", "open.pay.reverse"
LONGEST_AGE_MS = 24 * 3_600_000
"""With tolerance 0 refund and reverse still demand a timestamp in milliseconds not older than this (protocol 8.1)."""
MARGIN_MS = 60_000
_FAR_MS = 99_999_999_999_999


async def bind(deployment: Deployment, caller: Caller, command: str, form: Mapping[str, str]) -> None:
    """Bind the signature to the command it is first used with, durably, before anything is answered.

    query, reverse and refund sign the same fields, so one's signature is valid for the others. A strict app signs the
    command itself, and an app that may neither refund nor reverse has nothing to lose. Raises: SIGN_REUSED.
    """
    rules = caller.app.rules
    may_refund = not rules.commands or bool({REFUND, REVERSE} & set(rules.commands))
    if rules.is_strict or not may_refund:
        return
    app_id = caller.app.app_id
    # A timestamp may be ahead of us, by anything where it isn't checked, and is then valid for the window after itself.
    window_ms = rules.tolerance_ms or LONGEST_AGE_MS
    from_ms = max(deployment.clock.now_ms(), _sent_ms(form["timestamp"]))
    expires_at_ms = from_ms + 2 * window_ms + MARGIN_MS
    await deployment.database.write([signs.bind(app_id, caller.sign, command=command, expires_at_ms=expires_at_ms)])
    bound = await signs.bound_command(deployment.database, app_id, caller.sign)
    if bound != command:
        raise GatewayError("SIGN_REUSED", command=bound or command)


def check_not_opening(caller: Caller, form: Mapping[str, str], *, signed: frozenset[str]) -> None:
    """A signature over an amount was made to open an order; it must not ask for the money back, or about it.

    By the all-parameters rule it would match. Whether that order came about, was refused as a duplicate or was tried
    again under the same number does not matter. Raises: SIGN_REUSED.
    """
    app = caller.app
    if app.rules.is_strict or not form.get("amount", "").strip(" "):
        return
    documented = {name: value for name, value in form.items() if name in signed}
    if caller.sign not in (md5_sign(documented, key) for key in (app.key, app.old_key) if key):
        raise GatewayError("SIGN_REUSED", command="open.pay.*")


def check_sends_money_back(caller: Caller, form: Mapping[str, str], clock: Clock) -> None:
    """What refund and reverse demand beyond a signature: a listed source, and a fresh timestamp whatever the tolerance.

    Raises: SOURCE_NOT_ALLOWED, TIMESTAMP_INVALID, TIMESTAMP_OUT_OF_RANGE.
    """
    rules = caller.app.rules
    if rules.refund_sources and not _is_listed(caller.source_ip, rules.refund_sources):
        raise GatewayError("SOURCE_NOT_ALLOWED", source=caller.source_ip)
    if rules.tolerance_ms == 0:
        off_ms = age_ms(read_timestamp_ms(form["timestamp"]), clock)
        if off_ms > LONGEST_AGE_MS:
            raise GatewayError("TIMESTAMP_OUT_OF_RANGE", difference=off_ms // 1000, tolerance=LONGEST_AGE_MS // 1000)


def _sent_ms(text: str) -> int:
    """A timestamp in milliseconds; 0 for what refund and reverse would not take anyway."""
    try:
        return read_timestamp_ms(text) if len(text) <= len(str(_FAR_MS)) else 0
    except GatewayError:
        return 0


def _is_listed(source: str, networks: tuple[str, ...]) -> bool:
    try:
        address = ip_address(source)
    except ValueError:
        return False
    return any(address in ip_network(network, strict=False) for network in networks)
