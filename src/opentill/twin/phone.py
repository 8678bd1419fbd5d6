"""The pages: the phone on which one scans and pays, and the bridge script of merchants' pages.

They talk to the JSON API only.
"""

from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HERE = Path(__file__).parent
_PAGES = {
    "/phone": ("phone.html", "text/html; charset=utf-8"),
    "/cashier": ("phone.html", "text/html; charset=utf-8"),  # where a wallet opens one code: `?code=`
    "/bridge.js": ("bridge.js", "text/javascript; charset=utf-8"),
}
# Nothing inline and nothing from elsewhere; the demo page of the same host may show the phone beside an order.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def routes() -> list[BaseRoute]:
    """Each page is read once."""
    pages: list[BaseRoute] = [_route(path, name, media_type) for path, (name, media_type) in _PAGES.items()]
    return [*pages, Mount("/static", app=_fresh(StaticFiles(directory=_HERE / "static")))]


def _fresh(files: ASGIApp) -> ASGIApp:
    """Browsers ask each time whether a file changed."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Cache-Control"] = "no-cache"
            await send(message)

        await files(scope, receive, send_with_headers)

    return app


def _route(path: str, name: str, media_type: str) -> Route:
    content = (_HERE / "templates" / name).read_bytes()

    async def page(_: Request) -> Response:
        return Response(content, media_type=media_type, headers=_HEADERS)

    return Route(path, page, methods=["GET"])
