"""Reads request bodies with a limit: nobody can make us hold more than we said."""

from starlette.requests import ClientDisconnect, Request


class BodyTooLarge(Exception):
    """The body is longer than the limit."""


async def read_body(request: Request, *, limit: int) -> bytes:
    """The whole body, at most `limit` bytes. Raises BodyTooLarge; starlette's ClientDisconnect."""
    if int(request.headers.get("content-length") or 0) > limit:
        raise BodyTooLarge
    chunks: list[bytes] = []
    size = 0
    is_more = True
    while is_more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge
        chunks.append(chunk)
        is_more = message.get("more_body", False)
    return b"".join(chunks)
