"""What a developer pastes as "this is what I sent" becomes one form: form, URL, JSON, lines, curl or a raw request.

Read leniently where the gateway is strict: what it would refuse is reported as a problem, not as an exception.
"""

import json
import re
import shlex
from collections.abc import Iterable
from enum import StrEnum
from urllib.parse import unquote_to_bytes

import msgspec

MAX_PASTED = 65_536
MAX_FIELDS = 200

_HTTP_LINE = re.compile(r"^(GET|POST|PUT) (\S+) HTTP/[\d.]+\s*$", re.MULTILINE)
_NAME = r"[A-Za-z_][\w.-]{0,63}"
_LINE = re.compile(rf"^\s*[\"']?({_NAME})[\"']?\s*(?:=>|[=:\t])\s?(.*?),?\s*$")
# curl's options that take what this has no use for; only those that would else be read as the address.
_DATA_OPTIONS = frozenset({"-d", "--data", "--data-ascii", "--data-raw", "--data-binary", "--json"})
_PAIR_OPTIONS = frozenset({"-F", "--form", "--form-string", "--data-urlencode"})
_OTHER_OPTIONS = frozenset({"-H", "--header", "-X", "--request", "-A", "--user-agent", "-o", "-u", "-m", "-b", "-e"})
_LINE_CONTINUED = re.compile(r"[\\^]\r?\n")


class Trouble(StrEnum):
    """What in the pasted text the gateway itself would stumble over, or would read in another way than was meant."""

    GBK = "gbk"
    """Percent-encoded bytes that are GBK, not UTF-8: the gateway refuses them."""
    NOT_TEXT = "not_text"
    """Bytes that are neither."""
    REPEATED = "repeated"
    NESTED = "nested"
    """A JSON value that is an object or an array where a text is needed (goods_list)."""
    NOT_JSON = "not_json"
    TOO_LONG = "too_long"


class Found(msgspec.Struct, frozen=True):
    """A trouble, and the parameter it is about ("" for the whole)."""

    trouble: Trouble
    name: str = ""


class Pasted(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters as the gateway would read them, in the order sent. `shape`: form, url, json, lines, curl, http."""

    form: dict[str, str]
    shape: str
    troubles: tuple[Found, ...] = ()


def read_pasted(text: str) -> Pasted:
    """Never raises; a text that says nothing gives an empty form."""
    if len(text) > MAX_PASTED:
        return Pasted(form={}, shape="form", troubles=(Found(Trouble.TOO_LONG),))
    text = text.replace("\ufeff", "").strip()
    reader = _Reader()
    shape = reader.read(text)
    return Pasted(form=reader.form, shape=shape, troubles=tuple(reader.troubles))


class _Reader:
    def __init__(self) -> None:
        self.form: dict[str, str] = {}
        self.troubles: list[Found] = []

    def read(self, text: str) -> str:
        if re.match(r"(\$\s*)?curl(\.exe)?\s", text):
            self._curl(text)
            return "curl"
        if line := _HTTP_LINE.match(text):
            self._http(text, line[2])
            return "http"
        if text.startswith("{"):
            self._json(text)
            return "json"
        if re.match(r"https?://", text) and not any(character.isspace() for character in text):
            self._query(_query_of(text))
            return "url"
        lines = [line for line in text.splitlines() if line.strip()]
        pairs = [found.groups() for line in lines if (found := _LINE.match(line))]
        # One line without `&` is a single field or nothing; several lines that all name something are a list of them.
        if len(lines) > 1 and len(pairs) == len(lines) and not any("&" in line and "=" in line for line in lines[:1]):
            self._add((name, _unquoted(value)) for name, value in pairs)
            return "lines"
        self._query("".join(lines).lstrip("?"))
        return "form"

    def _curl(self, text: str) -> None:
        try:
            words = shlex.split(_LINE_CONTINUED.sub(" ", text))
        except ValueError:
            words = text.split()
        bodies: list[str] = []
        pairs: list[tuple[str, str]] = []
        following = iter(words[1:] if words[0] != "$" else words[2:])
        for word in following:
            option, has_value, given = word.partition("=") if word.startswith("--") else (word, "", "")
            if option[:2] in ("-d", "-F") and len(option) > 2:
                option, has_value, given = option[:2], "=", option[2:]
            if option in _OTHER_OPTIONS:
                next(following, "")
            elif option in _DATA_OPTIONS:
                bodies.append(given if has_value else next(following, ""))
            elif option in _PAIR_OPTIONS:
                name, _, value = (given if has_value else next(following, "")).partition("=")
                pairs.append((name, value))
            elif re.match(r"https?://|[\w.-]+(:\d+)?/", word):
                self._query(_query_of(word))
        self._body("&".join(bodies))
        self._add(pairs)

    def _http(self, text: str, target: str) -> None:
        self._query(_query_of(target))
        _, _, body = text.replace("\r\n", "\n").partition("\n\n")
        self._body(body.strip())

    def _body(self, text: str) -> None:
        if text.lstrip().startswith("{"):
            self._json(text)
        else:
            self._query(text)

    def _query(self, text: str) -> None:
        pairs = []
        for field in text.split("&"):
            if field:
                name, _, value = field.partition("=")
                pairs.append((self._decoded(name, ""), self._decoded(value, name)))
        self._add(pairs)

    def _decoded(self, text: str, name: str) -> str:
        raw = unquote_to_bytes(text.replace("+", " "))
        try:
            return raw.decode()
        except UnicodeDecodeError:
            pass
        try:
            found = raw.decode("gb18030")
        except UnicodeDecodeError:
            self.troubles.append(Found(Trouble.NOT_TEXT, name))
            return raw.decode("utf-8", "replace")
        self.troubles.append(Found(Trouble.GBK, name))
        return found

    def _json(self, text: str) -> None:
        try:
            pairs = json.loads(text, object_pairs_hook=_Members, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError):
            self.troubles.append(Found(Trouble.NOT_JSON))
            return
        self._add((name, self._json_text(name, value)) for name, value in pairs if value is not None)

    def _json_text(self, name: str, value: object) -> str:
        if isinstance(value, str):
            return value
        self.troubles.append(Found(Trouble.NESTED, name))
        return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))

    def _add(self, pairs: Iterable[tuple[str, str]]) -> None:
        """The parameters of one place; the body is added last and wins over the query (protocol 1)."""
        seen: set[str] = set()
        for name, value in pairs:
            if name in seen:
                self.troubles.append(Found(Trouble.REPEATED, name))
            elif len(self.form) < MAX_FIELDS:
                seen.add(name)
                # A lone surrogate comes from a JSON escape; it has no bytes to sign.
                self.form[_encodable(name)] = _encodable(value)


class _Members(list[tuple[str, object]]):
    """The members of a JSON object in order, doubles included."""


def _plain(value: object) -> object:
    if isinstance(value, _Members):
        return {name: _plain(member) for name, member in value}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value


def _query_of(url: str) -> str:
    """Of anything that looks like an address: urlsplit refuses some hosts, and the host does not matter here."""
    return url.partition("#")[0].partition("?")[2]


def _unquoted(text: str) -> str:
    is_quoted = len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
