"""What all routes of the twin share: bounded bodies, and the path as the client signed it."""

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.responses import Response

MAX_BODY_BYTES = 1_048_576


class BodyTooLarge(Exception):
    """The request's body is larger than the twin reads."""


async def read_body(request: Request) -> bytes:
    """The raw body. Raises BodyTooLarge."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge
        chunks.append(chunk)
    return b"".join(chunks)


def signed_target(request: Request) -> str:
    """Path and query as they came over the wire, below the mount point (design 7, Addresses)."""
    scope = request.scope
    path: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    # A mount prefix is plain ASCII, so it is as long on the wire as decoded.
    target = path[len(scope.get("root_path", "")) :]
    return (target + b"?" + query if query else target).decode("latin-1")


class Asked(Exception):
    """What was asked of the twin's own API cannot be done: an HTTP status, a code for programs, a text for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


Endpoint = Callable[[Request], Awaitable[Response]]


def answering(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose refusals become `{"error": {"code", "message"}}`."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Asked as error:
            return reply({"error": {"code": error.code, "message": str(error)}}, error.status)

    return answer


async def read_values(request: Request) -> dict[str, str]:
    """A flat JSON object, or a form and the query, as texts. Raises Asked."""
    try:
        body = await read_body(request)
    except BodyTooLarge:
        raise Asked(413, "TOO_LARGE", "the body is too large") from None
    if request.headers.get("content-type", "").startswith("application/json"):
        return _flat(body)
    try:
        return dict(request.query_params) | dict(parse_qsl(body.decode(), keep_blank_values=True))
    except ValueError as error:
        raise Asked(400, "BAD_FORM", f"not a form: {error}") from None


def number_of(values: dict[str, str], name: str, *, default: int | None = None, most: int) -> int:
    """A whole number from 0 to `most`. Raises Asked."""
    text = values.get(name, "")
    if not text and default is not None:
        return default
    if not text.isascii() or not text.isdecimal() or int(text[:20]) > most:
        raise Asked(400, "BAD_NUMBER", f"{name} is a whole number up to {most}")
    return int(text)


def truth_of(values: dict[str, str], name: str) -> bool | None:
    """True or false, None when nothing is said. Raises Asked."""
    text = values.get(name, "").lower()
    if text not in ("", "true", "false"):
        raise Asked(400, "BAD_FLAG", f"{name} is true or false")
    return None if not text else text == "true"


def reply(document: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, media_type="application/json")


def _flat(body: bytes) -> dict[str, str]:
    try:
        document = msgspec.json.decode(body or b"{}", type=dict[str, str | int | float | bool | None])
    except msgspec.DecodeError as error:
        raise Asked(400, "BAD_JSON", f"not a flat JSON object: {error}") from None
    return {name: str(value) for name, value in document.items() if value is not None}
