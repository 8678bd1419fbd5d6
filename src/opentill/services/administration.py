"""Opening and changing merchants, apps, cashiers and wallet accounts. Every change is audited and felt within 2 s."""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from opentill.base.clock import Clock
from opentill.base.sealing import Sealer
from opentill.channels.base import Channel
from opentill.domain.parties import AppRules
from opentill.services import audit
from opentill.services.access import account_place, app_key_place
from opentill.services.app_rules import check_not_internal, check_rules
from opentill.services.not_possible import NotPossible
from opentill.storage import parties as rows
from opentill.storage.database import Database, Row, Step, StepFailed

MAX_ID_DRAWS = 50
"""So many others may draw the same number at the same time and be faster."""


class NewApp(msgspec.Struct, frozen=True):
    """A new integrator: what it has to be told. The key is shown once."""

    app_id: int
    app: str
    key: str


class Administration:
    """Changes by `actor`, who acts from `source_ip`: the audit log names both. What there is says `listing`."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        channels: Mapping[int, Channel[Any]],
        clock: Clock,
        *,
        actor: str,
        source_ip: str = "",
    ) -> None:
        self.database = database
        self._sealer = sealer
        self.channels = channels
        self._clock = clock
        self._actor = actor
        self._source_ip = source_ip

    async def add_merchant(self, name: str, *, store: str = "") -> tuple[int, int]:
        """A merchant with its first store (by default of the same name). Returns their ids."""
        merchant_id = await self._insert(
            rows.insert_merchant(name, now_ms=self._now()), "merchant.add", name, {"name": name}
        )
        return merchant_id, await self.add_store(merchant_id, store or name)

    async def add_store(self, merchant_id: int, name: str) -> int:
        """Raises NotPossible when there is no such merchant."""
        if merchant_id not in {row.row_id for row in await rows.merchants(self.database)}:
            raise NotPossible("merchant_unknown", key=merchant_id)
        after = {"name": name, "merchant": str(merchant_id)}
        return await self._insert(rows.insert_store(merchant_id, name, now_ms=self._now()), "store.add", name, after)

    async def add_app(
        self,
        name: str,
        merchant_ids: Sequence[int],
        *,
        rules: AppRules,
        app: str = "",
        key: str = "",
        exist_ok: bool = False,
    ) -> NewApp:
        """An integrator that may act for the merchants. `app` and `key` are drawn unless given.

        `exist_ok`: an app of that id is linked to the merchants instead. Raises NotPossible.
        """
        known = {row.row_id for row in await rows.merchants(self.database)}
        for merchant_id in merchant_ids:
            if merchant_id not in known:
                raise NotPossible("merchant_unknown", key=merchant_id)
        check_rules(rules)
        check_not_internal(app)
        app = app or f"A{secrets.randbelow(10**14):014d}"
        key = key or secrets.token_hex(16)
        insert = rows.insert_app(
            app,
            name,
            key_sealed=self._sealer.seal(key, place=app_key_place(app)),
            rules=msgspec.json.encode(rules).decode(),
            now_ms=self._now(),
        )
        try:
            app_id = await self._insert(insert, "app.add", app, {"name": name, **_told(rules)})
        except StepFailed as failed:
            found = await rows.app_by_name(self.database, app)
            if found is None or not exist_ok:
                raise NotPossible("app_exists", key=app) from failed
            app_id = found.app_id
        linked = ", ".join(str(merchant_id) for merchant_id in merchant_ids)
        await self._change(rows.link_app(app_id, merchant_ids), "app.link", app, after={"merchants": linked})
        return NewApp(app_id, app, key)

    async def rotate_app_key(self, app: str, *, overlap_ms: int, key: str = "") -> str:
        """A new key; the old one is accepted for `overlap_ms` more. Returns the key. Raises NotPossible."""
        check_not_internal(app)
        key = key or secrets.token_hex(16)
        sealed = self._sealer.seal(key, place=app_key_place(app))
        until_ms = self._now() + overlap_ms
        step = rows.replace_app_key(app, key_sealed=sealed, old_key_until_ms=until_ms)
        await self._change([step], "app.rotate", app, after={"old_key_until_ms": str(until_ms)})
        return key

    async def set_app_rules(self, app: str, changes: Mapping[str, object]) -> AppRules:
        """Change some of an app's rules. Raises NotPossible for an unknown rule or value."""
        row = await rows.app_by_name(self.database, app)
        if row is None:
            raise NotPossible("app_unknown", key=app)
        current = msgspec.to_builtins(msgspec.json.decode(row.rules, type=AppRules))
        unknown = sorted(set(changes) - set(AppRules.__struct_fields__))
        if unknown:
            raise NotPossible("rule_unknown", key=unknown[0])
        try:
            rules = msgspec.convert({**current, **changes}, AppRules, strict=False)
        except msgspec.ValidationError as error:
            raise NotPossible("rule_value", problem=error) from error
        check_rules(rules)
        step = rows.replace_app_rules(app, rules=msgspec.json.encode(rules).decode())
        old = msgspec.json.decode(row.rules, type=AppRules)
        await self._change([step], "app.rules", app, before=_told(old, changes), after=_told(rules, changes))
        return rules

    async def add_operator(
        self, name: str, *, merchant_id: int, store_id: int, account_ids: Sequence[int], operator_id: str = ""
    ) -> str:
        """A cashier whose payments go to the accounts, at most one of each wallet. Raises NotPossible."""
        operator_id = operator_id or secrets.token_hex(16)
        stores = {row.row_id: row.merchant_id for row in await rows.stores(self.database)}
        if stores.get(store_id) != merchant_id:
            raise NotPossible("store_unknown", merchant=merchant_id, key=store_id)
        steps = [
            rows.insert_operator(
                operator_id, merchant_id=merchant_id, store_id=store_id, name=name, now_ms=self._now()
            ),
            *await self._account_steps(operator_id, merchant_id, account_ids),
        ]
        try:
            await self._change(
                steps,
                "operator.add",
                operator_id,
                after={"name": name, "merchant": str(merchant_id), "store": str(store_id)},
            )
        except NotPossible as error:
            raise NotPossible("operator_exists", key=operator_id) from error
        return operator_id

    async def accounts_of_operator(self, operator_id: str) -> dict[int, int] | None:
        """Channel number to account id; None: there is no such operator."""
        if await rows.operator(self.database, operator_id) is None:
            return None
        return await rows.accounts_of_operator(self.database, operator_id)

    async def replace_operator(self, operator_id: str) -> str:
        """A new id for the same cashier; the old one is disabled. Returns the new id. Raises NotPossible."""
        row = await rows.operator(self.database, operator_id)
        if row is None:
            raise NotPossible("operator_unknown", key=operator_id)
        accounts = await rows.accounts_of_operator(self.database, operator_id)
        new_id = await self.add_operator(
            row.name, merchant_id=row.merchant_id, store_id=row.store_id, account_ids=list(accounts.values())
        )
        await self.set_disabled("operator", operator_id, is_disabled=True)
        return new_id

    async def set_operator_accounts(self, operator_id: str, account_ids: Sequence[int]) -> None:
        """Raises NotPossible."""
        row = await rows.operator(self.database, operator_id)
        if row is None:
            raise NotPossible("operator_unknown", key=operator_id)
        steps = await self._account_steps(operator_id, row.merchant_id, account_ids)
        current = await rows.accounts_of_operator(self.database, operator_id)
        await self._change(
            steps, "operator.accounts", operator_id, before=_accounts(current.values()), after=_accounts(account_ids)
        )

    async def add_account(self, name: str, *, merchant_id: int, channel: int, settings: Mapping[str, str]) -> int:
        """A wallet account whose settings were checked by its channel. Raises: NotPossible, AccountProblem."""
        if merchant_id not in {row.row_id for row in await rows.merchants(self.database)}:
            raise NotPossible("merchant_unknown", key=merchant_id)
        self._check_settings(channel, settings)
        for _ in range(MAX_ID_DRAWS):
            account_id = await rows.next_account_id(self.database)
            step = rows.insert_account(
                account_id,
                merchant_id=merchant_id,
                channel=channel,
                name=name,
                sealed=self._sealed_settings(account_id, settings),
                now_ms=self._now(),
            )
            try:
                await self._change(
                    [step],
                    "account.add",
                    str(account_id),
                    after={"name": name, "merchant": str(merchant_id), "wallet": self.channels[channel].name},
                )
            except NotPossible:
                continue
            return account_id
        raise NotPossible("no_number")

    async def replace_account_settings(self, account_id: int, settings: Mapping[str, str]) -> None:
        """New keys or numbers for an account. Raises: NotPossible, AccountProblem."""
        row = await rows.account(self.database, account_id)
        if row is None:
            raise NotPossible("account_unknown", key=account_id)
        self._check_settings(row.channel, settings)
        step = rows.replace_account_settings(account_id, sealed=self._sealed_settings(account_id, settings))
        old = await self.account_settings(account_id)
        names = sorted(field for field in {*old, *settings} if old.get(field) != settings.get(field))
        await self._change([step], "account.replace", str(account_id), after={"changed": ", ".join(names)})

    async def account_settings(self, account_id: int) -> dict[str, str]:
        """Secret: the settings as stored. Raises NotPossible."""
        row = await rows.account(self.database, account_id)
        if row is None:
            raise NotPossible("account_unknown", key=account_id)
        text = self._sealer.open(row.settings_sealed, place=account_place(account_id))
        return msgspec.json.decode(text, type=dict[str, str])

    async def set_disabled(self, kind: str, key: int | str, *, is_disabled: bool) -> None:
        """`kind`: merchant, app, operator or account. Raises NotPossible when there is none with that id."""
        action = f"{kind}.{'disable' if is_disabled else 'enable'}"
        await self._change(
            [rows.set_disabled(kind, key, is_disabled=is_disabled)],
            action,
            str(key),
            after={"state": "disabled" if is_disabled else "active"},
        )

    async def _account_steps(self, operator_id: str, merchant_id: int, account_ids: Sequence[int]) -> list[Step]:
        steps = []
        for account_id in account_ids:
            row = await rows.account(self.database, account_id)
            if row is None or row.merchant_id != merchant_id:
                raise NotPossible("account_of_another", merchant=merchant_id, key=account_id)
            steps.append(rows.set_operator_account(operator_id, channel=row.channel, account_id=account_id))
        return steps

    def _check_settings(self, channel: int, settings: Mapping[str, str]) -> None:
        """Raises: NotPossible (a field this wallet does not have), AccountProblem (a value it can't use)."""
        known = [field.name for field in self.channels[channel].account_fields]
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise NotPossible("field_unknown", key=unknown[0], known=", ".join(known))
        self.channels[channel].open_account(settings)

    def _sealed_settings(self, account_id: int, settings: Mapping[str, str]) -> str:
        text = msgspec.json.encode(dict(settings)).decode()
        return self._sealer.seal(text, place=account_place(account_id))

    async def _insert(self, step: Step, action: str, subject: str, after: Mapping[str, str]) -> int:
        """Do an insert that draws its own id; returns the id."""
        # The version first: its row keeps others waiting until this number is visible, so that none is drawn twice.
        _, inserted = await self._audited([rows.bump_version(), step], action, subject, {}, after)
        return int(inserted[0]["row_id"])

    async def _change(
        self,
        steps: Sequence[Step],
        action: str,
        subject: str,
        *,
        before: Mapping[str, str] | None = None,
        after: Mapping[str, str] | None = None,
    ) -> None:
        try:
            await self._audited([*steps, rows.bump_version()], action, subject, before or {}, after or {})
        except StepFailed as failed:
            raise NotPossible(f"{action.split('.')[0]}_unknown", key=subject) from failed

    async def _audited(
        self, steps: Sequence[Step], action: str, subject: str, before: Mapping[str, str], after: Mapping[str, str]
    ) -> list[list[Row]]:
        return await audit.change(
            self.database,
            steps,
            actor=self._actor,
            source_ip=self._source_ip,
            action=action,
            subject=subject,
            before=before,
            after=after,
            now_ms=self._now(),
        )

    def _now(self) -> int:
        return self._clock.now_ms()


def _told(rules: AppRules, names: Collection[str] = ()) -> dict[str, str]:
    """Rules for the audit log: those that are named, or all that are not as usual."""
    values = msgspec.to_builtins(rules)
    return {name: str(getattr(rules, name)) for name in (names or values)}


def _accounts(account_ids: Iterable[int]) -> dict[str, str]:
    return {"accounts": ", ".join(str(account_id) for account_id in sorted(account_ids))}
