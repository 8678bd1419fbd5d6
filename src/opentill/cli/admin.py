"""`opentill admin`: merchants, apps, cashiers and wallet accounts, from the shell."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from opentill.base.clock import MovableClock
from opentill.base.sealing import new_master_key
from opentill.channels.registry import channel_classes
from opentill.cli import people
from opentill.cli.problems import read_settings, told
from opentill.cli.wiring import open_administration
from opentill.domain.parties import AppRules
from opentill.services import listing
from opentill.services.administration import Administration

HOUR_MS = 3_600_000
FILE_WIDTH = 1_000
"""Columns of a table that goes to a file or another program."""

app = typer.Typer(no_args_is_help=True, help="Merchants, apps, cashiers and wallet accounts.")
merchant = typer.Typer(no_args_is_help=True, help="Merchants and their stores.")
apps = typer.Typer(no_args_is_help=True, help="Integrators: the systems that call the gateway.")
operator = typer.Typer(no_args_is_help=True, help="Cashiers, who name the receiving accounts.")
account = typer.Typer(no_args_is_help=True, help="Accounts at the wallets.")
app.add_typer(merchant, name="merchant")
app.add_typer(apps, name="app")
app.add_typer(operator, name="operator")
app.add_typer(account, name="account")
app.command("first-owner")(people.first_owner_command)
app.command("users")(people.list_users_command)
app.command("reset-user")(people.reset_user_command)

T = TypeVar("T")
AccountIds = Annotated[list[int] | None, typer.Option("--account", help="Receiving account; one of each wallet.")]


@app.command("master-key")
def master_key() -> None:
    """Print a new master key. Keep it safe: without it no stored secret can be opened."""
    typer.echo(new_master_key())


@merchant.command("add")
def merchant_add(
    name: Annotated[str, typer.Argument(help="Name of the merchant.")],
    store: Annotated[str, typer.Option(help="Name of its first store; by default the merchant's.")] = "",
) -> None:
    """Add a merchant with a store."""
    merchant_id, store_id = _run(lambda administration: administration.add_merchant(name, store=store))
    typer.echo(f"merchant {merchant_id}, store {store_id}")


@merchant.command("add-store")
def merchant_add_store(merchant_id: int, name: str) -> None:
    """Add a store to a merchant."""
    typer.echo(f"store {_run(lambda administration: administration.add_store(merchant_id, name))}")


@merchant.command("list")
def merchant_list() -> None:
    """List merchants and stores."""
    rows = _run(lambda administration: listing.merchants(administration.database))
    _table(("merchant", "name", "stores", "state"), rows)


@merchant.command("disable")
def merchant_disable(merchant_id: int) -> None:
    """Refuse new calls of a merchant's cashiers. Open orders are still settled."""
    _switch("merchant", merchant_id, is_disabled=True)


@merchant.command("enable")
def merchant_enable(merchant_id: int) -> None:
    """Allow a disabled merchant again."""
    _switch("merchant", merchant_id, is_disabled=False)


@apps.command("add")
def app_add(
    name: Annotated[str, typer.Argument(help="Name of the integrator.")],
    merchant_ids: Annotated[list[int], typer.Option("--merchant", help="Merchant it may act for; may be repeated.")],
    strict: Annotated[
        bool, typer.Option("--strict", help="HMAC-SHA256 over every parameter instead of the published MD5.")
    ] = False,
    notify_url: Annotated[str, typer.Option(help="Default address for notifications.")] = "",
) -> None:
    """Add an integrator and print its key, once."""
    rules = AppRules(sign_method="HMAC-SHA256" if strict else "MD5", default_notify_url=notify_url)
    made = _run(lambda administration: administration.add_app(name, merchant_ids, rules=rules))
    typer.echo(f"app {made.app}\nkey {made.key}")


@apps.command("list")
def app_list() -> None:
    """List integrators and their rules; keys are never shown."""
    rows = _run(lambda administration: listing.apps(administration.database))
    _table(("app", "name", "merchants", "signature", "state"), rows)


@apps.command("rotate")
def app_rotate(
    app_id: Annotated[str, typer.Argument(metavar="APP")],
    overlap_hours: Annotated[int, typer.Option(min=0, help="Hours for which the old key still works.")] = 24,
) -> None:
    """Give an integrator a new key and print it, once."""
    key = _run(lambda administration: administration.rotate_app_key(app_id, overlap_ms=overlap_hours * HOUR_MS))
    typer.echo(f"key {key}")


@apps.command("set")
def app_set(
    app_id: Annotated[str, typer.Argument(metavar="APP")],
    rules: Annotated[list[str], typer.Argument(metavar="RULE=VALUE", help="JSON value, or plain text.")],
) -> None:
    """Change rules of an integrator, e.g. `tolerance_ms=0 idempotent_replay=true`."""
    changes: dict[str, object] = {}
    for rule in rules:
        name, has_value, text = rule.partition("=")
        if not has_value:
            raise typer.BadParameter(f"{name}: give it as {name}=VALUE")
        try:
            changes[name] = json.loads(text)
        except ValueError:
            changes[name] = text
    _run(lambda administration: administration.set_app_rules(app_id, changes))
    typer.echo("changed")


@apps.command("disable")
def app_disable(app_id: Annotated[str, typer.Argument(metavar="APP")]) -> None:
    """Refuse every call of an integrator."""
    _switch("app", app_id, is_disabled=True)


@apps.command("enable")
def app_enable(app_id: Annotated[str, typer.Argument(metavar="APP")]) -> None:
    """Allow a disabled integrator again."""
    _switch("app", app_id, is_disabled=False)


