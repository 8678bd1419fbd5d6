"""The pages: the phone on which one scans and pays, the cashier of one code, the bridge script of merchants' pages.

They talk to the JSON API only.
"""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_PAGES = {
    "/phone": ("phone.html", "text/html; charset=utf-8"),
    "/cashier": ("cashier.html", "text/html; charset=utf-8"),
    "/bridge.js": ("bridge.js", "text/javascript; charset=utf-8"),
}


def routes() -> list[Route]:
    """Each page is read once."""
    return [_route(path, name, media_type) for path, (name, media_type) in _PAGES.items()]


def _route(path: str, name: str, media_type: str) -> Route:
    content = files("opentill.twin").joinpath("templates", name).read_bytes()

    async def page(_: Request) -> Response:
        return Response(content, media_type=media_type)

    return Route(path, page, methods=["GET"])
