"""One request in any of four encodings becomes one dict of texts (protocol 1).

urlencoded form, multipart form, GET query and JSON object mean the same. A body parameter wins over a query parameter
of the same name; a name given twice in one place is an error.
"""

import json
from collections.abc import Iterable
from typing import NoReturn
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from opentill.base.errors import GatewayError

MAX_PARAMETERS = 200

_JSON = b"application/json"
_MULTIPART = b"multipart/form-data"


def read_form(method: str, query: bytes, content_type: bytes, body: bytes) -> dict[str, str]:
    """All parameters of a request. A GET's body and content type are ignored.

    Raises: METHOD_NOT_ALLOWED, BODY_UNREADABLE, PARAMETER_REPEATED.
    """
    if method == "GET":
        return _unique(_urlencoded_pairs(query))
    if method != "POST":
        raise GatewayError("METHOD_NOT_ALLOWED")
    parameters = _unique(_urlencoded_pairs(query))
    parameters.update(_unique(_body_pairs(content_type, body)))
    return parameters


def _body_pairs(content_type: bytes, body: bytes) -> Iterable[tuple[str, str]]:
    kind = content_type.split(b";", 1)[0].strip().lower()
    if kind == _MULTIPART:
        return _multipart_pairs(content_type, body)
    # Clients without a content type exist; an object's brace tells JSON from a form.
    if kind == _JSON or (not kind and body.lstrip()[:1] == b"{"):
        return _json_pairs(body)
    return _urlencoded_pairs(body)


def _urlencoded_pairs(text: bytes) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    # Escapes may make bytes of several kinds, so what is escaped is decoded field by field; the rest all at once.
    for field in _utf8(text.replace(b"+", b" ")).split("&"):
        if field:
            name, _, value = field.partition("=")
            pairs.append((_unescaped(name), _unescaped(value)) if "%" in field else (name, value))
    return pairs


def _unescaped(text: str) -> str:
    return _utf8(unquote_to_bytes(text)) if "%" in text else text


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        _unreadable("参数不是UTF-8编码（常见原因：使用了GBK编码）")


def _json_pairs(body: bytes) -> list[tuple[str, str]]:
    """Numbers keep the digits as sent (1.0 is not 1); null counts as absent (protocol 1)."""
    if not body.strip():
        return []
    try:
        # The hook sees every object; only the outermost may hold values, so nested ones are refused below.
        pairs = json.loads(_utf8(body), object_pairs_hook=_Object, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        _unreadable("不是有效的JSON")
    if not isinstance(pairs, _Object):
        _unreadable("JSON必须是一个对象")
    return [(_encodable(name), _json_text(name, value)) for name, value in pairs if value is not None]


class _Object(list[tuple[str, object]]):
    """The members of a JSON object in order, doubles included."""


def _json_text(name: str, value: object) -> str:
    if not isinstance(value, str):
        _unreadable(f"JSON中{name[:64]}的值必须是字符串或数字")
    return _encodable(value)


def _encodable(text: str) -> str:
    """A JSON escape may make a lone surrogate, which no database text and no signature can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        _unreadable("参数包含无效字符")
    return text


def _multipart_pairs(content_type: bytes, body: bytes) -> list[tuple[str, str]]:
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        _unreadable("multipart缺少boundary")
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except FormParserError:
        _unreadable("不是有效的multipart表单")
    if not parts.is_complete:
        _unreadable("multipart表单不完整")
    return parts.pairs


class _Parts:
    """Collects the parts of a multipart form as (name, text)."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []
        self.is_complete = False
        self._reset()

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._reset,
            "on_header_field": lambda data, start, end: self._header_name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _reset(self) -> None:
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._data = bytearray()
        self._name: bytes | None = None

    def _end_header(self) -> None:
        if bytes(self._header_name).lower() == b"content-disposition":
            options = parse_options_header(bytes(self._header_value))[1]
            if b"filename" in options:
                _unreadable("multipart表单不能包含文件")
            self._name = options.get(b"name")
        self._header_name = bytearray()
        self._header_value = bytearray()

    def _end_part(self) -> None:
        if self._name is None:
            _unreadable("multipart表单的一个部分没有名称")
        self.pairs.append((_utf8(self._name), _utf8(bytes(self._data))))

    def _end(self) -> None:
        self.is_complete = True


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    form: dict[str, str] = {}
    for name, value in pairs:
        if name in form:
            raise GatewayError("PARAMETER_REPEATED", parameter=name[:64])
        if "\0" in value:  # no PostgreSQL text can hold it
            _unreadable("参数包含无效字符")
        form[name] = value
    if len(form) > MAX_PARAMETERS:
        _unreadable(f"参数超过{MAX_PARAMETERS}个")
    return form


def _unreadable(reason: str) -> NoReturn:
    raise GatewayError("BODY_UNREADABLE", reason=reason)
