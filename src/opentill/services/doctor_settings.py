"""Checks of what people set: the environment, the master key, the wallet accounts."""

import stat
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from opentill.base.config import Network, Settings
from opentill.base.sealing import SealingError
from opentill.channels.base import AccountProblem
from opentill.channels.keys import read_certificates
from opentill.services.access import account_place
from opentill.services.findings import DAY_MS, Finding, Patient, fail, ok, span_text, warn
from opentill.storage import health, parties

SETTINGS, MASTER_KEY, ACCOUNTS = "settings", "master key", "wallet accounts"
SHORTEST_TOKEN = 20
CERTIFICATE_FIELDS = frozenset({"app_cert", "alipay_cert", "platform_certificates"})
"""Not the wallet's roots: a bundle of them has always some that have ended."""
ENDING_DAYS = 30


async def check_settings(patient: Patient) -> list[Finding]:
    """Whether the environment's settings make sense for real money."""
    settings = patient.settings
    found = [
        *_public_address(settings.public_base_url),
        *_wallet_addresses(settings),
        *_networks(settings),
        *_master_key_file(settings),
    ]
    token = settings.console_token.get_secret_value()
    if token and len(token) < SHORTEST_TOKEN:
        found.append(
            warn(
                SETTINGS,
                f"the console's token has {len(token)} characters and can be guessed",
                f"set OPENTILL_CONSOLE_TOKEN to at least {SHORTEST_TOKEN} random characters",
            )
        )
    return found or [ok(SETTINGS, f"settings are usable; wallets and customers reach {settings.public_base_url}")]


async def check_sealed_values(patient: Patient) -> list[Finding]:
    """Whether the master key opens everything that was sealed with it."""
    if patient.sealer is None:
        return [
            fail(
                MASTER_KEY,
                "there is no usable master key",
                "set OPENTILL_MASTER_KEY or OPENTILL_MASTER_KEY_FILE to the key this database was made with",
            )
        ]
    closed = []
    values = await health.sealed_values(patient.database)
    for value in values:
        try:
            patient.sealer.open(value.value, place=value.place)
        except SealingError:
            closed.append(value.place)
    if not closed:
        return [ok(MASTER_KEY, f"the master key opens all {len(values)} sealed values")]
    remedy = "find the key that this database was made with" if len(closed) == len(values) else "enter them anew"
    named = ", ".join(closed[:5]) + (" …" if len(closed) > 5 else "")
    return [fail(MASTER_KEY, f"the master key opens {len(values) - len(closed)} of {len(values)}: not {named}", remedy)]


async def check_accounts(patient: Patient) -> list[Finding]:
    """Whether the keys of every wallet account in use can be read."""
    if patient.sealer is None:
        return []
    rows = [row for row in await parties.accounts(patient.database) if not row.is_disabled]
    found = []
    for row in rows:
        channel = patient.channels.get(row.channel)
        name = f"account {row.account_id} ({row.name})"
        if channel is None:
            remedy = f"disable it: opentill admin account disable {row.account_id}"
            found.append(fail(ACCOUNTS, f"{name} is of wallet {row.channel}, which this release has not", remedy))
            continue
        try:
            text = patient.sealer.open(row.settings_sealed, place=account_place(row.account_id))
            values = msgspec.json.decode(text, type=dict[str, str])
            channel.open_account(values)
            found += _ending_certificates(f"{name} of {channel.name}", values, now_ms=patient.clock.now_ms())
        except AccountProblem as problem:
            remedy = f"enter it anew: opentill admin account rotate {row.account_id}"
            found.append(fail(ACCOUNTS, f"{name} of {channel.name} cannot be used: {problem}", remedy))
        except SealingError:
            continue  # said by the master key's check
    if not rows:
        remedy = "add one: opentill admin account add"
        return [warn(ACCOUNTS, "there is no wallet account, so nobody can be paid", remedy)]
    return found or [ok(ACCOUNTS, f"all {len(rows)} wallet accounts in use open")]


def _ending_certificates(name: str, values: Mapping[str, str], *, now_ms: int) -> list[Finding]:
    """Pasted certificates near their end. Of an old and a new one in the same field the newest counts."""
    found = []
    for field in CERTIFICATE_FIELDS & values.keys():
        if not values[field]:
            continue
        ends = max(certificate.not_valid_after_utc for certificate in read_certificates(field, values[field]))
        left_ms = int(ends.timestamp() * 1000) - now_ms
        if left_ms < ENDING_DAYS * DAY_MS:
            text = f"{field} of {name} " + (f"ends in {span_text(left_ms)}" if left_ms > 0 else "has ended")
            remedy = "download the new one from the wallet's console and enter it: opentill admin account rotate"
            found.append((warn if left_ms > 0 else fail)(ACCOUNTS, text, remedy))
    return found


def _public_address(url: str) -> list[Finding]:
    parts = urlsplit(url)
    remedy = "set OPENTILL_PUBLIC_BASE_URL to the https address that wallets and customers use"
    if not url:
        return [fail(SETTINGS, "there is no public address, so wallets cannot call back", remedy)]
    if parts.scheme != "https":
        return [fail(SETTINGS, f"the public address {url} is not https", remedy)]
    if _is_inside(parts.hostname or ""):
        return [warn(SETTINGS, f"the public address {url} is of this machine or network; no wallet reaches it", remedy)]
    return []


def _is_inside(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal", ".test")):
        return True
    try:
        return not ip_address(host).is_global
    except ValueError:
        return False  # a name: whom it leads to depends on who asks


def _wallet_addresses(settings: Settings) -> list[Finding]:
    changed = [
        name
        for name, field in Settings.model_fields.items()
        if name.startswith(("alipay_", "wechat_")) and name.endswith("_base_url")
        if getattr(settings, name) != field.default
    ]
    if not changed:
        return []
    names = ", ".join(f"OPENTILL_{name.upper()}" for name in changed)
    return [warn(SETTINGS, f"not the wallets themselves are called: {names} are set", f"for real money unset {names}")]


def _networks(settings: Settings) -> list[Finding]:
    found = []
    if any(network.prefixlen == 0 for network in settings.trusted_proxies):
        remedy = "name only your own proxies in OPENTILL_TRUSTED_PROXIES"
        found.append(fail(SETTINGS, "everybody is a trusted proxy and can claim any source address", remedy))
    if any(network.prefixlen == 0 for network in settings.metrics_networks):
        remedy = "name only your monitoring in OPENTILL_METRICS_NETWORKS"
        found.append(warn(SETTINGS, "everybody may read /metrics", remedy))
    if any(_is_loopback(network) for network in settings.notify_allow_networks):
        remedy = "take loopback out of OPENTILL_NOTIFY_ALLOW_NETWORKS"
        found.append(warn(SETTINGS, "notifications may be sent to services of this machine", remedy))
    return found


def _is_loopback(network: Network) -> bool:
    return network.network_address.is_loopback or network.prefixlen == 0


def _master_key_file(settings: Settings) -> list[Finding]:
    path = settings.master_key_file
    if settings.master_key is not None or path is None or not path.exists():
        return []
    if not stat.S_IMODE(path.stat().st_mode) & 0o077:
        return []
    return [fail(SETTINGS, f"the master key in {path} can be read by other users", f"chmod 600 {path}")]
