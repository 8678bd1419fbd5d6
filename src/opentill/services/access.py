"""Who calls: app, signature, timestamp, cashier; and the cache of parties that answers it without a query."""

import asyncio
import base64
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from opentill.base.clock import Clock
from opentill.base.errors import GatewayError
from opentill.base.logs import logger
from opentill.base.sealing import Sealer
from opentill.channels.base import AccountProblem, Channel
from opentill.domain.parties import App, AppRules, ChannelAccount, Operator
from opentill.protocol.params import read_timestamp_ms
from opentill.protocol.signing import matches_hmac, matches_md5, matches_rsa2, read_public_key, string_to_sign
from opentill.storage import parties as rows
from opentill.storage.database import Database, DatabaseOverloaded, DatabaseUnavailable

# protocol 7: the published test integrator; anybody knows its key.
TEST_APP = "A00305710000067"
TEST_KEY = "3d54fa25f393f2690817a1fab9314b92"
TEST_OPERATOR = "ccaaad2ba1f2a6baccb986d0a748dbb9"

VERSION_CHECK_MS = 1_000
"""Age at which the cache asks whether parties changed: changes are effective everywhere within 2 s."""
OLD_KEY_EVERY_MS = 60_000
MAX_CACHED = 50_000
MAX_NOTE = 2_000
_NOT_LOGGED = frozenset({"sign", "key", "signString"})

_log = logger("access")

T = TypeVar("T")


class OpenAccount(msgspec.Struct, frozen=True):
    """A wallet account with its keys parsed. `opened` belongs to the channel."""

    account: ChannelAccount
    opened: Any


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who called, proven by a signature. `sign` is the request's, lower case where it is hex."""

    app: App
    operator: Operator
    sign: str
    source_ip: str


