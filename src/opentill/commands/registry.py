"""Finds the interfaces: every file of this folder with a COMMAND is one. Adding an interface is adding a file."""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from msgspec.structs import force_setattr

import opentill.commands
from opentill.base.errors import GatewayError
from opentill.protocol.params import COMMON, REPLY_SIGN, REPLY_TIMESTAMP, Param, ReplyField, signed_names
from opentill.protocol.words import canonical_command
from opentill.services.access import Caller
from opentill.services.deployment import Deployment

# protocol 1: marks of a later generation of the protocol, which is another one.
_OTHER_GENERATION_PREFIX = "open.api."
_OTHER_GENERATION_NAMES = ("sign_type", "request_id")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A call whose sender is known: typed values by parameter name, and when it came."""

    caller: Caller
    values: Mapping[str, object]
    version: str
    now_ms: int


class Replay(msgspec.Struct, frozen=True):
    """The stored bytes of an earlier reply, to be sent again as they are."""

    body: bytes


class Result(msgspec.Struct, frozen=True):
    """The reply's values by field name, without timestamp and sign, and our number of the order it is about.

    `keep` is given the reply's bytes to store.
    """

    values: Mapping[str, str]
    order_no: str
    keep: Callable[[bytes], Awaitable[None]] | None = None


Handler = Callable[[Deployment, Request], Awaitable[Result | Replay]]


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One interface. `params` and `reply` are its own; the common ones are added here for everybody."""

    name: str
    title_zh: str
    title_en: str
    text_zh: str
    text_en: str
    demo_page: str
    is_bound: bool = False
    """query, refund and reverse: a signature belongs to the one it was first used with (protocol 8.1)."""
    sends_money_back: bool = False
    """refund and reverse: listed sources and fresh timestamps only (protocol 8.1, 8.2)."""
    params: tuple[Param, ...]
    reply: tuple[ReplyField, ...]
    handle: Handler

    all_reply_fields: tuple[ReplyField, ...] = ()
    """With the common ones; computed, like `signed`, once and not at every request."""
    signed: frozenset[str] = frozenset()
    """The documented signed set (protocol 2)."""

    def __post_init__(self) -> None:
        force_setattr(self, "all_reply_fields", (*self.reply, REPLY_TIMESTAMP, REPLY_SIGN))
        force_setattr(self, "signed", signed_names(self.all_params))

    @property
    def all_params(self) -> tuple[Param, ...]:
        return (*COMMON, *self.params)


def load_commands() -> dict[str, Command]:
    """All interfaces by name, in the order of their files' names."""
    found: dict[str, Command] = {}
    for module_info in pkgutil.iter_modules(opentill.commands.__path__):
        module = importlib.import_module(f"{opentill.commands.__name__}.{module_info.name}")
        command = getattr(module, "COMMAND", None)
        if isinstance(command, Command):
            found[command.name] = command
    return found


def find_command(commands: Mapping[str, Command], form: Mapping[str, str]) -> Command:
    """The interface a form names. Raises COMMAND_MISSING, COMMAND_UNKNOWN, OTHER_GENERATION."""
    name = form.get("command", "").strip()
    if name.startswith(_OTHER_GENERATION_PREFIX) or any(mark in form for mark in _OTHER_GENERATION_NAMES):
        raise GatewayError("OTHER_GENERATION")
    if not name:
        raise GatewayError("COMMAND_MISSING")
    command = commands.get(canonical_command(name))
    if command is None:
        raise GatewayError("COMMAND_UNKNOWN", value=name[:64], expected="、".join(commands))
    return command