@operator.command("add")
def operator_add(
    name: str,
    merchant_id: Annotated[int, typer.Option("--merchant", help="Number of the merchant it belongs to.")],
    store_id: Annotated[int, typer.Option("--store", help="Number of its store.")],
    account_ids: AccountIds = None,
) -> None:
    """Add a cashier and print the operator_id that integrators send."""
    operator_id = _run(
        lambda administration: administration.add_operator(
            name, merchant_id=merchant_id, store_id=store_id, account_ids=account_ids or []
        )
    )
    typer.echo(f"operator_id {operator_id}")


@operator.command("accounts")
def operator_accounts(operator_id: str, account_ids: AccountIds = None) -> None:
    """Let a cashier's payments go to other accounts."""
    _run(lambda administration: administration.set_operator_accounts(operator_id, account_ids or []))
    typer.echo("changed")


@operator.command("list")
def operator_list() -> None:
    """List cashiers with their receiving accounts."""
    rows = _run(lambda administration: listing.operators(administration.database, administration.channels))
    _table(("operator_id", "name", "merchant", "store", "accounts", "state"), rows)


@operator.command("disable")
def operator_disable(operator_id: str) -> None:
    """Refuse calls of a cashier."""
    _switch("operator", operator_id, is_disabled=True)


@operator.command("enable")
def operator_enable(operator_id: str) -> None:
    """Allow a disabled cashier again."""
    _switch("operator", operator_id, is_disabled=False)


@operator.command("rotate")
def operator_rotate(operator_id: str) -> None:
    """Replace a cashier's operator_id by a new one and disable the old; receiving accounts stay."""
    typer.echo(f"operator_id {_run(lambda administration: administration.replace_operator(operator_id))}")


@account.command("add")
def account_add(
    name: str,
    merchant_id: Annotated[int, typer.Option("--merchant", help="Number of the merchant it belongs to.")],
    channel: Annotated[str, typer.Option(help="alipay or wechat.")],
    settings: Annotated[
        list[str], typer.Option("--set", metavar="FIELD=VALUE", help="A setting; FIELD=@FILE reads the file.")
    ],
) -> None:
    """Add an account at a wallet. Settings are checked before anything is stored."""
    number = _channel_number(channel)
    values = _settings(settings)
    account_id = _run(
        lambda administration: administration.add_account(
            name, merchant_id=merchant_id, channel=number, settings=values
        )
    )
    typer.echo(f"account {account_id}")


@account.command("fields")
def account_fields(channel: Annotated[str, typer.Argument(help="alipay or wechat.")]) -> None:
    """List the settings an account of this wallet has."""
    number = _channel_number(channel)
    fields = next(found for found in channel_classes() if found.number == number).account_fields
    rows = [(field.name, "yes" if field.is_required else "", field.label_en, field.help_en) for field in fields]
    _table(("field", "required", "what", "where to find it"), rows)


@account.command("rotate")
def account_rotate(
    account_id: int,
    settings: Annotated[list[str], typer.Option("--set", metavar="FIELD=VALUE", help="FIELD=@FILE reads the file.")],
) -> None:
    """Replace keys or other settings of an account; what is not named stays."""
    values = _settings(settings)

    async def change(administration: Administration) -> None:
        current = await administration.account_settings(account_id)
        await administration.replace_account_settings(account_id, {**current, **values})

    _run(change)
    typer.echo("changed")


@account.command("list")
def account_list() -> None:
    """List accounts; their keys are never shown."""
    rows = _run(lambda administration: listing.accounts(administration.database, administration.channels))
    _table(("account", "name", "merchant", "wallet", "state"), rows)


@account.command("disable")
def account_disable(account_id: int) -> None:
    """Open no new orders at an account. Its open orders are still settled."""
    _switch("account", account_id, is_disabled=True)


@account.command("enable")
def account_enable(account_id: int) -> None:
    """Allow a disabled account again."""
    _switch("account", account_id, is_disabled=False)


def _switch(kind: str, key: int | str, *, is_disabled: bool) -> None:
    _run(lambda administration: administration.set_disabled(kind, key, is_disabled=is_disabled))
    typer.echo("disabled" if is_disabled else "enabled")


def _channel_number(name: str) -> int:
    for channel in channel_classes():
        if channel.name == name:
            return channel.number
    raise typer.BadParameter(f"there is no wallet {name}")


def _settings(texts: list[str]) -> dict[str, str]:
    values = {}
    for text in texts:
        name, has_value, value = text.partition("=")
        if not has_value:
            raise typer.BadParameter(f"{name}: give it as {name}=VALUE or {name}=@FILE")
        if value.startswith("@"):
            try:
                value = Path(value[1:]).read_text("utf-8")
            except OSError as error:
                raise typer.BadParameter(f"{name}: {value[1:]} cannot be read ({error.strerror})") from error
        values[name] = value
    return values


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(*heads, box=None, pad_edge=False)
    # Ids are for copying: the first column is never cut, and nothing is where no person reads.
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*row)
    is_read_by_person = sys.stdout.isatty()
    Console(highlight=False, width=None if is_read_by_person else FILE_WIDTH).print(table)


def _run(work: Callable[[Administration], Awaitable[T]]) -> T:
    async def inside() -> T:
        async with open_administration(read_settings(), clock=MovableClock(), actor="shell") as administration:
            return await work(administration)

    with told("Not done"):
        return asyncio.run(inside())
