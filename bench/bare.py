"""A bare ASGI application that reads the form and answers a constant: `python -m bench.bare PORT`."""

import sys

import uvicorn
from starlette.types import Receive, Scope, Send

_BODY = b'{"result":{"success":true,"errorCode":"0","errorMsg":""},"data":{}}'
_HEADERS = [(b"content-type", b"application/json;charset=UTF-8"), (b"content-length", str(len(_BODY)).encode())]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        access_log=False,
        log_level="warning",
        loop="uvloop",
        http="httptools",
        lifespan="off",
    )
