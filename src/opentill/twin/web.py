"""What all routes of the twin share: bounded bodies, and the path as the client signed it."""

from starlette.requests import Request

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