class Parties:
    """Apps, cashiers and accounts from memory; everything is forgotten when the stored version changes."""

    def __init__(self, database: Database, sealer: Sealer, channels: Mapping[int, Channel[Any]], clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._channels = channels
        self._clock = clock
        self._known: dict[tuple[str, object], asyncio.Task[Any]] = {}
        # By account: its sealed settings, and what they opened to. A change elsewhere must neither parse its keys again
        # nor throw away the certificates it has learnt since.
        self._opened: dict[int, tuple[str, Any]] = {}
        self._old_keys_noted_ms: dict[int, int] = {}
        self._version = -1
        self._checked_at_ms = -VERSION_CHECK_MS

    async def app(self, name: str) -> App | None:
        return await self._remembered("app", name, lambda: self._load_app(name))

    async def app_by_id(self, app_id: int) -> App | None:
        return await self._remembered("app_id", app_id, lambda: self._load_app_by_id(app_id))

    async def operator(self, operator_id: str) -> Operator | None:
        return await self._remembered("operator", operator_id, lambda: self._load_operator(operator_id))

    async def account(self, account_id: int) -> OpenAccount | None:
        return await self._remembered("account", account_id, lambda: self._load_account(account_id))

    async def note_old_key(self, app: App, *, by: str) -> None:
        """Remember that somebody still signs with the old key: once a minute per app, so that calls stay cheap."""
        now_ms = self._clock.now_ms()
        if now_ms - self._old_keys_noted_ms.get(app.app_id, -OLD_KEY_EVERY_MS) < OLD_KEY_EVERY_MS:
            return
        self._old_keys_noted_ms[app.app_id] = now_ms
        try:
            await self._database.write([rows.note_old_key(app.app_id, used_at_ms=now_ms, by=by)])
        except (DatabaseUnavailable, DatabaseOverloaded):
            _log.warning("old key not noted", app=app.app)

    def forget(self) -> None:
        """Read everything anew at the next question; this process just changed something."""
        # Not cleared: what is being read right now may be old, and ends in the memory that nobody looks at any more.
        self._known = {}

    async def _remembered(self, kind: str, key: object, load: Callable[[], Coroutine[Any, Any, T | None]]) -> T | None:
        now_ms = self._clock.now_ms()
        if now_ms - self._checked_at_ms >= VERSION_CHECK_MS:
            self._checked_at_ms = now_ms
            version = await rows.version(self._database)
            if version != self._version:
                self.forget()
                self._version = version
        task = self._known.get((kind, key))
        if task is None:
            task = self._loading(kind, key, load)
        # Who goes away must not take the answer from the others who wait for it.
        found: T | None = task.result() if task.done() else await asyncio.shield(task)
        return found

    def _loading(self, kind: str, key: object, load: Callable[[], Coroutine[Any, Any, T | None]]) -> asyncio.Task[Any]:
        """Of all who ask for the same at once one reads it: opening an account's keys takes 80 ms."""
        known = self._known
        task = known[kind, key] = asyncio.create_task(load())

        def keep_only_what_exists(done: asyncio.Task[Any]) -> None:
            # What does not exist is not remembered: strangers could fill the memory with names.
            is_found = not done.cancelled() and done.exception() is None and done.result() is not None
            if not is_found or len(known) > MAX_CACHED:
                del known[kind, key]

        task.add_done_callback(keep_only_what_exists)
        return task

    async def _load_app(self, name: str) -> App | None:
        row = await rows.app_by_name(self._database, name)
        return None if row is None else await self._opened_app(row)

    async def _load_app_by_id(self, app_id: int) -> App | None:
        row = await rows.app_by_id(self._database, app_id)
        return None if row is None else await self._opened_app(row)

    async def _opened_app(self, row: rows.AppRow) -> App:
        old_key = ""
        if row.old_key_sealed:
            old_key = self._sealer.open(row.old_key_sealed, place=app_key_place(row.app))
        return App(
            app_id=row.app_id,
            app=row.app,
            name=row.name,
            # The gateway's own apps have none.
            key=self._sealer.open(row.key_sealed, place=app_key_place(row.app)) if row.key_sealed else "",
            old_key=old_key,
            old_key_until_ms=row.old_key_until_ms,
            rules=msgspec.json.decode(row.rules, type=AppRules),
            merchant_ids=await rows.merchant_ids_of_app(self._database, row.app_id),
            is_disabled=bool(row.is_disabled),
        )

    async def _load_operator(self, operator_id: str) -> Operator | None:
        row = await rows.operator(self._database, operator_id)
        if row is None:
            return None
        return Operator(
            operator_id=row.operator_id,
            merchant_id=row.merchant_id,
            store_id=row.store_id,
            name=row.name,
            accounts=await rows.accounts_of_operator(self._database, operator_id),
            is_disabled=bool(row.is_disabled or row.is_merchant_disabled),
        )

    async def _load_account(self, account_id: int) -> OpenAccount | None:
        row = await rows.account(self._database, account_id)
        if row is None or row.channel not in self._channels:
            return None
        settings = self._sealer.open(row.settings_sealed, place=account_place(account_id))
        account = ChannelAccount(
            account_id=row.account_id,
            merchant_id=row.merchant_id,
            channel=row.channel,
            name=row.name,
            settings=msgspec.json.decode(settings, type=dict[str, str]),
            is_disabled=bool(row.is_disabled),
        )
        sealed, opened = self._opened.get(account_id, ("", None))
        if sealed != row.settings_sealed:
            try:
                opened = self._channels[row.channel].open_account(account.settings)
            except AccountProblem:
                return None
            self._opened[account_id] = row.settings_sealed, opened
        return OpenAccount(account, opened)


def app_key_place(app: str) -> str:
    """What an app's sealed key is bound to."""
    return f"apps.key_sealed:{app}"


def account_place(account_id: int) -> str:
    """What an account's sealed settings are bound to."""
    return f"channel_accounts.settings_sealed:{account_id}"


async def identify(
    parties: Parties,
    form: Mapping[str, str],
    *,
    signed: frozenset[str],
    clock: Clock,
    source_ip: str,
    is_sandbox: bool,
) -> Caller:
    """Who sent this form. `signed` is the interface's documented signed set.

    Raises: PARAMETER_MISSING, APP_UNKNOWN, APP_DISABLED, TEST_IDENTITY_REFUSED, SIGN_INVALID, TIMESTAMP_INVALID,
    TIMESTAMP_OUT_OF_RANGE, OPERATOR_UNKNOWN, OPERATOR_DISABLED.
    """
    for name in ("app", "sign", "timestamp", "operator_id"):
        if not form.get(name, "").strip():
            raise GatewayError("PARAMETER_MISSING", parameter=name)
    app = await parties.app(form["app"])
    if app is None or app.is_internal:
        raise GatewayError("APP_UNKNOWN")
    if app.app == TEST_APP and not is_sandbox:
        raise GatewayError("TEST_IDENTITY_REFUSED")
    if app.is_disabled:
        raise GatewayError("APP_DISABLED")
    uses_old_key = _check_signature(app, form, signed=signed, now_ms=clock.now_ms())
    _check_timestamp(app, form["timestamp"], clock)
    operator = await parties.operator(form["operator_id"])
    if operator is None or operator.merchant_id not in app.merchant_ids:
        raise GatewayError("OPERATOR_UNKNOWN")
    if operator.is_disabled:
        raise GatewayError("OPERATOR_DISABLED")
    if uses_old_key:
        await parties.note_old_key(app, by=f"{operator.name} · {source_ip}")
    return Caller(app=app, operator=operator, sign=_canonical_sign(app, form["sign"]), source_ip=source_ip)


def check_command(app: App, command: str) -> None:
    """Raises COMMAND_NOT_ALLOWED when the app's owner did not allow the interface (protocol 8)."""
    if app.rules.commands and command not in app.rules.commands:
        raise GatewayError("COMMAND_NOT_ALLOWED", command=command)


def _check_signature(app: App, form: Mapping[str, str], *, signed: frozenset[str], now_ms: int) -> bool:
    """Whether it was made with the old key. Raises SIGN_INVALID."""
    method = app.rules.sign_method
    keys = [app.key]
    if app.old_key and now_ms < app.old_key_until_ms:
        keys.append(app.old_key)
    everything = {name: value for name, value in form.items() if name != "sign"}
    sign = form["sign"]
    if method == "RSA2":
        used = app.key if matches_rsa2(everything, _public_key(app.rules.public_key_pem), sign) else None
        expected = "该接入商使用RSA2（SHA256withRSA，base64）对除sign外的所有参数签名"
    elif method == "HMAC-SHA256":
        used = next((key for key in keys if matches_hmac(everything, key=key, sign=sign)), None)
        expected = "该接入商使用HMAC-SHA256（64位十六进制）对除sign外的所有参数签名"
    else:
        used = next((key for key in keys if matches_md5(form, signed=signed, key=key, sign=sign)), None)
        names = "、".join(name for name in sorted(signed) if form.get(name, "").strip())
        expected = f"应对{names}按名称排序拼接，加上&key=密钥后取MD5（32位十六进制）"
    if used is None:
        raise GatewayError("SIGN_INVALID", expected=expected, note=_received(form, keys))
    return used != app.key


def _received(form: Mapping[str, str], keys: Sequence[str]) -> str:
    """What was signed, for our log: clients exist that send their key along (protocol 1)."""
    text = string_to_sign({name: value for name, value in form.items() if name not in _NOT_LOGGED})
    for key in keys:
        text = text.replace(key, "***")
    return text[:MAX_NOTE]


def _check_timestamp(app: App, text: str, clock: Clock) -> None:
    tolerance_ms = app.rules.tolerance_ms
    if tolerance_ms == 0:  # protocol 2: clients exist that send seconds or a constant
        return
    off_ms = age_ms(read_timestamp_ms(text), clock)
    if off_ms > tolerance_ms:
        raise GatewayError("TIMESTAMP_OUT_OF_RANGE", difference=off_ms // 1000, tolerance=tolerance_ms // 1000)


def age_ms(sent_ms: int, clock: Clock) -> int:
    """How far a timestamp is from now, either way. Strangers of a moved sandbox clock may use the real time."""
    now_ms = clock.now_ms()
    return min(abs(sent_ms - now_ms), abs(sent_ms - (now_ms - clock.shift_ms)))


def _canonical_sign(app: App, sign: str) -> str:
    """One text for one signature: hex in upper case, or base64 with other idle bits at its end, is no other one."""
    if app.rules.sign_method == "RSA2":
        return base64.b64encode(base64.b64decode(sign)).decode("ascii")
    return sign.lower()


# Parsing takes as long as verifying; a changed key is another text.
_public_key = lru_cache(maxsize=1024)(read_public_key)
