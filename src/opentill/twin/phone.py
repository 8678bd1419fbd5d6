"""The phone: the page on which one scans and pays. It talks to the JSON API only."""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def routes() -> list[Route]:
    """The page, read once."""
    page = files("opentill.twin").joinpath("templates/phone.html").read_bytes()

    async def phone(_: Request) -> Response:
        return Response(page, media_type="text/html; charset=utf-8")

    return [Route("/phone", phone, methods=["GET"])]
