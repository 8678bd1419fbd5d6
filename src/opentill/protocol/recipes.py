"""The ways in which developers make the string to sign other than the protocol says, each as a change of a recipe.

`diagnosis` tries them against the signature it was given. A `Recipe` says how a text is made of a form; a `Deviation`
is one mistake and what it does to a recipe.
"""

import base64
import hashlib
import hmac
import html
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from enum import StrEnum
from functools import partial
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import msgspec

from opentill.protocol.words import COMMAND_PREFIX, OLD_COMMAND_PREFIX

AMOUNTS = ("amount", "un_discount_amount", "refund_amount")
# Shown in place of a key; no key of ours has these characters.
KEY_MARK = "***"


class Cause(StrEnum):
    """What was done otherwise. Texts for people are under [cause] in the pages' texts, by these names."""

    OLD_KEY = "old_key"
    OTHER_APP_KEY = "other_app_key"
    KEY_SPACES = "key_spaces"
    KEY_CASE = "key_case"
    WRONG_KEY = "wrong_key"
    NO_KEY = "no_key"
    KEY_JOINED = "key_joined"
    KEY_SORTED = "key_sorted"
    EMPTY_SIGNED = "empty_signed"
    NULL_SIGNED = "null_signed"
    FIELD_LEFT_OUT = "field_left_out"
    FIELD_TOO_MANY = "field_too_many"
    GBK = "gbk"
    MOJIBAKE = "mojibake"
    URL_ENCODED = "url_encoded"
    ENCODED_TWICE = "encoded_twice"
    PLUS_AS_SPACE = "plus_as_space"
    SPACES = "spaces"
    FLOAT_AMOUNT = "float_amount"
    YUAN_AMOUNT = "yuan_amount"
    SECONDS = "seconds"
    JSON_REWRITTEN = "json_rewritten"
    HTML_ESCAPED = "html_escaped"
    UNSORTED = "unsorted"
    NAME_CASE = "name_case"
    UPPER_TEXT = "upper_text"
    VALUES_ONLY = "values_only"
    NO_SEPARATORS = "no_separators"
    DIGEST = "digest"
    SIGN_SHORT = "sign_short"
    SIGN_BASE64 = "sign_base64"
    SIGN_PLUS = "sign_plus"
    OLD_COMMAND = "old_command"
    OTHER_VERSION = "other_version"


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a text to sign and its signature are made.

    `values` in the order sent. `template` joins text and key. `rewrite` changes the finished text.
    """

    values: Mapping[str, str]
    keeps_empty: bool = False
    order: str = "sorted"
    shape: str = "{name}={value}"
    separator: str = "&"
    encoding: str = "utf-8"
    template: str = "{text}&key={key}"
    digest: str = "MD5"
    rewrite: Callable[[str], str] = str
    key_is_sorted_in: bool = False

    def text(self, key: str = KEY_MARK) -> str:
        """What is signed, the key left out (unless it was sorted in among the parameters)."""
        values = {**self.values, "key": key} if self.key_is_sorted_in else self.values
        kept = [(name, value) for name, value in values.items() if self.keeps_empty or value.strip(" ")]
        if self.order != "sent":
            kept.sort(key=_ORDERS[self.order], reverse=self.order == "reverse")
        parts = (self.shape.format_map({"name": name, "value": value}) for name, value in kept)
        return self.rewrite(self.separator.join(parts))

    def full_text(self, key: str = KEY_MARK) -> str:
        """What is hashed, the key in its place; by default masked."""
        text = self.text(key)
        return text if self.key_is_sorted_in else self.template.format_map({"text": text, "key": key})

    def bytes_to_hash(self, key: str) -> bytes:
        """Raises UnicodeEncodeError when the encoding lacks a character."""
        return self.full_text(key).encode(self.encoding)


def _by_bytes(pair: tuple[str, str]) -> bytes:
    return pair[0].encode()


_ORDERS: dict[str, Callable[[tuple[str, str]], bytes]] = {
    "sorted": _by_bytes,
    "reverse": _by_bytes,
    "no case": lambda pair: pair[0].lower().encode(),
    "by value": lambda pair: pair[1].encode(),
}


def signature(digest: str, data: bytes, key: bytes) -> str:
    """The text a client would send as `sign`, were `data` hashed like this; `key` is for those that take one."""
    md5 = hashlib.md5(data, usedforsecurity=False)
    match digest:
        case "HMAC-SHA256" | "HMAC-MD5":
            return hmac.new(key, data, digest.removeprefix("HMAC-").lower()).hexdigest()
        case "HMAC-SHA256-base64":
            return base64.b64encode(hmac.new(key, data, "sha256").digest()).decode()
        case "SHA-1" | "SHA-256" | "SHA-512":
            return hashlib.new(digest.replace("-", "").lower(), data, usedforsecurity=False).hexdigest()
        case "MD5 twice":
            return hashlib.md5(md5.hexdigest().encode(), usedforsecurity=False).hexdigest()
        case "MD5-16":
            return md5.hexdigest()[8:24]
        case "MD5-base64":
            return base64.b64encode(md5.digest()).decode()
    return md5.hexdigest()


class Deviation(msgspec.Struct, frozen=True):
    """One mistake. `about` fills the placeholders of its texts (names of parameters, a method)."""

    cause: Cause
    about: Mapping[str, str]
    apply: Callable[[Recipe], Recipe]


def _changed(cause: Cause, about: str = "", **changes: object) -> Deviation:
    return Deviation(cause, {"what": about}, lambda recipe: msgspec.structs.replace(recipe, **changes))


def _revalued(cause: Cause, change: Callable[[str], str]) -> Deviation:
    """Every value made another."""

    def apply(recipe: Recipe) -> Recipe:
        values = {name: change(value) if value.strip(" ") else value for name, value in recipe.values.items()}
        return msgspec.structs.replace(recipe, values=values)

    return Deviation(cause, {"what": ""}, apply)


def deviations(form: Mapping[str, str], signed: Mapping[str, str], documented: Collection[str]) -> Iterator[Deviation]:
    """The mistakes that could make a difference for this form.

    `signed`: the parameters the server signs of it; `documented`: all names the interface's table marks as signed.
    """
    yield from _of_fields(form, signed, documented)
    yield from _of_values(signed)
    yield from _of_text(signed)
    yield from _of_keys()


def _of_fields(form: Mapping[str, str], signed: Mapping[str, str], documented: Collection[str]) -> Iterator[Deviation]:
    empty = [name for name, value in form.items() if not value.strip(" ")]
    absent = [name for name in sorted(documented) if not form.get(name, "").strip(" ")]
    for names in _distinct([name for name in empty if name in documented], empty, absent):
        yield _added(Cause.EMPTY_SIGNED, {name: form.get(name, "") for name in names}, keeps_empty=True)
        yield _added(Cause.NULL_SIGNED, dict.fromkeys(names, "null"))
    for name, value in signed.items():
        if value.strip(" "):
            yield Deviation(Cause.FIELD_LEFT_OUT, {"what": name}, partial(_without, name=name))
    extra = [name for name in form if name not in signed and name != "sign" and form[name].strip(" ")]
    harmless = [name for name in extra if name not in ("key", "signString")]
    for names in _distinct(*([name] for name in extra), harmless, extra):
        yield _added(Cause.FIELD_TOO_MANY, {name: form[name] for name in names})
    command = form.get("command", "")
    if "command" in signed and command.startswith((COMMAND_PREFIX, OLD_COMMAND_PREFIX)):
        tail = command.removeprefix(COMMAND_PREFIX).removeprefix(OLD_COMMAND_PREFIX)
        other = (OLD_COMMAND_PREFIX if command.startswith(COMMAND_PREFIX) else COMMAND_PREFIX) + tail
        yield _one(Cause.OLD_COMMAND, "command", other)
    if "version" in signed:
        yield _one(Cause.OTHER_VERSION, "version", "1.1" if form["version"] == "1.0" else "1.0")


def _distinct(*groups: list[str]) -> Iterator[list[str]]:
    """The groups that are not empty, each once."""
    seen: set[frozenset[str]] = {frozenset()}
    for names in groups:
        if frozenset(names) not in seen:
            seen.add(frozenset(names))
            yield names


def _added(cause: Cause, values: Mapping[str, str], *, keeps_empty: bool = False) -> Deviation:
    """More parameters signed than the server signs."""
    names = ", ".join(values)
    return Deviation(cause, {"what": names}, partial(_with, added=values, keeps_empty=keeps_empty))


def _with(recipe: Recipe, *, added: Mapping[str, str], keeps_empty: bool = False) -> Recipe:
    values = {**recipe.values, **added}
    return msgspec.structs.replace(recipe, values=values, keeps_empty=keeps_empty or recipe.keeps_empty)


def _without(recipe: Recipe, *, name: str) -> Recipe:
    values = {other: value for other, value in recipe.values.items() if other != name}
    return msgspec.structs.replace(recipe, values=values)


def _of_values(signed: Mapping[str, str]) -> Iterator[Deviation]:
    texts = "".join(signed.values())
    if texts != quote(texts, safe="-_.~"):
        for encoder in (quote_plus, _component, _raw_component, _lower_hex, _java):
            yield _revalued(Cause.URL_ENCODED, encoder)
    if not texts.isascii():
        yield _revalued(Cause.MOJIBAKE, lambda value: value.encode().decode("latin-1"))
        yield _revalued(Cause.MOJIBAKE, lambda value: value.encode("ascii", "replace").decode())
    if "%" in texts:
        yield _revalued(Cause.ENCODED_TWICE, unquote)
        yield _revalued(Cause.ENCODED_TWICE, unquote_plus)
    if " " in texts:
        yield _revalued(Cause.PLUS_AS_SPACE, lambda value: value.replace(" ", "+"))
        yield _revalued(Cause.SPACES, lambda value: value.strip())
        yield _revalued(Cause.SPACES, lambda value: value.replace(" ", ""))
    for name, value in signed.items():
        if name in AMOUNTS and (number := re.fullmatch(r"(\d{1,15})(\.\d{1,4})?", value)):
            yield from _of_amount(name, number[1])
        if name == "timestamp" and re.fullmatch(r"\d{10}|\d{13}", value):
            other = value[:10] if len(value) == 13 else value + "000"
            yield _one(Cause.SECONDS, name, other)
        if value[:1] in "[{" and value.strip(" "):
            yield from _of_json(name, value)
        if html.escape(value) != value:
            yield _one(Cause.HTML_ESCAPED, name, html.escape(value))
        if html.unescape(value) != value:
            yield _one(Cause.HTML_ESCAPED, name, html.unescape(value))
        if "%" in value:
            yield _one(Cause.ENCODED_TWICE, name, unquote(value))
            yield _one(Cause.ENCODED_TWICE, name, unquote_plus(value))
    for tail in (" ", "\n", "\r\n"):
        for name in signed:
            yield _one(Cause.SPACES, name, signed[name] + tail)


def _one(cause: Cause, name: str, value: str) -> Deviation:
    """One parameter with another value."""
    return Deviation(cause, {"what": name, "value": value}, partial(_with, added={name: value}))


def _of_amount(name: str, whole: str) -> Iterator[Deviation]:
    fen = int(whole)
    for text in (f"{fen}.0", f"{fen}.00", str(fen)):
        yield _one(Cause.FLOAT_AMOUNT, name, text)
    yuan = f"{fen // 100}.{fen % 100:02}"
    for text in dict.fromkeys((yuan, yuan.rstrip("0").rstrip("."), yuan.removesuffix("0"))):
        yield _one(Cause.YUAN_AMOUNT, name, text)


def _of_json(name: str, value: str) -> Iterator[Deviation]:
    try:
        document = json.loads(value)
    except ValueError:
        return
    compact, wide = (",", ":"), (", ", ": ")
    for is_ascii in (False, True):
        for separators in (compact, wide):
            text = json.dumps(document, ensure_ascii=is_ascii, separators=separators)
            for written in (text, text.replace("/", r"\/")):
                if written != value:
                    yield _one(Cause.JSON_REWRITTEN, name, written)


def _of_text(signed: Mapping[str, str]) -> Iterator[Deviation]:
    if any(not value.isascii() for value in signed.values()):
        yield _changed(Cause.GBK, encoding="gb18030")
    yield _changed(Cause.UNSORTED, "sent", order="sent")
    yield _changed(Cause.UNSORTED, "reverse", order="reverse")
    yield _changed(Cause.UNSORTED, "no case", order="no case")
    yield _changed(Cause.UNSORTED, "by value", order="by value")
    yield _changed(Cause.NAME_CASE, rewrite=_upper_names)
    yield Deviation(Cause.NAME_CASE, {"what": "camelCase"}, _camel)
    yield _changed(Cause.UPPER_TEXT, rewrite=str.upper)
    yield _changed(Cause.UPPER_TEXT, rewrite=str.lower)
    yield _changed(Cause.VALUES_ONLY, shape="{value}", separator="")
    yield _changed(Cause.VALUES_ONLY, shape="{value}")
    yield _changed(Cause.NO_SEPARATORS, separator="")
    yield _changed(Cause.NO_SEPARATORS, shape="{name}{value}", separator="")
    yield _changed(Cause.NO_SEPARATORS, separator=",")


def _of_keys() -> Iterator[Deviation]:
    for template in (
        "{text}{key}", "{text}&{key}", "{text}key={key}", "{key}{text}", "{key}&{text}", "{key}{text}{key}",
        "key={key}&{text}", "{text}&KEY={key}", "{text}&Key={key}", "{text}&secret={key}", "{text}&appkey={key}",
        "{text}&app_key={key}", "{text}&appSecret={key}", "{text}&sign_key={key}", "{text}&key={key}&",
        "{text}&&key={key}", "{text}&key = {key}", "{text}&key={key}",
    ):  # fmt: skip
        yield _changed(Cause.KEY_JOINED, template.format(text="…", key="KEY"), template=template)
    for template in ("{text}", "{text}&", "{text}&key="):
        yield _changed(Cause.NO_KEY, template=template)
    yield _changed(Cause.KEY_SORTED, key_is_sorted_in=True)
    yield _changed(Cause.SIGN_SHORT, digest="MD5-16")
    yield _changed(Cause.SIGN_BASE64, digest="MD5-base64")
    for digest in ("HMAC-SHA256", "HMAC-MD5", "SHA-256", "SHA-1", "SHA-512", "MD5 twice", "HMAC-SHA256-base64"):
        yield _changed(Cause.DIGEST, digest, digest=digest)
        # A key that is hashed in is not joined to the text as well, except by those who do both.
        if digest.startswith("HMAC"):
            yield _changed(Cause.DIGEST, digest, digest=digest, template="{text}")


def _component(value: str) -> str:
    """JavaScript's encodeURIComponent."""
    return quote(value, safe="-_.!~*'()")


def _raw_component(value: str) -> str:
    """PHP's rawurlencode."""
    return quote(value, safe="-_.~")


def _java(value: str) -> str:
    """Java's URLEncoder: + for a space, `*` kept, `~` not."""
    return quote_plus(value, safe="*").replace("~", "%7E")


def _lower_hex(value: str) -> str:
    """.NET's HttpUtility.UrlEncode."""
    return re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), quote_plus(value, safe="!*()"))


def _upper_names(text: str) -> str:
    return "&".join(
        f"{name.upper()}{mark}{value}" for name, mark, value in (part.partition("=") for part in text.split("&"))
    )


def _camel(recipe: Recipe) -> Recipe:
    def camel(name: str) -> str:
        head, *tail = name.split("_")
        return head + "".join(part.capitalize() for part in tail)

    return msgspec.structs.replace(recipe, values={camel(name): value for name, value in recipe.values.items()})
